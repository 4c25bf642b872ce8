"""Transfers: money from the platform's balance to a connected account's."""

from __future__ import annotations

from devstack.stripe_sandbox import balance, errors, events
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id


def _create(call: Call) -> Object:
    params = call.params
    destination = _receiving_account(call, params["destination"])
    amount, currency = params["amount"], params["currency"]
    if balance.available(call, call.account, currency) < amount:
        raise errors.StripeFault(
            400,
            "You have insufficient available funds in your Stripe account. Try adding funds directly to your "
            "available balance by creating Charges using the 4000000000000077 test card. See: "
            "https://stripe.com/docs/testing#available-balance",
            code="balance_insufficient",
        )
    transfer_id, payment_id = new_id("tr"), new_id("py")
    out = balance.post(
        call, call.account, amount=-amount, currency=currency, kind="transfer", source=transfer_id
    )
    balance.post(
        call,
        destination,
        amount=amount,
        currency=currency,
        kind="payment",
        source=payment_id,
        available_after=call.options.transfer_seconds,
    )
    transfer: Object = {
        "id": transfer_id,
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": out,
        "created": call.created,
        "currency": currency,
        "description": params.get("description"),
        "destination": destination,
        "destination_payment": payment_id,
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata", {})),
        "reversals": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/transfers/{transfer_id}/reversals",
        },
        "reversed": False,
        "source_transaction": None,
        "source_type": params.get("source_type", "card"),
        "transfer_group": params.get("transfer_group"),
    }
    call.tx.insert(call.account, transfer)
    events.emit(call, call.account, "transfer.created", transfer)
    return transfer


def _receiving_account(call: Call, account_id: str) -> str:
    """The id of a connected account of this platform whose `transfers` capability is active."""
    account = call.tx.find("account", account_id, call.platform)
    if account is None:
        raise errors.no_such("destination", account_id, param="destination", status=400)
    if account["capabilities"].get("transfers") != "active":
        raise errors.StripeFault(
            400,
            "Your destination account needs to have at least one of the following capabilities enabled: "
            "transfers, crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
        )
    return account_id


def _update(call: Call) -> Object:
    transfer = call.own("transfer", call.path["id"])
    transfer["metadata"] = merge_metadata(transfer["metadata"], call.params.get("metadata", {}))
    if "description" in call.params:
        transfer["description"] = call.params["description"]
    call.tx.replace(transfer)
    events.emit(call, call.account, "transfer.updated", transfer)
    return transfer


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/transfers",
        _create,
        {
            **EXPAND,
            "amount": Param("integer", required=True, minimum=1, maximum=99_999_999),
            "currency": Param("currency", required=True),
            "destination": Param(required=True),
            "description": Param(),
            "metadata": Param("metadata"),
            "source_type": Param(choices=("bank_account", "card", "fpx")),
            "transfer_group": Param(),
        },
    ),
    Endpoint(
        "GET",
        "/v1/transfers",
        lambda call: call.list_of("transfer", "/v1/transfers", "destination", "transfer_group"),
        {**LIST_PARAMS, "destination": Param(), "transfer_group": Param()},
    ),
    Endpoint("GET", "/v1/transfers/{id}", lambda call: call.own("transfer", call.path["id"]), EXPAND),
    Endpoint(
        "POST",
        "/v1/transfers/{id}",
        _update,
        {**EXPAND, "description": Param(), "metadata": Param("metadata")},
    ),
]
