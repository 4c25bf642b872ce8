"""Subscriptions through their lives: made, renewed, changed with proration, cancelled."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import (
    collection,
    customers,
    due,
    errors,
    events,
    invoice_items,
    invoices,
    payments,
    periods,
    subscription_state,
)
from devstack.stripe_sandbox.call import Call, merge_metadata
from devstack.stripe_sandbox.store import Object, new_id

_EXPIRY_SECONDS = 23 * 3600  # how long a subscription waits for its first payment
_NOTICE_SECONDS = 7 * periods.DAY_SECONDS  # from `invoice.upcoming` to the renewal


def new_item(
    call: Call, subscription_id: str, price: Object, quantity: int, period: tuple[int, int]
) -> Object:
    """A price in a subscription, with the period it is paid for."""
    recurring = price["recurring"]
    return {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billed_until": None,
        "billing_thresholds": None,
        "created": call.created,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": {},
        "plan": {
            "id": price["id"],
            "object": "plan",
            "active": price["active"],
            "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"],
            "billing_scheme": "per_unit",
            "created": price["created"],
            "currency": price["currency"],
            "interval": recurring["interval"],
            "interval_count": recurring["interval_count"],
            "livemode": False,
            "metadata": price["metadata"],
            "meter": None,
            "nickname": price["nickname"],
            "product": price["product"],
            "tiers_mode": None,
            "transform_usage": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "price": price,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def _build(call: Call, customer: Object, items: list[tuple[Object, int]], given: dict[str, Any]) -> Object:
    subscription_id = new_id("sub")
    period = periods.period(call.created, items[0][0], 0)
    settings = {
        "payment_method_options": None,
        "payment_method_types": None,
        "save_default_payment_method": "off",
        **given.get("payment_settings", {}),
    }
    return {
        "id": subscription_id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": call.created,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {
            "comment": None,
            "feedback": None,
            "feedback_option": None,
            "reason": None,
        },
        "collection_method": "charge_automatically",
        "created": call.created,
        "currency": items[0][0]["currency"],
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": given.get("default_payment_method"),
        "default_source": None,
        "default_tax_rates": [],
        "description": given.get("description"),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": {
            "object": "list",
            "data": [new_item(call, subscription_id, price, count, period) for price, count in items],
            "has_more": False,
            "total_count": len(items),
            "url": f"/v1/subscription_items?subscription={subscription_id}",
        },
        "latest_invoice": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": merge_metadata({}, given.get("metadata", {})),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": settings,
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": call.created,
        "status": "incomplete",
        "test_clock": customer["test_clock"],
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
        "_cycle": 0,
    }


def period_of(subscription: Object) -> tuple[int, int]:
    """Start and end of the current period, which all items share."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def create(
    call: Call,
    customer: Object,
    items: list[tuple[Object, int]],
    given: dict[str, Any],
    *,
    behaviour: str = "allow_incomplete",
    off_session: bool = False,
    authenticated: bool = False,
    one_off: list[Object] | None = None,
) -> Object:
    """A subscription to prices with their quantities, and its first invoice, which is collected at once.

    `one_off` are further lines of the first invoice. Under `error_if_incomplete` a decline is raised, and nothing
    of this may be kept; under `default_incomplete` the first payment is left to the customer.
    """
    subscription = _build(call, customer, items, given)
    call.tx.insert(call.account, subscription)
    events.emit(call, call.account, "customer.subscription.created", subscription)
    lines = [*(one_off or []), *period_lines(subscription, period_of(subscription))]
    invoice = invoices.draft(call, customer, lines, reason="subscription_create", subscription=subscription)
    subscription["latest_invoice"] = invoice["id"]
    call.tx.replace(subscription)
    plan(call, subscription)
    if behaviour == "default_incomplete" and invoice["total"] > 0:
        invoices.finalise(call, invoice)
    else:
        collection.settle(call, invoice, off_session=off_session, authenticated=authenticated)
    if behaviour == "error_if_incomplete":
        refuse_if_unpaid(call, invoice)
    subscription = call.tx.find("subscription", subscription["id"]) or subscription
    if subscription["status"] == "incomplete":
        call.schedule("subscription.expire", call.account, subscription["id"], at=call.now + _EXPIRY_SECONDS)
    return subscription


def refuse_if_unpaid(call: Call, invoice: Object) -> None:
    """Raises the decline of an invoice that must be paid for the rest to stand; nothing of it is kept."""
    invoice = call.tx.find("invoice", invoice["id"]) or invoice
    if invoice["status"] == "paid":
        return
    intent = call.tx.find("payment_intent", invoice["_payment_intent"] or "")
    if intent is None or collection.default_method(call, invoice) is None:
        raise collection.no_method()
    if intent["last_payment_error"] is None:
        raise errors.StripeFault(
            402,
            "Payment for this subscription requires additional user action before it can be completed.",
            kind="card_error",
            code="subscription_payment_intent_requires_action",
        )
    fault = payments.declined(intent)
    fault.commits = False
    raise fault


def period_lines(subscription: Object, period: tuple[int, int]) -> list[Object]:
    """What the items cost for a period."""
    return [
        invoice_items.line(
            amount=item["price"]["unit_amount"] * item["quantity"],
            currency=item["price"]["currency"],
            description=f"{item['quantity']} × {name_of(item['price'])}",
            period=period,
            pricing=invoice_items.pricing_of(item["price"], item["price"]["unit_amount"]),
            quantity=item["quantity"],
            parent=invoice_items.subscription_parent(subscription["id"], item["id"]),
            metadata=dict(subscription["metadata"]),
        )
        for item in subscription["items"]["data"]
    ]


def name_of(price: Object) -> str:
    """How invoices call a price."""
    recurring = price["recurring"]
    each = recurring["interval"]
    if recurring["interval_count"] > 1:
        each = f"every {recurring['interval_count']} {each}s"
    name = price["nickname"] or price["product"]
    return f"{name} (at ${price['unit_amount'] / 100:,.2f} / {each})"


# Renewal


def plan(call: Call, subscription: Object) -> None:
    """Makes the end of the current period due, and the notice before it."""
    start, end = period_of(subscription)
    if end - start > _NOTICE_SECONDS:
        call.schedule("subscription.notice", call.account, subscription["id"], at=end - _NOTICE_SECONDS)
    call.schedule("subscription.renew", call.account, subscription["id"], at=end)


@due.action("subscription.notice")
def _notice(call: Call, owner: str, subscription_id: str) -> None:
    subscription = call.tx.find("subscription", subscription_id, owner)
    if subscription is None or subscription["status"] not in {"active", "past_due"}:
        return
    if period_of(subscription)[1] != call.created + _NOTICE_SECONDS or subscription["cancel_at_period_end"]:
        return
    invoice = upcoming(call, subscription)
    del invoice["id"]
    events.emit(call, owner, "invoice.upcoming", invoice)


def upcoming(call: Call, subscription: Object) -> Object:
    """The next renewal's invoice as it would be now; nothing is stored."""
    customer = customers.find(call, subscription["customer"])
    waiting = invoice_items.pending(call, customer["id"], subscription["id"])
    start, end = period_of(subscription)
    lines: list[Object] = []
    if not subscription["cancel_at_period_end"]:
        price = subscription["items"]["data"][0]["price"]
        following = periods.period(subscription["billing_cycle_anchor"], price, subscription["_cycle"] + 1)
        lines = period_lines(subscription, following)
    invoice = invoices.build(
        call,
        customer,
        [*(invoice_items.as_line(item) for item in waiting), *lines],
        reason="upcoming",
        subscription=subscription,
        period=(start, end),
    )
    invoices.preview_balance(invoice, customer)
    return invoice | {"next_payment_attempt": end + invoices.FINALISATION_SECONDS}


@due.action("subscription.renew")
def _renew(call: Call, owner: str, subscription_id: str) -> None:
    """The end of a period: the subscription ends too, or a new period begins with a draft invoice."""
    subscription = call.tx.find("subscription", subscription_id, owner)
    if subscription is None or subscription["status"] in {*subscription_state.ENDED, "incomplete"}:
        return
    start, end = period_of(subscription)
    if end != call.created:  # the cycle was reset: another renewal is due at its own time
        return
    if subscription["cancel_at_period_end"]:
        subscription_state.end(call, subscription, reason="cancellation_requested")
        return
    before = copy.deepcopy(subscription)
    subscription["_cycle"] += 1
    first = subscription["items"]["data"][0]["price"]
    period = periods.period(subscription["billing_cycle_anchor"], first, subscription["_cycle"])
    for item in subscription["items"]["data"]:
        item |= {"current_period_start": period[0], "current_period_end": period[1]}
    invoice = invoices.draft(
        call,
        customers.find(call, subscription["customer"]),
        period_lines(subscription, period),
        reason="subscription_cycle",
        subscription=subscription,
        period=(start, end),
    )
    subscription["latest_invoice"] = invoice["id"]
    subscription_state.save(call, before, subscription)
    plan(call, subscription)
    if subscription["status"] == "unpaid":  # its invoices stay drafts until somebody acts
        call.tx.replace(invoice | {"auto_advance": False})
        return
    finalisation = call.created + invoices.FINALISATION_SECONDS
    call.tx.replace(invoice | {"automatically_finalizes_at": finalisation})
    call.schedule("invoice.finalise", owner, invoice["id"], at=finalisation)


@due.action("subscription.expire")
def _expire(call: Call, owner: str, subscription_id: str) -> None:
    """The first payment was not made in time."""
    subscription = call.tx.find("subscription", subscription_id, owner)
    if subscription is None or subscription["status"] != "incomplete":
        return
    invoice = call.tx.find("invoice", subscription["latest_invoice"], owner)
    if invoice is not None and invoice["status"] == "open":
        invoices.close(call, invoice, "void")
    subscription_state.end(call, subscription, reason=None)


@due.action("subscription.cancel")
def _cancel_later(call: Call, owner: str, subscription_id: str) -> None:
    """The moment set by `cancel_at`, unless it was moved since."""
    subscription = call.tx.find("subscription", subscription_id, owner)
    if subscription is not None and subscription["cancel_at"] == call.created:
        subscription_state.end(call, subscription, reason="cancellation_requested")
