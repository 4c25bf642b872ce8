"""What a person sees of their book: pages of it, newest first, and a month of it as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.errors import InvalidFieldError
from app.money.books import Book, Currency
from app.money.journal import Journal, ledger_collection
from app.money.models import Transaction

_AT_ONCE = 500
_SKEW = timedelta(minutes=5)  # rows of one book are in order; the clocks of those who wrote them may not be
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
HEADER = (
    "date (UTC)",
    "transaction",
    "kind",
    "job",
    "title",
    "note",
    "change",
    "balance",
    "held",
    "debt",
    "unit",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar, in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> Month:
        """`2026-11`.

        Raises:
            InvalidFieldError: it is no month.
        """
        match = _MONTH.fullmatch(text)
        if match is None or int(match[1]) < 2000:
            raise InvalidFieldError("#/month", "is not a month such as 2026-11")
        start = datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)
        return cls(start, (start + timedelta(days=32)).replace(day=1))


class Statements:
    """Reads a book by the ids of its rows, which have no gaps, so a page costs the same however deep it lies."""

    def __init__(self, database: AsyncDatabase[Row], *, journal: Journal | None = None) -> None:
        self._journal = journal or Journal(database)
        self._rows = ledger_collection(database)

    async def page(self, book: Book, *, below: int | None = None, limit: int) -> list[Transaction]:
        """At most `limit` transactions, newest first; those before the number `below`, if it is given.

        Raises:
            LedgerCorrupted: the book's last row was tampered with.
        """
        if below is None:
            head = await self._journal.head(book)
            below = head.seq + 1 if head else 1
        return await self._read(book, range(max(1, below - limit), below))

    async def month(self, book: Book, month: Month) -> list[Transaction]:
        """Every transaction of a month, oldest first.

        Raises:
            LedgerCorrupted: the book's last row was tampered with.
        """
        head = await self._journal.head(book)
        if head is None:
            return []
        first = await self._first_since(book, month.start - _SKEW, head.seq)
        end = await self._first_since(book, month.end + _SKEW, head.seq)
        found: list[Transaction] = []
        for start in range(first, end, _AT_ONCE):
            found += reversed(await self._read(book, range(start, min(start + _AT_ONCE, end))))
        return [row for row in found if month.start <= row.created_at < month.end]

    async def _first_since(self, book: Book, at: datetime, last: int) -> int:
        """The number of the first transaction at or after a time, by halving; one past the last when there is none."""
        low, high = 1, last + 1
        while low < high:
            middle = (low + high) // 2
            row = await self._rows.find_one({"_id": book.transaction_id(middle)}, {"createdAt": 1})
            if row is not None and row["createdAt"] >= at:
                high = middle
            else:
                low = middle + 1
        return low

    async def _read(self, book: Book, numbers: range) -> list[Transaction]:
        ids = [book.transaction_id(number) for number in numbers]
        rows = await self._rows.find({"_id": {"$in": ids}}).to_list() if ids else []
        found = [Transaction.from_document(row) for row in rows]
        return sorted(found, key=lambda row: row.seq, reverse=True)


def change_of(row: Transaction, balance: str) -> int:
    """By how much a transaction changed one of its book's balances, in the book's smallest unit."""
    account = Book.parse(row.book).account(balance)
    return sum(leg.amount for leg in row.legs if leg.account == account)


def to_csv(rows: Sequence[Transaction], titles: Mapping[str, str]) -> str:
    """The statement as CSV with a header. No cell that a person wrote can be taken for a formula.

    Amounts are in credits or in US dollars, with two decimals; `change` and `balance` are of what can be spent, or of
    what is owed to the worker.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    for row in rows:
        is_credits = row.currency is Currency.CREDIT
        main = "available" if is_credits else "payable"
        balances = row.credits if is_credits else row.earnings
        writer.writerow(
            (
                f"{row.created_at:%Y-%m-%d %H:%M:%S}",
                row.id,
                row.kind.value,
                row.job_id or "",
                safe_cell(titles.get(row.job_id or "", "")),
                safe_cell(row.reason or ""),
                _decimal(change_of(row, main)),
                _decimal(getattr(balances, main)),
                _decimal(row.credits.held) if is_credits else "",
                _decimal(balances.debt),
                "credits" if is_credits else "USD",
            )
        )
    return text.getvalue()


def safe_cell(text: str) -> str:
    """Text that no spreadsheet reads as a formula: one that could be begins with an apostrophe.

    Source: https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{text}" if text.lstrip(" ").startswith(_RISKY) else text


def _decimal(hundredths: int) -> str:
    """A number, which needs no apostrophe: it is made here, of digits."""
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02}"
