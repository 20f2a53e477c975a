"""Short reviews whose mood nobody would doubt."""

from __future__ import annotations

_POSITIVE = """
The soup was wonderful and the staff could not have been kinder.
I laughed from the first page to the last, a delightful book.
Best phone I ever owned, and it still works perfectly.
The room was spotless and the view took our breath away.
Fast delivery, great packing, I will gladly order again.
A brilliant film with superb actors.
My children love this game and ask for it daily.
The guide was funny, patient and full of knowledge.
These shoes are so comfortable that I bought two pairs.
What a charming little museum, we enjoyed every minute.
The cake was delicious and beautifully decorated.
Excellent service, they solved my problem in minutes.
The garden tour was a joy from start to finish.
This lamp looks gorgeous and was easy to put together.
The concert was fantastic, we cheered for an hour.
I am thrilled with the new oven, everything bakes evenly.
A lovely hotel with friendly people and a great breakfast.
The repair was quick, cheap and flawless.
Her lecture was inspiring and wonderfully clear.
The tent kept us dry and cosy through the storm, superb.
"""

_NEGATIVE = """
The soup was cold and the waiter was rude.
I gave up after ten pages, a dreadful book.
This phone broke within a week, a complete waste of money.
The room was filthy and smelled of smoke.
The parcel came late, damaged and half empty.
A boring film with terrible actors.
My children hated this game and threw it away.
The guide was late, grumpy and knew nothing.
These shoes hurt so badly that I returned them.
What a dull and overpriced museum, we regretted going.
The cake was dry and tasted of soap.
Awful service, nobody answered my calls for days.
The garden tour was a disappointment from start to finish.
This lamp is ugly and fell apart at once.
The concert was a disaster, we left after two songs.
I am furious about the new oven, it burns everything.
A horrible hotel with unfriendly people and a stale breakfast.
The repair was slow, costly and useless.
Her lecture was confusing and painfully long.
The tent leaked all night and ruined our trip, never again.
"""

REVIEWS = {"positive": _POSITIVE.strip().split("\n"), "negative": _NEGATIVE.strip().split("\n")}
