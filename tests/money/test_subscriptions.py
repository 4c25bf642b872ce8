"""Tiers and subscriptions: the calendar, the first period's grant, the cache of credits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from beanie import init_beanie

from app.documents import utcnow
from app.money.credits import Credits
from app.money.keys import hold_key
from app.subscriptions.errors import AlreadySubscribedError, SubscriptionNotFoundError
from app.subscriptions.models import DOCUMENTS, CachedCredits, Subscription, SubscriptionStatus
from app.subscriptions.packs import PACKS, Pack, PackName
from app.subscriptions.store import (
    create_subscription,
    find_subscription,
    get_subscription,
    grant_pack,
    open_subscription,
    refresh_credits_cache,
)
from app.subscriptions.tiers import TIERS, TierName, add_months, lot_expiry, period_end
from tests.money.support import Database, client

STARTER, GROWTH, SCALE = (TIERS[name] for name in TierName)


def day(month: int, number: int, year: int = 2027) -> datetime:
    return datetime(year, month, number, 9, 30, tzinfo=UTC)


@pytest_asyncio.fixture
async def credits_(database: Database) -> Credits:
    await init_beanie(database=database, document_models=DOCUMENTS)
    return Credits(database)


def test_a_larger_tier_makes_a_credit_and_an_hour_cheaper() -> None:
    for smaller, larger in ((STARTER, GROWTH), (GROWTH, SCALE)):
        assert (
            smaller.price_cents * larger.credits_per_period > larger.price_cents * smaller.credits_per_period
        )
        assert smaller.rate > larger.rate
        assert smaller.rollover_periods <= larger.rollover_periods


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        (day(1, 31), 1, day(2, 28)),
        (day(1, 31, 2028), 1, day(2, 29, 2028)),
        (day(1, 31), 2, day(3, 31)),
        (day(12, 15), 1, day(1, 15, 2028)),
        (day(11, 30), 15, day(2, 28, 2029)),
    ],
)
def test_months_end_on_their_last_day(start: datetime, months: int, expected: datetime) -> None:
    assert add_months(start, months) == expected


def test_credits_outlive_their_period_by_what_the_tier_rolls_over() -> None:
    anchor = day(1, 31)
    assert lot_expiry(STARTER, anchor) == period_end(anchor) == day(2, 28)
    assert lot_expiry(GROWTH, anchor) == day(3, 31)
    assert lot_expiry(SCALE, anchor, 2) == day(5, 31)


@pytest.mark.parametrize("pack", PACKS.values())
def test_a_pack_costs_more_than_a_tier_by_the_credit_and_outlives_every_lot_of_one(pack: Pack) -> None:
    for tier in TIERS.values():
        assert pack.price_cents * tier.credits_per_period > tier.price_cents * pack.credits
        assert pack.expires_at(day(1, 31)) > lot_expiry(tier, day(1, 31))


async def test_a_pack_is_granted_once_a_payment_and_burns_after_the_tiers_credits(credits_: Credits) -> None:
    owner, start, pack = client(), utcnow(), PACKS[PackName.SMALL]
    await open_subscription(credits_, owner, TierName.STARTER, starts_at=start)
    bought: dict[str, Any] = {"payment_id": f"pi_{owner}", "bought_at": start, "paid_cents": pack.price_cents}
    first = await grant_pack(credits_, owner, pack, **bought)
    again = await grant_pack(credits_, owner, pack, **bought)
    assert again == first.model_copy(update={"replayed": True})
    assert (await get_subscription(owner)).credits.available == 1500
    lots = (await credits_.balance(owner)).lots
    assert [(lot.source.partition(":")[0], lot.expires_at) for lot in lots] == [
        ("subscription", period_end(start)),
        ("top-up", add_months(start, 12)),
    ]


async def test_opening_grants_the_first_period_once(credits_: Credits) -> None:
    owner, start = client(), utcnow()
    opened = await open_subscription(credits_, owner, TierName.GROWTH, starts_at=start)
    assert (opened.user_id, opened.tier, opened.status) == (owner, "growth", SubscriptionStatus.ACTIVE)
    assert (opened.current_period_start, opened.current_period_end) == (start, period_end(start))
    assert opened.credits == CachedCredits(available=3000, held=0)
    again = await open_subscription(credits_, owner, TierName.GROWTH)
    assert again == opened
    balance = await credits_.balance(owner)
    assert balance.available == 3000
    assert [lot.expires_at for lot in balance.lots] == [period_end(start, 2)]
    assert balance.lots[0].source == f"subscription:growth:{start.date()}"


async def test_many_openings_at_once_make_one_subscription_and_one_grant(
    database: Database, credits_: Credits
) -> None:
    owner = client()
    await asyncio.gather(*(open_subscription(Credits(database), owner, TierName.STARTER) for _ in range(8)))
    assert await Subscription.find({"userId": owner}).count() == 1
    assert (await credits_.balance(owner)).available == 1000


async def test_a_crash_before_the_grant_is_mended_by_a_repeat(credits_: Credits) -> None:
    owner = client()
    await create_subscription(owner, TierName.SCALE)
    assert (await credits_.balance(owner)).available == 0
    assert (await open_subscription(credits_, owner, TierName.SCALE)).credits.available == 8000


async def test_another_tier_is_refused_and_grants_nothing(credits_: Credits) -> None:
    owner = client()
    await open_subscription(credits_, owner, TierName.STARTER)
    with pytest.raises(AlreadySubscribedError):
        await open_subscription(credits_, owner, TierName.SCALE)
    assert (await credits_.balance(owner)).available == 1000


async def test_a_client_without_a_subscription(credits_: Credits) -> None:
    owner = client()
    assert await find_subscription(owner) is None
    with pytest.raises(SubscriptionNotFoundError):
        await get_subscription(owner)
    await refresh_credits_cache(credits_, owner)
    assert await find_subscription(owner) is None


async def test_the_cache_is_rebuilt_from_the_journal_and_decides_nothing(
    database: Database, credits_: Credits
) -> None:
    owner = client()
    await open_subscription(credits_, owner, TierName.STARTER)
    await database["subscriptions"].update_one({"userId": owner}, {"$set": {"credits.available": 999_999}})
    refused = await credits_.hold(owner, "j", 1001, key=hold_key(owner))
    assert (refused.outcome, refused.available) == ("insufficient", 1000)
    await credits_.hold(owner, "j", 400, key=hold_key(owner))
    await refresh_credits_cache(credits_, owner)
    assert (await get_subscription(owner)).credits == CachedCredits(available=600, held=400)
    stored = await database["subscriptions"].find_one({"userId": owner})
    assert stored is not None
    assert stored["credits"] == {"available": 600, "held": 400}
    assert stored["currentPeriodEnd"] > stored["currentPeriodStart"]
