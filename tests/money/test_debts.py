"""Credits taken back after they were granted, and after they were spent: debts, and who pays them."""

from __future__ import annotations

import asyncio

import pytest

from app.documents import utcnow
from app.money.credits import Credits
from app.money.drafts import HoldCredits, draft
from app.money.errors import AccountInDebt, IdempotencyKeyReused, UnknownTransaction
from app.money.journal import Journal
from app.money.keys import (
    clawback_key,
    complete_key,
    hold_key,
    invoice_grant_key,
    refund_key,
    reinstated_key,
    release_key,
)
from app.money.verify import verify
from tests.money.support import Database, client

REASON = "chargeback"


async def bought(database: Database, amount: int = 100) -> tuple[Credits, str, str]:
    """A client who paid one invoice; the key of its grant."""
    credits_, owner = Credits(database), client()
    key = invoice_grant_key(f"in_{owner}")
    await credits_.grant(owner, amount, key=key, source="plan", paid_cents=24_900)
    return credits_, owner, key


async def spend(credits_: Credits, owner: str, amount: int) -> str:
    await credits_.hold(owner, owner, amount, key=hold_key(owner))
    await credits_.resolve(owner, hold_key(owner), post=amount, release=0, key=complete_key(owner))
    return complete_key(owner)


async def legs(database: Database, key: str) -> dict[str, int]:
    row = await Journal(database).find(key)
    assert row is not None
    return {leg.account: leg.amount for leg in row.legs}


async def test_what_is_available_is_taken_back_and_the_rest_is_a_debt(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await spend(credits_, owner, 30)
    await credits_.grant(owner, 500, key=f"other:{owner}", source="goodwill")
    key = clawback_key(f"re_{owner}")
    back = await credits_.claw_back(
        owner, grant, 100, key=key, reason=REASON, returned_cents=24_900, stripe_refund_id=f"re_{owner}"
    )
    assert (back.amount, back.taken, back.debt_incurred, back.debt) == (100, 70, 30, 30)
    assert back.available == 500  # of another source, and not touched
    assert await legs(database, key) == {
        f"client:{owner}:available": -70,
        "platform:credits_clawed_back": 70,
        f"client:{owner}:debt": 30,
        "platform:client_debt": -30,
        "platform:stripe_clearing": -24_900,
        "platform:revenue": 24_900,
    }
    again = await Credits(database).claw_back(
        owner, grant, 100, key=key, reason=REASON, returned_cents=24_900, stripe_refund_id=f"re_{owner}"
    )
    assert again == back.model_copy(update={"replayed": True})
    with pytest.raises(IdempotencyKeyReused):
        await credits_.claw_back(owner, grant, 99, key=key, reason=REASON)


async def test_nothing_is_held_while_there_is_a_debt(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await spend(credits_, owner, 100)
    await credits_.grant(owner, 500, key=f"other:{owner}", source="goodwill")
    await credits_.claw_back(owner, grant, 100, key=clawback_key(owner), reason=REASON)
    key = hold_key(f"{owner}-2")
    refused = await credits_.hold(owner, "j2", 10, key=key)
    assert (refused.outcome, refused.available, refused.debt) == ("in_debt", 0, 100)
    act = draft(HoldCredits, key=key, client_id=owner, job_id="j2", amount=10)
    with pytest.raises(AccountInDebt) as refusal:
        await Journal(database).post(act)
    assert (refusal.value.debt, refusal.value.code) == (100, "account-in-debt")
    paid = await credits_.grant(owner, 120, key=f"next:{owner}", source="plan")
    assert (paid.debt, paid.debt_paid, paid.available) == (0, 100, 520)
    assert (await credits_.hold(owner, "j2", 10, key=key)).outcome == "held"


async def test_a_hold_made_before_the_debt_is_still_posted(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await credits_.hold(owner, owner, 80, key=hold_key(owner))
    back = await credits_.claw_back(owner, grant, 100, key=clawback_key(owner), reason=REASON)
    assert (back.taken, back.debt, back.held) == (20, 80, 80)
    done = await credits_.resolve(owner, hold_key(owner), post=80, release=0, key=complete_key(owner))
    assert (done.posted, done.held, done.debt_paid) == (80, 0, 0)
    assert (await credits_.balance(owner)).debt == 80


async def test_what_a_hold_gives_back_pays_the_debt(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await credits_.hold(owner, owner, 80, key=hold_key(owner))
    await credits_.claw_back(owner, grant, 100, key=clawback_key(owner), reason=REASON)
    done = await credits_.resolve(owner, hold_key(owner), post=30, release=50, key=complete_key(owner))
    assert (done.released, done.debt_paid, done.available) == (50, 50, 0)
    assert (await credits_.balance(owner)).debt == 30


async def test_a_refund_of_a_spend_pays_the_debt(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    spent = await spend(credits_, owner, 100)
    await credits_.claw_back(owner, grant, 100, key=clawback_key(owner), reason=REASON)
    back = await credits_.refund(owner, spent, 60, key=refund_key(owner, "a"), reason="ruling")
    assert (back.amount, back.debt_paid, back.available) == (60, 60, 0)
    assert (await credits_.balance(owner)).debt == 40


async def test_a_dispute_that_is_won_gives_the_credits_back(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await spend(credits_, owner, 40)
    await credits_.claw_back(owner, grant, 100, key=clawback_key(f"dp_{owner}"), reason=REASON)
    won = await credits_.grant(owner, 100, key=reinstated_key(f"dp_{owner}"), source="plan")
    assert (won.debt_paid, won.debt, won.available) == (40, 0, 60)


async def test_several_clawbacks_never_take_more_than_was_granted(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await credits_.claw_back(owner, grant, 60, key=clawback_key(f"a{owner}"), reason=REASON)
    rest = await credits_.claw_back(owner, grant, 60, key=clawback_key(f"b{owner}"), reason=REASON)
    assert (rest.amount, rest.debt) == (40, 0)
    none = await credits_.claw_back(owner, grant, 60, key=clawback_key(f"c{owner}"), reason=REASON)
    assert (none.transaction_id, none.amount, none.debt) == (None, 0, 0)
    dollars = clawback_key(f"d{owner}")
    for _ in range(2):  # money that went back is booked also when there is nothing to take
        paid = await credits_.claw_back(owner, grant, 60, key=dollars, reason=REASON, returned_cents=900)
        assert (paid.amount, paid.taken, paid.debt_incurred, paid.debt) == (0, 0, 0, 0)
    assert await legs(database, dollars) == {"platform:stripe_clearing": -900, "platform:revenue": 900}
    assert await verify(database) == []
    for key in (f"other:{owner}", "invoice:in_none"):
        with pytest.raises(UnknownTransaction):
            await credits_.claw_back(owner, key, 1, key=clawback_key(f"e{owner}"), reason=REASON)


async def test_what_had_expired_is_not_owed(database: Database) -> None:
    credits_, owner = Credits(database), client()
    grant = invoice_grant_key(f"in_{owner}")
    await credits_.grant(owner, 100, key=grant, source="plan", expires_at=utcnow())
    assert [outcome.amount for outcome in await credits_.expire(owner)] == [100]
    back = await credits_.claw_back(owner, grant, 100, key=clawback_key(owner), reason=REASON)
    assert (back.transaction_id, back.debt) == (None, 0)


async def test_20_racing_clawbacks_of_one_grant(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    await spend(credits_, owner, 50)
    facades = [credits_, *(Credits(database) for _ in range(4))]
    outcomes = await asyncio.gather(
        *(
            facades[n % 5].claw_back(owner, grant, 30, key=clawback_key(f"{n}{owner}"), reason=REASON)
            for n in range(20)
        )
    )
    assert sorted(outcome.amount for outcome in outcomes) == [0] * 16 + [10, 30, 30, 30]
    balance = await credits_.balance(owner)
    assert (balance.available, balance.debt) == (0, 50)


async def test_a_client_without_debt_is_stored_as_always(database: Database) -> None:
    credits_, owner, grant = await bought(database)
    rows = database["transactions"]
    row = await rows.find_one({"key": grant})
    assert row is not None
    assert set(row["balances"]) == {"available", "held", "lots"}
    await credits_.hold(owner, owner, 80, key=hold_key(owner))
    await credits_.claw_back(owner, grant, 100, key=clawback_key(owner), reason=REASON)
    await credits_.resolve(owner, hold_key(owner), post=0, release=80, key=release_key(owner))
    row = await rows.find_one({"key": release_key(owner)})
    assert row is not None
    assert set(row["balances"]) == {"available", "held", "lots"}  # the debt is paid


async def test_after_all_of_that_the_books_are_sound(database: Database) -> None:
    assert await verify(database) == []
