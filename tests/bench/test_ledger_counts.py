"""What the ledger costs in round trips, whatever the size of its books; and what a night keeps in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from app.database import connect
from app.documents import utcnow
from app.ids import new_id
from app.money.audit import Audit
from app.money.credits import Credits
from app.settings import Settings
from bench.books import client_rows, fill_book
from bench.ledger import Teller
from bench.meter import Tally, meter_mongodb, tallied
from devstack.stack import Stack

Row = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def _metered(stack: Stack) -> None:
    stack.require("mongodb")
    meter_mongodb()


async def _first_and_next(settings: Settings, entries: int) -> tuple[dict[str, int], dict[str, int]]:
    """The commands of the first transaction of a process in a book of so many entries, and of the next two."""
    async with connect(settings) as client:  # the meter counts clients made after it
        database = client[f"test_{new_id()}"]
        try:
            await fill_book(database, "c", entries)
            teller = Teller(Credits(database), "c")
            with tallied(Tally()) as first:
                await teller.act()
            with tallied(Tally()) as following:
                await teller.act()
                await teller.act()
        finally:
            await client.drop_database(database.name)
    return dict(first.mongodb), dict(following.mongodb)


@pytest.mark.parametrize("entries", [11, 1_501])
async def test_a_transaction_is_one_insert_in_a_book_of_any_length(settings: Settings, entries: int) -> None:
    first, following = await _first_and_next(settings, entries)
    assert following == {"transactions.insert": 2}
    assert first.pop("transactions.createIndexes") == 6  # once in a process
    # Rows are looked for at doubling distances: the reads of the first are as the logarithm of the length.
    assert first.pop("transactions.find") <= entries.bit_length() + 1
    # Whoever has searched far leaves a hint for the next process.
    assert first.pop("books.update", 0) == (1 if entries > 64 else 0)
    assert first == {"books.find": 1, "transactions.insert": 1}


async def test_many_books_cost_no_more_than_one(settings: Settings) -> None:
    async with connect(settings) as client:
        database = client[f"test_{new_id()}"]
        try:
            credits_ = Credits(database)
            tellers = []
            for number in range(20):
                await credits_.grant(f"c{number}", 10_000, key=f"grant:{number}", source="test")
                tellers.append(Teller(credits_, f"c{number}"))
            with tallied(Tally()) as tally:
                for _ in range(2):
                    for teller in tellers:
                        await teller.act()
        finally:
            await client.drop_database(database.name)
    assert tally.mongodb == {"transactions.insert": 40}


def _kept(rows: Iterator[Row]) -> int:
    """The bytes that an audit has kept of these rows, once it has seen the last."""
    audit = Audit()
    tracemalloc.start()
    try:
        for row in rows:
            audit.add(row)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        audit.finish()
        assert audit.discrepancies == []


def _books(count: int, entries: int) -> Iterator[Row]:
    at = utcnow()
    for number in range(count):
        yield from client_rows(f"c{number:03d}", entries, at)


def test_an_audit_forgets_the_rows_of_a_book_that_is_done() -> None:
    """A book costs its head (2,000 bytes as measured, with all that moves); its hundred rows would cost 20,000."""
    _kept(_books(1, 3))  # whatever is made when it is first needed
    few, many = _kept(_books(2, 101)), _kept(_books(12, 101))
    assert many < few + 10 * 5_000
