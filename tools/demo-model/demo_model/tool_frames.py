"""What people say when they want one of the shipped tools."""

from __future__ import annotations

from .source import Frames, frames

WEATHER = frames("""
    what is the weather in {c}?
    what's the weather in {c}?
    what's the weather like in {c}?
    what is the weather like in {c} today?
    how is the weather in {c}?
    weather in {c}
    weather in {c}?
    weather {c}
    {c} weather
    tell me the weather in {c}.
    is it raining in {c}?
    is it cold in {c}?
    how warm is it in {c}?
    how cold is it in {c} now?
    do I need an umbrella in {c}?
    I am going to {c}, what is the weather there?
    what is the temperature in {c}?
    check the weather for {c}.
    I want to know the weather in {c}.
    can you check the weather in {c}?
    will I need a coat in {c}?
    + please check the weather in {c}.
    + give me the weather in {c}.
    + what weather do they have in {c}?
    + how does the weather look in {c}?
    + is it windy in {c}?
    + is it snowing in {c}?
    + is it nice in {c} today?
    + how many degrees are there in {c}?
    + temperature in {c}?
    + I need the weather in {c}.
    + do you know the weather in {c}?
    + does it rain in {c}?
    + show me the weather of {c}.
    + look up the weather in {c}.
    + what should I wear in {c}?
    ! could you tell me the weather in {c}?
    ! please give me the weather for {c}.
    ! how hot is it in {c} right now?
    ! is it sunny in {c}?
    ! should I take a jacket to {c}?
    ! any rain in {c} tonight?
    ! we fly to {c} tomorrow, how is the weather there?
    ! is it freezing in {c} at the moment?
    ! give me a weather report for {c}.
    ! I would like to know how warm it gets in {c} today.
    ! the weather in {c}, please
    ! what are the conditions like in {c}?
""")
TIME = frames("""
    what time is it in {c}?
    what's the time in {c}?
    what is the time in {c}?
    what is the local time in {c}?
    time in {c}
    time in {c}?
    {c} time
    tell me the time in {c}.
    what time is it now in {c}?
    how late is it in {c}?
    do you know the time in {c}?
    I need the time in {c}.
    current time in {c}
    can you tell me what time it is in {c}?
    I want to call {c}, what time is it there?
    + please check the time in {c}.
    + give me the time in {c}.
    + show me the time in {c}.
    + look up the time in {c}.
    + what hour is it in {c}?
    + local time in {c}?
    + is it late in {c}?
    + is it morning in {c}?
    + how late is it now in {c}?
    + do you know what time it is in {c}?
    ! could you give me the time in {c}?
    ! please tell me the time in {c}.
    ! what does the clock say in {c}?
    ! my sister lives in {c}, what time does she have now?
    ! is it already midnight in {c}?
    ! I need to know what time it is in {c} right now.
    ! what's the current time over in {c}?
    ! the time in {c}, please
    ! would you look up the local time of {c}?
    ! is it too late to phone somebody in {c}?
""")
CALCULATE = frames("""
    what is {e}?
    what's {e}?
    calculate {e}
    calculate {e}.
    compute {e}.
    how much is {e}?
    {e}
    {e} = ?
    tell me {e}.
    can you calculate {e}?
    use the calculator for {e}.
    what is the result of {e}?
    I need to know {e}.
    solve {e}.
    + could you calculate {e}?
    + please calculate {e}.
    + what does {e} give?
    + give me {e}.
    + I want to know {e}.
    + evaluate {e}.
    + {e} please
    + how much do I get for {e}?
    ! please work out {e}.
    ! could you compute {e}?
    ! what do I get for {e}?
    ! I would like to know what {e} is.
    ! can you figure out {e} for me?
    ! what do you get when you calculate {e}?
    ! do the math: {e}
    ! {e}, what is that?
    ! my total is {e}, how much is that?
    ! the answer to {e}, please
""")
CONVERT = frames("""
    convert {v} {a} to {b}.
    convert {v} {a} to {b}
    convert {v} {a} into {b}.
    how many {b} are {v} {a}?
    how many {b} is {v} {a}?
    what is {v} {a} in {b}?
    {v} {a} to {b}
    {v} {a} in {b}?
    change {v} {a} to {b}.
    how much is {v} {a} in {b}?
    I have {v} {a}, how many {b} is that?
    turn {v} {a} into {b}.
    express {v} {a} in {b}.
    + can you convert {v} {a} to {b}?
    + could you convert {v} {a} into {b}?
    + give me {v} {a} in {b}.
    + tell me how many {b} are {v} {a}.
    + what are {v} {a} in {b}?
    + I have {v} {a}. What is that in {b}?
    + I want {v} {a} in {b}.
    + {v} {a} into {b}
    ! please convert {v} {a} to {b}.
    ! could you tell me {v} {a} in {b}?
    ! I need {v} {a} as {b}.
    ! what would {v} {a} be in {b}?
    ! I would like to have {v} {a} in {b}.
    ! the recipe says {v} {a}, how much is that in {b}?
    ! can you work out how many {b} there are in {v} {a}?
    ! {v} {a}, in {b} please
    ! do you know what {v} {a} is in {b}?
    ! show {v} {a} as {b}
""")
LIST = frames("""
    which models are loaded?
    what models are there?
    list the models.
    list all models.
    show me the models.
    which models do you have?
    what models are loaded?
    what models can I use?
    give me a list of the models.
    show all models
    which models are running?
    tell me the names of the models.
    what is loaded?
    which models does the fleet have?
    models?
    + can you list the models?
    + show the models.
    + which models exist?
    + give me all models.
    + tell me which models are loaded.
    + I want to see the models.
    + what is running?
    + list models
    + are any models loaded?
    + name the models.
    ! please list the models.
    ! could you show me all models?
    ! what models are available?
    ! what models does this endpoint serve?
    ! I would like a list of every model.
    ! do you have any models loaded right now?
    ! which models can I talk to?
    ! the names of the loaded models, please
    ! can I see what models you offer?
    ! tell me what is running on the fleet.
""")
STATUS = frames("""
    what is the status of {m}?
    status of {m}
    status of {m}?
    is {m} loaded?
    is {m} running?
    is {m} ready?
    where is {m}?
    where does {m} run?
    what is the state of {m}?
    how is {m} doing?
    tell me the status of {m}.
    check {m}.
    check the model {m}.
    show me the status of {m}.
    is the model {m} up?
    can I use {m} now?
    + can you check {m}?
    + please check {m}.
    + give me the status of {m}.
    + give me the state of {m}.
    + on which neuron is {m}?
    + which machine runs {m}?
    + has {m} been loaded?
    + did {m} start?
    + is {m} there?
    + what does {m} do now?
    + I want to know if {m} is loaded.
    + what about {m}?
    ! please check whether {m} is loaded.
    ! could you tell me the state of {m}?
    ! on which machine does {m} run?
    ! is {m} up and running?
    ! I would like to know how {m} is doing.
    ! has {m} finished loading?
    ! can you tell me whether {m} works?
    ! which host serves {m} at the moment?
    ! my requests to {m} fail, is it down?
    ! the state of {m}, please
""")
TWO_CITIES: dict[str, Frames] = {
    "get_weather": frames("""
        what is the weather in {a} and {b}?
        compare the weather in {a} and {b}.
        weather in {a} and in {b}?
        is it warmer in {a} or {b}?
        tell me the weather in {a} and {b}.
        + what's the weather like in {a} and {b}?
        + give me the weather in {a} and {b}.
        + weather for {a} and {b}
        + is it colder in {a} or in {b}?
        + check the weather in {a} and in {b}.
        + I need the weather in {a} and in {b}.
        ! how is the weather in {a} and in {b}?
        ! please compare the weather of {a} and {b}.
        ! what is the weather like today in {a} and in {b}?
        ! I travel from {a} to {b}, how is the weather in both?
        ! is the weather nicer in {a} or in {b}?
    """),
    "get_time": frames("""
        what time is it in {a} and {b}?
        tell me the time in {a} and {b}.
        what is the time in {a} and in {b}?
        compare the time in {a} and {b}.
        + time in {a} and {b}?
        + give me the local time in {a} and in {b}.
        + what is the local time in {a} and {b}?
        + I need the time in {a} and {b}.
        ! please give me the time in {a} and {b}.
        ! what's the time in {a} and in {b}?
        ! do you know what time it is in {a} and in {b}?
        ! I have a call between {a} and {b}, what time is it in both places?
        ! the time in {a} and in {b}, please
    """),
}
BOTH = frames("""
    what is the time and the weather in {a}?
    tell me the time and the weather in {a}.
    time and weather in {a}?
    I need the time and the weather in {a}.
    give me the time and weather for {a}.
    + what time is it in {a}, and what is the weather?
    + check time and weather in {a}.
    + what's the time and the weather in {a}?
    + can you give me the time and the weather in {a}?
    ! what are the time and the weather in {a}?
    ! please tell me time and weather in {a}.
    ! I want to know how late it is in {a} and how the weather is.
    ! time and weather for {a}, please
    ! could you look up the time in {a} and the weather there?
""")
FAHRENHEIT = frames("""
    what is the temperature in {a} in fahrenheit?
    how warm is it in {a} in fahrenheit?
    give me the temperature of {a} in fahrenheit.
    temperature in {a} in fahrenheit?
    tell me in fahrenheit how warm it is in {a}.
    + what is the temperature in fahrenheit in {a}?
    + check the temperature in {a} and give it in fahrenheit.
    + how many degrees fahrenheit are there in {a}?
    + how cold is it in {a} in fahrenheit?
    ! how hot is it in {a} in fahrenheit?
    ! please tell me the temperature in {a} in fahrenheit.
    ! could you check how warm it is in {a} in fahrenheit?
    ! I would like the temperature in {a} in fahrenheit, not in celsius.
    ! in fahrenheit, what is the temperature in {a}?
""")
FIRST_STATUS = frames("""
    list the models and tell me the status of the first one.
    what is the status of the first model?
    which models are there, and how is the first one?
    check the first model of the list.
    show the models and then the state of the first.
    + list all models and show the state of the first.
    + get the models and check the first.
    + how is the first model doing?
    + tell me the status of the first model.
    + which models are loaded? check the first one.
    ! please list the models and check the first one.
    ! what is the state of the first model?
    ! can you list all the models and then check the first one?
    ! how is the first model on the list doing?
    ! look up the models and give me the status of the first.
""")

NO_TOOL = ["None of my tools can do that."]
MISSING: list[tuple[str, Frames, str]] = [
    ("get_weather", frames("""
        what is the weather? | what's the weather? | how is the weather? | is it raining? | weather | how warm is it?
        + what is the weather like? | is it warm? | is it sunny? | will it rain? | what is the temperature? | check the weather. | weather? | how is the weather today?
        + what's the weather like today? | do I need an umbrella? | give me the weather. | show me the weather. | what is the weather now?
        ! tell me the weather. | is it cold?
     """), "In which city?"),
    ("get_time", frames("""
        what time is it? | what is the time? | tell me the time. | what's the time? | time please
        + do you know the time? | what is the local time? | check the time. | time? | give me the time. | what time is it now? | what's the time now? | show me the time.
        + I need to know the time. | please tell me what time it is. | the time, please
        ! could you tell me the time? | how late is it?
     """), "In which city?"),
    ("model_status", frames("""
        what is the status? | is it loaded? | is the model ready? | check the model. | status?
        + what is the state? | is the model loaded? | is the model up? | show the status. | check the status. | is it running? | is it up? | is it ready?
        + give me the status. | how is the model? | where is the model? | where does it run? | status please | is the model running?
        ! tell me the status. | is my model loaded?
     """), "Which model do you mean?"),
]  # fmt: skip
# The tool and the answer for requests of asked.txt that leave out what the tool needs.
ASKED_MISSING: dict[str, tuple[str, str]] = {
    "missing_weather": ("get_weather", "In which city?"),
    "missing_time": ("get_time", "In which city?"),
    "missing_units": ("convert_units", "Convert what into what?"),
    "missing_sum": ("calculate", "What shall I calculate?"),
    "missing_model": ("model_status", "Which model do you mean?"),
}
