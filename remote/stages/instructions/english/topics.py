"""Names, nouns and sentences that the templates are filled with."""

from __future__ import annotations


def _words(table: str) -> tuple[str, ...]:
    return tuple(table.split())


PEOPLE = _words(
    """Anna Ben Clara David Emma Felix Grace Henry Irene Jack Karen Liam Maria Nora Oscar Paula
    Quentin Rosa Samuel Tina Ursula Victor Wendy Xavier Yusuf Zoe Amir Beatrice Carlos Diana
    Elias Fatima Gustav Hanna Ivan Julia Kofi Lena Marco Nadia Olga Peter Rania Simon Tomas
    Vera"""
)
CITIES = _words(
    """Lyon Hamburg Milan Seville Porto Cork Ghent Graz Geneva Gdansk Varna Corfu Split Bergen
    Malmo Tampere Aarhus Tartu Odessa Shanghai Osaka Mumbai Lahore Busan Aleppo Basra Toronto
    Boston Denver Dallas Recife Rosario Cusco Cali Sydney Perth Auckland Lagos Mombasa Oran"""
)
PLACES = _words(
    """harbour library bakery museum garden station market forest beach school hospital theatre
    bridge castle farm kitchen workshop airport stadium village"""
)
# Concrete nouns, each with a plural in -s.
THINGS = _words(
    """lamp river candle umbrella ladder mirror pillow bottle basket carpet hammer whistle
    blanket telescope lantern suitcase bucket kettle guitar window wallet compass helmet
    magnet needle parachute puzzle ribbon saddle scarecrow statue teapot tractor trumpet
    tunnel turtle violin wagon walnut waterfall windmill zebra anchor balloon barrel bicycle
    cabin camera cannon carrot castle chimney clock cloud coin curtain diamond dolphin drum
    eagle engine feather fountain glacier hedge island jacket jungle kite lemon lizard map
    medal mountain notebook orchard owl palace parrot pebble penguin piano pirate planet
    pocket pumpkin rabbit rocket rooster sailor sandwich shadow ship spoon squirrel stamp
    storm sweater temple thunderstorm tiger tower train valley volcano wheel wizard"""
)
LONG_WORDS = _words(
    """banana elephant mississippi committee balloon strawberry adventure happiness bookkeeper
    parallel tomorrow necessary apartment chocolate butterfly mountain umbrella kangaroo
    library orchestra dictionary calendar hospital possession cinnamon electricity
    neighborhood tennessee raspberry assessment beginning occurrence millennium accommodate
    embarrass mattress whisper pepperoni volleyball successful grammar message scissors cheese
    kitchen holiday passenger different interesting restaurant temperature vegetable yesterday
    giraffe tattoo coffee gorilla pineapple saxophone telephone universe wilderness xylophone
    architecture encyclopedia satellite photograph rhinoceros hurricane laboratory"""
)
SIMPLE_WORDS = _words(
    """apple bread chair dream earth flute grape house ivory jelly knife lemon money night ocean
    pearl queen river stone table uncle voice water yacht zebra brick cloud dance eagle field
    glass heart juice koala light maple nurse olive piano quilt robot snake tiger urban vapor
    whale youth amber berry camel daisy elbow fairy ghost honey igloo lunch mango novel onion
    paper radio sugar tulip violin wagon"""
)
_LINES = """
The old clock stopped at noon
A small boat crossed the lake
My neighbour plays the trumpet badly
The children found a hidden door
Nobody saw the fox leave
The soup needs a little salt
Two trains left the station together
Her brother repairs old radios
The garden smells of roses
We missed the last bus home
The judge asked a simple question
Snow covered the empty street
A stranger knocked on the window
The library closes at six
His dog sleeps under the table
The baker starts work before sunrise
Our teacher tells long stories
The storm broke three branches
A red kite hung in the tree
The doctor lost her keys again
Some birds never leave the island
The museum bought an ancient map
Their car is older than mine
The cook forgot the onions
A loud noise woke the village
The river freezes every winter
My aunt paints wooden boxes
The pilot landed in heavy fog
Three cats live behind the bakery
The letter arrived too late
An owl lives in our barn
The mayor opened the new bridge
Her shoes were full of sand
The farmer counted his sheep twice
A candle burned on the desk
The band played until midnight
Old maps hang in the hallway
The sailor tied a strong knot
Rain ruined the summer festival
The queen wore a simple coat
Our train stops in every town
The lamp fell off the shelf
A spider crossed the white wall
The twins share a single room
The painter mixed blue and yellow
Fresh bread cools on the counter
The tall guard opened the gate
A thin wire held the picture
The singer forgot the second verse
Dark clouds hid the mountain
The nurse closed the heavy curtain
A blue bicycle leans on the fence
The tailor measured the long sleeve
Wild geese flew over the valley
The student borrowed my ladder
An engineer checked the tunnel
The kitten hid inside the drum
Both sisters study medicine
The guide carried a bright lantern
The orchestra waited for silence
"""
SENTENCES = tuple(_LINES.strip().splitlines())
