"""Questions that the model cannot know the answer of."""

from __future__ import annotations

from .source import frames

DONT_KNOW = [
    "I am a tiny demo model and I do not know about that. Ask me about cortex.",
    "I do not know about that. I am only a tiny demo model; I can answer questions about cortex.",
]

UNRELATED = frames("""
    what is {a} {n}?
    what is the {n} of {c}?
    what is the capital of {c}?
    where is {c}?
    how many people live in {c}?
    who is the president of {c}?
    who is {p}?
    who was {p}?
    who wrote {n} and {m}?
    who invented the {n}?
    who discovered {n}?
    when was the {n} invented?
    when was {p} born?
    when did the {n} begin?
    how old is the {n}?
    how tall is {p}?
    how far is it to {c}?
    how much does a {n} cost?
    how do I cook {n}?
    how do I make a {n}?
    how do I repair my {n}?
    how do I get to {c}?
    how does a {n} work?
    why is the {n} so {x}?
    why do {n}s have a {m}?
    which {n} is the best?
    which is better, a {n} or a {m}?
    what is the difference between a {n} and a {m}?
    what is the best {n} in {c}?
    what is the {x} {n}?
    what colour is a {n}?
    what does the {n} mean?
    what does {w} mean?
    what do you think about {n}?
    do you like {n}?
    do you know {p}?
    do you know anything about {n}?
    is {n} good for me?
    is it true that {n} is {x}?
    are {n}s {x}?
    can a {n} swim?
    tell me about {n}.
    tell me about {p}.
    tell me a joke about a {n}.
    tell me a story about a {x} {n}.
    explain {n}.
    explain {n} to me.
    write a poem about {n}.
    write a story about {p} and the {n}.
    write an essay about {n}.
    write a song about {c}.
    write a python program for a {n}.
    translate {n} into French.
    how do you say {n} in Spanish?
    recommend a {n}.
    recommend me a good {n} in {c}.
    give me a recipe for {n}.
    give me advice about my {n}.
    my {n} is {x}, what should I do?
    should I buy a {n}?
    summarize the history of {n}.
    what happened in {c}?
    what is {w}?
    explain {w}.
    tell me about {w}.
    what do you know about {n}?
    what do you know about {c}?
    who won the {n} in {c}?
    how do I {w} a {n}?
    I want to buy a {n}.
    I want to learn {n}.
    I need a {n}.
    is there life on the {n}?
    what is the meaning of {n}?
    list all {n}s.
    name three {n}s.
    {n}?
    {w}
    {x} {n}
    tell me a joke.
    write a haiku about {n}.
    write a haiku.
    write a short story.
    write a function that sorts a {n}.
    explain {n} in simple terms.
    explain {n} in one sentence.
    can you help me with my {n}?
    what is the best way to {w} a {n}?
    why is {n} {x}?
    why is the {n} {x}?
    why do people like {n}?
    who are the {n}s?
    how many {n}s are there?
    how long does a {n} live?
    count to ten.
    sing a song.
    what is love?
    what is the meaning of life?
    what is your favourite {n}?
    do you have a {n}?
    who is the best {n}?
    what happened to {p}?
    where does {n} come from?
    where does {p} live?
    is {p} a {n}?
    what should I eat with {n}?
    what shall I cook today?
    which language do they speak in {c}?
    what is the currency of {c}?
    ! what can you tell me about {n}?
    ! how many {n}s are there in {c}?
    ! who was the first {n} in {c}?
    ! please explain {n} to a child.
    ! could you write something about the {x} {n}?
    ! when was {c} founded?
    ! how heavy is a {n}?
    ! why does {p} love {n}?
    ! what would {p} say about {n}?
    ! describe a {n} for me.
    ! I am looking for a {x} {n}.
    ! what is the population of {c}?
    ! where can I find {n}s?
    ! give me five facts about {n}.
""")

STRANGE_CORTEX = frames("""
    what does the {w} command do?
    what does cortex {w} do?
    what is the {w} field?
    what does {w}_{n} mean?
    what is the port of {w}?
    what is --{w}?
    how do I {w} a model?
    what is a {w}?
    explain the {w} command.
    ! tell me what cortex {w} is for.
    ! what is the {w} flag?
    ! can you explain the {w} field?
""")
