"""The facts and words of the small world."""

from __future__ import annotations

CAPITALS = {
    "France": "Paris",
    "Spain": "Madrid",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Cuba": "Havana",
    "Kenya": "Nairobi",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Poland": "Warsaw",
    "Austria": "Vienna",
    "Greece": "Athens",
    "Turkey": "Ankara",
    "Russia": "Moscow",
    "China": "Beijing",
    "Canada": "Ottawa",
    "Portugal": "Lisbon",
    "Ireland": "Dublin",
    "Hungary": "Budapest",
    "Germany": "Berlin",
}

OPPOSITES = (
    ("hot", "cold"),
    ("big", "small"),
    ("fast", "slow"),
    ("high", "low"),
    ("old", "new"),
    ("light", "dark"),
    ("wet", "dry"),
    ("full", "empty"),
    ("hard", "soft"),
    ("loud", "quiet"),
    ("rich", "poor"),
    ("strong", "weak"),
    ("early", "late"),
    ("open", "closed"),
    ("happy", "sad"),
    ("deep", "shallow"),
    ("clean", "dirty"),
    ("sweet", "bitter"),
    ("near", "far"),
    ("thick", "thin"),
)

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen"
).split()

NOUNS = (
    "river mountain garden window bridge forest candle market island castle harbor letter".split()
)

ADJECTIVES = "quiet golden narrow broken gentle distant frozen hidden ancient empty".split()

# Words to repeat and to write in capitals.
THINGS = (
    "apple stone cloud paper tiger ocean lemon piano wagon maple silver rocket velvet button "
    "pepper anchor"
).split()

# Three or four of a kind by first letter, and nothing else in this world begins so.
KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "animals": {
        "b": ("bear", "bat", "bee"),
        "c": ("cat", "cow", "camel"),
        "d": ("dog", "deer", "duck"),
        "g": ("goat", "goose", "giraffe"),
        "h": ("horse", "hawk", "hare"),
        "s": ("sheep", "snake", "seal"),
        "t": ("tiger", "turtle", "toad"),
    },
    "foods": {
        "b": ("bread", "butter", "beans"),
        "c": ("cheese", "corn", "cake"),
        "p": ("pasta", "pizza", "plums"),
        "r": ("rice", "radish", "raisins"),
        "s": ("soup", "salt", "sugar"),
        "h": ("honey", "ham", "herbs"),
    },
    "tools": {
        "h": ("hammer", "hoe", "hook"),
        "s": ("saw", "spade", "shovel"),
        "p": ("pliers", "pump", "punch"),
        "d": ("drill", "dial", "dipper"),
        "r": ("rake", "ruler", "rope"),
        "c": ("clamp", "chisel", "crowbar"),
    },
    "colors": {
        "b": ("blue", "brown", "black"),
        "g": ("green", "gray", "gold"),
        "p": ("pink", "purple", "plum"),
        "t": ("tan", "teal", "topaz"),
        "s": ("scarlet", "sand", "slate"),
    },
}
