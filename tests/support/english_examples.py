"""For each kind of the English set one of its instructions, with right and with wrong responses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Labelled:
    """`text` stands in the set; the responses were labelled by hand."""

    kind: str
    text: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


EXAMPLES = (
    Labelled(
        "saying",
        "Finish this saying: Knowledge is ...",
        ("power", "Knowledge is power.", "... power!"),
        (
            "Knowledge is a great thing to have in life.",
            "Finish this saying: Knowledge is",
            "bliss",
        ),
    ),
    Labelled(
        "number sequence",
        "24, 28, 32, 36, ... What is the next number?",
        (
            "40",
            "The next number is 40.",
            "24, 28, 32, 36, 40",
            "The next number is 40, since each one adds 4.",
        ),
        ("44", "4", "40, 44, 48", "The next number is forty-ish.", "24, 28, 32, 36"),
    ),
    Labelled(
        "ordered names",
        "Which number word comes next? seven, nine, eleven",
        ("thirteen", "After eleven comes thirteen.", "Thirteen"),
        ("twelve", "twelve or thirteen", "The next word follows from the earlier ones."),
    ),
    Labelled(
        "analogy",
        "Complete the analogy: sweet is to sour as hard is to",
        ("soft", "sweet is to sour as hard is to soft.", "Soft."),
        ("easy", "sweet is to sour as hard is to what?", "An analogy compares two pairs."),
    ),
    Labelled(
        "verb form",
        "Complete with the past tense of blow: Last night a cold wind ___.",
        ("Last night a cold wind blew.", "blew"),
        ("Last night a cold wind blowed.", "blow blew", "Last night a cold wind came."),
    ),
    Labelled(
        "chemical symbol",
        "Complete: the element silver has the symbol",
        ("Ag", "The chemical symbol of silver is Ag."),
        ("Si", "ag", "Ag or Au", "Silver is a shiny metal with many uses."),
    ),
    Labelled(
        "capital",
        "Tell me what the capital of Rwanda is called.",
        ("Kigali", "The capital of Rwanda is Kigali.", "It is called Kigali."),
        ("Kampala", "Kigali or Nairobi", "The capital of Rwanda is a large and lively city."),
    ),
    Labelled(
        "continent",
        "Which continent does North Korea belong to?",
        ("Asia", "North Korea is in Asia."),
        ("Europe", "Asia and Europe", "North Korea belongs to a continent with many countries."),
    ),
    Labelled(
        "yes or no",
        "Answer only with yes or no. Do plants need light to grow?",
        ("Yes", "yes.", "YES"),
        ("No", "Yes and no.", "Yes, plants need light, water and air to grow well.", "Plants."),
    ),
    Labelled(
        "divisible",
        "Yes or no: is 591 a multiple of 8?",
        ("No", "no.", "No, it leaves a remainder."),
        ("Yes", "Yes, it is.", "591 is a number between 590 and 592.", "No, but yes too."),
    ),
    Labelled(
        "plural",
        "How do you write monkey in the plural?",
        ("monkeys", "The plural of monkey is monkeys."),
        ("monkies", "monkeyes", "The plural of monkey is easy to write."),
    ),
    Labelled(
        "Spanish",
        'Translate "sister" into Spanish.',
        ("hermana", 'The Spanish word for "sister" is "hermana".', "Hermana."),
        ("hermano", "madre", "Sister is a word for a female sibling."),
    ),
    Labelled(
        "day of the week",
        "What day of the week comes 9 days after Thursday?",
        ("Saturday", "It will be Saturday.", "9 days after Thursday comes Saturday."),
        ("Friday", "Saturday or Sunday", "It will be a day of the week."),
    ),
    Labelled(
        "month",
        "Which month comes 9 months after July?",
        ("April", "9 months after July comes April."),
        ("May", "March, April, May", "It comes later in the year."),
    ),
    Labelled(
        "length of a month",
        "How many days does August have in 2025? Answer in digits.",
        ("31", "August 2025 has 31 days."),
        ("30", "30 or 31", "August is a long month."),
    ),
    Labelled(
        "arithmetic",
        "Multiply 31 by 8.",
        ("248", "31 times 8 is 248.", "31 x 8 = 248"),
        ("258", "31 times 8 is 248, or 249.", "Multiply the numbers and you get the product."),
    ),
    Labelled(
        "word problem",
        "Of 35 stamps on the table Fatima takes 3. How many stay there?",
        ("32", "35 - 3 = 32, so 32 stamps stay there."),
        ("38", "Of 35 stamps 3 are taken.", "31 or 32"),
    ),
    Labelled(
        "conversion",
        "Convert 4 feet to inches.",
        ("48", "4 feet are 48 inches.", "48 inches, since 1 foot has 12 inches."),
        ("40 inches", "4 feet", "Feet and inches are units of length."),
    ),
    Labelled(
        "count of letters",
        'How many letters does the word "library" have? Answer in digits.',
        ("7", 'The word "library" has 7 letters.'),
        ("8", "6 or 7", "The word has many letters."),
    ),
    Labelled(
        "count of a letter",
        'How often does the letter t occur in "butterfly"? Answer in digits.',
        ("2", 'The letter t occurs 2 times in "butterfly".'),
        ("1", "3", "The letter occurs a few times."),
    ),
    Labelled(
        "largest and smallest",
        "Name the greatest of these numbers: 511, 831, 23, 89.",
        ("831", "The greatest number is 831.", "Of 511, 831, 23 and 89, the greatest is 831."),
        (
            "511",
            "23, 89, 511, 831",
            "Of 511, 831, 23 and 89, the greatest is 511.",
            "511, 831, 23, 89",
            "The greatest number stands among them.",
        ),
    ),
    Labelled(
        "clock",
        "It is 3:55. What time is it in 80 minutes?",
        ("5:15", "In 80 minutes it is 5:15.", "05:15"),
        ("5:05", "5:10 or 5:15", "It will be later in the afternoon."),
    ),
    Labelled(
        "rounding",
        "Give 839, rounded to the nearest ten, as a bare number.",
        ("840", "840."),
        ("830", "The number is 840.", "800"),
    ),
    Labelled(
        "sentence with words",
        'Use "train" and "suitcase" in a single sentence.',
        (
            "She left her suitcase on the train.",
            "The train was so full that my suitcase would not fit anywhere.",
            'She said, "Take the train with your suitcase."',
            "Mr. Bond left his suitcase on the train.",
        ),
        (
            "She left her bag on the train.",
            "The train is here. My suitcase is red.",
            "train suitcase",
            "train suitcase train suitcase train suitcase.",
            'Use "train" and "suitcase" in a single sentence.',
        ),
    ),
    Labelled(
        "sentence of a length",
        "Write a sentence of exactly six words about the cabin.",
        ("Yesterday we saw the old cabin.", "The cabin stands by the lake!"),
        ("The cabin is old.", "Yesterday we all saw the old cabin.", "We all saw the old house."),
    ),
    Labelled(
        "forbidden word",
        'Write one sentence about rain without the word "clouds".',
        ("The rain drummed on the roof for hours.", "Farmers are glad when rain falls at last."),
        (
            "Dark clouds bring rain.",
            "It fell from the sky all day long.",
            "Rain fell. It fell all day.",
        ),
    ),
    Labelled(
        "separated list",
        "Name three jobs, separated by commas, on one line.",
        ("nurse, pilot, baker", "Teacher, doctor and lawyer."),
        ("nurse, pilot", "nurse, nurse, pilot", "nurse, banana, pilot", "nurse\npilot\nbaker"),
    ),
    Labelled(
        "bulleted list",
        "Write four parts of the body, each on a line of its own after a dash.",
        ("- arm\n- leg\n- nose\n- ear", "- Arms\n- Legs\n- Hands\n- Knees"),
        (
            "- arm\n- leg\n- nose",
            "1. arm\n2. leg\n3. nose\n4. ear",
            "- arm\n- leg\n- nose\n- spoon",
            "Here are four:\n- arm\n- leg\n- nose\n- ear",
        ),
    ),
    Labelled(
        "numbered list",
        "List four planets as a numbered list and nothing else.",
        ("1. Mars\n2. Venus\n3. Earth\n4. Saturn", "1) Mars\n2) Venus\n3) Earth\n4) Saturn"),
        (
            "1. Mars\n2. Venus\n3. Earth",
            "1. Mars\n1. Venus\n1. Earth\n1. Saturn",
            "Mars, Venus, Earth, Saturn",
            "1. Mars\n2. Venus\n3. Pluto\n4. Saturn",
        ),
    ),
    Labelled(
        "list by letter",
        "On one line, with commas, write three jobs beginning with A.",
        ("actor, artist, architect", "Accountant, actor, artist."),
        ("actor, baker, artist", "actor, artist", "actor, artist, apple"),
    ),
    Labelled(
        "JSON",
        'Turn this into one JSON object with the keys "buyer", "item" and "price": '
        "Henry paid 92 dollars for one lantern.",
        (
            '{"buyer": "Henry", "item": "lantern", "price": 92}',
            '{\n "price": 92.0,\n "item": "Lantern",\n "buyer": "Henry"\n}',
        ),
        (
            '{"buyer": "Henry", "item": "lantern"}',
            '{"buyer": "Henry", "item": "lantern", "price": "cheap"}',
            '{"buyer": "Henry", "item": "lantern", "price": true}',
            "Henry bought a lantern for 92 dollars.",
            '{"buyer": "Henry", "item": "lantern", "price": 92} And that is the object.',
        ),
    ),
    Labelled(
        "note",
        "In two sentences, write a note that thanks Samuel for lending you the needle.",
        ("Thank you for the needle, Samuel. I will bring it back on Monday.",),
        (
            "Thank you for the needle, Samuel.",
            "Thank you for the book, Samuel. I will bring it back on Monday.",
            "Hello Samuel, here is the needle. I will see you on Monday evening.",
        ),
    ),
    Labelled(
        "slogan",
        'Write a slogan for a garden in capital letters, with the word "HOME" and at most '
        "eight words.",
        ("COME HOME TO GREEN!", "YOUR HOME AMONG THE ROSES"),
        ("Come home to green!", "COME AND SEE THE GREEN", "HOME " * 9),
    ),
    Labelled(
        "question",
        "Write one question that a child could ask about a waterfall.",
        ("Why is the waterfall so loud?", "Do fish fall down waterfalls?"),
        (
            "The waterfall is loud.",
            "Why is it so loud?",
            "Why is the waterfall loud? Where does it go?",
            "A child could ask about the waterfall?",
        ),
    ),
    Labelled(
        "case",
        "Change every letter to a capital letter: An engineer checked the tunnel.",
        ("AN ENGINEER CHECKED THE TUNNEL.", '"AN ENGINEER CHECKED THE TUNNEL"'),
        (
            "An engineer checked the tunnel.",
            "AN ENGINEER CHECKED.",
            "AN ENGINEER BUILT THE TUNNEL.",
        ),
    ),
    Labelled(
        "sorting words",
        "Arrange from A to Z, separated by commas: piano, amber, glass",
        ("amber, glass, piano", "Sorted: amber, glass, piano."),
        (
            "amber\nglass\npiano",
            "piano, amber, glass",
            "amber, glass",
            "amber, glass, piano, zebra",
        ),
    ),
    Labelled(
        "sorting numbers",
        "Put in descending order: 108, 168, 153, 163, 5",
        ("168, 163, 153, 108, 5", "168\n163\n153\n108\n5"),
        ("5, 108, 153, 163, 168", "168, 163, 153, 108", "The numbers fall from large to small."),
    ),
    Labelled(
        "reversing",
        "Give the list backwards, separated by commas: violin, ocean, youth, dream, piano",
        ("piano, dream, youth, ocean, violin",),
        ("violin, ocean, youth, dream, piano", "dream, ocean, piano, violin, youth"),
    ),
    Labelled(
        "spelling",
        "Spell the word river with hyphens between the letters.",
        ("r-i-v-e-r", "R-I-V-E-R."),
        ("river", "r-i-v-e", "r i v e r", "It is spelled r-i-v-e-r, as everybody knows."),
    ),
    Labelled(
        "initials",
        "Which letters do these words begin with? Write them together: amber urban pearl ivory",
        ("aupi", "AUPI."),
        ("a u p i", "aup", "amber urban pearl ivory"),
    ),
    Labelled(
        "extracting",
        "Answer with the person's name in this text: "
        "In Malmo somebody named David found a balloon.",
        ("David", "David."),
        ("Malmo", "The person's name is David, who found a balloon.", "a balloon"),
    ),
    Labelled(
        "replacing",
        'Replace "window" with "barrel" in this sentence: A stranger knocked on the window.',
        ("A stranger knocked on the barrel.", '"A stranger knocked on the barrel."'),
        ("A stranger knocked on the window.", "A stranger knocked.", "barrel"),
    ),
    Labelled(
        "count of words",
        "Count the words and answer in digits: An engineer checked the tunnel.",
        ("5", "The sentence has 5 words."),
        ("6", "4 or 5", "There are some words."),
    ),
    Labelled(
        "picking a word",
        "What is the last word here? Answer with that word alone. The pilot landed in heavy fog.",
        ("fog", "Fog."),
        ("heavy", "The last word is fog.", "pilot"),
    ),
    Labelled(
        "mood",
        "Classify as positive or negative, in one word: "
        "What a dull and overpriced museum, we regretted going.",
        ("negative", "Negative."),
        ("positive", "positive or negative", "The visitor did not like the museum at all."),
    ),
    Labelled(
        "reply",
        'Answer Karen\'s question about the lost guitar; your reply begins with "Dear Karen".',
        ("Dear Karen, I am sorry, I have not seen the guitar.",),
        (
            "Karen, I have not seen the guitar.",
            "Dear Karen, I hope that you are well and that we meet soon.",
            "Dear Karen",
        ),
    ),
)
