"""The audit finds corrections and debts that the rules would never have written, though every hash is right."""

from __future__ import annotations

from typing import Any

import pytest

from app.money.audit import Check
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.hashing import row_hash
from app.money.keys import accrue_key, complete_key, hold_key, refund_key, reversal_key, transfer_key
from app.money.verify import verify
from tests.money.support import Database

CLIENT, WORKER = "c", "w"


async def refunded(database: Database) -> dict[str, Any]:
    """A client who spent 100 and got 60 back; the refund's row."""
    credits_ = Credits(database)
    await credits_.grant(CLIENT, 100, key="grant:1", source="plan")
    await credits_.hold(CLIENT, "j", 100, key=hold_key("j"))
    await credits_.resolve(CLIENT, hold_key("j"), post=100, release=0, key=complete_key("j"))
    await credits_.refund(CLIENT, complete_key("j"), 60, key=refund_key("j", "a"), reason="test")
    row = await database["transactions"].find_one({"key": refund_key("j", "a")})
    assert row is not None
    return row


async def insert_after(database: Database, row: dict[str, Any], **fields: Any) -> None:
    """A further row like this one, with a right hash and a right chain."""
    seq = row["seq"] + 1
    forged = {
        **row,
        "_id": f"{row['book']}:{seq:012d}",
        "seq": seq,
        "key": "forged",
        "previousHash": row["hash"],
        **fields,
    }
    forged["hash"] = row_hash(forged)
    await database["transactions"].insert_one(forged)


def again(row: dict[str, Any]) -> dict[str, Any]:
    """The same refund once more: balances and lots as they would be."""
    lot = {**row["balances"]["lots"][0], "amount": 120}
    return {
        "balances": {"available": 120, "held": 0, "lots": [lot]},
        "correctionId": f"{row['corrects']}:2",
        "correctedTotal": 120,
    }


async def test_refunds_beyond_what_was_spent(fresh_database: Database) -> None:
    row = await refunded(fresh_database)
    assert await verify(fresh_database) == []
    await insert_after(fresh_database, row, **again(row))
    (found,) = await verify(fresh_database)
    assert (found.check, found.detail) == (Check.CORRECTION, "120 was taken of 100")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"correctionId": "client:c:000000000003:3"}, "it is correction 2 and says"),
        ({"correctedTotal": 60}, "the corrections make 120, it says 60"),
        ({"amount": 30}, "it says 30 and moves 60"),
        ({"corrects": "client:c:000000000009"}, "which is not before it in its book"),
        ({"corrects": "client:c:000000000001"}, "cannot correct a credit_grant"),
        ({"kind": "credit_grant"}, "a credit_grant corrects nothing"),
    ],
)
async def test_corrections_that_do_not_fit(
    fresh_database: Database, fields: dict[str, Any], detail: str
) -> None:
    row = await refunded(fresh_database)
    await insert_after(fresh_database, row, **(again(row) | fields))
    found = [entry.detail for entry in await verify(fresh_database) if entry.check is Check.CORRECTION]
    assert any(detail in text for text in found), found


async def test_credits_put_back_that_are_in_no_lot(fresh_database: Database) -> None:
    row = await refunded(fresh_database)
    await insert_after(fresh_database, row, **(again(row) | {"restored": []}))
    assert {entry.check for entry in await verify(fresh_database)} >= {Check.BALANCE, Check.CORRECTION}


@pytest.mark.parametrize(
    "debt", [{"incurred": 39, "paid": 0, "lots": []}, {"incurred": 0, "paid": 40, "lots": []}]
)
async def test_a_debt_that_is_not_what_the_legs_say(fresh_database: Database, debt: dict[str, Any]) -> None:
    earnings = Earnings(fresh_database)
    await earnings.accrue(WORKER, "j", 100, key=accrue_key("j"))
    await earnings.record_transfer(WORKER, "j", 100, key=transfer_key("j"), stripe_transfer_id="tr_1")
    await earnings.reverse(WORKER, "j", 40, key=reversal_key("j", "a"), reason="test")
    assert await verify(fresh_database) == []
    row = await fresh_database["transactions"].find_one({"key": reversal_key("j", "a")})
    assert row is not None
    row["debt"] = debt
    row["hash"] = row_hash(row)
    await fresh_database["transactions"].delete_one({"_id": row["_id"]})
    await fresh_database["transactions"].insert_one(row)
    assert Check.DEBT in {entry.check for entry in await verify(fresh_database)}
