"""Customers, and what they are owed: the balance that invoices draw on."""

from __future__ import annotations

import copy
import secrets

from devstack.stripe_sandbox import events
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.errors import StripeFault
from devstack.stripe_sandbox.store import Object, new_id


def create(call: Call, **given: object) -> Object:
    """A new customer with the fields given, on the call's test clock if it has one."""
    customer: Object = {
        "id": new_id("cus", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": secrets.token_hex(4).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": call.clock,
        **given,
    }
    call.tx.insert(call.account, customer)
    events.emit(call, call.account, "customer.created", customer)
    return customer


def find(call: Call, customer_id: str) -> Object:
    """A customer that a parameter names, or 400; one that was deleted is not there."""
    return call.named("customer", customer_id, "customer")


def save(call: Call, before: Object, customer: Object) -> None:
    """Stores a changed customer and tells what changed."""
    call.tx.replace(customer)
    events.emit_change(
        call.on_clock(customer["test_clock"]), call.account, "customer.updated", before, customer
    )


def attached_method(call: Call, customer: Object, method_id: str, param: str) -> Object:
    """A payment method that belongs to this customer, or 400."""
    method = call.named("payment_method", method_id, param, "PaymentMethod")
    if method["customer"] != customer["id"]:
        message = (
            f"The customer does not have a payment method with the ID {method_id}. The payment method must be "
            "attached to the customer."
        )
        raise StripeFault(400, message, code="resource_missing", param=param)
    return method


def add_to_balance(
    call: Call,
    customer: Object,
    amount: int,
    kind: str,
    *,
    invoice: str | None = None,
    note: str | None = None,
) -> None:
    """Moves what the customer owes (positive) or is owed (negative), in the smallest unit; no-op for zero."""
    if amount == 0:
        return
    before = copy.deepcopy(customer)
    customer["balance"] += amount
    transaction = {
        "id": new_id("cbtxn"),
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": None,
        "created": call.created,
        "credit_note": None,
        "currency": customer["currency"] or "usd",
        "customer": customer["id"],
        "customer_account": None,
        "description": note,
        "ending_balance": customer["balance"],
        "invoice": invoice,
        "livemode": False,
        "metadata": {},
        "type": kind,
    }
    call.tx.insert(call.account, transaction)
    save(call, before, customer)
