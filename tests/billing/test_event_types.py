"""Every event type is handled, or ignored on purpose: those of the reference and those of the installed SDK."""

from __future__ import annotations

import re
from pathlib import Path

import stripe

from app.webhooks.types import HANDLED, IGNORED, IGNORED_FAMILIES, concern_of, why_ignored

# What three other platforms and Stripe's own guide listen to.
REFERENCE = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.finalization_failed",
    "invoice.upcoming",
    "invoice.marked_uncollectible",
    "invoice.voided",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.succeeded",
    "charge.failed",
    "charge.pending",
    "charge.updated",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.automatically_updated",
    "customer.updated",
    "customer.deleted",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "account.updated",
    "account.application.deauthorized",
    "payout.paid",
    "payout.failed",
    "payout.updated",
    "payout.canceled",
    "transfer.created",
    "transfer.updated",
    "transfer.reversed",
    "capability.updated",
]


def of_the_sdk() -> set[str]:
    """The types that the installed SDK lets an endpoint subscribe to."""
    source = Path(stripe.__file__).parent / "params" / "_webhook_endpoint_create_params.py"
    listed = source.read_text().partition("enabled_events: List[")[2].partition('"""')[0]
    return set(re.findall(r'"([a-z0-9_]+\.[a-z0-9_.]+)"', listed))


def test_the_reference_is_covered_by_name() -> None:
    assert set(REFERENCE) <= set(HANDLED) | set(IGNORED)


def test_the_sdk_knows_every_type_that_we_name() -> None:
    sdk = of_the_sdk()
    assert len(sdk) > 200
    assert set(HANDLED) | set(IGNORED) <= sdk


def test_every_type_of_the_sdk_is_in_a_row() -> None:
    unknown = [kind for kind in of_the_sdk() if kind not in HANDLED and why_ignored(kind) == "unknown type"]
    assert unknown == [], "add these types to app/webhooks/types.py"


def test_no_type_is_in_two_rows_and_no_row_is_dead() -> None:
    assert not set(HANDLED) & set(IGNORED)
    sdk = of_the_sdk()
    for family in IGNORED_FAMILIES:
        assert any(kind.startswith(family) and kind not in HANDLED for kind in sdk), family
    assert concern_of("brand.new.thing") is None
    assert all((*IGNORED.values(), *IGNORED_FAMILIES.values()))
