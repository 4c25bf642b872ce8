"""`expand[]`: ids in an answer replaced by the objects they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from devstack.stripe_sandbox import errors, invoices
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.store import Object

# Field of an object -> the kind of object its id names.
_EXPANDABLE = {
    ("charge", "balance_transaction"): "balance_transaction",
    ("charge", "customer"): "customer",
    ("charge", "payment_intent"): "payment_intent",
    ("checkout.session", "customer"): "customer",
    ("checkout.session", "invoice"): "invoice",
    ("checkout.session", "payment_intent"): "payment_intent",
    ("checkout.session", "subscription"): "subscription",
    ("customer", "test_clock"): "test_helpers.test_clock",
    ("dispute", "charge"): "charge",
    ("dispute", "payment_intent"): "payment_intent",
    ("invoice", "customer"): "customer",
    ("invoice", "default_payment_method"): "payment_method",
    ("invoice", "test_clock"): "test_helpers.test_clock",
    ("invoice_payment", "invoice"): "invoice",
    ("payment_intent", "customer"): "customer",
    ("payment_intent", "latest_charge"): "charge",
    ("payment_intent", "payment_method"): "payment_method",
    ("payment_method", "customer"): "customer",
    ("payout", "balance_transaction"): "balance_transaction",
    ("payout", "failure_balance_transaction"): "balance_transaction",
    ("price", "product"): "product",
    ("product", "default_price"): "price",
    ("refund", "balance_transaction"): "balance_transaction",
    ("refund", "charge"): "charge",
    ("refund", "payment_intent"): "payment_intent",
    ("subscription", "customer"): "customer",
    ("subscription", "default_payment_method"): "payment_method",
    ("subscription", "latest_invoice"): "invoice",
    ("subscription", "test_clock"): "test_helpers.test_clock",
    ("topup", "balance_transaction"): "balance_transaction",
    ("transfer", "balance_transaction"): "balance_transaction",
    ("transfer", "destination"): "account",
    ("transfer_reversal", "balance_transaction"): "balance_transaction",
    ("transfer_reversal", "transfer"): "transfer",
}
# Parts of an object inside it that hold the id of another: (part, field) -> kind.
_PARTS = {
    ("invoice_settings", "default_payment_method"): "payment_method",
    ("payment", "payment_intent"): "payment_intent",
    ("price_details", "price"): "price",
    ("subscription_details", "subscription"): "subscription",
}


def _payments(call: Call, invoice: Object) -> Object:
    data = invoices.payments_of(call, invoice)
    url = f"/v1/invoice_payments?invoice={invoice['id']}"
    return {"object": "list", "data": data, "has_more": False, "url": url}


def _confirmation_secret(call: Call, invoice: Object) -> Object | None:
    intent = call.tx.find("payment_intent", invoice["_payment_intent"] or "")
    return intent and {"client_secret": intent["client_secret"], "type": "payment_intent"}


def _line_items(call: Call, session: Object) -> Object:
    del call
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return {"object": "list", "data": session["_line_items"], "has_more": False, "url": url}


def _refunds(call: Call, charge: Object) -> Object:
    data = call.tx.every("refund", call.account, charge=charge["id"])[::-1]
    return {"object": "list", "data": data, "has_more": False, "url": f"/v1/charges/{charge['id']}/refunds"}


def _sources(call: Call, transaction: Object) -> Object | str:
    for kind in ("charge", "refund", "transfer", "payout", "topup", "dispute", "transfer_reversal"):
        if (found := call.tx.find(kind, transaction["source"])) is not None:
            return found
    return str(transaction["source"])


# Fields that are not there at all, or not as an object, until they are asked for.
_INCLUDABLE: dict[tuple[str, str], Callable[[Call, Object], Any]] = {
    ("balance_transaction", "source"): _sources,
    ("charge", "refunds"): _refunds,
    ("checkout.session", "line_items"): _line_items,
    ("invoice", "confirmation_secret"): _confirmation_secret,
    ("invoice", "payments"): _payments,
}


def expand(call: Call, answer: Object, paths: list[str]) -> Object:
    """The answer with each path of `expand[]` filled in; a path that names nothing expandable is a fault."""
    for path in paths:
        _fill(call, answer, path.split("."), path)
    return answer


def _fill(call: Call, node: Any, parts: list[str], whole: str, parent: str = "") -> None:
    if isinstance(node, list):
        for item in node:
            _fill(call, item, parts, whole, parent)
        return
    name, rest = parts[0], parts[1:]
    if not isinstance(node, dict):
        raise _not_expandable(whole)
    kind = str(node.get("object"))
    if (kind, name) in _INCLUDABLE and isinstance(node.get(name), str | None):
        node[name] = _INCLUDABLE[kind, name](call, node)
    if name not in node:
        raise _not_expandable(whole)
    if isinstance(node[name], str):
        node[name] = _named(
            call, node[name], _EXPANDABLE.get((kind, name)) or _PARTS.get((parent, name)), whole
        )
    elif not rest and not isinstance(node[name], dict | None):
        raise _not_expandable(whole)
    if rest and node[name] is not None:
        _fill(call, node[name], rest, whole, parent=name)


def _named(call: Call, object_id: str, kind: str | None, whole: str) -> Any:
    """The object of an id; the id itself if there is none such."""
    if kind is None:
        raise _not_expandable(whole)
    return call.tx.find(kind, object_id) or object_id


def _not_expandable(path: str) -> errors.StripeFault:
    return errors.invalid_parameter("expand", f"This property cannot be expanded ({path}).")
