"""`expand[]`: ids in an answer replaced by the objects they name."""

from __future__ import annotations

from typing import Any

from devstack.stripe_sandbox import errors
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.store import Object

# Field of an object -> the kind of object its id names.
_EXPANDABLE = {
    ("transfer", "destination"): "account",
    ("transfer", "balance_transaction"): "balance_transaction",
    ("payout", "balance_transaction"): "balance_transaction",
    ("payout", "failure_balance_transaction"): "balance_transaction",
    ("topup", "balance_transaction"): "balance_transaction",
    ("balance_transaction", "source"): "transfer",
}


def expand(call: Call, answer: Object, paths: list[str]) -> Object:
    """The answer with each path of `expand[]` filled in; a path that names nothing expandable is a fault."""
    for path in paths:
        _fill(call, answer, path.split("."), path)
    return answer


def _fill(call: Call, node: Any, parts: list[str], whole: str) -> None:
    if isinstance(node, list):
        for item in node:
            _fill(call, item, parts, whole)
        return
    name, rest = parts[0], parts[1:]
    if not isinstance(node, dict) or name not in node:
        raise _not_expandable(whole)
    if rest:
        _fill(call, node[name], rest, whole)
        return
    kind = _EXPANDABLE.get((str(node.get("object")), name))
    if kind is None:
        raise _not_expandable(whole)
    if isinstance(node[name], str):
        node[name] = call.tx.find(kind, node[name]) or node[name]


def _not_expandable(path: str) -> errors.StripeFault:
    return errors.invalid_parameter("expand", f"This property cannot be expanded ({path}).")
