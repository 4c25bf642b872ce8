"""Payment methods: test cards, attached to customers."""

from __future__ import annotations

import copy
import hashlib

from devstack.stripe_sandbox import cards, customers, errors, events
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.cards import BY_ALIAS, BY_NUMBER, Card
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

_NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def card_of(method: Object) -> Card:
    """The test card behind a payment method."""
    return BY_NUMBER[method["_number"]]


def make(
    call: Call, card: Card, *, expiry: tuple[int, int] = (12, 2034), billing: Object | None = None
) -> Object:
    """A payment method of a test card, of no customer yet. `expiry` is (month, year)."""
    method: Object = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": _NO_ADDRESS,
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
            **(billing or {}),
        },
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": card.brand,
            "exp_month": expiry[0],
            "exp_year": expiry[1],
            "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
            "funding": "credit",
            "generated_from": None,
            "last4": card.number[-4:],
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": call.created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
        "_number": card.number,
        "_authenticated": False,
    }
    call.tx.insert(call.account, method)
    return method


def named(call: Call, method_id: str, param: str) -> Object:
    """The payment method that a parameter names; `pm_card_visa` and its like make a new one."""
    if method_id in BY_ALIAS:
        return make(call, BY_ALIAS[method_id])
    return call.named("payment_method", method_id, param, "PaymentMethod")


def attach(call: Call, method: Object, customer: Object) -> Object:
    """Saves a card to a customer; most of those that decline are refused here already."""
    card = card_of(method)
    if card.decline is not None and not card.attachable:
        decline = card.decline
        raise errors.StripeFault(
            402,
            decline.message,
            kind="card_error",
            code=decline.code,
            more={"decline_code": decline.decline_code},
        )
    if method["customer"] not in {None, customer["id"]}:
        raise errors.StripeFault(
            400, "The payment method you provided has already been attached to a customer."
        )
    if method["customer"] is None:
        method["customer"] = customer["id"]
        call.tx.replace(method)
        events.emit(call, call.account, "payment_method.attached", method)
    return method


def _create(call: Call) -> Object:
    params = call.params
    given = params.get("card")
    if given is None:
        raise errors.missing_parameter("card")
    if "token" in given:
        alias = given["token"].replace("tok_", "pm_card_", 1)
        if alias not in BY_ALIAS:
            raise errors.no_such("token", given["token"], param="card[token]", status=400)
        card, expiry = BY_ALIAS[alias], (12, 2034)
    else:
        for name in ("number", "exp_month", "exp_year"):
            if name not in given:
                raise errors.missing_parameter(f"card[{name}]")
        card, expiry = cards.by_number(given["number"]), (given["exp_month"], given["exp_year"])
    method = make(call, card, expiry=expiry, billing=params.get("billing_details"))
    method["metadata"] = merge_metadata({}, params.get("metadata", {}))
    call.tx.replace(method)
    return method


def _own(call: Call) -> Object:
    return call.own("payment_method", call.path["id"], "PaymentMethod")


def _attach(call: Call) -> Object:
    method = named(call, call.path["id"], "payment_method")
    return attach(call, method, customers.find(call, call.params["customer"]))


def _detach(call: Call) -> Object:
    method = _own(call)
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise errors.StripeFault(400, message)
    before = copy.deepcopy(method)
    customer = customers.find(call, method["customer"])
    method["customer"] = None
    call.tx.replace(method)
    events.emit_change(call, call.account, "payment_method.detached", before, method)
    _forget(call, customer, method["id"])
    return method


def _forget(call: Call, customer: Object, method_id: str) -> None:
    """A detached card is nobody's default any more."""
    if customer["invoice_settings"]["default_payment_method"] == method_id:
        before = copy.deepcopy(customer)
        customer["invoice_settings"]["default_payment_method"] = None
        customers.save(call, before, customer)
    for subscription in call.tx.every("subscription", call.account, customer=customer["id"]):
        if subscription["default_payment_method"] == method_id:
            call.tx.replace({**subscription, "default_payment_method": None})


def change_card(call: Call, method: Object, card: Card) -> Object:
    """The bank has issued another card, or changed its mind about this one."""
    before = copy.deepcopy(method)
    method["_number"] = card.number
    method["card"] |= {"last4": card.number[-4:], "brand": card.brand, "display_brand": card.brand}
    call.tx.replace(method)
    events.emit_change(call, call.account, "payment_method.automatically_updated", before, method)
    return method


def _update(call: Call) -> Object:
    method = _own(call)
    before = copy.deepcopy(method)
    method["metadata"] = merge_metadata(method["metadata"], call.params.get("metadata", {}))
    method["billing_details"] |= call.params.get("billing_details", {})
    method["card"] |= call.params.get("card", {})
    method |= {name: call.params[name] for name in ("allow_redisplay",) if name in call.params}
    call.tx.replace(method)
    events.emit_change(call, call.account, "payment_method.updated", before, method)
    return method


def _of_customer(call: Call) -> Object:
    customer = call.own("customer", call.path["id"])
    url = f"/v1/customers/{customer['id']}/payment_methods"
    return call.list_of("payment_method", url, "type", only={"customer": customer["id"]})


_EXPIRY = {
    "exp_month": Param("integer", minimum=1, maximum=12),
    "exp_year": Param("integer", minimum=2000, maximum=2100),
}
_WRITABLE = {
    **EXPAND,
    "allow_redisplay": Param(choices=("always", "limited", "unspecified")),
    "billing_details": Param("hash"),
    "metadata": Param("metadata"),
}

ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/payment_methods",
        _create,
        {
            **_WRITABLE,
            "type": Param(required=True, choices=("card",)),
            "card": Param("hash", children={"number": Param(), "cvc": Param(), "token": Param(), **_EXPIRY}),
        },
    ),
    Endpoint(
        "GET",
        "/v1/payment_methods",
        lambda call: call.list_of("payment_method", "/v1/payment_methods", "customer", "type"),
        {**LIST_PARAMS, "customer": Param(), "type": Param()},
    ),
    Endpoint("GET", "/v1/payment_methods/{id}", _own, EXPAND),
    Endpoint(
        "POST", "/v1/payment_methods/{id}", _update, {**_WRITABLE, "card": Param("hash", children=_EXPIRY)}
    ),
    Endpoint(
        "POST", "/v1/payment_methods/{id}/attach", _attach, {**EXPAND, "customer": Param(required=True)}
    ),
    Endpoint("POST", "/v1/payment_methods/{id}/detach", _detach, EXPAND),
    Endpoint("GET", "/v1/customers/{id}/payment_methods", _of_customer, {**LIST_PARAMS, "type": Param()}),
]
