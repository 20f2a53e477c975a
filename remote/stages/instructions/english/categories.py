"""Members of categories, as complete as a list of three to five needs them to be."""

from __future__ import annotations

_TABLE = {
    "fruits": """apple, apricot, avocado, banana, blackberry, blueberry, cherry, coconut,
        cranberry, date, fig, gooseberry, grape, grapefruit, guava, kiwi, kumquat, lemon, lime,
        lychee, mandarin, mango, melon, nectarine, olive, orange, papaya, passion fruit, peach,
        pear, persimmon, pineapple, plum, pomegranate, quince, raspberry, strawberry, tangerine,
        watermelon""",
    "vegetables": """artichoke, asparagus, bean, beet, bok choy, broccoli, brussels sprout,
        cabbage, carrot, cauliflower, celery, chard, chickpea, corn, cucumber, eggplant, garlic,
        green bean, kale, leek, lentil, lettuce, mushroom, okra, onion, parsnip, pea, pepper,
        bell pepper, potato, pumpkin, radish, rhubarb, spinach, squash, sweet potato, tomato,
        turnip, yam, zucchini""",
    "animals": """ant, antelope, ape, badger, bat, bear, beaver, bee, bird, bison, buffalo, bull,
        butterfly, camel, cat, cheetah, chicken, chimpanzee, cow, coyote, crab, crocodile, crow,
        deer, dog, dolphin, donkey, duck, eagle, eel, elephant, elk, falcon, ferret, fish, fox,
        frog, gazelle, giraffe, goat, goose, gorilla, hamster, hare, hawk, hedgehog, hippo,
        hippopotamus, horse, hyena, iguana, jaguar, kangaroo, koala, lamb, lemur, leopard, lion,
        lizard, llama, lobster, lynx, mole, monkey, moose, mouse, mule, newt, octopus, orangutan,
        ostrich, otter, owl, ox, panda, panther, parrot, peacock, pelican, penguin, pig, pigeon,
        polar bear, porcupine, rabbit, raccoon, rat, raven, reindeer, rhino, rhinoceros, salmon,
        seal, shark, sheep, skunk, sloth, snail, snake, spider, squid, squirrel, stork, swan,
        tiger, toad, toucan, trout, turkey, turtle, vulture, walrus, wasp, weasel, whale, wolf,
        wombat, worm, yak, zebra""",
    "colors": """amber, beige, black, blue, bronze, brown, burgundy, coral, crimson, cyan, gold,
        gray, green, grey, indigo, ivory, khaki, lavender, lilac, magenta, maroon, mauve, navy,
        olive, orange, peach, pink, purple, red, rose, ruby, salmon, scarlet, silver, tan, teal,
        turquoise, violet, white, yellow""",
    "musical instruments": """accordion, bagpipes, banjo, bass, bassoon, bongo, bugle, cello,
        clarinet, cymbals, drum, drums, fiddle, flute, french horn, gong, guitar, harmonica, harp,
        harpsichord, horn, keyboard, lute, lyre, mandolin, marimba, oboe, organ, piano, piccolo,
        recorder, saxophone, sitar, tambourine, triangle, trombone, trumpet, tuba, ukulele, viola,
        violin, xylophone, zither""",
    "planets": "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune",
    "sports": """archery, athletics, badminton, baseball, basketball, bowling, boxing, climbing,
        cricket, curling, cycling, diving, fencing, football, golf, gymnastics, handball, hockey,
        ice hockey, judo, karate, lacrosse, rowing, rugby, running, sailing, skateboarding,
        skating, skiing, snowboarding, soccer, softball, squash, surfing, swimming, table tennis,
        taekwondo, tennis, triathlon, volleyball, water polo, weightlifting, wrestling""",
    "kitchen tools": """blender, bowl, can opener, colander, corkscrew, cutting board, fork,
        frying pan, grater, kettle, knife, ladle, measuring cup, mixer, pan, peeler, plate, pot,
        rolling pin, saucepan, scale, sieve, skillet, spatula, spoon, strainer, thermometer,
        toaster, tongs, whisk, wooden spoon""",
    "garden tools": """axe, fork, gloves, hedge trimmer, hoe, hose, lawn mower, lawnmower, loppers,
        pitchfork, pruner, pruners, pruning shears, rake, saw, secateurs, shears, shovel, sickle,
        spade, sprinkler, trowel, watering can, wheelbarrow""",
    "trees": """alder, apple, ash, aspen, bamboo, baobab, beech, birch, cedar, cherry, chestnut,
        cypress, ebony, elm, eucalyptus, fir, hawthorn, hazel, hickory, juniper, larch, linden,
        magnolia, mahogany, maple, oak, olive, palm, pear, pine, plane, poplar, redwood, rowan,
        sequoia, spruce, sycamore, walnut, willow, yew""",
    "flowers": """anemone, aster, azalea, begonia, bluebell, buttercup, camellia, carnation,
        chrysanthemum, crocus, daffodil, dahlia, daisy, dandelion, forget-me-not, foxglove,
        geranium, gladiolus, hibiscus, hyacinth, hydrangea, iris, jasmine, lavender, lilac, lily,
        lotus, magnolia, marigold, orchid, pansy, peony, petunia, poppy, primrose, rose, snapdragon,
        sunflower, tulip, violet, zinnia""",
    "metals": """aluminium, aluminum, brass, bronze, chromium, cobalt, copper, gold, iron, lead,
        lithium, magnesium, mercury, nickel, palladium, platinum, silver, steel, tin, titanium,
        tungsten, uranium, zinc""",
    "oceans": "Arctic, Atlantic, Indian, Pacific, Southern, Arctic Ocean, Atlantic Ocean, "
    "Indian Ocean, Pacific Ocean, Southern Ocean",
    "drinks": """beer, cider, cocoa, coffee, cola, hot chocolate, juice, lemonade, milk, milkshake,
        orange juice, apple juice, smoothie, soda, tea, green tea, iced tea, water, whiskey, wine,
        vodka, rum, gin, champagne, ginger ale""",
    "spices": """allspice, anise, basil, bay leaf, cardamom, cayenne, chili, cinnamon, clove,
        cloves, coriander, cumin, dill, fennel, garlic powder, ginger, mint, mustard, nutmeg,
        oregano, paprika, parsley, pepper, black pepper, rosemary, saffron, sage, salt, star anise,
        thyme, turmeric, vanilla""",
    "pieces of furniture": """armchair, bed, bench, bookcase, bookshelf, cabinet, chair,
        coffee table, couch, cupboard, desk, dining table, dresser, footstool, lamp, nightstand,
        ottoman, recliner, rocking chair, shelf, sideboard, sofa, stool, table, wardrobe""",
    "pieces of clothing": """belt, blouse, boots, cardigan, coat, dress, gloves, hat, hoodie,
        jacket, jeans, jumper, pajamas, pants, raincoat, sandals, scarf, shirt, shoes, shorts,
        skirt, socks, suit, sweater, t-shirt, tie, tights, trousers, underwear, vest""",
    "means of transport": """airplane, ambulance, bicycle, bike, boat, bus, canoe, car, ferry,
        helicopter, horse, lorry, motorbike, motorcycle, plane, rickshaw, sailboat, scooter, ship,
        sled, subway, taxi, tractor, train, tram, truck, van, yacht, metro, submarine""",
    "parts of the body": """ankle, arm, back, cheek, chest, chin, ear, elbow, eye, eyebrow, face,
        finger, foot, forehead, hand, head, heart, heel, hip, jaw, knee, leg, lip, liver, lung,
        mouth, neck, nose, shoulder, skin, stomach, thigh, thumb, toe, tongue, tooth, waist,
        wrist""",
    "jobs": """accountant, actor, architect, artist, baker, barber, bricklayer, butcher, carpenter,
        cashier, chef, cleaner, cook, dentist, designer, doctor, driver, electrician, engineer,
        farmer, firefighter, fisherman, gardener, hairdresser, journalist, judge, lawyer, librarian,
        mechanic, miner, musician, nurse, painter, photographer, pilot, plumber, police officer,
        postman, programmer, sailor, scientist, secretary, singer, soldier, surgeon, tailor,
        teacher, translator, vet, waiter, waitress, writer""",
    "languages": """arabic, bengali, chinese, czech, danish, dutch, english, finnish, french,
        german, greek, hebrew, hindi, hungarian, indonesian, italian, japanese, korean, latin,
        mandarin, norwegian, persian, polish, portuguese, romanian, russian, spanish, swahili,
        swedish, tamil, thai, turkish, ukrainian, urdu, vietnamese""",
    "school subjects": """algebra, art, biology, chemistry, computer science, drama, economics,
        english, french, geography, geometry, german, health, history, literature, math, maths,
        mathematics, music, philosophy, physical education, physics, psychology, reading, science,
        social studies, spanish, writing""",
    "insects": """ant, bee, beetle, bumblebee, butterfly, cicada, cockroach, cricket, dragonfly,
        earwig, firefly, flea, fly, gnat, grasshopper, honeybee, hornet, ladybird, ladybug, locust,
        mantis, mayfly, mosquito, moth, praying mantis, termite, wasp, weevil""",
    "birds": """albatross, blackbird, blue jay, canary, cardinal, chicken, crane, crow, cuckoo,
        dove, duck, eagle, emu, falcon, finch, flamingo, goose, gull, hawk, heron, hummingbird,
        jay, kingfisher, kiwi, lark, magpie, nightingale, ostrich, owl, parrot, peacock, pelican,
        penguin, pigeon, puffin, quail, raven, robin, seagull, sparrow, starling, stork, swallow,
        swan, toucan, turkey, vulture, woodpecker, wren""",
}

CATEGORIES: dict[str, tuple[str, ...]] = {
    name: tuple(" ".join(one.split()) for one in members.split(",") if one.strip())
    for name, members in _TABLE.items()
}


def accepted(name: str) -> tuple[str, ...]:
    """What counts as a member: in the singular and the plural."""
    members = CATEGORIES[name]
    return (*members, *(_plural(one) for one in members))


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word in ("potato", "tomato", "mango", "buffalo") else f"{word}s"
