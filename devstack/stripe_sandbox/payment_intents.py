"""The endpoints of payment intents and charges."""

from __future__ import annotations

from typing import Any

from devstack.stripe_sandbox import collection, customers, errors, events, payment_methods, payments
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object

_OPEN = ("requires_action", "requires_confirmation", "requires_payment_method")
_PLAIN = (
    "amount",
    "currency",
    "description",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)


def _create(call: Call) -> Object:
    params = call.params
    if params.get("off_session") and not params.get("confirm"):
        message = "You cannot set `off_session` without `confirm=true`."
        raise errors.StripeFault(400, message, param="off_session")
    given = {name: params[name] for name in _PLAIN if name in params}
    if "customer" in params:
        customer = customers.find(call, params["customer"])
        given["customer"] = customer["id"]
        call = call.on_clock(customer["test_clock"])
    if "payment_method" in params:
        given |= {
            "payment_method": payment_methods.named(call, params["payment_method"], "payment_method")["id"],
            "status": "requires_confirmation",
        }
    if params.get("automatic_payment_methods", {}).get("enabled"):
        given["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
    intent = payments.new_intent(call, **given, metadata=merge_metadata({}, params.get("metadata", {})))
    return _confirm(call, intent) if params.get("confirm") else intent


def _own(call: Call) -> Object:
    return call.own("payment_intent", call.path["id"])


def _confirm(call: Call, intent: Object) -> Object:
    """Tries the intent; a decline is answered with 402, and what it left behind is kept."""
    params = call.params
    if "payment_method" in params:
        intent["payment_method"] = payment_methods.named(call, params["payment_method"], "payment_method")[
            "id"
        ]
    if intent["payment_method"] is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update "
            "the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with "
            "a payment method or ConfirmationToken."
        )
        raise errors.StripeFault(400, message, code="payment_intent_unexpected_state")
    intent["setup_future_usage"] = params.get("setup_future_usage", intent["setup_future_usage"])
    _save_method(call, intent)
    payments.confirm(
        call,
        intent,
        off_session=params.get("off_session", False),
        return_url=params.get("return_url"),
    )
    collection.after_attempt(call, intent)
    if intent["last_payment_error"] is not None:
        raise payments.declined(intent)
    if params.get("error_on_requires_action") and intent["status"] == "requires_action":
        raise errors.StripeFault(
            402,
            "This payment required an authentication action to complete, but `error_on_requires_action` was set.",
            kind="card_error",
            code="authentication_required",
        )
    return intent


def _save_method(call: Call, intent: Object) -> None:
    """A card that is set up for later becomes the customer's."""
    if intent["setup_future_usage"] is None or intent["customer"] is None:
        return
    method = call.named("payment_method", intent["payment_method"], "payment_method", "PaymentMethod")
    payment_methods.attach(call, method, customers.find(call, intent["customer"]))


def _confirm_by_id(call: Call) -> Object:
    intent = _own(call)
    _must_be_open(intent, "confirm")
    return _confirm(_clocked(call, intent), intent)


def _clocked(call: Call, intent: Object) -> Call:
    customer = intent["customer"] and call.tx.find("customer", intent["customer"])
    return call.on_clock(customer.get("test_clock")) if customer else call


def _must_be_open(intent: Object, verb: str) -> None:
    if intent["status"] not in _OPEN:
        message = (
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be {verb}ed: {', '.join(_OPEN)}."
        )
        more = {"payment_intent": intent}
        raise errors.StripeFault(400, message, code="payment_intent_unexpected_state", more=more)


def _update(call: Call) -> Object:
    intent = _own(call)
    params = call.params
    if "amount" in params or "payment_method" in params:
        _must_be_open(intent, "update")
    intent |= {name: params[name] for name in _PLAIN if name in params}
    if "payment_method" in params:
        method = payment_methods.named(call, params["payment_method"], "payment_method")
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    intent["metadata"] = merge_metadata(intent["metadata"], params.get("metadata", {}))
    call.tx.replace(intent)
    return intent


def _cancel(call: Call) -> Object:
    intent = _own(call)
    _must_be_open(intent, "cancel")
    intent |= {
        "status": "canceled",
        "canceled_at": call.created,
        "cancellation_reason": call.params.get("cancellation_reason"),
        "next_action": None,
    }
    call.tx.replace(intent)
    events.emit(call, call.account, "payment_intent.canceled", intent)
    return intent


def _update_charge(call: Call) -> Object:
    charge = call.own("charge", call.path["id"])
    change: dict[str, Any] = {
        name: call.params[name] for name in ("description", "receipt_email") if name in call.params
    }
    change["metadata"] = merge_metadata(charge["metadata"], call.params.get("metadata", {}))
    payments.touch_charge(call, charge, **change)
    return charge


_WRITABLE = {
    **EXPAND,
    "amount": Param("integer", minimum=1, maximum=99_999_999),
    "currency": Param("currency"),
    "customer": Param(),
    "description": Param(unset=True),
    "metadata": Param("metadata"),
    "payment_method": Param(),
    "payment_method_types": Param("list"),
    "receipt_email": Param(unset=True),
    "setup_future_usage": Param(choices=("off_session", "on_session")),
    "statement_descriptor": Param(max_length=22),
    "statement_descriptor_suffix": Param(max_length=22),
    "transfer_group": Param(),
}
_CONFIRMING = {
    **EXPAND,
    "error_on_requires_action": Param("boolean"),
    "off_session": Param("boolean"),
    "payment_method": Param(),
    "return_url": Param(),
    "setup_future_usage": _WRITABLE["setup_future_usage"],
}

ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/payment_intents",
        _create,
        {
            **_WRITABLE,
            **_CONFIRMING,
            "amount": Param("integer", required=True, minimum=1, maximum=99_999_999),
            "automatic_payment_methods": Param(
                "hash",
                children={
                    "enabled": Param("boolean", required=True),
                    "allow_redirects": Param(choices=("always", "never")),
                },
            ),
            "confirm": Param("boolean"),
            "currency": Param("currency", required=True),
        },
    ),
    Endpoint(
        "GET",
        "/v1/payment_intents",
        lambda call: call.list_of("payment_intent", "/v1/payment_intents", "customer"),
        {**LIST_PARAMS, "customer": Param()},
    ),
    Endpoint("GET", "/v1/payment_intents/{id}", _own, {**EXPAND, "client_secret": Param()}),
    Endpoint("POST", "/v1/payment_intents/{id}", _update, _WRITABLE),
    Endpoint("POST", "/v1/payment_intents/{id}/confirm", _confirm_by_id, _CONFIRMING),
    Endpoint(
        "POST",
        "/v1/payment_intents/{id}/cancel",
        _cancel,
        {
            **EXPAND,
            "cancellation_reason": Param(
                choices=("abandoned", "duplicate", "fraudulent", "requested_by_customer")
            ),
        },
    ),
    Endpoint(
        "GET",
        "/v1/charges",
        lambda call: call.list_of("charge", "/v1/charges", "customer", "payment_intent", "transfer_group"),
        {**LIST_PARAMS, "customer": Param(), "payment_intent": Param(), "transfer_group": Param()},
    ),
    Endpoint("GET", "/v1/charges/{id}", lambda call: call.own("charge", call.path["id"]), EXPAND),
    Endpoint(
        "POST",
        "/v1/charges/{id}",
        _update_charge,
        {**EXPAND, "description": Param(), "metadata": Param("metadata"), "receipt_email": Param()},
    ),
]
