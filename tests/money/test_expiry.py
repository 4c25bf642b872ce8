"""Credits that lapse are booked as breakage, once, and holds that end have a name for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.documents import utcnow
from app.money.credits import Credits, Resolution
from app.money.drafts import ExpireLot, draft
from app.money.errors import InvalidDraft, NothingToExpire, UnknownHold
from app.money.journal import Journal
from app.money.keys import complete_key, expire_hold_key, expiry_key, hold_key, void_key
from app.money.verify import verify
from tests.money.support import Database, client


async def _until(instant_ms: float) -> None:
    await asyncio.sleep(instant_ms / 1000)


async def test_expired_lots_are_booked_as_breakage_and_only_once(database: Database) -> None:
    credits_, owner, now = Credits(database), client(), utcnow()
    await credits_.grant(owner, 100, key=f"a:{owner}", source="january", expires_at=now)
    await credits_.grant(owner, 50, key=f"b:{owner}", source="february", expires_at=now)
    await credits_.grant(owner, 10, key=f"c:{owner}", source="march", expires_at=now + timedelta(days=1))
    outcomes = await credits_.expire(owner)
    assert [(outcome.source, outcome.amount) for outcome in outcomes] == [("january", 100), ("february", 50)]
    assert await credits_.expire(owner) == ()
    balance = await credits_.balance(owner)
    assert (balance.available, balance.expired) == (10, 0)
    row = await Journal(database).find(expiry_key(outcomes[0].lot_id, 1))
    assert row is not None
    assert {leg.account: leg.amount for leg in row.legs} == {
        f"client:{owner}:available": -100,
        "platform:credits_expired": 100,
    }
    assert (row.corrects, row.corrected_total) == (outcomes[0].lot_id, 100)


async def test_a_living_lot_does_not_expire(database: Database) -> None:
    credits_, owner = Credits(database), client()
    grant = await credits_.grant(
        owner, 10, key=f"a:{owner}", source="plan", expires_at=utcnow() + timedelta(days=1)
    )
    for lot_id in (grant.transaction_id, f"client:{owner}:000000000099"):
        act = draft(ExpireLot, key=f"expiry:{lot_id}:1", client_id=owner, lot_id=lot_id)
        with pytest.raises(NothingToExpire):
            await Journal(database).post(act)
    assert await credits_.expire(client()) == ()


async def test_what_a_hold_gives_back_after_its_lot_expired_lapses_too(database: Database) -> None:
    credits_, owner = Credits(database), client()
    soon = utcnow() + timedelta(milliseconds=400)
    await credits_.grant(owner, 100, key=f"a:{owner}", source="plan", expires_at=soon)
    held = await credits_.hold(owner, owner, 60, key=hold_key(owner))
    assert held.outcome == "held"
    await _until(500)
    assert [outcome.amount for outcome in await credits_.expire(owner)] == [40]
    await credits_.resolve(owner, hold_key(owner), post=20, release=40, key=complete_key(owner))
    assert [outcome.amount for outcome in await credits_.expire(owner)] == [40]
    balance = await credits_.balance(owner)
    assert (balance.available, balance.expired, balance.held) == (0, 0, 0)


async def test_racing_runs_book_each_lot_once(database: Database) -> None:
    owner, now = client(), utcnow()
    for number in range(3):
        await Credits(database).grant(owner, 10, key=f"{number}:{owner}", source="plan", expires_at=now)
    runs = await asyncio.gather(*(Credits(database).expire(owner) for _ in range(6)))
    assert len({outcome.transaction_id for run in runs for outcome in run}) == 3
    assert (await Credits(database).balance(owner)).expired == 0


@pytest.mark.parametrize("how", ["void", "expire"])
async def test_a_hold_ends_by_name_and_a_second_resolution_gets_the_first_answer(
    database: Database, how: str
) -> None:
    credits_, owner = Credits(database), client()
    await credits_.grant(owner, 100, key=f"a:{owner}", source="plan")
    await credits_.hold(owner, owner, 60, key=hold_key(owner))

    async def void(facade: Credits) -> Resolution:
        return await facade.void(owner, hold_key(owner), key=void_key(owner))

    async def expire(facade: Credits) -> Resolution:
        return await facade.expire_hold(owner, hold_key(owner), key=expire_hold_key(owner))

    acts = {"void": void, "expire": expire}
    first = await acts.pop(how)(credits_)
    assert (first.ending, first.released, first.posted, first.available, first.held) == (how, 60, 0, 100, 0)
    for other in acts.values():
        second = await other(Credits(database))
        assert second == first.model_copy(update={"already_resolved": True})
    late = await credits_.resolve(owner, hold_key(owner), post=60, release=0, key=complete_key(owner))
    assert late == first.model_copy(update={"already_resolved": True})
    row = await Journal(database).resolution_of(hold_key(owner))
    assert row is not None
    assert (row.ending, row.status, row.amount) == (how, "released", 60)


async def test_only_ones_own_hold_can_be_ended(database: Database) -> None:
    credits_, owner = Credits(database), client()
    await credits_.grant(owner, 100, key=f"a:{owner}", source="plan")
    await credits_.hold(owner, owner, 60, key=hold_key(owner))
    with pytest.raises(UnknownHold):
        await credits_.void(client(), hold_key(owner), key=void_key(owner))
    with pytest.raises(InvalidDraft):
        await credits_.void("a:b", hold_key(owner), key=void_key(owner))


async def test_after_all_of_that_the_books_are_sound(database: Database) -> None:
    assert await verify(database) == []
