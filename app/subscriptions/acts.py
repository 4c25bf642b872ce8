"""What admins did about clients' payments: each act is written down before Stripe is asked, and kept.

An act's `_id` is `<subject>:<n>`, its place among those of the same payment or dispute. So of two admins who act at
once, one sees what the other did before deciding.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import CamelDocument, utcnow

COLLECTION = "billing_acts"
Database = AsyncDatabase[dict[str, Any]]


class ActKind(StrEnum):
    """What was done."""

    REFUND = "refund"
    EVIDENCE = "evidence"
    CONCEDE = "concede"


class ActOutcome(StrEnum):
    """`asked`: Stripe has not answered yet. `refused`: it said no, and nothing moved."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"


class BillingAct(CamelDocument):
    """One act. What it asks of Stripe is fixed here, so a repeat asks for the same under the same key."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # `<subject>:<n>` in place of an ObjectId
    act_id: str
    kind: ActKind
    subject_id: str  # the payment intent or the dispute, at Stripe
    client_id: str | None = None
    admin_id: str
    reason: str
    amount_usd_cents: int | None = None
    beyond_policy: bool = False
    fields: list[str] = Field(default_factory=list)  # of the evidence; its text is at Stripe
    outcome: ActOutcome = ActOutcome.ASKED
    stripe_id: str | None = None
    stripe_code: str | None = None
    at: datetime = Field(default_factory=utcnow)

    class Settings:
        name = COLLECTION
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("actId", ASCENDING)], name="act_id_unique", unique=True),
            IndexModel([("subjectId", ASCENDING)], name="subject_id"),
        ]


DOCUMENTS: list[type[Document]] = [BillingAct]


async def find_act(database: Database, act_id: str) -> BillingAct | None:
    """The act of that id, if it was begun before."""
    found = await database[COLLECTION].find_one({"actId": act_id})
    return None if found is None else BillingAct.model_validate(found)


async def acts_on(database: Database, *subject_ids: str) -> list[BillingAct]:
    """Everything that was done about these payments or disputes, in its order."""
    rows = await database[COLLECTION].find({"subjectId": {"$in": list(subject_ids)}}).to_list()
    return sorted(map(BillingAct.model_validate, rows), key=lambda act: (act.subject_id, _number(act)))


async def write_down(database: Database, act: BillingAct) -> bool:
    """Keep an act that is about to be done; False if another came first: look again, then decide again."""
    try:
        await database[COLLECTION].insert_one(act.model_dump(by_alias=True))
    except DuplicateKeyError:
        return False
    return True


async def note(
    database: Database,
    act: BillingAct,
    outcome: ActOutcome,
    *,
    stripe_id: str | None,
    code: str | None = None,
) -> BillingAct:
    """What became of it; returns the act as it is kept now."""
    told = {"outcome": outcome.value, "stripeId": stripe_id, "stripeCode": code}
    await database[COLLECTION].update_one({"_id": act.id}, {"$set": told})
    act.outcome, act.stripe_id, act.stripe_code = outcome, stripe_id, code
    return act


def next_id(subject_id: str, known: list[BillingAct]) -> str:
    """The `_id` of the next act on a subject."""
    return f"{subject_id}:{len(known) + 1}"


def _number(act: BillingAct) -> int:
    return int(act.id.rpartition(":")[2])
