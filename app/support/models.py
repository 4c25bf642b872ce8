"""One job's whole story, and what happens next if nobody acts: plain data for those who help people."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from app.camel import CamelModel
from app.lifecycle import Action, Actor


class StoryKind(StrEnum):
    """What an entry tells of."""

    ACT = "act"  # of a person, or of the process at once
    TIMER = "timer"  # that fired
    READING = "reading"
    RANKING = "ranking"
    OFFER = "offer"
    MONEY = "money"
    PAYOUT = "payout"
    FILE = "file"
    TIME = "time"
    EVIDENCE = "evidence"
    RATING = "rating"
    NOTICE = "notice"


class StoryEntry(CamelModel):
    """One thing that happened. `what` is its stable name, `text` says it plainly; no words of mails and notices."""

    at: datetime
    kind: StoryKind
    what: str
    text: str
    actor: Actor | None = None
    actor_id: str | None = None
    seq: int | None = None  # of the job, for what moved it
    credits: int | None = None  # hundredths of a credit
    usd_cents: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Coming(CamelModel):
    """What happens at an instant if nobody acts. An instant in the past is due: it happens as soon as it can."""

    at: datetime
    what: str
    text: str


class Waiting(CamelModel):
    """What the job waits for, as its process says, or as its record does."""

    deadline: datetime | None = None
    deadline_action: Action | None = None
    reminders: list[datetime] = Field(default_factory=list)
    due_at: datetime | None = None
    next_alarm_at: datetime | None = None


class PayoutWait(CamelModel):
    """When a payout that is held is tried again; `number` counts the job's payouts."""

    number: int
    reason: str | None = None
    next_try_at: datetime


class Live(CamelModel):
    """What the processes of a job know that its record does not; nothing of those that have ended."""

    job: Waiting | None = None
    dispute: Waiting | None = None
    payouts: list[PayoutWait] = Field(default_factory=list)
    ratings_close_at: datetime | None = None
