"""Collecting invoices: attempts, dunning, and what they do to a subscription."""

from __future__ import annotations

import copy

from devstack.stripe_sandbox import customers, due, errors, events, invoices, payments, subscription_state
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.periods import DAY_SECONDS
from devstack.stripe_sandbox.store import Object

_NO_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a default "
    "payment method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)


def settle(call: Call, invoice: Object, *, off_session: bool = True, authenticated: bool = False) -> None:
    """Finalises a draft and collects what is due on it; nothing due is paid by that."""
    invoices.finalise(call, invoice)
    if invoice["amount_due"] == 0:
        _paid(call, invoice)
    else:
        collect(call, invoice, off_session=off_session, authenticated=authenticated)


def collect(
    call: Call,
    invoice: Object,
    *,
    off_session: bool = True,
    authenticated: bool = False,
    method_id: str | None = None,
    manual: bool = False,
) -> None:
    """Tries the method given, or else the default one, on an open invoice.

    A manual attempt after the first leaves the schedule of the automatic ones as it is.
    """
    if not (manual and invoice["attempted"]):
        invoice["attempt_count"] += 1
    invoice["attempted"] = True
    intent = call.tx.find("payment_intent", invoice["_payment_intent"], call.account)
    method_id = method_id or default_method(call, invoice)
    if intent is None or method_id is None:
        _failed(call, invoice)
        return
    intent["payment_method"] = method_id
    payments.confirm(call, intent, off_session=off_session, authenticated=authenticated)
    call.tx.replace(invoice)
    after_attempt(call, intent)
    invoice |= call.tx.find("invoice", invoice["id"]) or {}


def default_method(call: Call, invoice: Object) -> str | None:
    """The invoice's own method, else the subscription's, else the customer's."""
    customer = customers.find(call, invoice["customer"])
    subscription = call.tx.find("subscription", invoices.subscription_id(invoice) or "")
    method: str | None = (
        invoice["default_payment_method"]
        or (subscription or {}).get("default_payment_method")
        or customer["invoice_settings"]["default_payment_method"]
    )
    return method


def no_method() -> errors.StripeFault:
    return errors.StripeFault(400, _NO_METHOD, code="invoice_payment_intent_requires_action")


def after_attempt(call: Call, intent: Object) -> None:
    """Carries what became of a payment intent over to the invoice it pays, if it pays one."""
    invoice = call.tx.find("invoice", intent.get("_invoice") or "", call.account)
    if invoice is None or invoice["status"] not in {"open", "uncollectible"}:
        return
    call = call.on_clock(invoice["test_clock"])
    if intent["status"] == "succeeded":
        _paid(call, invoice, intent)
    elif intent["status"] == "requires_action":
        call.tx.replace(invoice)
        events.emit(call, call.account, "invoice.payment_action_required", invoice)
        _failed(call, invoice)
    else:
        if (intent["last_payment_error"] or {}).get("code") == "authentication_required":
            events.emit(call, call.account, "invoice.payment_action_required", invoice)
        _failed(call, invoice)


def pay_out_of_band(call: Call, invoice: Object) -> None:
    """Marks an open invoice as paid by other means."""
    invoices.cancel_payment(call, invoice)
    _paid(call, invoice)


def _paid(call: Call, invoice: Object, intent: Object | None = None) -> None:
    invoice |= {
        "status": "paid",
        "amount_paid": invoice["amount_due"] if intent is not None else 0,
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
    }
    invoice["status_transitions"]["paid_at"] = call.created
    call.tx.replace(invoice)
    for name in ("invoice.paid", "invoice.payment_succeeded"):
        events.emit(call, call.account, name, invoice)
    if intent is not None:
        _record(call, invoice, intent)
    _good_again(call, invoice, intent)


def _record(call: Call, invoice: Object, intent: Object) -> None:
    """The payment that was awaited has been made."""
    for payment in invoices.payments_of(call, invoice):
        transitions = {**payment["status_transitions"], "paid_at": call.created}
        payment |= {"status": "paid", "amount_paid": intent["amount"], "status_transitions": transitions}
        call.tx.replace(payment)
        events.emit(call, call.account, "invoice_payment.paid", payment)


def _good_again(call: Call, invoice: Object, intent: Object | None) -> None:
    """A subscription whose newest invoice is paid is active, whatever older ones are."""
    subscription = call.tx.find("subscription", invoices.subscription_id(invoice) or "", call.account)
    if subscription is None or subscription["status"] in subscription_state.ENDED:
        return
    before = copy.deepcopy(subscription)
    if subscription["latest_invoice"] == invoice["id"]:
        subscription["status"] = "active"
    save = subscription["payment_settings"]["save_default_payment_method"] == "on_subscription"
    if save and intent is not None:
        subscription["default_payment_method"] = intent["payment_method"]
    subscription_state.save(call, before, subscription)
    _set_delinquent(call, invoice, delinquent=subscription["status"] != "active")


def _set_delinquent(call: Call, invoice: Object, *, delinquent: bool) -> None:
    customer = customers.find(call, invoice["customer"])
    if customer["delinquent"] != delinquent:
        customers.save(call, copy.deepcopy(customer), customer | {"delinquent": delinquent})


def _failed(call: Call, invoice: Object) -> None:
    """Tells of it, plans the next attempt, and moves the subscription: past due at first, at last its end."""
    subscription = call.tx.find("subscription", invoices.subscription_id(invoice) or "", call.account)
    retries = call.options.dunning_days
    again = invoice["auto_advance"] and subscription is not None and subscription["status"] != "incomplete"
    last = invoice["attempt_count"] > len(retries)
    planned = (invoice["next_payment_attempt"] or 0) > call.created
    if last and not planned:
        invoice["next_payment_attempt"] = None
    elif again and not planned:
        wait = retries[max(0, invoice["attempt_count"] - 1)] * DAY_SECONDS
        invoice["next_payment_attempt"] = int(call.now + wait)
        call.schedule("invoice.retry", call.account, invoice["id"], at=invoice["next_payment_attempt"])
    call.tx.replace(invoice)
    events.emit(call, call.account, "invoice.payment_failed", invoice)
    if subscription is None or subscription["status"] == "incomplete":
        return
    _set_delinquent(call, invoice, delinquent=True)
    if again and last and not planned:
        _give_up(call, subscription, invoice)
    elif subscription["status"] == "active":
        subscription_state.set_status(call, subscription, "past_due")


def _give_up(call: Call, subscription: Object, invoice: Object) -> None:
    invoices.save(call, invoices.copy_of(invoice), invoice | {"auto_advance": False})
    if call.options.dunning_end == "cancel":
        subscription_state.end(call, subscription, reason="payment_failed")
    else:
        subscription_state.set_status(call, subscription, call.options.dunning_end)


@due.action("invoice.finalise")
def _finalise_later(call: Call, owner: str, invoice_id: str) -> None:
    invoice = call.tx.find("invoice", invoice_id, owner)
    if invoice is not None and invoice["status"] == "draft" and invoice["auto_advance"]:
        settle(call, invoice)


@due.action("invoice.retry")
def _retry(call: Call, owner: str, invoice_id: str) -> None:
    """The next attempt of the dunning schedule, unless it was moved or is no longer needed."""
    invoice = call.tx.find("invoice", invoice_id, owner)
    if invoice is None or invoice["status"] != "open" or invoice["next_payment_attempt"] != call.created:
        return
    collect(call, invoice)
