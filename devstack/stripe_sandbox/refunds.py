"""Refunds: money from the platform's balance back to a card."""

from __future__ import annotations

import copy

from devstack.stripe_sandbox import balance, due, errors, events, payment_methods, payments
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id


def _create(call: Call) -> Object:
    charge = _charge_of(call)
    call = payments.in_its_time(call, charge)
    left = charge["amount"] - charge["amount_refunded"]
    amount = call.params.get("amount", left)
    if charge["status"] != "succeeded":
        message = f"Charge {charge['id']} does not have a successful payment to refund."
        raise errors.StripeFault(400, message)
    if charge["disputed"] and _lost_or_open(call, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise errors.StripeFault(400, message, code="charge_disputed")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise errors.StripeFault(400, message, code="charge_already_refunded")
    if amount > left:
        asked, rest = f"${amount / 100:,.2f}", f"${left / 100:,.2f}"
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})"
        raise errors.StripeFault(400, message, param="amount")
    return _refund(call, charge, amount)


def _lost_or_open(call: Call, charge: Object) -> bool:
    disputes = call.tx.every("dispute", call.account, charge=charge["id"])
    return any(not dispute["is_charge_refundable"] for dispute in disputes)


def _charge_of(call: Call) -> Object:
    params = call.params
    if ("charge" in params) == ("payment_intent" in params):
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise errors.StripeFault(400, message, saved=False)
    if "charge" in params:
        return call.named("charge", params["charge"], "charge")
    intent = call.named("payment_intent", params["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None:
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise errors.StripeFault(400, message, code="payment_intent_unexpected_state")
    return call.named("charge", intent["latest_charge"], "charge")


def _refund(call: Call, charge: Object, amount: int) -> Object:
    refund_id = new_id("re")
    refund: Object = {
        "id": refund_id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": balance.post(
            call, call.account, amount=-amount, currency=charge["currency"], kind="refund", source=refund_id
        ),
        "charge": charge["id"],
        "created": call.created,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": merge_metadata({}, call.params.get("metadata", {})),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": call.params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    call.tx.insert(call.account, refund)
    events.emit(call, call.account, "refund.created", refund)
    refunded = charge["amount_refunded"] + amount
    before = copy.deepcopy(charge)
    charge |= {"amount_refunded": refunded, "refunded": refunded == charge["amount"]}
    call.tx.replace(charge)
    events.emit_change(call, call.account, "charge.refunded", before, charge)
    method = call.tx.find("payment_method", charge["payment_method"])
    if method is not None and payment_methods.card_of(method).refund == "fails":
        call.schedule("refund.fail", call.account, refund_id, at=call.now)
    return refund


@due.action("refund.fail")
def fail(call: Call, owner: str, refund_id: str) -> None:
    """The customer's bank sends the money back: it is on the balance again, and the refund has failed."""
    refund = call.tx.find("refund", refund_id, owner)
    if refund is None or refund["status"] != "succeeded":
        return
    back = balance.post(
        call,
        owner,
        amount=refund["amount"],
        currency=refund["currency"],
        kind="refund_failure",
        source=refund_id,
    )
    before = copy.deepcopy(refund)
    refund |= {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": back,
    }
    call.tx.replace(refund)
    charge = call.tx.find("charge", refund["charge"], owner)
    if charge is not None:
        left = charge["amount_refunded"] - refund["amount"]
        call.tx.replace({**charge, "amount_refunded": left, "refunded": False})
    events.emit_change(call, owner, "refund.updated", before, refund)
    events.emit(call, owner, "refund.failed", refund)
    events.emit(call, owner, "charge.refund.updated", refund)


def _update(call: Call) -> Object:
    refund = call.own("refund", call.path["id"])
    before = copy.deepcopy(refund)
    refund["metadata"] = merge_metadata(refund["metadata"], call.params.get("metadata", {}))
    call.tx.replace(refund)
    events.emit_change(call, call.account, "refund.updated", before, refund)
    return refund


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/refunds",
        _create,
        {
            **EXPAND,
            "amount": Param("integer", minimum=1, maximum=99_999_999),
            "charge": Param(),
            "metadata": Param("metadata"),
            "payment_intent": Param(),
            "reason": Param(choices=("duplicate", "fraudulent", "requested_by_customer")),
        },
    ),
    Endpoint(
        "GET",
        "/v1/refunds",
        lambda call: call.list_of("refund", "/v1/refunds", "charge", "payment_intent"),
        {**LIST_PARAMS, "charge": Param(), "payment_intent": Param()},
    ),
    Endpoint("GET", "/v1/refunds/{id}", lambda call: call.own("refund", call.path["id"]), EXPAND),
    Endpoint("POST", "/v1/refunds/{id}", _update, {**EXPAND, "metadata": Param("metadata")}),
]
