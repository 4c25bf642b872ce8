"""Reads and writes of `subscriptions`. Credits are the journal's; what is kept here of them is a cache."""

from __future__ import annotations

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.money.credits import CreditBalance, Credits, GrantOutcome
from app.money.keys import period_grant_key, top_up_key
from app.subscriptions.errors import (
    AlreadySubscribedError,
    SubscriptionEndedError,
    SubscriptionNotFoundError,
)
from app.subscriptions.models import Subscription, SubscriptionStatus
from app.subscriptions.packs import Pack
from app.subscriptions.tiers import TierName, lot_expiry, period_end


async def get_subscription(user_id: str) -> Subscription:
    """A client's subscription.

    Raises:
        SubscriptionNotFoundError: the client has none.
    """
    subscription = await find_subscription(user_id)
    if subscription is None:
        raise SubscriptionNotFoundError
    return subscription


async def get_standing_subscription(user_id: str) -> Subscription:
    """A client's subscription, under which new work may begin.

    Raises:
        SubscriptionNotFoundError: the client has none.
        SubscriptionEndedError: it has ended.
    """
    subscription = await get_subscription(user_id)
    if subscription.status is SubscriptionStatus.CANCELED:
        raise SubscriptionEndedError
    return subscription


async def find_subscription(user_id: str) -> Subscription | None:
    """A client's subscription, if there is one."""
    return await Subscription.find_one({"userId": user_id})


async def create_subscription(
    user_id: str, tier: TierName, *, starts_at: datetime | None = None
) -> Subscription:
    """Subscribe a client; asked again, returns the subscription that stands.

    Raises:
        AlreadySubscribedError: it stands on another tier.
    """
    start = starts_at or utcnow()
    subscription = Subscription(
        user_id=user_id, tier=tier, current_period_start=start, current_period_end=period_end(start)
    )
    try:
        await subscription.insert()
    except DuplicateKeyError:
        subscription = await get_subscription(user_id)
    if subscription.tier is not tier:
        raise AlreadySubscribedError(subscription.tier)
    return subscription


async def open_subscription(
    credits_: Credits, user_id: str, tier: TierName, *, starts_at: datetime | None = None
) -> Subscription:
    """Subscribe a client and grant the first period's credits, by seed or by an admin.

    Every step is repeatable: a repeat after a crash finishes what is missing and grants nothing twice.

    Raises:
        AlreadySubscribedError: the client is on another tier.
    """
    subscription = await create_subscription(user_id, tier, starts_at=starts_at)
    await grant_period(credits_, subscription)
    await refresh_credits_cache(credits_, user_id)
    return await get_subscription(user_id)


async def grant_period(credits_: Credits, subscription: Subscription) -> None:
    """Grant the credits of the subscription's current period, once."""
    period = subscription.current_period_start.date().isoformat()
    await credits_.grant(
        subscription.user_id,
        subscription.plan.credits_per_period,
        key=period_grant_key(subscription.id, period),
        source=f"subscription:{subscription.tier}:{period}",
        expires_at=lot_expiry(subscription.plan, subscription.current_period_start),
        subscription_id=subscription.id,
    )


async def grant_pack(
    credits_: Credits, user_id: str, pack: Pack, *, payment_id: str, bought_at: datetime, paid_cents: int
) -> GrantOutcome:
    """Grant the credits of a pack that one payment bought, once. `paid_cents` is what was paid, in USD cents.

    `bought_at` is when the payment was made, not when we heard of it: a repeat must ask for the same lot.
    """
    outcome = await credits_.grant(
        user_id,
        pack.credits,
        key=top_up_key(payment_id),
        source=f"top-up:{pack.name}",
        expires_at=pack.expires_at(bought_at),
        paid_cents=paid_cents,
    )
    await refresh_credits_cache(credits_, user_id)
    return outcome


async def refresh_credits_cache(credits_: Credits, user_id: str) -> CreditBalance:
    """Copy the client's balances from the journal to the subscription; returns them.

    Two refreshes at once may leave the older copy until the next one: it is a cache, and the journal is asked
    wherever it matters.
    """
    balance = await credits_.balance(user_id)
    await Subscription.get_pymongo_collection().update_one(
        {"userId": user_id},
        {"$set": {"credits": {"available": balance.available, "held": balance.held}}},
    )
    return balance
