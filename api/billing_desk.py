"""What clients pay, at the door: the desks as dependencies, what admins did as a view, and how the books follow."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import Depends
from temporalio.service import RPCError

from api.dependencies import OpenResourcesDep
from api.state import Resources
from api.types import EntityId, ResponseModel
from app.subscriptions.acts import ActKind, ActOutcome, BillingAct
from app.subscriptions.chargebacks import ChargebackDesk
from app.subscriptions.desk import SubscriptionDesk
from app.subscriptions.refunds import RefundDesk
from workflows.billing import hand_to_client

_log = structlog.stdlib.get_logger(__name__)


class BillingActView(ResponseModel):
    """What an admin did about a payment or a dispute, why, and what Stripe said to it."""

    kind: ActKind
    admin_id: EntityId
    reason: str
    at: datetime
    amount_usd_cents: int | None
    beyond_policy: bool
    fields: list[str]
    outcome: ActOutcome
    stripe_id: str | None
    stripe_code: str | None

    @classmethod
    def of(cls, act: BillingAct) -> BillingActView:
        """An act as it is kept."""
        return cls(
            kind=act.kind,
            admin_id=act.admin_id,
            reason=act.reason,
            at=act.at,
            amount_usd_cents=act.amount_usd_cents,
            beyond_policy=act.beyond_policy,
            fields=act.fields,
            outcome=act.outcome,
            stripe_id=act.stripe_id,
            stripe_code=act.stripe_code,
        )


async def have_books_follow(resources: Resources, client_id: str) -> None:
    """Have the client's subscription look at Stripe now; if Temporal is away, Stripe's own event will do it."""
    try:
        await hand_to_client(resources.temporal, resources.settings, client_id, None)
    except (RPCError, RuntimeError) as error:  # RuntimeError: not connected since the start
        _log.warning("subscription_not_told", fault=type(error).__name__)


def _subscriptions(resources: OpenResourcesDep) -> SubscriptionDesk:
    return SubscriptionDesk(
        resources.database,
        resources.billing,
        resources.credits,
        portal_url=resources.settings.portal_url,
    )


def _refunds(resources: OpenResourcesDep) -> RefundDesk:
    return RefundDesk(
        resources.database,
        resources.billing,
        resources.credits,
        window_days=resources.settings.refund_window_days,
    )


def _chargebacks(resources: OpenResourcesDep) -> ChargebackDesk:
    return ChargebackDesk(
        resources.database, resources.billing, window_days=resources.settings.refund_window_days
    )


SubscriptionDeskDep = Annotated[SubscriptionDesk, Depends(_subscriptions)]
RefundDeskDep = Annotated[RefundDesk, Depends(_refunds)]
ChargebackDeskDep = Annotated[ChargebackDesk, Depends(_chargebacks)]
