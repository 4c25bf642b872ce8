"""Events: what happened to an object, kept for 30 days by Stripe and for ever here."""

from __future__ import annotations

from typing import Any

from devstack.stripe_sandbox.call import API_VERSION, Call, Endpoint, without_private
from devstack.stripe_sandbox.forms import LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id


def emit(
    call: Call, owner: str, event_type: str, obj: Object, previous: dict[str, Any] | None = None
) -> None:
    """Records an event of the account `owner`. A connected account's events carry its id in `account`.

    Stripe shows those only in that account's own list (Stripe-Account header) and at the Connect endpoint.
    """
    data: Object = {"object": without_private(obj)}
    if previous is not None:
        data["previous_attributes"] = previous
    event: Object = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": call.created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": call.request_id, "idempotency_key": call.idempotency_key},
        "type": event_type,
    }
    if owner != call.platform:
        event["account"] = owner
    call.tx.insert(owner, event)


def _list(call: Call) -> Object:
    return call.list_of("event", "/v1/events", type="type" if "type" in call.params else "types")


ENDPOINTS = [
    Endpoint(
        "GET",
        "/v1/events",
        _list,
        {**LIST_PARAMS, "type": Param(), "types": Param("list"), "delivery_success": Param("boolean")},
    ),
    Endpoint("GET", "/v1/events/{id}", lambda call: call.own("event", call.path["id"])),
]
