"""The collections `outbox`, `notifications` and `mail_deliveries`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.documents import CamelDocument
from app.notifications.notices import Context

# How long a record that a mail went out is kept; a repeat of the fact after that would be mailed again.
MAIL_DELIVERY_DAYS = 60


class OutboxRow(CamelDocument):
    """A fact not yet delivered. Delivered rows leave the collection; rows given up on stay, with `deadAt`."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the writer's key in place of an ObjectId
    kind: str
    template: str
    user_id: str | None = None
    to: str | None = Field(default=None, repr=False)
    job_id: str | None = None
    correlation_id: str | None = None
    context: Context = Field(default_factory=dict, repr=False)
    created_at: datetime
    attempts: int = 0
    not_before: datetime
    lease_until: datetime
    lease_owner: str | None = None
    last_error: str | None = None
    dead_at: datetime | None = None

    class Settings:
        name = "outbox"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("deadAt", ASCENDING), ("notBefore", ASCENDING), ("leaseUntil", ASCENDING)]),
        ]


class Notification(CamelDocument):
    """One message in a person's inbox. Its id is the outbox key, which makes it appear exactly once."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the outbox key in place of an ObjectId
    user_id: str
    job_id: str | None = None
    type: str
    title: str
    message: str
    read: bool = False
    read_at: datetime | None = None
    created_at: datetime

    class Settings:
        name = "notifications"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("userId", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("userId", ASCENDING), ("read", ASCENDING)]),
        ]


class MailDelivery(CamelDocument):
    """That the mail of an outbox key was accepted by the mail server, and when. No address, no content."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the outbox key in place of an ObjectId
    sent_at: datetime

    class Settings:
        name = "mail_deliveries"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("sentAt", ASCENDING)], expireAfterSeconds=MAIL_DELIVERY_DAYS * 24 * 3600),
        ]


DOCUMENTS: list[type[Document]] = [OutboxRow, Notification, MailDelivery]

Row = dict[str, Any]
