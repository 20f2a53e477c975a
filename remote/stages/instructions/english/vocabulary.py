"""Words in pairs and sets: tenses, plurals, opposites, translations, symbols, sayings."""

from __future__ import annotations


def _pairs(table: str) -> dict[str, str]:
    """ "a b, c d" as {"a": "b", "c": "d"}; underscores are blanks."""
    rows = (row.split() for row in table.replace("\n", " ").split(",") if row.strip())
    return {first: second.replace("_", " ") for first, second in rows}


PAST = _pairs("""go went, eat ate, see saw, take took, give gave, write wrote, drive drove,
begin began, break broke, bring brought, build built, buy bought, catch caught, choose chose,
draw drew, drink drank, fall fell, feel felt, find found, fly flew, forget forgot, freeze froze,
grow grew, hear heard, hide hid, hold held, keep kept, know knew, leave left, lose lost,
make made, meet met, ride rode, ring rang, run ran, sell sold, send sent, sing sang, sink sank,
sleep slept, speak spoke, spend spent, stand stood, steal stole, swim swam, teach taught,
tell told, think thought, throw threw, understand understood, wake woke, wear wore, win won,
sweep swept, shake shook, tear tore, bend bent, bite bit, blow blew""")

PLURALS = _pairs("""mouse mice, child children, foot feet, tooth teeth, goose geese, man men,
woman women, ox oxen, leaf leaves, knife knives, wolf wolves, shelf shelves, loaf loaves,
wife wives, thief thieves, calf calves, half halves, city cities, baby babies, party parties,
box boxes, bus buses, church churches, dish dishes, potato potatoes, tomato tomatoes, hero heroes,
echo echoes, berry berries, country countries, story stories, glass glasses, watch watches,
brush brushes, fox foxes, penny pennies, lady ladies, butterfly butterflies, crisis crises,
cactus cacti, fungus fungi, medium media, analysis analyses, scarf scarves, louse lice,
policeman policemen, grandchild grandchildren, key keys, toy toys, day days, monkey monkeys,
piano pianos, photo photos, roof roofs, sheep sheep, deer deer, fish fish, series series,
species species, salmon salmon""")

OPPOSITES = _pairs("""hot cold, tall short, fast slow, early late, heavy light, rich poor,
strong weak, open closed, full empty, wet dry, clean dirty, loud quiet, sweet sour, wide narrow,
thick thin, deep shallow, young old, hard soft, rough smooth, sharp blunt, brave cowardly,
generous stingy, polite rude, ancient modern, victory defeat, arrive depart, buy sell, push pull,
remember forget, increase decrease, accept refuse, attack defend, always never, above below,
inside outside, friend enemy, question answer, summer winter, day night, love hate""")

YOUNG = _pairs("""dog puppy, cat kitten, cow calf, sheep lamb, horse foal, hen chick, duck duckling,
goat kid, pig piglet, kangaroo joey, lion cub, swan cygnet, frog tadpole, butterfly caterpillar,
deer fawn, goose gosling, owl owlet, eagle eaglet""")

HOMES = _pairs("bird nest, bee hive, dog kennel, spider web, lion den, horse stable, fox burrow")

SPANISH = _pairs("""dog perro, cat gato, house casa, water agua, bread pan, book libro, sun sol,
moon luna, tree árbol, friend amigo, milk leche, cheese queso, red rojo, green verde, blue azul,
white blanco, black negro, one uno, two dos, three tres, four cuatro, five cinco, six seis,
seven siete, eight ocho, nine nueve, ten diez, night noche, day día, table mesa, chair silla,
door puerta, window ventana, hand mano, head cabeza, heart corazón, fire fuego, apple manzana,
horse caballo, fish pescado, city ciudad, street calle, school escuela, hello hola, goodbye adiós,
yes sí, mother madre, father padre, brother hermano, sister hermana, Monday lunes, Friday viernes,
summer verano, winter invierno, money dinero, rain lluvia, snow nieve, sea mar, sugar azúcar,
salt sal, shoe zapato, key llave""")

ALSO_SPANISH: dict[str, tuple[str, ...]] = {
    "fish": ("pez",),
    "tree": ("arbol",),
    "heart": ("corazon",),
    "day": ("dia",),
}
ALSO_SPANISH |= {"goodbye": ("adios", "chao"), "yes": ("si",), "sugar": ("azucar",)}

ELEMENTS = _pairs("""gold Au, silver Ag, iron Fe, lead Pb, tin Sn, sodium Na, copper Cu, zinc Zn,
helium He, neon Ne, argon Ar, lithium Li, magnesium Mg, aluminium Al, silicon Si, chlorine Cl,
calcium Ca, titanium Ti, chromium Cr, manganese Mn, cobalt Co, nickel Ni, arsenic As, bromine Br,
krypton Kr, tungsten W, platinum Pt, mercury Hg, radium Ra, radon Rn, plutonium Pu, barium Ba,
beryllium Be, gallium Ga, germanium Ge, selenium Se, palladium Pd, cadmium Cd, antimony Sb,
xenon Xe, bismuth Bi, polonium Po, francium Fr, thorium Th, osmium Os, iridium Ir""")

# The end that completes each, after the bar.
_SAYINGS = """
A stitch in time saves|nine
Actions speak louder than|words
All that glitters is not|gold
An apple a day keeps the|doctor away
Better late than|never
Birds of a feather flock|together
Blood is thicker than|water
Curiosity killed the|cat
Don't bite the hand that|feeds you
Don't count your chickens before they|hatch
Don't cry over spilled|milk
Don't judge a book by its|cover
Don't put all your eggs in one|basket
Every cloud has a silver|lining
Fortune favors the|bold
Honesty is the best|policy
It takes two to|tango
Laughter is the best|medicine
Let sleeping dogs|lie
Like father, like|son
Look before you|leap
Many hands make light|work
Money doesn't grow on|trees
Necessity is the mother of|invention
No pain, no|gain
One man's trash is another man's|treasure
Out of sight, out of|mind
Practice makes|perfect
Rome wasn't built in a|day
Slow and steady wins the|race
Strike while the iron is|hot
The early bird catches the|worm
The grass is always greener on the other|side
The pen is mightier than the|sword
The squeaky wheel gets the|grease
There is no place like|home
There is no smoke without|fire
Time heals all|wounds
Time flies when you are having|fun
Too many cooks spoil the|broth
Two heads are better than|one
Two wrongs don't make a|right
When in Rome, do as the Romans|do
When the cat is away, the mice will|play
Where there is a will, there is a|way
You can't have your cake and eat it|too
You can't make an omelette without breaking|eggs
You can't teach an old dog new|tricks
Absence makes the heart grow|fonder
Beauty is in the eye of the|beholder
Beggars can't be|choosers
Cleanliness is next to|godliness
Easy come, easy|go
Good things come to those who|wait
Great minds think|alike
If it ain't broke, don't fix|it
Ignorance is|bliss
Knowledge is|power
Lightning never strikes twice in the same|place
Never look a gift horse in the|mouth
Old habits die|hard
Patience is a|virtue
Still waters run|deep
The apple doesn't fall far from the|tree
The best things in life are|free
The proof of the pudding is in the|eating
The road to hell is paved with good|intentions
Variety is the spice of|life
What goes around comes|around
You reap what you|sow
"""
SAYINGS = dict(line.split("|") for line in _SAYINGS.strip().split("\n"))
