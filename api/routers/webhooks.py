"""Where Stripe tells what happened: kept once, handed to Temporal, and only then answered with 200.

Any other answer makes Stripe send it again, for three days. Nothing is worked on here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from api.dependencies import ResourcesDep
from api.openapi import problems
from api.state import Resources
from api.types import ResponseModel
from app.errors import NotFoundError
from app.webhooks.models import EventFacts, EventStatus, WebhookEndpoint, facts_of
from app.webhooks.signature import live, verify
from workflows.billing import receive

router = APIRouter(prefix="/payments/webhooks", tags=["webhooks"])
_log = structlog.stdlib.get_logger(__name__)

_PROBLEMS = problems(
    "webhook-signature-invalid",
    "malformed-request",
    "not-found",
    "request-too-large",
    "unsupported-media-type",
    "outcome-unknown",
)


class TakenIn(ResponseModel):
    """What became of the event so far."""

    status: EventStatus


@router.post("/stripe", responses=_PROBLEMS)
async def stripe(request: Request, resources: ResourcesDep) -> TakenIn:
    """Events of the platform's own account: checkouts, invoices, subscriptions, refunds, disputes."""
    settings = resources.settings
    secrets = live(settings.stripe_webhook_secret, settings.stripe_webhook_secret_previous)
    return await _take_in(request, resources, WebhookEndpoint.PLATFORM, secrets)


@router.post("/stripe-connect", responses=_PROBLEMS)
async def stripe_connect(request: Request, resources: ResourcesDep) -> TakenIn:
    """Events of workers' connected accounts. They have a secret of their own."""
    settings = resources.settings
    secrets = live(settings.stripe_connect_webhook_secret, settings.stripe_connect_webhook_secret_previous)
    return await _take_in(request, resources, WebhookEndpoint.CONNECT, secrets)


async def _take_in(
    request: Request, resources: Resources, endpoint: WebhookEndpoint, secrets: tuple[str, ...]
) -> TakenIn:
    if not secrets:
        raise NotFoundError("There is nothing at this path.")
    body = await request.body()
    verify(body, request.headers.get("Stripe-Signature"), secrets)
    facts = _facts(body)
    status, _ = await receive(resources.temporal, resources.settings, resources.database, facts, endpoint)
    _log.info("webhook", event_id=facts.id, type=facts.type, endpoint=endpoint.value, status=status.value)
    return TakenIn(status=status)


def _facts(body: bytes) -> EventFacts:
    """The ids in a signed body.

    Raises:
        HTTPException: it is not an event.
    """
    try:
        event: dict[str, Any] = dict(orjson.loads(body))
        account = event.get("account")
        return facts_of(
            str(event["id"]),
            str(event["type"]),
            datetime.fromtimestamp(int(event["created"]), UTC),
            str(account) if account else None,
            dict(event["data"]["object"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise HTTPException(400) from error
