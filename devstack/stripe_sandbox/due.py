"""What happens later: each module says here what it does when an action of its own becomes due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from devstack.stripe_sandbox.call import Call, Options
from devstack.stripe_sandbox.store import Transaction

Action = Callable[[Call, str, str], object]

_ACTIONS: dict[str, Action] = {}


def action(name: str) -> Callable[[Action], Action]:
    """Registers what is done when `name` is due, given the call, the owner and the object's id."""

    def register(function: Action) -> Action:
        _ACTIONS[name] = function
        return function

    return register


def internal_call(tx: Transaction, options: Options, owner: str) -> Call:
    """A call that no request made, acting for `owner`."""
    platform = tx.owner_of(owner) or owner
    return Call(tx=tx, options=options, api_key="", platform=platform, account=owner, path={}, params={})


def run(tx: Transaction, options: Options) -> None:
    """Carries out all that has become due by the sandbox's clock, oldest first, each in its own time."""
    while (due := tx.take_due(until=tx.now)) is not None:
        call = replace(internal_call(tx, options, due.owner), time=due.at)
        _ACTIONS[due.action](call, due.owner, due.object_id)


def run_clock(call: Call, clock_id: str, until: float) -> None:
    """Carries out all that has become due by a test clock."""
    while (due := call.tx.take_due(until=until, clock=clock_id)) is not None:
        then = replace(internal_call(call.tx, call.options, due.owner), time=due.at, clock=clock_id)
        _ACTIONS[due.action](then, due.owner, due.object_id)
