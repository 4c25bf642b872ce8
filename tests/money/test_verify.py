"""The audit finds each kind of tampering where it was done, and says nothing of sound books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from app.cli import cli
from app.money.audit import Check
from app.money.books import client_book
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.hashing import row_hash
from app.money.journal import Journal
from app.money.keys import accrue_key, complete_key, hold_key, transfer_key
from app.money.verify import open_holds, verify
from app.settings import Settings, get_settings
from tests.money.support import Database

CLIENT, WORKER = "c", "w"
Tamper = Callable[[Database], Awaitable[Any]]


def row_id(seq: int, book: str = f"client:{CLIENT}") -> str:
    return f"{book}:{seq:012d}"


@pytest_asyncio.fixture
async def books(fresh_database: Database) -> Database:
    """A client's book of six rows (one hold open) and a worker's of two."""
    credits_, earnings = Credits(fresh_database), Earnings(fresh_database)
    await credits_.grant(CLIENT, 1000, key="grant:1", source="test")
    for number in (1, 2, 3):
        await credits_.hold(CLIENT, f"j{number}", 100, key=hold_key(f"j{number}"))
    await credits_.resolve(CLIENT, hold_key("j1"), post=60, release=40, key=complete_key("j1"))
    await credits_.resolve(CLIENT, hold_key("j2"), post=50, release=20, hold_again=30, key=complete_key("j2"))
    await earnings.accrue(WORKER, "j1", 500, key=accrue_key("j1"))
    await earnings.record_transfer(WORKER, "j1", 500, key=transfer_key("j1"), stripe_transfer_id="tr_1")
    return fresh_database


async def test_sound_books_have_no_discrepancy_and_know_their_open_holds(books: Database) -> None:
    assert await verify(books) == []
    assert [(hold.hold_key, hold.job_id, hold.amount) for hold in await open_holds(books)] == [
        ("hold:j3:1", "j3", 100),
        ("complete:j2", "j2", 30),
    ]


async def _set(database: Database, seq: int, **fields: Any) -> None:
    changes = {name.replace("__", "."): value for name, value in fields.items()}
    await database["transactions"].update_one({"_id": row_id(seq)}, {"$set": changes})


async def _replace(database: Database, document: dict[str, Any], *, sealed: bool) -> None:
    if sealed:
        document["hash"] = row_hash(document)
    await database["transactions"].delete_one({"_id": document["_id"]})
    await database["transactions"].insert_one(document)


async def _row(database: Database, seq: int) -> dict[str, Any]:
    row = await database["transactions"].find_one({"_id": row_id(seq)})
    assert row is not None
    return row


async def edit_balance(database: Database) -> None:
    await _set(database, 3, balances__available=5000)


async def edit_one_leg(database: Database) -> None:
    await _set(database, 3, legs__0__amount=-1)


async def edit_amount(database: Database) -> None:
    await _set(database, 3, amount=1)


async def add_a_field(database: Database) -> None:
    await _set(database, 3, note="looks harmless")


async def break_the_shape(database: Database) -> None:
    await _set(database, 3, legs="none")


async def remove_a_row(database: Database) -> None:
    await database["transactions"].delete_one({"_id": row_id(3)})


async def swap_two_rows(database: Database) -> None:
    one, other = await _row(database, 2), await _row(database, 3)
    await database["transactions"].delete_many({"_id": {"$in": [one["_id"], other["_id"]]}})
    one["_id"], other["_id"] = other["_id"], one["_id"]
    await database["transactions"].insert_many([one, other])


async def swap_two_rows_sealed(database: Database) -> None:
    one, other = await _row(database, 2), await _row(database, 3)
    await database["transactions"].delete_many({"_id": {"$in": [one["_id"], other["_id"]]}})
    for name in ("_id", "seq"):
        one[name], other[name] = other[name], one[name]
    one["hash"], other["hash"] = row_hash(one), row_hash(other)
    await database["transactions"].insert_many([one, other])


async def reseal_a_balance(database: Database) -> None:
    row = await _row(database, 6)
    row["balances"]["available"] += 1000
    row["balances"]["lots"][0]["amount"] += 1000
    await _replace(database, row, sealed=True)


async def reseal_unbalanced_legs(database: Database) -> None:
    row = await _row(database, 6)
    row["legs"][-1]["amount"] += 1000
    row["balances"]["available"] += 1000
    row["balances"]["lots"][0]["amount"] += 1000
    await _replace(database, row, sealed=True)


async def reseal_a_lot(database: Database) -> None:
    row = await _row(database, 6)
    row["balances"]["lots"][0]["amount"] -= 1
    await _replace(database, row, sealed=True)


async def forge_next(database: Database, **fields: Any) -> None:
    """A new last row with a right chain, which the rules would never have written."""
    last = await _row(database, 6)
    row = {**last, "_id": row_id(7), "seq": 7, "key": "forged", "previousHash": last["hash"], **fields}
    await database["transactions"].drop_index("resolves_hold_unique")
    await _replace(database, row, sealed=True)


async def resolve_twice(database: Database) -> None:
    await forge_next(database)


async def resolve_nothing(database: Database) -> None:
    await forge_next(database, resolvesHold="hold:none:1")


async def go_below_zero(database: Database) -> None:
    owner = client_book(CLIENT)
    amounts = {owner.account("available"): -100_000, owner.account("held"): 100_000}
    legs = [{"account": name, "currency": "CREDIT", "amount": amount} for name, amount in amounts.items()]
    await forge_next(database, kind="credit_hold", legs=legs)


@pytest.mark.parametrize(
    ("tamper", "found", "where"),
    [
        (edit_balance, {Check.HASH, Check.BALANCE}, 3),
        (edit_one_leg, {Check.HASH, Check.LEGS}, 3),
        (edit_amount, {Check.HASH}, 3),
        (add_a_field, {Check.HASH}, 3),
        (break_the_shape, {Check.SHAPE}, 3),
        (remove_a_row, {Check.CHAIN, Check.SEQUENCE, Check.BALANCE}, 4),
        (swap_two_rows, {Check.HASH, Check.CHAIN, Check.SEQUENCE}, 2),
        (swap_two_rows_sealed, {Check.CHAIN, Check.BALANCE}, 2),
        (reseal_a_balance, {Check.BALANCE}, 6),
        (reseal_unbalanced_legs, {Check.LEGS}, 6),
        (reseal_a_lot, {Check.BALANCE}, 6),
        (resolve_twice, {Check.HOLD}, 7),
        (resolve_nothing, {Check.HOLD}, 7),
        (go_below_zero, {Check.NEGATIVE}, 7),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_tampering_is_found_where_it_was_done(
    books: Database, tamper: Tamper, found: set[Check], where: int
) -> None:
    await tamper(books)
    discrepancies = await verify(books)
    assert {entry.check for entry in discrepancies if entry.transaction_id == row_id(where)} >= found
    first = next(entry for entry in discrepancies if entry.transaction_id is not None)
    assert first.transaction_id == row_id(where)
    assert {entry.book for entry in discrepancies} <= {f"client:{CLIENT}", "CREDIT"}


async def test_legs_that_do_not_balance_upset_the_sum_over_all_accounts(books: Database) -> None:
    await reseal_unbalanced_legs(books)
    totals = [entry for entry in await verify(books) if entry.check is Check.TOTAL]
    assert [(entry.book, entry.transaction_id) for entry in totals] == [("CREDIT", None)]


async def test_a_row_cut_off_at_the_end_shows_by_the_hint(books: Database) -> None:
    """The chain alone cannot show it; a head remembered elsewhere can."""
    credits_ = Credits(books)
    for number in range(70):
        await credits_.grant(CLIENT, 1, key=f"g:{number}", source="test")
    assert await Journal(books).head(client_book(CLIENT)) is not None  # leaves a hint at 76
    assert await verify(books) == []
    await books["transactions"].delete_one({"_id": row_id(76)})
    assert [entry.check for entry in await verify(books)] == [Check.HINT]
    await books["transactions"].delete_many({"clientId": CLIENT})
    assert Check.HINT in {entry.check for entry in await verify(books)}


async def test_a_key_used_twice_shows(books: Database) -> None:
    await books["transactions"].drop_index("key_unique")
    await forge_next(books, key=complete_key("j1"))
    assert Check.KEY in {entry.check for entry in await verify(books)}


@pytest.mark.parametrize("tampered", [False, True])
async def test_the_command_prints_what_disagrees_and_exits_with_it(
    books: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, *, tampered: bool
) -> None:
    if tampered:
        await edit_balance(books)
    for job_id in ("j2", "j3"):
        await books["jobs"].insert_one({"_id": job_id, "seq": 1, "clientId": CLIENT, "status": "in_progress"})
    monkeypatch.setenv("NIMMIT_MONGODB_URI", settings.mongodb_uri.get_secret_value())
    monkeypatch.setenv("NIMMIT_MONGODB_DATABASE", books.name)
    get_settings.cache_clear()
    try:
        result = await asyncio.to_thread(CliRunner().invoke, cli, ["ledger", "verify"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == int(tampered), result.output
    assert "8 transactions in 2 books, 2 open holds" in result.output
    assert (row_id(3) in result.output) is tampered
