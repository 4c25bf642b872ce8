"""Invoices as documents: drafted, finalised, voided. What is paid on them is in `collection`."""

from __future__ import annotations

import copy

from devstack.stripe_sandbox import customers, events, invoice_items, payments
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.store import Object, new_id

FINALISATION_SECONDS = 3600  # a renewal's draft can be changed for an hour


def build(
    call: Call,
    customer: Object,
    lines: list[Object],
    *,
    reason: str,
    subscription: Object | None = None,
    period: tuple[int, int] | None = None,
) -> Object:
    """A draft that is not stored. `period` is the time in which its items came about."""
    invoice_id = new_id("in")
    total = sum(line["amount"] for line in lines)
    currency = lines[0]["currency"] if lines else (customer["currency"] or "usd")
    start, end = period or (call.created, call.created)
    return {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Stripe sandbox",
        "account_tax_ids": None,
        "amount_due": max(0, total),
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": max(0, total),
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": reason != "manual",
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": call.created,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {
            "object": "list",
            "data": [{**line, "invoice": invoice_id} for line in lines],
            "has_more": False,
            "url": f"/v1/invoices/{invoice_id}/lines",
        },
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": _parent(subscription),
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": end,
        "period_start": start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "test_clock": customer["test_clock"],
        "total": total,
        "total_discount_amounts": [],
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        "_payment_intent": None,
    }


def _parent(subscription: Object | None) -> Object | None:
    if subscription is None:
        return None
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return {"type": "subscription_details", "quote_details": None, "subscription_details": details}


def subscription_id(invoice: Object) -> str | None:
    """The subscription that an invoice belongs to, if any."""
    parent = invoice["parent"]
    return None if parent is None else str(parent["subscription_details"]["subscription"])


def draft(
    call: Call,
    customer: Object,
    lines: list[Object],
    *,
    reason: str,
    subscription: Object | None = None,
    period: tuple[int, int] | None = None,
) -> Object:
    """A stored draft of the pending items and the lines given."""
    waiting = invoice_items.pending(call, customer["id"], subscription["id"] if subscription else None)
    drawn = [invoice_items.as_line(item) for item in waiting]
    invoice = build(call, customer, [*drawn, *lines], reason=reason, subscription=subscription, period=period)
    for item in waiting:
        call.tx.replace({**item, "_pending": False, "invoice": invoice["id"]})
    if customer["currency"] is None:
        customer["currency"] = invoice["currency"]
        call.tx.replace(customer)
    call.tx.insert(call.account, invoice)
    events.emit(call, call.account, "invoice.created", invoice)
    return invoice


def preview_balance(invoice: Object, customer: Object) -> None:
    """Applies what the customer owes or is owed to what is due, on paper only."""
    total, owed = invoice["total"], customer["balance"]
    due = max(0, total + owed) if total > 0 else 0
    invoice |= {
        "amount_due": due,
        "amount_remaining": due,
        "ending_balance": owed + total - due,
        "starting_balance": owed,
    }


def finalise(call: Call, invoice: Object) -> None:
    """A draft becomes an open invoice with a number; what the customer is owed is set off against it."""
    customer = customers.find(call, invoice["customer"])
    preview_balance(invoice, customer)
    customer["next_invoice_sequence"] += 1
    call.tx.replace(customer)
    change = invoice["ending_balance"] - customer["balance"]
    kind = "unapplied_from_invoice" if change < 0 else "applied_to_invoice"
    customers.add_to_balance(call, customer, change, kind, invoice=invoice["id"])
    token = new_id("invst", 24)
    page = f"{call.options.public_url}/i/{token}"
    invoice |= {
        "status": "open",
        "number": f"{customer['invoice_prefix']}-{customer['next_invoice_sequence'] - 1:04d}",
        "automatically_finalizes_at": None,
        "effective_at": call.created,
        "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf",
        "_page": token,
    }
    invoice["status_transitions"]["finalized_at"] = call.created
    call.tx.insert(call.account, {"id": token, "object": "_invoice_page", "invoice": invoice["id"]})
    if invoice["amount_due"] > 0:
        _expect_payment(call, invoice)
    call.tx.replace(invoice)
    events.emit(call, call.account, "invoice.finalized", invoice)


def _expect_payment(call: Call, invoice: Object) -> None:
    """The payment intent that an open invoice is paid by, and the record that joins the two."""
    intent = payments.new_intent(
        call,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description="Subscription creation"
        if invoice["billing_reason"] == "subscription_create"
        else f"Invoice {invoice['number']}",
        payment_details={"customer_reference": None, "order_reference": invoice["id"]},
        setup_future_usage="off_session" if invoice["parent"] else None,
        _invoice=invoice["id"],
    )
    invoice["_payment_intent"] = intent["id"]
    payment = {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": call.created,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    call.tx.insert(call.account, payment)


def payments_of(call: Call, invoice: Object) -> list[Object]:
    """The records of what was paid, or is to be paid, on an invoice."""
    return call.tx.every("invoice_payment", call.account, invoice=invoice["id"])


def close(call: Call, invoice: Object, status: str) -> None:
    """Ends an invoice without payment: `void`, or `uncollectible` (which can still be paid)."""
    invoice |= {"status": status, "next_payment_attempt": None, "auto_advance": False}
    name = "voided_at" if status == "void" else "marked_uncollectible_at"
    invoice["status_transitions"][name] = call.created
    if status == "void":
        invoice["amount_remaining"] = 0
        cancel_payment(call, invoice)
    call.tx.replace(invoice)
    event = "invoice.voided" if status == "void" else "invoice.marked_uncollectible"
    events.emit(call, call.account, event, invoice)


def cancel_payment(call: Call, invoice: Object) -> None:
    """The invoice will not be paid through its payment intent any more."""
    intent = call.tx.find("payment_intent", invoice["_payment_intent"] or "", call.account)
    if intent is None or intent["status"] in {"canceled", "succeeded"}:
        return
    intent |= {
        "status": "canceled",
        "canceled_at": call.created,
        "cancellation_reason": "void_invoice",
        "next_action": None,
    }
    call.tx.replace(intent)
    events.emit(call, call.account, "payment_intent.canceled", intent)
    for payment in payments_of(call, invoice):
        transitions = {**payment["status_transitions"], "canceled_at": call.created}
        call.tx.replace({**payment, "status": "canceled", "status_transitions": transitions})


def save(call: Call, before: Object, invoice: Object) -> None:
    """Stores a changed invoice and tells what changed."""
    call.tx.replace(invoice)
    events.emit_change(call, call.account, "invoice.updated", before, invoice)


def copy_of(invoice: Object) -> Object:
    return copy.deepcopy(invoice)
