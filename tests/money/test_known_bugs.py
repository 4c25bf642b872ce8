"""Bugs that other ledgers of credits really had, each as a test of ours.

Those that concern the ledger; webhooks, checkout and payouts have theirs where they are handled.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import get_args

import pytest

from app.documents import utcnow
from app.money.credits import Credits
from app.money.drafts import Draft
from app.money.earnings import Earnings
from app.money.errors import CorrectionExceeded, IdempotencyKeyReused
from app.money.journal import Journal
from app.money.keys import (
    accrue_key,
    clawback_key,
    complete_key,
    expire_hold_key,
    hold_key,
    invoice_grant_key,
    refund_key,
    release_key,
    reversal_key,
    top_up_key,
    transfer_key,
    transfer_reversal_key,
    void_key,
)
from app.money.models import Transaction
from app.money.verify import verify
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.store import create_subscription, grant_pack, grant_period
from app.subscriptions.tiers import TierName
from tests.money.support import Database, client

PLAN = 1000


async def funded(database: Database) -> tuple[Credits, str]:
    credits_, owner = Credits(database), client()
    await credits_.grant(owner, PLAN, key=invoice_grant_key(f"in_{owner}"), source="plan")
    return credits_, owner


async def test_lago_3618_settled_twice_within_milliseconds_grants_once(database: Database) -> None:
    """Two workers settled one wallet transaction at once, and the credit was there twice."""
    owner = client()
    outcomes = await asyncio.gather(
        *(
            Credits(database).grant(owner, PLAN, key=invoice_grant_key(f"in_{owner}"), source="plan")
            for _ in range(10)
        )
    )
    assert sum(not outcome.replayed for outcome in outcomes) == 1
    assert (await Credits(database).balance(owner)).available == PLAN


async def test_lago_3703_succeeded_then_failed_then_void_does_not_make_two_of_one(database: Database) -> None:
    """A settled row was turned to failed and then voided: the void gave the credits a second time.

    Here a settled row stays: the hold was posted, and whatever would end it again gets that answer.
    """
    credits_, owner = await funded(database)
    await credits_.hold(owner, owner, 100, key=hold_key(owner))
    posted = await credits_.resolve(owner, hold_key(owner), post=100, release=0, key=complete_key(owner))
    for late in (
        credits_.resolve(owner, hold_key(owner), post=0, release=100, key=release_key(owner)),
        credits_.void(owner, hold_key(owner), key=void_key(owner)),
        credits_.expire_hold(owner, hold_key(owner), key=expire_hold_key(owner)),
    ):
        assert await late == posted.model_copy(update={"already_resolved": True})
    assert (await credits_.balance(owner)).available == PLAN - 100


async def test_lago_1962_a_recurring_top_up_is_made_once_however_often_the_clock_asks(
    database: Database,
) -> None:
    """Every five minutes a clock made the period's top-up again, since it did not see the pending one."""
    owner, credits_ = client(), Credits(database)
    subscription = await create_subscription(owner, TierName.STARTER)
    for _ in range(5):
        await grant_period(credits_, subscription)
    await asyncio.gather(*(grant_period(Credits(database), subscription) for _ in range(5)))
    assert (await credits_.balance(owner)).available == subscription.plan.credits_per_period


async def test_lago_void_of_a_stale_remainder_is_sized_when_it_is_written(database: Database) -> None:
    """The remainder was read, credits were spent meanwhile, and the whole of what had been read was voided."""
    credits_, owner = Credits(database), client()
    grant = await credits_.grant(owner, 100, key=f"a:{owner}", source="plan", expires_at=utcnow())
    stale = Credits(database)
    assert (await stale.balance(owner)).expired == 100
    await credits_.claw_back(owner, f"a:{owner}", 70, key=clawback_key(owner), reason="refund")
    (lapsed,) = await stale.expire(owner)
    assert (lapsed.lot_id, lapsed.amount) == (grant.transaction_id, 30)
    await credits_.grant(owner, 50, key=f"b:{owner}", source="plan")
    await credits_.hold(owner, owner, 50, key=hold_key(owner))
    await credits_.resolve(
        owner, hold_key(owner), post=20, release=20, hold_again=10, key=complete_key(owner)
    )
    assert (await stale.void(owner, complete_key(owner), key=void_key(owner))).released == 10


async def test_lago_5870_an_identical_top_up_sent_twice_is_one_lot(database: Database) -> None:
    """The same top-up request, repeated, left two settled rows."""
    owner, credits_, pack = client(), Credits(database), PACKS[PackName.SMALL]
    now = utcnow()
    for _ in range(2):
        await grant_pack(
            credits_, owner, pack, payment_id=f"pi_{owner}", bought_at=now, paid_cents=pack.price_cents
        )
    balance = await credits_.balance(owner)
    assert (balance.available, len(balance.lots)) == (pack.credits, 1)
    assert await Journal(database).find(top_up_key(f"pi_{owner}")) is not None


def test_polar_every_row_of_the_journal_has_a_key_and_every_act_asks_for_one() -> None:
    """The wallet's rows had no idempotency key: a retried call wrote another row."""
    assert Transaction.model_fields["key"].is_required()
    for kind in get_args(Draft):
        assert kind.model_fields["key"].is_required(), kind
    for facade, acts in (
        (Credits, ("grant", "hold", "resolve", "void", "expire_hold", "refund", "claw_back")),
        (Earnings, ("accrue", "record_transfer", "reverse", "record_transfer_reversal")),
    ):
        for act in acts:
            key = inspect.signature(getattr(facade, act)).parameters["key"]
            assert key.default is inspect.Parameter.empty, act


async def test_lago_4985_a_negative_balance_is_refused_by_the_store_and_not_by_a_check_before(
    database: Database,
) -> None:
    """The application looked at the balance and then wrote; two that looked at once both wrote."""
    credits_, owner = await funded(database)
    outcomes = await asyncio.gather(
        *(Credits(database).hold(owner, f"j{n}", PLAN, key=hold_key(f"{owner}-{n}")) for n in range(8))
    )
    assert sorted(outcome.outcome for outcome in outcomes) == ["held"] + ["insufficient"] * 7
    assert (await credits_.balance(owner)).available == 0


async def test_polar_two_partial_reversals_of_one_transfer_do_not_clash(database: Database) -> None:
    """The key was the transfer's: the second partial reversal was taken for a repeat of the first."""
    earnings, worker, job = Earnings(database), client(), client()
    await earnings.accrue(worker, job, 1000, key=accrue_key(job))
    await earnings.record_transfer(worker, job, 1000, key=transfer_key(job), stripe_transfer_id="tr_1")
    for name in ("a", "b"):
        reversal = f"trr_{name}_{job}"
        back = await earnings.record_transfer_reversal(
            worker, job, 300, key=transfer_reversal_key(reversal), stripe_reversal_id=reversal
        )
        taken = await earnings.reverse(worker, job, 300, key=reversal_key(job, name), reason="dispute")
        assert not back.replayed
        assert not taken.replayed
    balance = await earnings.balance(worker)
    assert (balance.payable, balance.paid, balance.debt) == (0, 400, 0)


async def test_mercur_a_job_can_be_paid_more_than_once(database: Database) -> None:
    """The payout's key was the order's id: a partial payout or a further one was impossible."""
    earnings, worker, job = Earnings(database), client(), client()
    for number in (1, 2):
        await earnings.accrue(worker, job, 500, key=accrue_key(job, number))
        sent = await earnings.record_transfer(
            worker, job, 500, key=transfer_key(job, number), stripe_transfer_id=f"tr_{number}"
        )
        assert (sent.paid, sent.replayed) == (500 * number, False)


async def test_lago_5947_a_payment_that_fails_after_its_credits_are_spent_is_a_debt(
    database: Database,
) -> None:
    """Credits were granted and spent, the payment failed later, and nothing but a signal said so."""
    credits_, owner = await funded(database)
    await credits_.hold(owner, owner, PLAN, key=hold_key(owner))
    await credits_.resolve(owner, hold_key(owner), post=PLAN, release=0, key=complete_key(owner))
    back = await credits_.claw_back(
        owner,
        invoice_grant_key(f"in_{owner}"),
        PLAN,
        key=clawback_key(f"ch_{owner}"),
        reason="payment failed",
    )
    assert back.debt == PLAN
    assert (await credits_.hold(owner, "j2", 1, key=hold_key(f"{owner}-2"))).outcome == "in_debt"


async def test_formance_a_transaction_is_reverted_once(database: Database) -> None:
    """Reverting again is an error of its own, under any key."""
    credits_, owner = await funded(database)
    await credits_.hold(owner, owner, 100, key=hold_key(owner))
    await credits_.resolve(owner, hold_key(owner), post=100, release=0, key=complete_key(owner))
    await credits_.refund(owner, complete_key(owner), 100, key=refund_key(owner, "a"), reason="ruling")
    with pytest.raises(CorrectionExceeded):
        await credits_.refund(owner, complete_key(owner), 100, key=refund_key(owner, "b"), reason="ruling")


async def test_stripe_keys_are_pruned_after_a_day_and_ours_never(database: Database) -> None:
    """A request repeated after Stripe forgot its key did its work again; our keys have no age."""
    credits_, owner = await funded(database)
    key = invoice_grant_key(f"in_{owner}")
    for number in range(200):
        await credits_.grant(owner, 1, key=f"later:{owner}:{number}", source="test")
    again = await Credits(database).grant(owner, PLAN, key=key, source="plan")
    assert (again.replayed, again.available) == (True, PLAN)
    with pytest.raises(IdempotencyKeyReused):
        await Credits(database).grant(owner, PLAN + 1, key=key, source="plan")
    indexes = await database["transactions"].index_information()
    assert not any("expireAfterSeconds" in index for index in indexes.values())


async def test_after_all_of_that_the_books_are_sound(database: Database) -> None:
    assert await verify(database) == []
