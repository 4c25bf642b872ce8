"""Transfer reversals: money taken back from a connected account."""

from __future__ import annotations

from devstack.stripe_sandbox import balance, errors, events
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id


def _create(call: Call) -> Object:
    transfer = call.own("transfer", call.path["transfer"])
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = call.params.get("amount", left)
    if left == 0:
        raise errors.StripeFault(400, f"Transfer {transfer['id']} is already fully reversed.")
    if amount > left:
        asked, rest = f"${amount / 100:,.2f}", f"${left / 100:,.2f}"
        message = f"Reversal amount ({asked}) is greater than unreversed amount on transfer ({rest})"
        raise errors.StripeFault(400, message, param="amount")
    currency, destination = transfer["currency"], transfer["destination"]
    if balance.available(call, destination, currency) < amount:
        raise errors.StripeFault(
            400,
            "Insufficient funds in your Stripe balance to refund this amount.",
            code="balance_insufficient",
        )
    reversal_id, refund_id = new_id("trr"), new_id("pyr")
    reversal: Object = {
        "id": reversal_id,
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": balance.post(
            call, call.account, amount=amount, currency=currency, kind="transfer_refund", source=reversal_id
        ),
        "created": call.created,
        "currency": currency,
        "destination_payment_refund": refund_id,
        "metadata": merge_metadata({}, call.params.get("metadata", {})),
        "source_refund": None,
        "transfer": transfer["id"],
    }
    balance.post(
        call, destination, amount=-amount, currency=currency, kind="payment_refund", source=refund_id
    )
    call.tx.insert(call.account, reversal)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, reversal)
    call.tx.replace(transfer)
    events.emit(call, call.account, "transfer.reversed", transfer)
    return reversal


def _list(call: Call) -> Object:
    transfer = call.own("transfer", call.path["transfer"])
    url = f"/v1/transfers/{transfer['id']}/reversals"
    return call.list_of("transfer_reversal", url, only={"transfer": transfer["id"]})


def _own(call: Call) -> Object:
    reversal = call.own("transfer_reversal", call.path["id"])
    if reversal["transfer"] != call.path["transfer"]:
        raise errors.no_such("transfer_reversal", reversal["id"])
    return reversal


def _update(call: Call) -> Object:
    reversal = _own(call)
    reversal["metadata"] = merge_metadata(reversal["metadata"], call.params.get("metadata", {}))
    call.tx.replace(reversal)
    return reversal


_URL = "/v1/transfers/{transfer}/reversals"
ENDPOINTS = [
    Endpoint(
        "POST",
        _URL,
        _create,
        {
            **EXPAND,
            "amount": Param("integer", minimum=1, maximum=99_999_999),
            "description": Param(),
            "metadata": Param("metadata"),
        },
    ),
    Endpoint("GET", _URL, _list, LIST_PARAMS),
    Endpoint("GET", f"{_URL}/{{id}}", _own, EXPAND),
    Endpoint("POST", f"{_URL}/{{id}}", _update, {**EXPAND, "metadata": Param("metadata")}),
]
