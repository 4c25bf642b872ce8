"""Every event type of Stripe: what it moves, or why it moves nothing. A type that is in no row is unknown to us.

To handle an event is to read again whatever it may have changed; so one word says enough.
"""

from __future__ import annotations

from enum import StrEnum


class Concern(StrEnum):
    """Whose books or process an event may have changed."""

    CLIENT = "client"  # settle the client's billing
    ACCOUNT = "account"  # a worker's connected account, and payouts from it to the bank


HANDLED: dict[str, Concern] = {
    **dict.fromkeys(
        (
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.async_payment_failed",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice.payment_failed",
            "invoice.payment_action_required",
            "invoice.finalization_failed",
            "invoice.marked_uncollectible",
            "invoice.voided",
            "customer.subscription.created",
            "customer.subscription.updated",
            "customer.subscription.deleted",
            "customer.subscription.paused",
            "customer.subscription.resumed",
            "customer.subscription.pending_update_applied",
            "customer.subscription.pending_update_expired",
            "payment_intent.succeeded",
            "charge.refunded",
            "refund.created",
            "refund.updated",
            "refund.failed",
            "charge.dispute.created",
            "charge.dispute.updated",
            "charge.dispute.closed",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.funds_reinstated",
            "payment_method.attached",
            "payment_method.automatically_updated",
        ),
        Concern.CLIENT,
    ),
    **dict.fromkeys(
        (
            "account.updated",
            "account.application.deauthorized",
            "capability.updated",
            "payout.paid",
            "payout.failed",
            "payout.updated",
            "payout.canceled",
        ),
        Concern.ACCOUNT,
    ),
}

IGNORED: dict[str, str] = {
    "checkout.session.expired": "an unpaid page changes nothing",
    "invoice.upcoming": "the renewal is settled when it is paid or fails",
    "customer.subscription.trial_will_end": "there are no trials",
    "customer.updated": "addresses are the account's own here",
    "customer.deleted": "its subscriptions are deleted first, each with an event",
    "payment_intent.payment_failed": "the page shows it; of an invoice, invoice.payment_failed tells",
    "payment_intent.canceled": "nothing was paid",
    "charge.succeeded": "payment_intent.succeeded and invoice.paid tell",
    "charge.failed": "nothing was paid",
    "charge.pending": "nothing is paid yet",
    "charge.updated": "fees are read by the nightly reconciliation",
    "setup_intent.succeeded": "cards are saved on Stripe's own pages",
    "setup_intent.setup_failed": "cards are saved on Stripe's own pages",
    "payment_method.detached": "the next renewal shows whether another is there",
    "charge.refund.updated": "refund.updated tells the same",
    "transfer.created": "our own act",
    "transfer.updated": "our own act",
    "transfer.reversed": "our own act",
}

_INVOICE = "an invoice counts when it is paid, fails or is closed"
_UNUSED = "a product of Stripe that is not used"
_OURS = "our own act, or an operator's in the dashboard"
IGNORED_FAMILIES: dict[str, str] = {
    "invoice.": _INVOICE,
    "invoice_payment.": _INVOICE,
    "invoiceitem.": _INVOICE,
    "customer.": "nothing that is sold depends on it",
    "charge.": "payment intents and refunds tell",
    "payment_intent.": "only success counts",
    "payment_method.": "the next attempt shows it",
    "setup_intent.": "cards are saved on Stripe's own pages",
    "account.": "account.updated tells what counts",
    "person.": "account.updated tells what counts",
    "payout.": "payout.updated tells what counts",
    "price.": _OURS,
    "product.": _OURS,
    "plan.": _OURS,
    "topup.": _OURS,
    "test_helpers.": "time in tests",
    "balance.": "read when it is needed",
    "balance_settings.": _OURS,
    "review.": "a dispute or a refund follows if it counts",
    "radar.": "a dispute or a refund follows if it counts",
    **dict.fromkeys(
        (
            "application_fee.",
            "apps.",
            "billing.",
            "billing_portal.",
            "cash_balance.",
            "climate.",
            "coupon.",
            "credit_note.",
            "customer_cash_balance_transaction.",
            "entitlements.",
            "file.",
            "financial_connections.",
            "identity.",
            "issuing_",
            "mandate.",
            "payment_link.",
            "promotion_code.",
            "quote.",
            "reporting.",
            "reserve.",
            "sigma.",
            "source.",
            "subscription_schedule.",
            "tax.",
            "tax_rate.",
            "terminal.",
            "three_d_secure.",
            "treasury.",
        ),
        _UNUSED,
    ),
}


def concern_of(event_type: str) -> Concern | None:
    """Whom an event concerns; None if it is ignored, on purpose or because nobody here knows it."""
    return HANDLED.get(event_type)


def why_ignored(event_type: str) -> str:
    """The reason, for the record; a type that is in no row says so."""
    family = next((why for name, why in IGNORED_FAMILIES.items() if event_type.startswith(name)), None)
    return IGNORED.get(event_type) or family or "unknown type"
