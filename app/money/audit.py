"""The audit of the journal: a pure fold over its rows that trusts nothing they say of themselves.

It recomputes every hash, sequence, balance and lot from the legs and from what was granted, held and resolved. Of a
book that is done it keeps the head and the open holds: memory grows with the books, not with their rows.
What it cannot see by itself is a past rewritten from some row on, hashes and all: for that it is given the heads
that were seen before, by a cache in the database and by the object store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from app.money.audit_corrections import Corrections, debt_faults
from app.money.books import Book
from app.money.effects import Balances
from app.money.errors import InvalidDraft, NegativeBalance
from app.money.hashing import GENESIS, row_hash
from app.money.lots import Lots, in_burn_order, merge, total
from app.money.models import CreditBalances, Hold, Lot, Transaction, opening_balances
from app.money.rules import fold

Row = Mapping[str, Any]


class Check(StrEnum):
    """What an audit looks at."""

    SHAPE = "shape"
    HASH = "hash"
    CHAIN = "chain"
    SEQUENCE = "sequence"
    KEY = "key"
    LEGS = "legs"
    BALANCE = "balance"
    NEGATIVE = "negative"
    HOLD = "hold"
    CORRECTION = "correction"
    DEBT = "debt"
    TOTAL = "total"
    HINT = "hint"  # the cached head of a book, in the database
    HEAD = "head"  # the head of a book that was kept outside the database
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that disagrees, and where. `transaction_id` is None when it concerns a book or the whole."""

    check: Check
    book: str
    transaction_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that nothing has resolved. `amount` in hundredths of a credit."""

    hold_key: str
    client_id: str
    job_id: str
    amount: int
    transaction_id: str


@dataclass(frozen=True, slots=True)
class Hint:
    """A head of a book that was seen before: its row must exist and bear that hash."""

    seq: int
    hash: str
    check: Check = Check.HINT


@dataclass(slots=True)
class _BookState:
    book: Book
    balances: Balances
    hints: tuple[Hint, ...]
    seq: int = 0
    hash: str = GENESIS
    open: dict[str, tuple[Hold, OpenHold]] = field(default_factory=dict)
    resolved: set[str] = field(default_factory=set)
    corrections: Corrections = field(default_factory=Corrections)


class Audit:
    """Feed it every row in the order of `_id`, every row in the order of `key`, then call `finish`."""

    def __init__(self, *hints: Mapping[str, Hint]) -> None:
        self.discrepancies: list[Discrepancy] = []
        self.transactions = 0
        self._hints: defaultdict[str, tuple[Hint, ...]] = defaultdict(tuple)
        for source in hints:
            for name, hint in source.items():
                self._hints[name] += (hint,)
        self._at: str | None = None  # the book that the rows now are of, by their ids
        self._books: dict[str, _BookState] = {}  # that one, and whatever its rows say that they are of
        self._heads: dict[str, Hint] = {}  # of the books that are done
        self._open_holds: list[OpenHold] = []
        self._key: str | None = None
        self._totals: defaultdict[str, int] = defaultdict(int)  # currency -> sum over all accounts

    @property
    def books(self) -> int:
        """How many books were seen."""
        return len(self._heads.keys() | self._books.keys())

    @property
    def heads(self) -> dict[str, Hint]:
        """Where each book ended. Complete once it is finished."""
        return self._heads

    @property
    def open_holds(self) -> list[OpenHold]:
        """The holds that nothing has resolved. Complete once it is finished."""
        return self._open_holds

    def add(self, row: Row) -> None:
        """Audit one more row."""
        self.transactions += 1
        name, row_id = str(row.get("book")), str(row.get("_id"))
        book = row_id.rpartition(":")[0]
        if book != self._at:
            self._end_books()
            self._at = book
        try:
            state = self._state(name)
            transaction = Transaction.from_document(dict(row))
        except (InvalidDraft, ValidationError) as error:
            self._report(Check.SHAPE, name, row_id, f"unreadable: {error}")
            return
        self._check_chain(state, row, transaction)
        self._check_legs(state, transaction)
        for fault in state.corrections.faults(transaction):
            self._report(Check.CORRECTION, name, row_id, fault)
        for fault in debt_faults(transaction):
            self._report(Check.DEBT, name, row_id, fault)
        self._check_balances(state, transaction, self._expected_lots(state, transaction))

    def add_key(self, row: Row) -> None:
        """See one more key of the whole journal, in their order: the same one twice is a fault."""
        key = row.get("key")
        if key is not None and key == self._key:
            self._report(Check.KEY, str(row.get("book")), str(row.get("_id")), f"the key {key} is used twice")
        self._key = key

    def finish(self) -> list[Discrepancy]:
        """The checks that need the whole journal; returns every discrepancy found."""
        self._end_books()
        for name in self._hints.keys() - self._heads.keys():
            for hint in self._hints[name]:
                self._report(hint.check, name, None, "the book was seen before and has no rows now")
        for currency, amount in self._totals.items():
            if amount:
                self._report(Check.TOTAL, currency, None, f"all accounts sum to {amount}, not to zero")
        return self.discrepancies

    def _end_books(self) -> None:
        for name, state in self._books.items():
            self._check_ends(state)
            self._totals[state.book.currency] += sum(state.balances.model_dump(exclude={"lots"}).values())
            self._heads[name] = Hint(state.seq, state.hash, Check.HEAD)
            self._open_holds += [found for _, found in state.open.values()]
        self._books.clear()

    def _state(self, name: str) -> _BookState:
        if name not in self._books:
            book = Book.parse(name)
            self._books[name] = _BookState(book, opening_balances(book), self._hints.get(name, ()))
        return self._books[name]

    def _check_chain(self, state: _BookState, row: Row, transaction: Transaction) -> None:
        """Hash, predecessor and place."""
        where = (state.book.name, transaction.id)
        if row_hash(dict(row)) != transaction.hash:
            self._report(Check.HASH, *where, "the row does not match its own hash")
        if transaction.previous_hash != state.hash:
            self._report(Check.CHAIN, *where, "the row does not follow the one before it")
        if transaction.seq != state.seq + 1:
            self._report(Check.SEQUENCE, *where, f"{transaction.seq} follows {state.seq}")
        if transaction.id != state.book.transaction_id(transaction.seq):
            self._report(Check.SEQUENCE, *where, f"the id does not say {transaction.seq}")
        for hint in state.hints:
            if hint.seq == transaction.seq and hint.hash != transaction.hash:
                self._report(hint.check, *where, "the row had another hash when it was seen before")
        state.seq, state.hash = transaction.seq, transaction.hash

    def _check_legs(self, state: _BookState, transaction: Transaction) -> None:
        sums: defaultdict[str, int] = defaultdict(int)
        for leg in transaction.legs:
            sums[leg.currency] += leg.amount
            if not leg.account.startswith(f"{state.book.name}:"):
                self._totals[leg.currency] += leg.amount
        for currency, amount in sums.items():
            if amount:
                self._report(Check.LEGS, state.book.name, transaction.id, f"legs sum to {amount} {currency}")

    def _check_balances(self, state: _BookState, transaction: Transaction, lots: Lots | None) -> None:
        """Balances must be the fold of the legs. After a fault the stored ones are taken, to find the next."""
        where = (state.book.name, transaction.id)
        try:
            expected = fold(state.balances, state.book, transaction.legs, lots)
        except (NegativeBalance, AttributeError) as error:
            self._report(Check.NEGATIVE, *where, f"the legs cannot be booked: {error}")
        else:
            if expected != transaction.balances:
                self._report(Check.BALANCE, *where, f"stored {transaction.balances!r}, computed {expected!r}")
        stored = transaction.balances
        if any(amount < 0 for amount in stored.model_dump(exclude={"lots"}).values()):
            self._report(Check.NEGATIVE, *where, f"stored {stored!r}")
        if isinstance(stored, CreditBalances) and total(stored.lots) != stored.available:
            self._report(Check.BALANCE, *where, "the lots do not add up to what is available")
        state.balances = stored

    def _expected_lots(self, state: _BookState, transaction: Transaction) -> Lots | None:
        """The lots after the transaction, from those before it; keeps the list of open holds on the way."""
        if not isinstance(state.balances, CreditBalances):
            return None
        lots: Lots = state.balances.lots
        if transaction.lot:
            lots = merge(lots, [transaction.lot])
        lots = merge(lots, transaction.restored or ())
        lots = merge(lots, _negative(transaction.removed or ()))
        kept = transaction.hold.lots if transaction.hold else ()
        if transaction.resolution:
            lots = merge(lots, self._released(state, transaction, kept))
        elif kept:
            lots = merge(lots, _negative(kept))
        if transaction.hold:
            if total(kept) != transaction.hold.amount:
                self._report(
                    Check.HOLD, state.book.name, transaction.id, "its lots do not add up to the hold"
                )
            found = OpenHold(
                hold_key=transaction.key,
                client_id=state.book.owner_id,
                job_id=transaction.hold.job_id,
                amount=transaction.hold.amount,
                transaction_id=transaction.id,
            )
            state.open[transaction.key] = (transaction.hold, found)
        if transaction.debt:
            lots = merge(lots, _negative(transaction.debt.lots))
        return in_burn_order(lots)

    def _released(self, state: _BookState, transaction: Transaction, kept: Lots) -> Lots:
        """The lots that a resolution gives back: the hold's, less those consumed and those held again."""
        where = (state.book.name, transaction.id)
        key, resolution = transaction.resolves_hold or "", transaction.resolution
        if key not in state.open or resolution is None:
            fault = "was resolved before" if key in state.resolved else "was never made"
            self._report(Check.HOLD, *where, f"the hold {key} {fault}")
            return ()
        hold, _ = state.open.pop(key)
        state.resolved.add(key)
        parts = (resolution.posted, resolution.released, resolution.held_again)
        if sum(parts) != hold.amount or total(resolution.consumed) != resolution.posted:
            self._report(Check.HOLD, *where, f"{parts} does not resolve the hold of {hold.amount}")
        return merge(hold.lots, _negative([*resolution.consumed, *kept]))

    def _check_ends(self, state: _BookState) -> None:
        if isinstance(state.balances, CreditBalances):
            held = sum(hold.amount for hold, _ in state.open.values())
            if held != state.balances.held:
                self._report(
                    Check.HOLD,
                    state.book.name,
                    None,
                    f"open holds make {held}, the balance says {state.balances.held}",
                )
        for hint in state.hints:
            if hint.seq > state.seq:
                detail = f"the row {hint.seq} was seen before; the book now ends at {state.seq}"
                self._report(hint.check, state.book.name, None, detail)

    def _report(self, check: Check, book: str, transaction_id: str | None, detail: str) -> None:
        self.discrepancies.append(Discrepancy(check, book, transaction_id, detail))


def _negative(lots: Iterable[Lot]) -> Lots:
    return tuple(lot.model_copy(update={"amount": -lot.amount}) for lot in lots)
