"""What a state change says to whom: pure models, safe inside workflow payloads.

They carry ids, numbers and times only. Names, e-mail addresses and job titles are looked up when a notice is
delivered, so no history and no payload holds personal data.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NoticeType = Literal[
    "job.offer",
    "job.offer_expired",
    "job.assigned",
    "job.started",
    "job.submitted",
    "job.revision_requested",
    "job.completed",
    "job.clarification",
    "job.price_proposed",
    "job.revision_quoted",
    "job.review_reminder",
    "job.due_reminder",
    "job.overdue",
    "job.deadline_moved",
    "job.worker_left",
    "job.withdrawn",
    "job.offer_withdrawn",
    "job.dispute_opened",
    "job.dispute_reminder",
    "job.dispute_closed",
    "job.rescue",
    "job.rescue_reminder",
    "job.quote",
    "job.insufficient_credits",
    "job.cancelled",
    "payout.sent",
    "payout.held",
    "payout.not_due",
    "payout.bank_sent",
    "payout.bank_failed",
    "ledger.differences",
    "review.invited",
    "review.revealed",
    "time.idle_stopped",
    "subscription.credits_granted",
    "subscription.credits_taken_back",
    "subscription.ending",
    "subscription.ended",
    "subscription.payment_failed",
    "subscription.payment_reminder",
    "subscription.suspended",
    "billing.fault",
    "billing.disputed",
    "billing.webhooks",
]
MailType = Literal["auth.verify_email", "auth.already_registered"]

# Small values only. Money is an integer (`..._credits` in hundredths of a credit, `..._usd_cents` in cents),
# a time is a datetime or its ISO 8601 form. `app.notifications.catalogue` says what each type reads.
Context = dict[str, Any]

_KEY = r"^[A-Za-z0-9][A-Za-z0-9:_-]{0,199}$"
OutboxKey = Annotated[str, StringConstraints(pattern=_KEY)]


class Notice(BaseModel):
    """One in-app notification with its mail, for one person, or for every admin when `user_id` is None.

    What it says depends on the person's role, which is read when it is delivered.
    """

    model_config = ConfigDict(frozen=True)

    type: NoticeType
    user_id: str | None = None
    job_id: str | None = None
    context: Context = Field(default_factory=dict)


class OutboxEntry(BaseModel):
    """A fact to be delivered. The key is the business act's, so writing it again changes nothing."""

    model_config = ConfigDict(frozen=True)

    key: OutboxKey
    kind: Literal["notice", "mail"]
    template: NoticeType | MailType
    user_id: str | None = None
    to: str | None = Field(default=None, repr=False)
    job_id: str | None = None
    correlation_id: str | None = None
    context: Context = Field(default_factory=dict, repr=False)
    created_at: datetime | None = None

    @classmethod
    def of(
        cls,
        notice: Notice,
        *,
        key: str,
        created_at: datetime | None = None,
        correlation_id: str | None = None,
    ) -> OutboxEntry:
        """The outbox entry of a notice; `created_at` is when the fact happened (now, if absent)."""
        return cls(
            key=key,
            kind="notice",
            template=notice.type,
            user_id=notice.user_id,
            job_id=notice.job_id,
            context=notice.context,
            created_at=created_at,
            correlation_id=correlation_id,
        )


def is_outbox_key(key: str) -> bool:
    """Whether the key may name an outbox row, a notification and a Message-ID."""
    return re.match(_KEY, key) is not None
