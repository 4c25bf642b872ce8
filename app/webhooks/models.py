"""The collection `webhook_events`: every delivery once, by Stripe's event id. No payload is kept, only ids."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.documents import CamelDocument, CamelModel, utcnow


class EventStatus(StrEnum):
    """`handed`: Temporal has it. `handled`: what it may have changed was read and settled."""

    RECEIVED = "received"
    HANDED = "handed"
    HANDLED = "handled"
    IGNORED = "ignored"


class WebhookEndpoint(StrEnum):
    """Where an event comes in: of the platform's own account, or of a worker's connected one."""

    PLATFORM = "stripe"
    CONNECT = "stripe-connect"


class EventFacts(CamelModel):
    """What of an event is needed to find whom it concerns."""

    id: str
    type: str
    created_at: datetime
    account: str | None = None  # the connected account that it happened to
    object_id: str | None = None
    customer_id: str | None = None
    payment_id: str | None = None  # the payment intent or the charge that a refund or a dispute is of
    client_id: str | None = None  # as the object's own metadata says


class WebhookEvent(CamelDocument):
    """One event. Purged when Stripe itself has long forgotten it; the ledger's keys are for ever."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # Stripe's event id
    type: str
    endpoint: str
    facts: EventFacts
    status: EventStatus = EventStatus.RECEIVED
    reason: str | None = None
    deliveries: int = 1
    received_at: datetime = Field(default_factory=utcnow)
    handed_at: datetime | None = None
    handled_at: datetime | None = None
    retries: int = 0  # how often it was handed on again since nothing had come of it

    class Settings:
        name = "webhook_events"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("status", ASCENDING), ("receivedAt", ASCENDING)]),
            IndexModel([("receivedAt", ASCENDING)]),
        ]


class EventPull(CamelDocument):
    """How far events are pulled from Stripe's own list: of the platform, or of one connected account."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # PLATFORM_PULL, or the account's id
    pulled_to: datetime  # whatever happened before is in the inbox
    until: datetime | None = None  # the end of the pull under way, whose pages go back in time from here
    after: str | None = None  # the last event of it that is in the inbox

    class Settings:
        name = "webhook_pulls"


PLATFORM_PULL = "platform"

DOCUMENTS: list[type[Document]] = [WebhookEvent, EventPull]


def facts_of(
    event_id: str, event_type: str, created_at: datetime, account: str | None, found: dict[str, Any]
) -> EventFacts:
    """The facts of an event whose object is `found`, as Stripe sends it."""
    parent = found.get("parent") if isinstance(found.get("parent"), dict) else {}
    details = (parent or {}).get("subscription_details") or {}
    metadata = found.get("metadata") or details.get("metadata") or {}
    is_customer = found.get("object") == "customer"
    return EventFacts(
        id=event_id,
        type=event_type,
        created_at=created_at,
        account=account,
        object_id=_text(found.get("id")),
        customer_id=_text(found.get("id") if is_customer else found.get("customer")),
        payment_id=_text(found.get("payment_intent")) or _text(found.get("charge")),
        client_id=_text(metadata.get("client_id")) if isinstance(metadata, dict) else None,
    )


def _text(value: Any) -> str | None:
    """An id, whether it came alone or inside its object."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None
