"""What state a subscription is in, and its end."""

from __future__ import annotations

import copy

from devstack.stripe_sandbox import events
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.store import Object

ENDED = ("canceled", "incomplete_expired")


def save(call: Call, before: Object, subscription: Object) -> None:
    """Stores a changed subscription and tells what changed."""
    call.tx.replace(subscription)
    events.emit_change(call, call.account, "customer.subscription.updated", before, subscription)


def set_status(call: Call, subscription: Object, status: str) -> None:
    """Moves a subscription to another state, and tells if it was not in it."""
    before = copy.deepcopy(subscription)
    subscription["status"] = status
    save(call, before, subscription)


def end(call: Call, subscription: Object, *, reason: str | None) -> None:
    """Cancels now. `reason` is why, as in `cancellation_details`; nothing happens to one that has ended."""
    if subscription["status"] in ENDED:
        return
    expired = subscription["status"] == "incomplete"
    subscription |= {
        "status": "incomplete_expired" if expired else "canceled",
        "canceled_at": subscription["canceled_at"] or call.created,
        "ended_at": call.created,
    }
    details = subscription["cancellation_details"]
    details["reason"] = details["reason"] or reason
    call.tx.replace(subscription)
    if expired:
        events.emit(
            call, call.account, "customer.subscription.updated", subscription, {"status": "incomplete"}
        )
    events.emit(call, call.account, "customer.subscription.deleted", subscription)
