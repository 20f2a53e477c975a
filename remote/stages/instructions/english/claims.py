"""Yes and no questions whose answers nobody disputes."""

from __future__ import annotations

_YES = """
Is a whale a mammal?
Is the sun a star?
Does a spider have eight legs?
Is ice frozen water?
Is Paris in France?
Do bees make honey?
Is a tomato a plant?
Does a triangle have three sides?
Is copper a metal?
Do penguins live in the southern hemisphere?
Is the Pacific larger than the Atlantic?
Can ostriches run?
Is gold heavier than water?
Does sound travel through air?
Do plants need light to grow?
Is a square a rectangle?
Is a minute longer than a second?
Is the heart a muscle?
Do cows eat grass?
Is January in the winter of Canada?
Is diamond made of carbon?
Does the moon orbit the earth?
Is Mount Everest higher than Mont Blanc?
Are bats able to fly?
Is a kilometre longer than a metre?
Is Brazil in South America?
Do frogs lay eggs?
Is oxygen a gas at room temperature?
Is the Nile a river?
Is a violin played with a bow?
Do most birds have feathers?
Is a dozen more than ten?
Is salt soluble in water?
Does a leap year have 366 days?
Is lava hot?
Is Shakespeare the author of Hamlet?
Is a kitten a young cat?
Is rain made of water?
Do magnets attract iron?
Is a trumpet a brass instrument?
"""

_NO = """
Is a whale a fish?
Is the moon a star?
Does a spider have six legs?
Is glass made of wood?
Is Berlin in Spain?
Do cats lay eggs?
Is a potato an animal?
Does a square have five corners?
Is plastic a metal?
Do polar bears live at the south pole?
Is the Atlantic larger than the Pacific?
Can elephants fly?
Is a feather heavier than a brick?
Does light travel slower than sound?
Can people breathe under water without equipment?
Is a circle a polygon?
Is a second longer than an hour?
Is the stomach part of the leg?
Do lions eat only grass?
Is July the first month of the year?
Is chalk harder than diamond?
Does the sun orbit the moon?
Is the Eiffel Tower in London?
Are snakes able to walk on legs?
Is a gram heavier than a kilogram?
Is Egypt in Europe?
Do dogs have feathers?
Is iron a gas at room temperature?
Is the Sahara an ocean?
Is a drum played with a bow?
Do fish have fur?
Is a dozen more than twenty?
Does oil dissolve in water?
Does a week have ten days?
Is snow warm?
Is Mozart the author of Hamlet?
Is a puppy a young horse?
Is the sky green on a clear day?
Do magnets attract wood?
Is a flute a kind of drum?
"""

CLAIMS = {"Yes": _YES.strip().split("\n"), "No": _NO.strip().split("\n")}
