"""The endpoints of customers and of their balances."""

from __future__ import annotations

import copy

from devstack.stripe_sandbox import customers, events, payment_methods, subscription_state
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object

_ADDRESS = Param("hash", unset=True)
_WRITABLE = {
    **EXPAND,
    "address": _ADDRESS,
    "balance": Param("integer"),
    "description": Param(unset=True),
    "email": Param(unset=True, max_length=512),
    "invoice_settings": Param("hash", children={"default_payment_method": Param(unset=True)}),
    "metadata": Param("metadata"),
    "name": Param(unset=True, max_length=256),
    "phone": Param(unset=True),
    "preferred_locales": Param("list"),
    "shipping": _ADDRESS,
    "tax_exempt": Param(choices=("exempt", "none", "reverse")),
}
_PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")


def _create(call: Call) -> Object:
    params = call.params
    if "test_clock" in params:
        call = call.on_clock(call.named("test_helpers.test_clock", params["test_clock"], "test_clock")["id"])
    given = {name: params[name] for name in _PLAIN if name in params}
    customer = customers.create(
        call,
        **given,
        metadata=merge_metadata({}, params.get("metadata", {})),
        balance=params.get("balance", 0),
    )
    method = params.get("payment_method") or params.get("invoice_settings", {}).get("default_payment_method")
    if method is not None:
        attached = payment_methods.attach(
            call, payment_methods.named(call, method, "payment_method"), customer
        )
        if params.get("invoice_settings", {}).get("default_payment_method"):
            customer["invoice_settings"]["default_payment_method"] = attached["id"]
            call.tx.replace(customer)
    return customer


def _own(call: Call) -> Object:
    return call.own("customer", call.path["id"])


def _update(call: Call) -> Object:
    customer = customers.find(call, call.path["id"])
    before = copy.deepcopy(customer)
    params = call.params
    customer |= {name: params[name] for name in (*_PLAIN, "balance") if name in params}
    customer["metadata"] = merge_metadata(customer["metadata"], params.get("metadata", {}))
    settings = params.get("invoice_settings", {})
    if "default_payment_method" in settings:
        method = settings["default_payment_method"]
        if method is not None:
            method = customers.attached_method(
                call, customer, method, "invoice_settings[default_payment_method]"
            )["id"]
        customer["invoice_settings"]["default_payment_method"] = method
    customers.save(call, before, customer)
    return customer


def _add_balance_transaction(call: Call) -> Object:
    customer = customers.find(call, call.path["id"])
    customer["currency"] = customer["currency"] or call.params["currency"]
    note = call.params.get("description")
    customers.add_to_balance(call, customer, call.params["amount"], "adjustment", note=note)
    made = call.tx.every("customer_balance_transaction", call.account, customer=customer["id"])
    return made[-1]


def _list_balance_transactions(call: Call) -> Object:
    customer = _own(call)
    url = f"/v1/customers/{customer['id']}/balance_transactions"
    return call.list_of("customer_balance_transaction", url, only={"customer": customer["id"]})


def _delete(call: Call) -> Object:
    customer = customers.find(call, call.path["id"])
    for subscription in call.tx.every("subscription", call.account, customer=customer["id"]):
        subscription_state.end(call.on_clock(subscription["test_clock"]), subscription, reason=None)
    deleted = {"id": customer["id"], "object": "customer", "deleted": True}
    call.tx.replace(deleted)
    events.emit(call, call.account, "customer.deleted", customer)
    return deleted


ENDPOINTS = [
    Endpoint(
        "POST", "/v1/customers", _create, {**_WRITABLE, "payment_method": Param(), "test_clock": Param()}
    ),
    Endpoint(
        "GET",
        "/v1/customers",
        lambda call: call.list_of("customer", "/v1/customers", "email", "test_clock"),
        {**LIST_PARAMS, "email": Param(), "test_clock": Param()},
    ),
    Endpoint("GET", "/v1/customers/{id}", _own, EXPAND),
    Endpoint("POST", "/v1/customers/{id}", _update, _WRITABLE),
    Endpoint("DELETE", "/v1/customers/{id}", _delete),
    Endpoint("GET", "/v1/customers/{id}/balance_transactions", _list_balance_transactions, LIST_PARAMS),
    Endpoint(
        "POST",
        "/v1/customers/{id}/balance_transactions",
        _add_balance_transaction,
        {
            **EXPAND,
            "amount": Param("integer", required=True),
            "currency": Param("currency", required=True),
            "description": Param(),
            "metadata": Param("metadata"),
        },
    ),
]
