"""Top-ups: how a test puts money into the platform's balance."""

from __future__ import annotations

from devstack.stripe_sandbox import balance, due, events
from devstack.stripe_sandbox.call import Call, Endpoint
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

# https://docs.stripe.com/connect/testing#testing-top-ups
_NO_FUNDS_SOURCE = "btok_us_verified_noFunds"


def _create(call: Call) -> Object:
    params = call.params
    topup: Object = {
        "id": new_id("tu"),
        "object": "topup",
        "amount": params["amount"],
        "balance_transaction": None,
        "created": call.created,
        "currency": params["currency"],
        "description": params.get("description"),
        "expected_availability_date": call.created,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": params.get("metadata", {}),
        "source": None,
        "statement_descriptor": params.get("statement_descriptor"),
        "status": "pending",
        "transfer_group": params.get("transfer_group"),
        "_source": params.get("source"),
    }
    call.tx.insert(call.account, topup)
    events.emit(call, call.account, "topup.created", topup)
    call.schedule("topup.settle", call.account, topup["id"], at=call.now)
    return topup


@due.action("topup.settle")
def settle(call: Call, owner: str, topup_id: str) -> None:
    """The bank's answer to a top-up, which Stripe learns after the creation was answered."""
    topup = call.tx.find("topup", topup_id, owner)
    if topup is None or topup["status"] != "pending":
        return
    if topup["_source"] == _NO_FUNDS_SOURCE:
        topup |= {
            "status": "failed",
            "failure_code": "insufficient_funds",
            "failure_message": "Your bank account has insufficient funds.",
        }
    else:
        transaction = balance.post(
            call, owner, amount=topup["amount"], currency=topup["currency"], kind="topup", source=topup_id
        )
        topup |= {"status": "succeeded", "balance_transaction": transaction}
    call.tx.replace(topup)
    events.emit(call, owner, f"topup.{topup['status']}", topup)


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/topups",
        _create,
        {
            **EXPAND,
            "amount": Param("integer", required=True, minimum=1, maximum=99_999_999),
            "currency": Param("currency", required=True),
            "description": Param(),
            "metadata": Param("metadata"),
            "source": Param(),
            "statement_descriptor": Param(max_length=15),
            "transfer_group": Param(),
        },
    ),
    Endpoint(
        "GET",
        "/v1/topups",
        lambda call: call.list_of("topup", "/v1/topups", "status"),
        {**LIST_PARAMS, "status": Param()},
    ),
    Endpoint("GET", "/v1/topups/{id}", lambda call: call.own("topup", call.path["id"]), EXPAND),
]
