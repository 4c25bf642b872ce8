"""What our own records say about a payment that a bank has taken back, in the fields that Stripe passes on to it.

Source of the fields: https://docs.stripe.com/api/disputes/update. Their text goes to the bank and nowhere else; it
holds personal data, so it is made when an admin asks and kept at Stripe alone.
"""

from __future__ import annotations

from typing import Any

from app.money.books import client_book
from app.money.journal import ledger_collection
from app.money.models import Kind, Transaction
from app.notifications.recipients import find_job_titles, find_people
from app.subscriptions.customers import Database
from app.subscriptions.models import PaidGrant

# Those that a person can write; the others are files, or about goods that are shipped.
EVIDENCE_FIELDS = (
    "access_activity_log",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "duplicate_charge_explanation",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "uncategorized_text",
)
MAX_EVIDENCE = 20_000  # characters of one field, as Stripe takes them
_MOST_JOBS = 100


async def propose(database: Database, grant: PaidGrant, *, window_days: int) -> dict[str, str]:
    """Who bought what and when, on which terms, and which jobs were paid with it. Nothing that is not on record."""
    people = await find_people(database, [grant.client_id])
    person = people.get(grant.client_id)
    granted = await _granted(database, grant)
    used = await _uses(database, grant, granted)
    fields = {
        "customer_email_address": person.email if person else "",
        "customer_name": person.name if person else "",
        "product_description": _product(grant, granted),
        "service_date": f"{granted.created_at:%Y-%m-%d}" if granted else "",
        "access_activity_log": "\n".join(used),
        "refund_policy_disclosure": (
            f"Within {window_days} days of a payment, credits that are neither spent nor held for a job are refunded "
            "as a share of the price."
        ),
        "cancellation_policy_disclosure": (
            "A subscription can be cancelled at any time, in the portal or in the app; it then ends with the period "
            "that is paid for, and nothing more is charged."
        ),
        "uncategorized_text": _summary(used),
    }
    return {name: text[:MAX_EVIDENCE] for name, text in fields.items() if text}


def _product(grant: PaidGrant, granted: Transaction | None) -> str:
    what = granted.lot.source.replace(":", ", ") if granted and granted.lot else "credits"
    return (
        f"Online work on demand: {grant.credits / 100:.2f} credits ({what}), with which the customer has jobs done by "
        "our workers. Delivered at once, to the customer's account."
    )


def _summary(used: list[str]) -> str:
    if not used:
        return "The credits were delivered to the customer's account at once."
    return (
        f"With the credits that this payment bought, {len(used)} jobs were paid that the customer's account had "
        "posted. The list gives each of them."
    )


async def _granted(database: Database, grant: PaidGrant) -> Transaction | None:
    row = await ledger_collection(database).find_one({"key": grant.grant_key})
    return Transaction.from_document(row) if row else None


async def _uses(database: Database, grant: PaidGrant, granted: Transaction | None) -> list[str]:
    """A line for each job that was paid with this payment's credits."""
    if granted is None:
        return []
    query: dict[str, Any] = {"book": client_book(grant.client_id).name, "kind": Kind.HOLD_RESOLUTION.value}
    rows = await ledger_collection(database).find(query).sort("seq", 1).to_list()
    spent = [(row, _spent_of(row, granted.id)) for row in map(Transaction.from_document, rows)]
    found = [(row, credits_) for row, credits_ in spent if credits_][:_MOST_JOBS]
    titles = await find_job_titles(database, {row.job_id for row, _ in found if row.job_id})
    return [
        f"{row.created_at:%Y-%m-%d %H:%M} UTC: job {row.job_id} ({titles.get(row.job_id or '', 'untitled')}), "
        f"{credits_ / 100:.2f} credits"
        for row, credits_ in found
    ]


def _spent_of(row: Transaction, lot_id: str) -> int:
    consumed = row.resolution.consumed if row.resolution else ()
    return sum(lot.amount for lot in consumed if lot_id in (lot.lot_id, lot.origin))
