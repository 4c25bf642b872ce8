"""Refunds of spent credits, and pay taken back: linked to what they correct, and never more than that."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from app.documents import utcnow
from app.money.books import client_book, worker_book
from app.money.credits import Credits
from app.money.drafts import RefundCredits, draft
from app.money.earnings import Earnings
from app.money.effects import Correctable
from app.money.errors import CorrectionExceeded, IdempotencyKeyReused, NegativeBalance, UnknownTransaction
from app.money.journal import Journal
from app.money.keys import (
    accrue_key,
    complete_key,
    hold_key,
    refund_key,
    reversal_key,
    transfer_key,
    transfer_reversal_key,
)
from app.money.models import Hold, HoldResolution, Kind, Lot, Transaction
from app.money.rules import next_transaction
from app.money.verify import verify
from tests.money.support import Database, client

NOW = datetime.fromisoformat("2026-11-22T12:00:00Z")
DAY = timedelta(days=1)


async def spent(database: Database, *grants: tuple[int, datetime | None]) -> tuple[Credits, str, str]:
    """A client whose grants are all spent on one job; the key that spent them."""
    credits_, owner = Credits(database), client()
    for number, (amount, expires_at) in enumerate(grants):
        key = f"grant:{owner}:{number}"
        await credits_.grant(owner, amount, key=key, source=f"source-{number}", expires_at=expires_at)
    price = sum(amount for amount, _ in grants)
    await credits_.hold(owner, owner, price, key=hold_key(owner))
    await credits_.resolve(owner, hold_key(owner), post=price, release=0, key=complete_key(owner))
    return credits_, owner, complete_key(owner)


async def paid(database: Database, cents: int = 1000) -> tuple[Earnings, str, str]:
    """A worker whose one job was accrued and sent."""
    earnings, worker, job = Earnings(database), client(), client()
    await earnings.accrue(worker, job, cents, key=accrue_key(job))
    await earnings.record_transfer(worker, job, cents, key=transfer_key(job), stripe_transfer_id="tr_1")
    return earnings, worker, job


async def test_a_refund_goes_back_into_the_lots_that_paid_longest_lasting_first(database: Database) -> None:
    soon, late = utcnow() + DAY, utcnow() + 9 * DAY
    credits_, owner, spend = await spent(database, (100, soon), (100, late))
    first = await credits_.refund(
        owner, spend, 150, key=refund_key(owner, "ruling:1"), reason="half the work"
    )
    assert [(lot.source, lot.amount) for lot in first.lots] == [("source-0", 50), ("source-1", 100)]
    assert (first.amount, first.refunded_total, first.available, first.job_id) == (150, 150, 150, owner)
    rest = await credits_.refund(owner, spend, 50, key=refund_key(owner, "ruling:2"), reason="the rest")
    assert [(lot.source, lot.amount) for lot in rest.lots] == [("source-0", 50)]
    balance = await credits_.balance(owner)
    assert [(lot.source, lot.amount, lot.expires_at) for lot in balance.lots] == [
        ("source-0", 100, soon),
        ("source-1", 100, late),
    ]
    row = await Journal(database).find(refund_key(owner, "ruling:1"))
    assert row is not None
    resolution = await Journal(database).find(spend)
    assert resolution is not None
    assert (row.corrects, row.correction_id) == (resolution.id, f"{resolution.id}:1")
    assert {leg.account: leg.amount for leg in row.legs} == {
        "platform:credits_spent": -150,
        f"client:{owner}:available": 150,
    }


async def test_all_refunds_of_a_spend_never_exceed_it(database: Database) -> None:
    credits_, owner, spend = await spent(database, (100, None))
    await credits_.refund(owner, spend, 70, key=refund_key(owner, "a"), reason="late")
    for facade in (credits_, Credits(database)):
        with pytest.raises(CorrectionExceeded) as refusal:
            await facade.refund(owner, spend, 31, key=refund_key(owner, "b"), reason="late")
        assert (refusal.value.remaining, refusal.value.requested) == (30, 31)
    await credits_.refund(owner, spend, 30, key=refund_key(owner, "b"), reason="late")
    with pytest.raises(CorrectionExceeded):
        await credits_.refund(owner, spend, 1, key=refund_key(owner, "c"), reason="late")
    assert (await credits_.balance(owner)).available == 100


async def test_a_refund_is_repeatable_by_its_key_and_only_by_the_same_body(database: Database) -> None:
    credits_, owner, spend = await spent(database, (100, None))
    key = refund_key(owner, "a")
    first = await credits_.refund(owner, spend, 60, key=key, reason="late")
    await credits_.refund(owner, spend, 40, key=refund_key(owner, "b"), reason="late")
    again = await Credits(database).refund(owner, spend, 60, key=key, reason="late")
    assert again == first.model_copy(update={"replayed": True})
    for amount, reason in ((59, "late"), (60, "other")):
        with pytest.raises(IdempotencyKeyReused):
            await credits_.refund(owner, spend, amount, key=key, reason=reason)


async def test_only_ones_own_spend_can_be_refunded(database: Database) -> None:
    credits_, owner, spend = await spent(database, (100, None))
    _, stranger, other = await spent(database, (100, None))
    released = client()
    await credits_.grant(owner, 10, key=f"more:{owner}", source="test")
    await credits_.hold(owner, released, 10, key=hold_key(released))
    await credits_.resolve(owner, hold_key(released), post=0, release=10, key=f"release:{released}:1")
    names = (other, "complete:nothing", hold_key(owner), f"grant:{owner}:0", f"release:{released}:1")
    for name in names:
        with pytest.raises(UnknownTransaction):
            await credits_.refund(owner, name, 1, key=refund_key(owner, "x"), reason="test")
    with pytest.raises(UnknownTransaction):
        await credits_.refund(stranger, spend, 1, key=refund_key(owner, "x"), reason="test")


def test_what_has_expired_meanwhile_comes_back_as_a_lot_with_the_expiry_of_policy() -> None:
    dying = Lot(lot_id="client:c:1", seq=1, source="plan", expires_at=NOW, amount=60)
    living = Lot(lot_id="client:c:2", seq=2, source="pack", expires_at=NOW + DAY, amount=40)
    act = draft(
        RefundCredits,
        key="refund:j:1",
        client_id="c",
        spent_key="s",
        amount=70,
        reason="test",
        expires_at=NOW + 30 * DAY,
    )
    original = _spend((dying, living))
    row = next_transaction(original, act, at=NOW, correctable=Correctable(original))
    assert [(lot.lot_id, lot.amount, lot.expires_at, lot.origin) for lot in row.credits.lots] == [
        ("client:c:2", 40, NOW + DAY, None),
        (row.id, 30, NOW + 30 * DAY, "client:c:1"),
    ]
    assert row.restored == row.credits.lots
    rest = draft(RefundCredits, key="refund:j:2", client_id="c", spent_key="s", amount=30, reason="test")
    last = next_transaction(row, rest, at=NOW, correctable=Correctable(original, number=1, total=70))
    assert [(lot.lot_id, lot.amount, lot.expires_at) for lot in last.restored or ()] == [(last.id, 30, None)]
    assert last.credits.available == 100


def _spend(lots: tuple[Lot, ...]) -> Transaction:
    amount = sum(lot.amount for lot in lots)
    return Transaction.model_validate(
        {
            "id": client_book("c").transaction_id(3),
            "book": "client:c",
            "seq": 3,
            "kind": Kind.HOLD_RESOLUTION,
            "key": "s",
            "body_hash": "",
            "currency": "CREDIT",
            "amount": amount,
            "status": "posted",
            "legs": (),
            "balances": {"available": 0, "held": 0, "lots": ()},
            "hold": Hold(job_id="j", amount=0, lots=()),
            "resolution": HoldResolution(posted=amount, released=0, held_again=0, consumed=lots),
            "created_at": NOW,
            "previous_hash": "",
        },
        by_name=True,
    )


async def test_20_racing_refunds_of_one_spend_give_back_no_more_than_it(database: Database) -> None:
    credits_, owner, spend = await spent(database, (100, None))
    facades = [credits_, *(Credits(database) for _ in range(4))]

    async def refund(number: int) -> int:
        try:
            outcome = await facades[number % 5].refund(
                owner, spend, 30, key=refund_key(owner, str(number)), reason="race"
            )
        except CorrectionExceeded:
            return 0
        return outcome.amount

    assert sorted(await asyncio.gather(*map(refund, range(20)))) == [0] * 17 + [30] * 3
    assert (await credits_.balance(owner)).available == 90
    assert await verify(database) == []


async def test_pay_is_taken_back_from_what_is_payable(database: Database) -> None:
    earnings, worker, job = Earnings(database), client(), client()
    await earnings.accrue(worker, job, 1000, key=accrue_key(job))
    back = await earnings.reverse(worker, job, 400, key=reversal_key(job, "ruling:1"), reason="half the work")
    assert (back.payable, back.paid, back.debt, back.debt_incurred) == (600, 0, 0, 0)
    assert await earnings.transferable(worker, job) == 600
    again = await Earnings(database).reverse(
        worker, job, 400, key=reversal_key(job, "ruling:1"), reason="half the work"
    )
    assert again == back.model_copy(update={"replayed": True})
    with pytest.raises(CorrectionExceeded) as refusal:
        await earnings.reverse(worker, job, 601, key=reversal_key(job, "ruling:2"), reason="all of it")
    assert refusal.value.remaining == 600
    with pytest.raises(NegativeBalance):
        await earnings.record_transfer(worker, job, 1000, key=transfer_key(job), stripe_transfer_id="tr_1")


async def test_what_nothing_payable_covers_is_a_debt_that_later_pay_settles_first(database: Database) -> None:
    earnings, worker, job = await paid(database)
    back = await earnings.reverse(worker, job, 700, key=reversal_key(job, "dispute"), reason="chargeback")
    assert (back.payable, back.paid, back.debt, back.debt_incurred) == (0, 1000, 700, 700)
    second, third = client(), client()
    earned = await earnings.accrue(worker, second, 500, key=accrue_key(second))
    assert (earned.amount, earned.payable, earned.debt, earned.debt_paid) == (500, 0, 200, 500)
    assert await earnings.transferable(worker, second) == 0
    earned = await earnings.accrue(worker, third, 500, key=accrue_key(third))
    assert (earned.payable, earned.debt, earned.debt_paid) == (300, 0, 200)
    assert await earnings.transferable(worker, third) == 300
    balance = await earnings.balance(worker)
    assert (balance.payable, balance.paid, balance.debt) == (300, 1000, 0)
    row = await Journal(database).find(accrue_key(third))
    assert row is not None
    assert {leg.account: leg.amount for leg in row.legs} == {
        f"worker:{worker}:payable": 300,
        f"worker:{worker}:debt": -200,
        "platform:worker_cost": -300,
        "platform:worker_debt": 200,
    }


@pytest.mark.parametrize("money_first", [True, False])
async def test_a_reversed_transfer_and_reversed_pay_end_the_same_in_both_orders(
    database: Database, *, money_first: bool
) -> None:
    earnings, worker, job = await paid(database)
    returned = earnings.record_transfer_reversal(
        worker, job, 600, key=transfer_reversal_key(f"trr_{job}"), stripe_reversal_id=f"trr_{job}"
    )
    taken = earnings.reverse(worker, job, 600, key=reversal_key(job, "dispute"), reason="chargeback")
    first, second = (returned, taken) if money_first else (taken, returned)
    middle = await first
    assert (middle.payable, middle.debt) == ((600, 0) if money_first else (0, 600))
    await second
    balance = await earnings.balance(worker)
    assert (balance.payable, balance.paid, balance.debt) == (0, 400, 0)
    assert await earnings.transferable(worker, job) == 0


async def test_returned_money_is_payable_again_and_never_more_than_was_sent(database: Database) -> None:
    earnings, worker, job = await paid(database)
    back = await earnings.record_transfer_reversal(
        worker, job, 1000, key=transfer_reversal_key(f"trr_{job}"), stripe_reversal_id=f"trr_{job}"
    )
    assert (back.payable, back.paid) == (1000, 0)
    assert (back.stripe_transfer_id, back.stripe_reversal_id) == ("tr_1", f"trr_{job}")
    assert await earnings.transferable(worker, job) == 1000
    with pytest.raises(CorrectionExceeded):
        await earnings.record_transfer_reversal(
            worker, job, 1, key=f"transfer-reversal:2:{job}", stripe_reversal_id="trr_2"
        )


async def test_pay_is_taken_back_from_ones_own_job_only(database: Database) -> None:
    earnings, worker, job = await paid(database)
    _, stranger, other = await paid(database)
    for who, what in ((stranger, job), (worker, other), (worker, client())):
        with pytest.raises(UnknownTransaction):
            await earnings.reverse(who, what, 1, key=reversal_key(job, "x"), reason="test")
        with pytest.raises(UnknownTransaction):
            await earnings.record_transfer_reversal(who, what, 1, key=f"t:{job}", stripe_reversal_id="trr_1")
        assert await earnings.transferable(who, what) == 0


async def test_a_job_has_several_accruals_and_transfers(database: Database) -> None:
    earnings, worker, job = Earnings(database), client(), client()
    for number in (1, 2):
        await earnings.accrue(worker, job, 100 * number, key=accrue_key(job, number))
        assert await earnings.transferable(worker, job, number=number) == 100 * number
        await earnings.record_transfer(
            worker, job, 100 * number, key=transfer_key(job, number), stripe_transfer_id=f"tr_{number}"
        )
    back = await earnings.reverse(worker, job, 150, key=reversal_key(job, "x"), reason="test", number=2)
    assert back.debt == 150
    assert (accrue_key("j"), accrue_key("j", 2)) == ("accrue:j", "accrue:j:2")
    assert (transfer_key("j"), transfer_key("j", 2)) == ("transfer:j", "transfer:j:2")


async def test_20_racing_reversals_take_no_more_than_was_earned(database: Database) -> None:
    earnings, worker, job = await paid(database, 100)
    facades = [earnings, *(Earnings(database) for _ in range(4))]

    async def reverse(number: int) -> int:
        try:
            outcome = await facades[number % 5].reverse(
                worker, job, 30, key=reversal_key(job, str(number)), reason="race"
            )
        except CorrectionExceeded:
            return 0
        return outcome.amount

    assert sum(await asyncio.gather(*map(reverse, range(20)))) == 90
    assert (await earnings.balance(worker)).debt == 90


async def test_a_book_without_debt_is_stored_as_it_always_was(database: Database) -> None:
    """So that a process of an older version, which refuses a balance it does not know, reads it."""
    earnings, worker, job = await paid(database)
    first = worker_book(worker).transaction_id
    stored = await database["transactions"].find_one({"_id": first(2)})
    assert stored is not None
    assert set(stored["balances"]) == {"payable", "paid"}
    await earnings.reverse(worker, job, 1, key=reversal_key(job, "x"), reason="test")
    stored = await database["transactions"].find_one({"_id": first(3)})
    assert stored is not None
    assert stored["balances"] == {"payable": 0, "paid": 1000, "debt": 1}


async def test_after_all_of_that_the_books_are_sound(database: Database) -> None:
    assert await verify(database) == []
