"""Open-class words and how they are split into training and held-out halves.

A word belongs to the held-out side when its digest says so, and then no training sample may use it.
Most words are invented on the spot: a tiny model learns to copy unseen words only when it has seen
very many different ones.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from typing import Literal

Split = Literal["train", "test"]

NAMES = """
Ada Alan Alice Amara Amir Ana Andre Anna Anton Aoife Arjun Astrid Ben Beatriz Boris Bruno Carla Carlos Cecilia Chen Chloe
Clara Daniel Daria David Diego Dina Dmitri Edgar Elena Elif Elias Emma Erik Esther Eva Farid Fatima Felix Fiona Frank Freya
Gabriel Grace Greta Hana Hans Hassan Helena Henrik Hugo Ibrahim Igor Ines Ingrid Irene Isaac Ivan Jack Jana Jasper Javier
Joana Johan Jonas Julia Kai Karim Katherine Keiko Kenji Lara Lars Laura Leila Leo Lena Liam Linus Lucia Luis Magnus Malik
Mara Marco Maria Martin Mateo Maya Mei Miguel Mila Miriam Mona Nadia Nicolas Nina Noah Nora Olga Oliver Omar Oscar Paula
Pavel Pedro Petra Priya Rafael Ravi Rita Robert Rosa Ruben Sam Samira Sara Sergei Silvia Simon Sofia Sven Tariq Tara Theo
Thomas Tina Tomas Ulrich Uma Vera Victor Viktor Wanda Wei Yara Yuki Yusuf Zara Zoe
""".split()

CITIES = """
Accra Adelaide Algiers Amman Amsterdam Ankara Antwerp Athens Auckland Austin Baku Bangkok Barcelona Basel Beirut Belgrade
Bergen Berlin Bern Bilbao Bogota Bologna Boston Bratislava Brisbane Bristol Brussels Bucharest Budapest Cairo Calgary Cardiff
Casablanca Chicago Cologne Copenhagen Cordoba Cork Dakar Dallas Damascus Delhi Denver Dhaka Doha Dortmund Dresden Dubai
Dublin Durban Edinburgh Florence Frankfurt Fukuoka Gdansk Geneva Genoa Ghent Glasgow Gothenburg Granada Graz Hamburg Hanoi
Harare Havana Helsinki Houston Istanbul Jakarta Johannesburg Kampala Karachi Kathmandu Khartoum Kiev Kingston Krakow Kyoto
Lagos Lahore Leeds Leipzig Lille Lima Lisbon Liverpool London Luanda Lusaka Lyon Madrid Malaga Manchester Manila Maputo
Marseille Melbourne Miami Milan Minsk Mombasa Montreal Moscow Mumbai Munich Nagoya Nairobi Nantes Naples Nice Odessa Osaka
Oslo Ottawa Oxford Palermo Panama Paris Perth Phoenix Porto Prague Pretoria Quito Rabat Reykjavik Riga Rome Rotterdam
Salzburg Santiago Sapporo Sarajevo Seattle Seoul Seville Shanghai Singapore Skopje Sofia Stockholm Stuttgart Sydney Taipei
Tallinn Tampere Tashkent Tbilisi Tehran Tokyo Toronto Toulouse Tripoli Tunis Turin Utrecht Valencia Vancouver Venice Vienna
Vilnius Warsaw Wellington Yerevan York Zagreb Zurich
""".split()

NOUNS = """
accordion airport algebra apple armour artist atom avocado badger ballet banana bank basketball beach bear bee beer bicycle
biology bird blood boat book brain bread bridge butter butterfly cactus cake camel camera candle car carpet castle cat cathedral
cave cello chair cheese chemistry cherry chess chicken chimney chocolate church cinema clarinet climate clock cloud coal coat coffee
coin comet compass concert copper coral cotton cow crab cricket crown curry dance desert diamond dinosaur doctor dog dolphin
donkey dragon dream drum duck eagle earth earthquake economy egg election electron elephant emperor energy evolution falcon
farm fashion feather festival fire fish flag flower flute fog football forest fossil fox frog galaxy garden garlic geology
ghost giraffe glacier glass goat gold golf grammar grape gravity guitar hammer harbour harp hat heart hedgehog helicopter history
honey horse hospital hotel house hurricane ice insect insurance iron island ivory jacket jazz jellyfish jewel jungle kangaroo kettle
king kitchen kite knife knight ladder lake lamp law lawyer lemon lightning lion literature lizard lobster magic magnet mango marble
market marriage medicine melon metal microscope milk mirror money monkey moon mosque mountain mouse museum mushroom music
novel nurse nut oak ocean octopus oil olive onion opera orange orchestra owl ox oyster painting palace panda paper parrot
peach peacock pear pencil penguin pepper philosophy photograph physics piano pie pig pigeon pilot pirate pizza planet plumber poem
poetry poison police politics potato pottery prince prison pumpkin puppet pyramid queen rabbit radio railway rain rainbow
religion restaurant rice river robot rocket rose rugby salad salmon salt sandwich satellite saxophone school scissors sculpture
seal shark sheep shell ship shoe silk silver skeleton snail snake snow soap soccer soup spice spider spoon squirrel statue
steam stomach storm strawberry submarine sugar sun surgeon swan sword table tea teacher telescope temple tennis theatre thunder
tiger tomato tooth tower tractor train treasure tree trumpet tsunami tulip turtle umbrella uncle unicorn vaccine valley vampire
violin virus volcano vulture wallet walnut war water waterfall wedding whale wheat wheel whisky wind wine winter wolf wood
wool yacht yoghurt zebra zoo
""".split()

ITEMS = """
apples pens lamps chairs boxes cables books shirts shoes mugs plates keys bolts tiles pipes ropes bags hats coats drums stamps
cards clocks knives spoons forks candles bottles jars pots pans towels blankets pillows brushes combs rings pencils rulers
notebooks folders printers screens mice cameras phones batteries tickets maps flags kites balls bats nets boats wheels tyres
""".split()

JOBS = """
teacher nurse farmer baker pilot lawyer painter driver engineer doctor writer singer plumber carpenter tailor butcher
gardener sailor soldier chef clerk dentist librarian mechanic miner potter waiter weaver welder astronomer chemist geologist
""".split()

COLOURS = (
    "red green blue yellow black white brown grey pink purple orange golden violet turquoise crimson beige".split()
)

PLAIN = """
able above again always angry around autumn basket before better between bitter bottle branch bright broken button calm careful
cheap clean clever close cold corner cotton crowd curious danger deep dirty double early easy empty engine evening fancy far fast
fine finger fresh friend full funny gentle glad grand happy heavy hidden hollow hungry idle jolly kind large lazy letter light
little lonely loud lucky middle modern morning narrow near nervous new night noble noise odd old open paint pale patient perfect
plain pocket polite proud quick quiet rapid rare ready rich ripe rough round sad safe secret shade shadow sharp short shy silent
simple sleepy slow small smart smooth soft sour spare square steady strange strong summer sunny supper sweet tall tame thick thin
tidy tiny tired urgent useful vast velvet warm weak wet whole wide wild window wise wooden wrong yellow young
""".split()

ONSETS = "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sch sh sk sl sm sn sp st str t th tr v w y z".split()
VOWELS = "a a e e i i o o u u y ai au ea ee ei ia ie io oa oe oo ou ua ue ui".split()
CODAS = "b c ck d f g k l ld ll lt m mb n nd ng nk nt p r rd rk rn rt s sk ss st t th x z".split()


def held_out(text: str, percent: int = 10) -> bool:
    """Whether an open-class word (or a pair of numbers) is kept away from training."""
    digest = hashlib.sha256(text.lower().encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < percent


def in_split(text: str, split: Split) -> bool:
    return held_out(text) == (split == "test")


class LetterChain:
    """Invents words that look like those of a list: letter by letter, two letters of memory."""

    def __init__(self, words: list[str]) -> None:
        self.next: dict[str, list[str]] = defaultdict(list)
        for word in words:
            padded = "^^" + word.lower() + "$"
            for i in range(2, len(padded)):
                self.next[padded[i - 2 : i]].append(padded[i])

    def word(self, rng: random.Random) -> str:
        text = "^^"
        while len(text) < 14:
            letter = rng.choice(self.next[text[-2:]])
            if letter == "$":
                break
            text += letter
        return text[2:]


def syllables(rng: random.Random) -> str:
    """An invented word of one to three syllables."""
    count = rng.choice((1, 2, 2, 2, 3))
    text = ""
    for i in range(count):
        text += rng.choice(ONSETS) if i or rng.random() < 0.85 else ""
        text += rng.choice(VOWELS)
        text += rng.choice(CODAS) if rng.random() < (0.75 if i == count - 1 else 0.25) else ""
    return text


def letters(rng: random.Random) -> str:
    """Letters without any pattern."""
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8)))


CLOSED = {w.lower() for w in NAMES + CITIES + NOUNS + ITEMS + JOBS + COLOURS + PLAIN}
PLACE_CHAIN = LetterChain([w for w in CITIES if not held_out(w)])
NAME_CHAIN = LetterChain([w for w in NAMES if not held_out(w)])
WORD_CHAIN = LetterChain([w for w in NOUNS + PLAIN if not held_out(w)])
