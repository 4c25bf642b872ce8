"""The ledger beside a bare guarded update, and how it grows: with the entries of a book, and with the books.

An act is a hold or its resolution, in turns, by the facade that the platform's activities use. What stands beside it
is one guarded update by `_id`, the least that keeps a balance from going below zero, and leaves no trace of why; and a
bare insert of a row like the journal's under the same unique indexes, which tells the store's share of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.ids import new_id
from app.money.credits import Credits
from app.money.keys import complete_key, hold_key
from bench.books import CREDITS, client_rows, fill_book
from bench.pace import Act, Pace, pace, rates_in_turns
from bench.rates import Spread

Database = AsyncDatabase[dict[str, Any]]

AIM = 0.5
LANES = 8
UPDATE, INSERT = "a guarded update", "a bare insert"
_PRICE = 500


@dataclass(frozen=True, slots=True)
class Step:
    """Acts a second at one size, and beside the smallest size of the same round."""

    size: int
    rates: list[float]
    beside_smallest: Spread


@dataclass(frozen=True, slots=True)
class Growth:
    """`entries`: one book of so many entries. `books`: acts that go round so many books."""

    entries: list[Step]
    books: list[Step]


class Teller:
    """Holds and resolves for one client, in turns."""

    def __init__(self, credits_: Credits, client_id: str) -> None:
        """Nothing is held."""
        self._credits, self._client_id = credits_, client_id
        self._held: str | None = None

    async def act(self) -> None:
        """One transaction."""
        if self._held is None:
            job_id = new_id()
            await self._credits.hold(self._client_id, job_id, _PRICE, key=hold_key(job_id))
            self._held = job_id
            return
        job_id, self._held = self._held, None
        await self._credits.resolve(
            self._client_id, hold_key(job_id), post=_PRICE, release=0, key=complete_key(job_id)
        )


async def measure_ledger(database: Database, *, acts: int, rounds: int) -> list[Pace]:
    """One book, one act after another; then as many books as lanes, at once. Beside them, guarded updates; inserts."""
    credits_ = Credits(database)
    tellers = await _tellers(credits_, LANES)
    update = await _guarded_updates(database, LANES)
    insert = await _bare_inserts(database)

    async def act(lane: int) -> None:
        await tellers[lane].act()

    return [
        await pace("one after another", UPDATE, act, update, acts=acts, lanes=1, rounds=rounds),
        await pace(f"{LANES} at once", UPDATE, act, update, acts=acts, lanes=LANES, rounds=rounds),
        await pace("one after another", INSERT, act, insert, acts=acts, lanes=1, rounds=rounds),
    ]


async def measure_growth(
    database: Database, *, sizes: Sequence[int], books: Sequence[int], acts: int, rounds: int
) -> Growth:
    """Books of these sizes, and acts spread over so many books; all sizes of one kind in turns."""
    credits_ = Credits(database)
    tellers = []
    for size in sizes:
        client_id = f"size{size}{new_id()}"
        await fill_book(database, client_id, size)
        tellers.append(Teller(credits_, client_id))
    rates = await rates_in_turns([_alone(teller) for teller in tellers], count=acts, rounds=rounds)
    entries = _steps(sizes, rates)

    many = await _tellers(credits_, max(books))
    rates = await rates_in_turns([_around(many[:count]) for count in books], count=acts, rounds=rounds)
    return Growth(entries, _steps(books, rates))


async def _tellers(credits_: Credits, count: int) -> list[Teller]:
    found = []
    for _ in range(count):
        client_id = new_id()
        await credits_.grant(client_id, CREDITS, key=f"bench:{client_id}", source="benchmark")
        found.append(Teller(credits_, client_id))
    return found


async def _guarded_updates(database: Database, lanes: int) -> Act:
    """In a collection of its own, with nothing in it but what is updated."""
    balances = database.get_collection(f"balances{new_id()}", write_concern=WriteConcern("majority"))
    await balances.insert_many([{"_id": lane, "available": CREDITS, "held": 0} for lane in range(lanes)])

    async def update(lane: int) -> None:
        await balances.update_one(
            {"_id": lane, "available": {"$gte": _PRICE}}, {"$inc": {"available": -_PRICE, "held": _PRICE}}
        )

    return update


async def _bare_inserts(database: Database) -> Act:
    """Rows like the journal's, with the same unique indexes, in a collection of their own."""
    name = f"rows{new_id()}"
    rows = database.get_collection(name, write_concern=WriteConcern("majority"))
    await rows.create_index("key", unique=True)
    for field in ("resolvesHold", "correctionId"):
        await rows.create_index(field, unique=True, sparse=True)
    *_, hold, resolution = client_rows(name, 3, utcnow())
    number = 0

    async def insert(_lane: int) -> None:
        nonlocal number
        number += 1
        row, mark = (hold, {}) if number % 2 else (resolution, {"resolvesHold": f"hold:{number}"})
        await rows.insert_one({**row, "_id": f"{name}:{number:012d}", "key": f"key:{number}", **mark})

    return insert


def _alone(teller: Teller) -> Act:
    async def act(_lane: int) -> None:
        await teller.act()

    return act


def _around(tellers: Sequence[Teller]) -> Act:
    turn = 0

    async def act(_lane: int) -> None:
        nonlocal turn
        turn += 1
        await tellers[turn % len(tellers)].act()

    return act


def _steps(sizes: Sequence[int], rates: Sequence[Sequence[float]]) -> list[Step]:
    return [
        Step(
            size, list(found), Spread.of([rate / first for rate, first in zip(found, rates[0], strict=True)])
        )
        for size, found in zip(sizes, rates, strict=True)
    ]
