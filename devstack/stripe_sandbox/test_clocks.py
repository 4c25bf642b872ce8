"""Test clocks: time that stands still for some customers until a test moves it."""

from __future__ import annotations

from devstack.stripe_sandbox import due, errors, events, subscription_state
from devstack.stripe_sandbox.call import Call, Endpoint
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

_KIND = "test_helpers.test_clock"
_URL = "/v1/test_helpers/test_clocks"
_LIFETIME_SECONDS = 30 * 86_400
_FROZEN_TIME = {"frozen_time": Param("integer", required=True, minimum=0)}


def _create(call: Call) -> Object:
    clock: Object = {
        "id": new_id("clock"),
        "object": _KIND,
        "created": call.created,
        "deletes_after": call.created + _LIFETIME_SECONDS,
        "frozen_time": call.params["frozen_time"],
        "livemode": False,
        "name": call.params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    call.tx.insert(call.account, clock)
    events.emit(call, call.account, f"{_KIND}.created", clock)
    return clock


def _own(call: Call) -> Object:
    return call.own(_KIND, call.path["id"], "test clock")


def _advance(call: Call) -> Object:
    """Answers at once that the clock is advancing; what that makes due happens after the answer."""
    clock = _own(call)
    target = call.params["frozen_time"]
    if clock["status"] != "ready":
        raise errors.StripeFault(429, "Test clock advancement underway - cannot perform modifications.")
    if target <= clock["frozen_time"]:
        message = "Cannot advance test clock to a time in the past or to its current time."
        raise errors.StripeFault(400, message, param="frozen_time")
    clock |= {"status": "advancing", "status_details": {"advancing": {"target_frozen_time": target}}}
    call.tx.replace(clock)
    events.emit(call, call.account, f"{_KIND}.advancing", clock)
    call.schedule("test_clock.advance", call.account, clock["id"], at=call.now)
    return clock


@due.action("test_clock.advance")
def finish(call: Call, owner: str, clock_id: str) -> None:
    """Lets everything happen that lies between the clock's time and the one it is moved to."""
    clock = call.tx.find(_KIND, clock_id, owner)
    if clock is None or clock["status"] != "advancing":
        return
    target = clock["status_details"]["advancing"]["target_frozen_time"]
    due.run_clock(call, clock_id, target)
    clock |= {"frozen_time": target, "status": "ready", "status_details": {}}
    call.tx.replace(clock)
    events.emit(call, owner, f"{_KIND}.ready", clock)


def _delete(call: Call) -> Object:
    """A clock takes its customers and their subscriptions with it."""
    clock = _own(call)
    timed = call.on_clock(clock["id"])
    for subscription in call.tx.every("subscription", call.account, test_clock=clock["id"]):
        subscription_state.end(timed, subscription, reason=None)
    for customer in call.tx.every("customer", call.account, test_clock=clock["id"]):
        call.tx.replace({"id": customer["id"], "object": "customer", "deleted": True})
    deleted = {"id": clock["id"], "object": _KIND, "deleted": True}
    call.tx.replace(deleted)
    events.emit(call, call.account, f"{_KIND}.deleted", clock)
    return deleted


ENDPOINTS = [
    Endpoint("POST", _URL, _create, {**EXPAND, **_FROZEN_TIME, "name": Param(max_length=300)}),
    Endpoint("GET", _URL, lambda call: call.list_of(_KIND, _URL), LIST_PARAMS),
    Endpoint("GET", f"{_URL}/{{id}}", _own, EXPAND),
    Endpoint("POST", f"{_URL}/{{id}}/advance", _advance, {**EXPAND, **_FROZEN_TIME}),
    Endpoint("DELETE", f"{_URL}/{{id}}", _delete),
]
