"""Pages and months of a book, read by the ids of its rows; and CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from app.documents import utcnow
from app.errors import InvalidFieldError
from app.ids import new_id
from app.money.books import client_book
from app.money.credits import Credits
from app.money.models import Transaction
from app.money.statements import HEADER, Month, Statements, safe_cell, to_csv
from tests.conftest import Database


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "  =", "|"])
def test_no_text_begins_a_formula(begin: str) -> None:
    text = f"{begin}HYPERLINK(1)"
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "A banner", "5 - 3", "a=b", "'quoted"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-1", "2026-11-01", "1999-12", "x"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError):
        Month.parse(text)


def test_a_month_ends_where_the_next_begins() -> None:
    december = Month.parse("2026-12")
    assert december.end == Month.parse("2027-01").start == datetime(2027, 1, 1, tzinfo=UTC)


async def book_of(database: Database, size: int) -> str:
    owner, credits_ = new_id(), Credits(database)
    for number in range(size):
        await credits_.grant(
            owner, 100, key=f"g:{owner}:{number}", source="goodwill", reason="=1+1", actor_id="a"
        )
    return owner


async def test_pages_hold_every_row_once_newest_first(database: Database) -> None:
    book, statements = client_book(await book_of(database, 7)), Statements(database)
    seen: list[Transaction] = []
    below = None
    while page := await statements.page(book, below=below, limit=3):
        seen += page
        below = page[-1].seq
    assert [row.seq for row in seen] == [7, 6, 5, 4, 3, 2, 1]
    assert await statements.page(client_book(new_id()), limit=3) == []


async def test_a_month_holds_its_rows_and_no_others(database: Database) -> None:
    owner = await book_of(database, 6)
    rows, book, start = database["transactions"], client_book(owner), datetime(2026, 11, 1, tzinfo=UTC)
    times = [
        start - timedelta(days=20),
        start - timedelta(milliseconds=1),
        start,
        start + timedelta(days=29, hours=23),
        start + timedelta(days=30),
        start + timedelta(days=40),
    ]
    for number, at in enumerate(times, 1):
        await rows.update_one({"_id": book.transaction_id(number)}, {"$set": {"createdAt": at}})
    head = await rows.find_one({"_id": book.transaction_id(6)})
    assert head is not None
    # The last row's hash is not that of its new time, and the journal would refuse it: read without it.
    await rows.delete_one({"_id": book.transaction_id(6)})
    await rows.update_one({"_id": book.transaction_id(5)}, {"$set": {"createdAt": times[4]}})
    statements = Statements(database)
    found = await statements._read(book, range(1, 6))
    assert len(found) == 5
    assert await statements._first_since(book, start, 5) == 3
    assert await statements._first_since(book, start + timedelta(days=30), 5) == 5
    assert await statements._first_since(book, start + timedelta(days=99), 5) == 6


async def test_a_statement_is_read_by_a_spreadsheet_and_runs_nothing(database: Database) -> None:
    owner = await book_of(database, 2)
    job_id, credits_ = new_id(), Credits(database)
    await credits_.hold(owner, job_id, 150, key=f"hold:{job_id}:1")
    month = Month.parse(f"{utcnow():%Y-%m}")
    rows = await Statements(database).month(client_book(owner), month)
    assert [row.seq for row in rows] == [1, 2, 3]
    text = to_csv(rows, {job_id: '@SUM(A1), "quoted"\n=2'})
    read = list(csv.reader(io.StringIO(text)))
    assert tuple(read[0]) == HEADER
    assert read[1][5:] == ["'=1+1", "1.00", "1.00", "0.00", "0.00", "credits"]
    assert read[3][4:] == ['\'@SUM(A1), "quoted"\n=2', "", "-1.50", "0.50", "1.50", "0.00", "credits"]
    assert await Statements(database).month(client_book(owner), Month.parse("2020-01")) == []
