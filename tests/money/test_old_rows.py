"""Rows as they were written before corrections and debts were known: still read, still sound, still built upon."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.money.audit import Check
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.hashing import row_hash
from app.money.keys import accrue_key, clawback_key, complete_key, hold_key, refund_key, reversal_key
from app.money.models import Transaction
from app.money.verify import verify
from tests.money.support import Database

STORED = Path(__file__).parent / "rows" / "first-kinds.json"
CLIENT, WORKER, JOB = "c1", "w1", "j1"
GRANT = "grant:s1:2026-11-01"


def rows() -> list[dict[str, Any]]:
    """The rows, instants as the driver gives them."""
    return [_dated(row) for row in json.loads(STORED.read_text())]


def _dated(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: datetime.fromisoformat(item) if name in ("createdAt", "expiresAt") else _dated(item)
            for name, item in value.items()
        }
    return [_dated(item) for item in value] if isinstance(value, list) else value


def test_their_hashes_hold_and_they_would_be_written_the_same_today() -> None:
    for row in rows():
        assert row_hash(row) == row["hash"]
        assert Transaction.from_document(row).to_document()["hash"] == row["hash"]


async def test_their_books_go_on_with_every_new_kind(fresh_database: Database) -> None:
    await fresh_database["transactions"].insert_many(rows())
    assert await verify(fresh_database) == []
    credits_, earnings = Credits(fresh_database), Earnings(fresh_database)
    repeated = await credits_.resolve(CLIENT, hold_key(JOB), post=200, release=100, key=complete_key(JOB))
    assert (repeated.replayed, repeated.posted, repeated.available) == (True, 200, 800)
    granted = await credits_.grant(
        CLIENT,
        1000,
        key=GRANT,
        source="subscription:starter:2026-11-01",
        expires_at=datetime(2200, 1, 1, tzinfo=UTC),
        subscription_id="s1",
    )
    assert granted.replayed
    assert (await earnings.accrue(WORKER, JOB, 4_500, key=accrue_key(JOB))).replayed
    await credits_.refund(CLIENT, complete_key(JOB), 50, key=refund_key(JOB, "a"), reason="test")
    back = await credits_.claw_back(CLIENT, GRANT, 1000, key=clawback_key("re_1"), reason="test")
    assert (back.taken, back.debt) == (850, 150)
    owed = await earnings.reverse(WORKER, JOB, 1000, key=reversal_key(JOB, "a"), reason="test")
    assert (owed.payable, owed.paid, owed.debt) == (0, 4_500, 1000)
    assert await verify(fresh_database) == []


async def test_an_old_row_that_is_edited_shows(fresh_database: Database) -> None:
    await fresh_database["transactions"].insert_many(rows())
    await fresh_database["transactions"].update_one({"key": complete_key(JOB)}, {"$set": {"amount": 1}})
    assert Check.HASH in {entry.check for entry in await verify(fresh_database)}
