"""A year of a subscription's life in a thousand orders of its events: the same books each time.

Events are repeated, late, out of order and lost by a seed, and Stripe fails in the midst of a look. What fails names
its seed; `year(seed)` and `Shuffle(seed)` give the same year and the same deliveries again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from app.money.verify import verify
from app.settings import Settings
from tests.billing.buyers import Buyer, Shop
from tests.billing.moments import Moment, Recorded, Recorder
from tests.billing.shuffles import Books, Handlers, Shuffle, cached_credits, replay
from tests.billing.years import MONTHS, year

YEARS, SHUFFLES = 1, 20
MANY_YEARS, MANY_SHUFFLES = 10, 100


@dataclass
class Told:
    """A year as it was lived at the sandbox, and the books that it leaves when all goes well."""

    buyer: Buyer
    moments: list[Moment]
    books: Books


async def tell(shop: Shop, settings: Settings, seed: int) -> Told:
    """Live a year, and settle it in order."""
    recorder = Recorder(await shop.client(clock=True))
    for step in year(seed):
        await recorder.live(step)
    told = recorder.moments
    calm = Recorded(told, random.Random(0))
    handlers = Handlers(shop.database, settings, calm)
    books = await replay(handlers, recorder.buyer, told, Shuffle(0, calm=True))
    assert books.clearing_cents == told[-1].kept_cents
    assert len([grant for grant in books.bought.values() if grant > 0]) > MONTHS
    return Told(recorder.buyer, told, books)


async def check(shop: Shop, settings: Settings, told: Told, seed: int) -> None:
    """One order of the year's events ends in the year's books, and they are sound."""
    shuffle = Shuffle(seed)
    stripe = Recorded(told.moments, shuffle.dice, failing=shuffle.dice.choice((0, 3)))
    books = await replay(Handlers(shop.database, settings, stripe), told.buyer, told.moments, shuffle)
    again = f"year({seed // 1_000}), Shuffle({seed})"
    assert books == told.books, again
    assert await cached_credits(shop.database, told.buyer.id) == {"available": books.available, "held": 0}, (
        again
    )
    assert await verify(shop.database) == [], again
    rows = await shop.database["webhook_events"].find({}).to_list()
    assert {row["status"] for row in rows} <= {"handled"}, again


async def shuffled(shop: Shop, settings: Settings, year_seed: int, orders: int) -> None:
    told = await tell(shop, settings, year_seed)
    for number in range(orders):
        await check(shop, settings, told, year_seed * 1_000 + number)


@pytest.mark.parametrize("year_seed", range(YEARS))
async def test_a_years_events_in_any_order_end_in_the_same_books(
    shop: Shop, settings: Settings, year_seed: int
) -> None:
    await shuffled(shop, settings, year_seed, SHUFFLES)


@pytest.mark.long
@pytest.mark.parametrize("year_seed", range(MANY_YEARS))
async def test_years_of_events_in_a_thousand_orders_end_in_the_same_books(
    shop: Shop, settings: Settings, year_seed: int
) -> None:
    """A hundred orders of each of ten years."""
    await shuffled(shop, settings, year_seed, MANY_SHUFFLES)
