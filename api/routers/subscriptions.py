"""Subscriptions: the tiers, subscribing on Stripe's page, changing, leaving, packs of credits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from fastapi import APIRouter
from pydantic import ConfigDict
from starlette.responses import Response

from api.billing_desk import SubscriptionDeskDep, have_books_follow
from api.dependencies import CreditsDep, OpenResourcesDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.security import ClientOnly
from api.state import Resources
from api.types import CreditsOut, EntityId, RequestModel, ResponseModel
from app.gateways.billing import CheckoutSession
from app.subscriptions.desk import Changed
from app.subscriptions.models import Subscription, SubscriptionStatus
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.store import get_subscription
from app.subscriptions.tiers import TIERS, TierName

router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])
as_drawn = APIRouter(prefix="/subs", tags=["subs"])


class TierView(ResponseModel):
    """What a tier costs each month and gives for it. `rolloverPeriods`: how much longer unused credits last."""

    name: TierName
    price_usd_cents: int
    credits: CreditsOut
    credits_per_hour: CreditsOut
    rollover_periods: int


class PackView(ResponseModel):
    """A pack of credits, and for how many months they can be spent."""

    name: PackName
    price_usd_cents: int
    credits: CreditsOut
    lifetime_months: int


class Tiers(ResponseModel):
    """All that is sold."""

    tiers: list[TierView]
    packs: list[PackView]


class TierBody(RequestModel):
    """A tier by its name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tier": "growth"}]})
    tier: TierName


class PackBody(RequestModel):
    """A pack by its name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pack": "small"}]})
    pack: PackName


class CheckoutView(ResponseModel):
    """A page of Stripe's to pay on, until it expires. Nothing is bought before it is paid."""

    session_id: str
    url: str
    expires_at: datetime


class Next(StrEnum):
    """What happens next by itself."""

    RENEWS = "renews"
    ENDS = "ends"
    ENDS_UNLESS_PAID = "ends_unless_paid"
    NOTHING = "nothing"


class LotView(ResponseModel):
    """Credits of one grant that are left. The first lot is spent first."""

    amount: CreditsOut
    source: str
    expires_at: datetime | None


class SubscriptionView(ResponseModel):
    """A client's subscription. `debt`: credits that were spent before their payment was taken back."""

    id: EntityId
    tier: TierName
    status: SubscriptionStatus
    current_period_start: datetime
    current_period_end: datetime
    cancel_at_period_end: bool
    next: Next
    next_at: datetime | None
    past_due_since: datetime | None
    available: CreditsOut
    held: CreditsOut
    debt: CreditsOut
    lots: list[LotView]


class ChangedView(ResponseModel):
    """A subscription right after an act. Credits follow in a moment, when Stripe says that they are paid."""

    tier: TierName
    status: str
    current_period_end: datetime
    cancel_at_period_end: bool


class PortalView(ResponseModel):
    """Stripe's portal for this client; the link works for a short time."""

    url: str


_ACT = (*AUTHENTICATED, *CREATING, "wrong-role")
_SUBSCRIBE = problems(*_ACT, *WITH_BODY, "already-subscribed")


@router.get("/tiers", responses=problems())
async def tiers() -> Tiers:
    """The tiers and the packs, with their prices."""
    return Tiers(
        tiers=[
            TierView(
                name=tier.name,
                price_usd_cents=tier.price_cents,
                credits=tier.credits_per_period,
                credits_per_hour=tier.rate,
                rollover_periods=tier.rollover_periods,
            )
            for tier in TIERS.values()
        ],
        packs=[
            PackView(
                name=pack.name,
                price_usd_cents=pack.price_cents,
                credits=pack.credits,
                lifetime_months=pack.lifetime_months,
            )
            for pack in PACKS.values()
        ],
    )


@as_drawn.post("", status_code=201, response_model=CheckoutView, responses=_SUBSCRIBE)
@router.post("", status_code=201, response_model=CheckoutView, responses=_SUBSCRIBE)
async def subscribe(
    *,
    body: TierBody,
    principal: ClientOnly,
    desk: SubscriptionDeskDep,
    resources: OpenResourcesDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Open a page of Stripe's on which the tier's first month is paid. Pages opened before expire."""

    async def work(act_id: str) -> CheckoutView:
        user = await resources.users.get(principal.user_id)
        return _checkout(await desk.subscribe(principal.user_id, user.email, body.tier, act_id=act_id))

    return await idempotency.run(principal.user_id, body, work)


@router.get("/me", responses=problems(*AUTHENTICATED, "wrong-role", "subscription-not-found"))
async def me(principal: ClientOnly, credits_: CreditsDep) -> SubscriptionView:
    """One's own subscription: the tier, the period, the credits by lot, and what happens next."""
    subscription = await get_subscription(principal.user_id)
    balance = await credits_.balance(principal.user_id)
    what, at = _next(subscription)
    return SubscriptionView(
        id=subscription.id,
        tier=subscription.tier,
        status=subscription.status,
        current_period_start=subscription.current_period_start,
        current_period_end=subscription.current_period_end,
        cancel_at_period_end=subscription.cancel_at_period_end,
        next=what,
        next_at=at,
        past_due_since=subscription.past_due_since,
        available=balance.available,
        held=balance.held,
        debt=balance.debt,
        lots=[
            LotView(amount=lot.amount, source=lot.source.partition(":")[0], expires_at=lot.expires_at)
            for lot in balance.lots
        ],
    )


@router.post(
    "/me/change",
    response_model=ChangedView,
    responses=problems(
        *_ACT,
        *WITH_BODY,
        "subscription-not-found",
        "subscription-unpaid",
        "downgrade-below-held",
        "payment-declined",
    ),
)
async def change(
    *,
    body: TierBody,
    principal: ClientOnly,
    desk: SubscriptionDeskDep,
    resources: OpenResourcesDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Move to another tier now. The difference for the rest of the month is charged, or credited, at once.

    A smaller tier takes back the difference in credits; if they are spent or held for jobs, it is refused.
    """

    async def work(act_id: str) -> ChangedView:
        changed = await desk.change(principal.user_id, body.tier, act_id=act_id)
        return await _told(resources, principal.user_id, changed)

    return await idempotency.run(principal.user_id, body, work, status=200)


@router.post("/me/cancel", response_model=ChangedView, responses=problems(*_ACT, "subscription-not-found"))
async def cancel(
    principal: ClientOnly, desk: SubscriptionDeskDep, resources: OpenResourcesDep, idempotency: IdempotencyDep
) -> Response:
    """End the subscription with its period. Until then it can be resumed."""

    async def work(act_id: str) -> ChangedView:
        changed = await desk.cancel(principal.user_id, act_id=act_id)
        return await _told(resources, principal.user_id, changed)

    return await idempotency.run(principal.user_id, None, work, status=200)


@router.post("/me/resume", response_model=ChangedView, responses=problems(*_ACT, "subscription-not-found"))
async def resume(
    principal: ClientOnly, desk: SubscriptionDeskDep, resources: OpenResourcesDep, idempotency: IdempotencyDep
) -> Response:
    """Keep a subscription that was to end with its period."""

    async def work(act_id: str) -> ChangedView:
        changed = await desk.resume(principal.user_id, act_id=act_id)
        return await _told(resources, principal.user_id, changed)

    return await idempotency.run(principal.user_id, None, work, status=200)


@router.post(
    "/me/portal",
    responses=problems(*AUTHENTICATED, "wrong-role", "subscription-not-found", "outcome-unknown"),
)
async def portal(principal: ClientOnly, desk: SubscriptionDeskDep) -> PortalView:
    """A link to Stripe's portal, where cards are changed and missing payments are made."""
    return PortalView(url=await desk.portal(principal.user_id))


@router.post(
    "/top-ups",
    status_code=201,
    response_model=CheckoutView,
    responses=problems(*_ACT, *WITH_BODY, "subscription-not-found", "subscription-ended"),
)
async def top_up(
    *,
    body: PackBody,
    principal: ClientOnly,
    desk: SubscriptionDeskDep,
    resources: OpenResourcesDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Open a page of Stripe's on which a pack of credits is paid."""

    async def work(act_id: str) -> CheckoutView:
        user = await resources.users.get(principal.user_id)
        return _checkout(await desk.top_up(principal.user_id, user.email, body.pack, act_id=act_id))

    return await idempotency.run(principal.user_id, body, work)


async def _told(resources: Resources, client_id: str, changed: Changed) -> ChangedView:
    await have_books_follow(resources, client_id)
    return ChangedView(
        tier=changed.tier,
        status=changed.status,
        current_period_end=changed.period_end,
        cancel_at_period_end=changed.cancel_at_period_end,
    )


def _next(subscription: Subscription) -> tuple[Next, datetime | None]:
    if subscription.status is SubscriptionStatus.CANCELED:
        return Next.NOTHING, None
    if subscription.status is SubscriptionStatus.PAST_DUE:
        return Next.ENDS_UNLESS_PAID, subscription.grace_until
    if subscription.cancel_at_period_end:
        return Next.ENDS, subscription.current_period_end
    return Next.RENEWS, subscription.current_period_end


def _checkout(session: CheckoutSession) -> CheckoutView:
    return CheckoutView(session_id=session.id, url=session.url or "", expires_at=session.expires_at)
