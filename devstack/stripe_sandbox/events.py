"""Events: what happened to an object, shown for 30 days, as Stripe keeps them."""

from __future__ import annotations

from typing import Any

from devstack.stripe_sandbox import deliveries, errors
from devstack.stripe_sandbox.call import API_VERSION, Call, Endpoint, without_private
from devstack.stripe_sandbox.forms import LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

_KEPT_SECONDS = 30 * 86_400


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
        # A test clock's time may be years away: events are told, and kept for 30 days, in the sandbox's own.
        "created": int(call.tx.now) if call.clock else call.created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": call.request_id, "idempotency_key": call.idempotency_key},
        "type": event_type,
    }
    if owner != call.platform:
        event["account"] = owner
    pending = deliveries.plan(call, event)
    call.tx.insert(owner, event | {"pending_webhooks": pending, "_delivered": pending == 0})


def emit_change(call: Call, owner: str, event_type: str, before: Object, after: Object) -> None:
    """Records an update with the values that changed, as they were; nothing if nothing shown has changed."""
    old, new = without_private(before), without_private(after)
    previous = {name: old.get(name) for name in new if old.get(name) != new[name]}
    if previous:
        emit(call, owner, event_type, after, previous)


def _list(call: Call) -> Object:
    """The last 30 days, as Stripe keeps them; `delivery_success=false` is what no endpoint has taken yet."""
    only: dict[str, Any] = {}
    if "types" in call.params:
        only["type"] = call.params["types"]
    if "delivery_success" in call.params:
        only["_delivered"] = call.params["delivery_success"]
    since = call.created - _KEPT_SECONDS
    return call.list_of("event", "/v1/events", "type", only=only, since=since)


def _retrieve(call: Call) -> Object:
    event = call.own("event", call.path["id"])
    if event["created"] < call.created - _KEPT_SECONDS:
        raise errors.no_such("event", event["id"])
    return event


ENDPOINTS = [
    Endpoint(
        "GET",
        "/v1/events",
        _list,
        {**LIST_PARAMS, "type": Param(), "types": Param("list"), "delivery_success": Param("boolean")},
    ),
    Endpoint("GET", "/v1/events/{id}", _retrieve),
]
