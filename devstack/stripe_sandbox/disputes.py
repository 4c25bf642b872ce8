"""Disputes: a customer's bank takes a charge back, and the platform may answer with evidence."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import balance, due, errors, events, payment_methods, payments
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

_FEE = 1_500  # USD cents that a dispute costs in the US
_ANSWER_SECONDS = 9 * 86_400
_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
_OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
# Evidence that Stripe's test mode decides by (https://docs.stripe.com/testing#disputes).
_RULINGS = {"winning_evidence": "won", "losing_evidence": "lost"}


@due.action("dispute.open")
def _open_by_card(call: Call, owner: str, charge_id: str) -> None:
    """Some test cards are disputed as soon as they have paid."""
    charge = call.tx.find("charge", charge_id, owner)
    method = call.tx.find("payment_method", (charge or {}).get("payment_method", ""), owner)
    if charge is not None and method is not None:
        open_dispute(call, charge, reason=payment_methods.card_of(method).dispute or "fraudulent")


def open_dispute(call: Call, charge: Object, *, reason: str, amount: int | None = None) -> Object:
    """A dispute of a charge, in whole or in part; its amount and a fee leave the balance, save for an inquiry."""
    inquiry = reason == "inquiry"
    dispute_id = new_id("du")
    disputed = min(amount or charge["amount"], charge["amount"] - charge["amount_refunded"])
    dispute: Object = {
        "id": dispute_id,
        "object": "dispute",
        "amount": disputed,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": call.created + _ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": charge["payment_method_details"]["card"]["brand"],
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": charge["payment_method_details"]["card"]["brand"],
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "general" if inquiry else reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    call.tx.insert(call.account, dispute)
    payments.touch_charge(call, charge, disputed=True)
    events.emit(call, call.account, "charge.dispute.created", dispute)
    if not inquiry:
        _move(call, dispute, -disputed, fee=_FEE, category="dispute")
        events.emit(call, call.account, "charge.dispute.funds_withdrawn", dispute)
    call.schedule("dispute.due", call.account, dispute_id, at=call.now + _ANSWER_SECONDS)
    return dispute


def _move(call: Call, dispute: Object, amount: int, *, fee: int, category: str) -> None:
    transaction = balance.post(
        call,
        call.account,
        amount=amount,
        currency=dispute["currency"],
        kind="adjustment",
        source=dispute["id"],
        fee=fee,
        category=category,
    )
    dispute["balance_transactions"].append(call.tx.find("balance_transaction", transaction))
    call.tx.replace(dispute)


def close(call: Call, dispute: Object, status: str) -> None:
    """The bank's ruling: `won` brings amount and fee back, `lost` leaves them where they are."""
    if dispute["status"] not in _OPEN:
        return
    if dispute["status"].startswith("warning"):
        status = "warning_closed"
    dispute |= {"status": status}
    call.tx.replace(dispute)
    if status == "won":
        _move(call, dispute, dispute["amount"], fee=-_FEE, category="dispute_reversal")
        events.emit(call, call.account, "charge.dispute.funds_reinstated", dispute)
    events.emit(call, call.account, "charge.dispute.closed", dispute)


@due.action("dispute.due")
def _too_late(call: Call, owner: str, dispute_id: str) -> None:
    """Without an answer in time a dispute is lost."""
    dispute = call.tx.find("dispute", dispute_id, owner)
    if dispute is not None and dispute["status"] in {"needs_response", "warning_needs_response"}:
        dispute["evidence_details"]["past_due"] = True
        close(call, dispute, "lost")


@due.action("dispute.rule")
def _rule(call: Call, owner: str, dispute_id: str) -> None:
    """The bank has read the evidence; the sandbox decides by its text alone."""
    dispute = call.tx.find("dispute", dispute_id, owner)
    if dispute is not None and dispute["status"] == "under_review":
        ruling = _RULINGS.get(dispute["evidence"]["uncategorized_text"] or "")
        if ruling is not None:
            close(call, dispute, ruling)


def _update(call: Call) -> Object:
    dispute = call.own("dispute", call.path["id"])
    params = call.params
    before = copy.deepcopy(dispute)
    dispute["metadata"] = merge_metadata(dispute["metadata"], params.get("metadata", {}))
    evidence: dict[str, Any] = params.get("evidence", {})
    if (evidence or params.get("submit")) and dispute["status"] not in _OPEN:
        raise errors.StripeFault(400, "This dispute is already closed.", code="dispute_already_closed")
    dispute["evidence"] |= evidence
    details = dispute["evidence_details"]
    details["has_evidence"] = any(dispute["evidence"][name] for name in _EVIDENCE)
    submits = params.get("submit", bool(evidence))
    if submits and details["has_evidence"]:  # what was only kept before is submitted with it
        details["submission_count"] += 1
        warning = dispute["status"].startswith("warning")
        dispute["status"] = "warning_under_review" if warning else "under_review"
        call.schedule("dispute.rule", call.account, dispute["id"], at=call.now)
    call.tx.replace(dispute)
    events.emit_change(call, call.account, "charge.dispute.updated", before, dispute)
    return dispute


def _accept(call: Call) -> Object:
    """Closing a dispute through the API admits that it is lost."""
    dispute = call.own("dispute", call.path["id"])
    if dispute["status"] not in _OPEN:
        raise errors.StripeFault(400, "This dispute is already closed.", code="dispute_already_closed")
    close(call, dispute, "lost")
    return dispute


ENDPOINTS = [
    Endpoint(
        "GET",
        "/v1/disputes",
        lambda call: call.list_of("dispute", "/v1/disputes", "charge", "payment_intent"),
        {**LIST_PARAMS, "charge": Param(), "payment_intent": Param()},
    ),
    Endpoint("GET", "/v1/disputes/{id}", lambda call: call.own("dispute", call.path["id"]), EXPAND),
    Endpoint(
        "POST",
        "/v1/disputes/{id}",
        _update,
        {
            **EXPAND,
            "evidence": Param("hash", children={name: Param(max_length=20_000) for name in _EVIDENCE}),
            "metadata": Param("metadata"),
            "submit": Param("boolean"),
        },
    ),
    Endpoint("POST", "/v1/disputes/{id}/close", _accept, EXPAND),
]
