"""Years of a subscription's life end to end: signed webhooks in any order, the API, Temporal, and the same books."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from app.money.verify import verify
from app.settings import Settings
from devstack.stack import Stack
from tests.billing.house import House, open_house
from tests.billing.moments import Recorded, Recorder
from tests.billing.shuffles import Books, Handlers, Shuffle, books_of, cached_credits, replay, spend
from tests.billing.years import year
from tests.conftest import Database
from workflows.billing import hand_to_client

FEW, MANY = 2, 20


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[House]:
    stack.require("mongodb", "redis", "s3", "stripe", "temporal")
    async with open_house(temporal, database, settings) as made:
        yield made


async def live(house: House, seed: int) -> tuple[Recorder, Books]:
    """A year at the sandbox, its events delivered by the shuffle while it goes on; and the books at its end."""
    recorder = Recorder(await house.shop.client(clock=True))
    buyer, shuffle = recorder.buyer, Shuffle(seed)
    delivered: list[str] = []

    async def deliver(events: list[dict[str, object]]) -> None:
        for event in events:
            assert (await house.deliver(event)).status_code == 200
            delivered.append(str(event["id"]))

    for number, step in enumerate(year(seed)):
        moment = await recorder.live(step)
        await deliver(shuffle.arriving(number, moment))
        if step.spend:
            await house.settled(*(event["id"] for event in moment.wanted))
            await spend(house.shop.credits, buyer.id, number, step.spend)
    await deliver(shuffle.rest())
    await house.settled(*set(delivered))
    await hand_to_client(house.harness.resources.client, house.settings, buyer.id, None)
    view = await house.workflow(buyer).result()
    assert (view.billing.status, view.billing.faults) == ("canceled", [])
    books = await books_of(house.database, buyer.id)
    assert await cached_credits(house.database, buyer.id) == {"available": books.available, "held": 0}
    return recorder, books


async def in_order(house: House, recorder: Recorder) -> Books:
    """What the same year leaves when each of its events comes once, in order and at once."""
    database = house.database.client[f"{house.database.name}_in_order"]
    shuffle = Shuffle(0, calm=True)
    try:
        handlers = Handlers(database, house.settings, Recorded(recorder.moments, shuffle.dice))
        return await replay(handlers, recorder.buyer, recorder.moments, shuffle)
    finally:
        await house.database.client.drop_database(database.name)


@pytest.mark.parametrize(
    "seed", [*range(FEW), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(FEW, MANY))]
)
async def test_a_year_of_webhooks_in_any_order_ends_in_the_same_books(house: House, seed: int) -> None:
    recorder, books = await live(house, seed)
    assert books == await in_order(house, recorder), f"year({seed}), Shuffle({seed})"


async def test_after_all_of_that_the_books_are_sound(house: House) -> None:
    assert await verify(house.database) == []
