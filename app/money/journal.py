"""The store of the journal: one insert per transaction, and nothing else is ever written that matters.

The insert names its exact predecessor (`_id` is `<book>:<seq>`), so a stale computation is refused by the store.
A process keeps the head of each book it has touched and inserts first; it reads only when the insert is refused.
Unique indexes on `key`, `resolvesHold` and `correctionId` make a repeat, a second resolution and a correction
computed on an older one impossible rather than unlikely.
A crash at any point leaves either the whole transaction or none of it, and so nothing to repair.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from app.documents import utcnow
from app.money.books import Book
from app.money.drafts import Draft, Original, ResolveHold
from app.money.effects import Correctable, correction_id
from app.money.errors import IdempotencyKeyReused, LedgerContention, LedgerCorrupted, MoneyError, UnknownHold
from app.money.hashing import row_hash
from app.money.models import Hold, Transaction
from app.money.rules import next_transaction

COLLECTION = "transactions"
HINTS = "books"

_CACHED_BOOKS = 10_000
_HINT_EVERY = 64  # a search that ran further than this past the hint leaves a better one
_PROBES = (1, 2, 3, 4, *(2**power for power in range(3, 21)))  # how far ahead one read looks
_LONGEST_PAUSE = 0.05  # seconds

_log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Posting:
    """The answer to a draft: the transaction that stands for it, and whether it stood before."""

    transaction: Transaction
    replayed: bool = False  # the same act was written before; this is its first answer
    already_resolved: bool = False  # the hold was resolved before by another act; this is that resolution


@dataclass(slots=True)
class _Desk:
    """What this process remembers of one book. The lock keeps its own callers from racing each other."""

    head: Transaction | None = None
    opened: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def ledger_collection(database: AsyncDatabase[Row], *, settled: bool = False) -> AsyncCollection[Row]:
    """The journal's collection: a row counts as written once a majority of the replica set has it.

    `settled` reads wait until what they return, or the absence of it, can no longer be rolled back. Heads are read
    without it: a row built on one that is rolled back goes the same way, and its writer is never told otherwise.
    """
    return database.get_collection(
        COLLECTION,
        write_concern=WriteConcern("majority"),
        read_concern=ReadConcern("linearizable" if settled else "local"),
        read_preference=ReadPreference.PRIMARY,
    )


async def ensure_indexes(database: AsyncDatabase[Row]) -> None:
    """Make the indexes that carry the journal's guarantees, and those that its lists want in production."""
    rows = ledger_collection(database)
    await rows.create_index("key", unique=True, name="key_unique")
    await rows.create_index("resolvesHold", unique=True, sparse=True, name="resolves_hold_unique")
    await rows.create_index("correctionId", unique=True, sparse=True, name="correction_unique")
    for owner in ("clientId", "workerId", "jobId"):
        await rows.create_index([(owner, 1), ("createdAt", -1)], name=f"{owner}_created_at")


class Journal:
    """Writes transactions and finds them again. Safe to share in a process, and across any number of them.

    `patience` is how many seconds a lost race is tried again before `LedgerContention`.
    """

    def __init__(self, database: AsyncDatabase[Row], *, patience: float = 10.0) -> None:
        self._database = database
        self._rows = ledger_collection(database)
        self._settled = ledger_collection(database, settled=True)
        self._hints = database.get_collection(HINTS)
        self._patience = patience
        self._desks: OrderedDict[str, _Desk] = OrderedDict()
        self._holds: OrderedDict[str, tuple[str, Hold]] = OrderedDict()
        self._indexed = False

    async def post(self, draft: Draft) -> Posting:
        """Write the draft's transaction once, however often it is asked for.

        Raises:
            IdempotencyKeyReused: the key stands for another act.
            InsufficientCredits, AccountInDebt, NegativeBalance, UnknownHold, HoldAmountMismatch, UnknownTransaction,
            CorrectionExceeded, NothingToExpire: refused by the rules.
            LedgerContention: other processes kept winning the race; nothing was written.
            LedgerCorrupted: the book's last row was tampered with.
            pymongo.errors.PyMongoError: the outcome is unknown; repeat with the same key.
        """
        desk = self._desk(draft.book)
        async with desk.lock:
            if not desk.opened:
                await self._open(desk, draft.book)
            deadline = time.monotonic() + self._patience
            attempts = 0
            while True:
                attempts += 1
                answer = await self._attempt(desk, draft)
                if answer is not None:
                    return answer
                if time.monotonic() >= deadline:
                    raise LedgerContention(draft.book.name, attempts)
                await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.001 * 2**attempts)))  # noqa: S311

    async def head(self, book: Book) -> Transaction | None:
        """The book's last transaction at this moment, read from the store (None: nothing is written).

        Raises:
            LedgerCorrupted: that row was tampered with.
        """
        desk = self._desk(book)
        async with desk.lock:
            if desk.opened:
                await self._advance(desk, book)
            else:
                await self._open(desk, book)
            return desk.head

    async def find(self, key: str) -> Transaction | None:
        """The transaction written under a key."""
        return await self._find("key", key)

    async def resolution_of(self, hold_key: str) -> Transaction | None:
        """The transaction that resolved a hold (None: it is open, or was never made)."""
        return await self._find("resolvesHold", hold_key)

    async def correctable(self, name: Original) -> Correctable | None:
        """A transaction with its corrections so far. Read after the head was known, so none is missed.

        A correction later than the head may be among them: then the store refuses what is built on that head.
        """
        original = await self._find(*name)
        if original is None:
            return None
        found = Correctable(original)
        while True:
            number = found.number + 1
            document = await self._rows.find_one({"correctionId": correction_id(original.id, number)})
            if document is None:
                return found
            last = _checked(document)
            found = Correctable(original, number, last.corrected_total or 0)

    async def _attempt(self, desk: _Desk, draft: Draft) -> Posting | None:
        """Insert on top of the known head; None means that the race was lost and the head is now newer."""
        try:
            hold = await self._hold(draft) if isinstance(draft, ResolveHold) else None
            correctable = await self.correctable(draft.corrects) if draft.corrects else None
            transaction = next_transaction(desk.head, draft, at=utcnow(), hold=hold, correctable=correctable)
        except MoneyError:
            # The refusal counts only if this act was not done before and the head it was computed on is the last.
            answer = await self._first_answer(draft)
            if answer is not None or await self._advance(desk, draft.book):
                return answer
            raise
        document = transaction.to_document()
        try:
            await self._rows.insert_one(document)
        except DuplicateKeyError:
            answer = await self._first_answer(draft)
            if answer is None:
                await self._advance(desk, draft.book)
            return answer
        desk.head = transaction.model_copy(update={"hash": document["hash"]})
        self._remember_hold(desk.head)
        return Posting(desk.head)

    async def _first_answer(self, draft: Draft) -> Posting | None:
        """What already stands for this act: its own first transaction, or the hold's first resolution."""
        known = await self.find(draft.key)
        if known is not None:
            if known.body_hash != draft.body_hash:
                raise IdempotencyKeyReused(draft.key)
            return Posting(known, replayed=True)
        if isinstance(draft, ResolveHold):
            resolved = await self.resolution_of(draft.hold_key)
            if resolved is not None and resolved.book == draft.book.name:
                return Posting(resolved, already_resolved=True)
        return None

    async def _hold(self, draft: ResolveHold) -> Hold:
        """The hold that a draft resolves. Rows never change, so one that was seen need not be read again."""
        known = self._holds.get(draft.hold_key)
        if known is None:
            row = await self.find(draft.hold_key)
            if row is None or row.hold is None:
                raise UnknownHold(draft.hold_key)
            known = self._remember_hold(row)
        if known is None or known[0] != draft.book.name:
            raise UnknownHold(draft.hold_key)
        return known[1]

    def _remember_hold(self, row: Transaction) -> tuple[str, Hold] | None:
        if row.hold is None:
            return None
        self._holds[row.key] = (row.book, row.hold)
        if len(self._holds) > _CACHED_BOOKS:
            self._holds.popitem(last=False)
        return self._holds[row.key]

    async def _find(self, name: str, value: str) -> Transaction | None:
        document = await self._settled.find_one({name: value})
        return None if document is None else Transaction.from_document(document)

    def _desk(self, book: Book) -> _Desk:
        desk = self._desks.setdefault(book.name, _Desk())
        self._desks.move_to_end(book.name)
        if len(self._desks) > _CACHED_BOOKS:
            oldest, idle = next(iter(self._desks.items()))
            if not idle.lock.locked():
                del self._desks[oldest]
        return desk

    async def _open(self, desk: _Desk, book: Book) -> None:
        """Find the head of a book this process has not touched yet: from the hint, then forward."""
        if not self._indexed:
            await ensure_indexes(self._database)  # without them nothing below holds
            self._indexed = True
        hint = await self._hints.find_one({"_id": book.name})
        hinted = int(hint["seq"]) if hint else 0
        if hinted:
            row = await self._rows.find_one({"_id": book.transaction_id(hinted)})
            desk.head = None if row is None else _checked(row)  # a hint ahead of the store is no hint
        await self._advance(desk, book)
        desk.opened = True
        if desk.head is not None and desk.head.seq - hinted >= _HINT_EVERY:
            await self._leave_hint(desk.head)

    async def _advance(self, desk: _Desk, book: Book) -> bool:
        """Read forward by `_id` to the last row; says whether there was a newer one.

        Sequences have no gaps and rows are never removed, so the store is asked for rows at growing distances
        at once: one read when little was missed, a few when much was.
        """
        moved = False
        while True:
            seq = desk.head.seq if desk.head else 0
            ids = [book.transaction_id(seq + distance) for distance in _PROBES]
            rows = await self._rows.find({"_id": {"$in": ids}}).to_list()
            if not rows:
                return moved
            desk.head = _checked(max(rows, key=lambda row: int(row["seq"])))
            moved = True

    async def _leave_hint(self, head: Transaction) -> None:
        """Best effort: a hint that is missing or old costs a read or two, never an answer."""
        try:
            await self._hints.update_one(
                {"_id": head.book}, {"$set": {"seq": head.seq, "hash": head.hash}}, upsert=True
            )
        except PyMongoError:
            _log.warning("no hint was left for the book %s", head.book, exc_info=True)


def _checked(row: Row) -> Transaction:
    if row_hash(row) != row.get("hash"):
        raise LedgerCorrupted(str(row["_id"]))
    return Transaction.from_document(row)
