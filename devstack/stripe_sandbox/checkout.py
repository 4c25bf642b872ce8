"""Checkout sessions: what is for sale, and what happens once the page is paid."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import (
    catalog,
    customers,
    due,
    errors,
    events,
    invoice_items,
    payment_methods,
    payments,
    subscription_api,
    subscriptions,
)
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.cards import Card
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

_KIND = "checkout.session"
_URL = "/v1/checkout/sessions"
_DAY_SECONDS = 86_400


def _create(call: Call) -> Object:
    params = call.params
    mode = params["mode"]
    for name in ("success_url", "line_items"):
        if not params.get(name):
            raise errors.missing_parameter(name)
    items = [_line_item(call, given, n, mode) for n, given in enumerate(params["line_items"])]
    prices = [item["price"] for item in items if item["price"]["recurring"]]
    if mode == "subscription" and not prices:
        raise errors.StripeFault(
            400, "You must provide at least one recurring price in `subscription` mode when using prices."
        )
    subscription_api.same_interval(prices)
    if "customer" in params and "customer_email" in params:
        raise errors.StripeFault(
            400, "You may only specify one of these parameters: customer, customer_email."
        )
    customer = customers.find(call, params["customer"]) if "customer" in params else None
    expires_at = params.get("expires_at", call.created + _DAY_SECONDS)
    if not call.created + 1_800 <= expires_at <= call.created + _DAY_SECONDS:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Session creation."
        raise errors.StripeFault(400, message, param="expires_at")
    session = _build(call, items, customer, expires_at)
    call.tx.insert(call.account, session)
    call.schedule("checkout.expire", call.account, session["id"], at=expires_at)
    return session


def _line_item(call: Call, given: dict[str, Any], n: int, mode: str) -> Object:
    param = f"line_items[{n}]"
    if "price_data" in given:
        price = catalog.price_from_data(call, given["price_data"], f"{param}[price_data]")
    elif "price" in given:
        price = call.named("price", given["price"], f"{param}[price]")
    else:
        raise errors.missing_parameter(f"{param}[price]")
    if mode == "payment" and price["recurring"] is not None:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode"
        )
        raise errors.StripeFault(400, f"{message} or use only one-time prices.")
    quantity = given.get("quantity", 1)
    product = call.tx.find("product", price["product"]) or {}
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": price["unit_amount"] * quantity,
        "amount_tax": 0,
        "amount_total": price["unit_amount"] * quantity,
        "currency": price["currency"],
        "description": product.get("name") or price["nickname"],
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def _build(call: Call, items: list[Object], customer: Object | None, expires_at: int) -> Object:
    params = call.params
    session_id = new_id("cs_test", 58)
    total = sum(item["amount_total"] for item in items)
    email = customer["email"] if customer else params.get("customer_email")
    return {
        "id": session_id,
        "object": _KIND,
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": call.created,
        "currency": items[0]["currency"],
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": customer["id"] if customer else None,
        "customer_account": None,
        "customer_creation": params.get(
            "customer_creation", "always" if params["mode"] == "subscription" else "if_required"
        )
        if customer is None
        else None,
        "customer_details": {
            "address": None,
            "business_name": None,
            "email": email,
            "individual_name": None,
            "name": None,
            "phone": None,
            "tax_exempt": "none",
            "tax_ids": None,
        }
        if email
        else None,
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": expires_at,
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": None,
        "metadata": merge_metadata({}, params.get("metadata", {})),
        "mode": params["mode"],
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "always" if params["mode"] == "subscription" else "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{call.options.public_url}/c/pay/{session_id}",
        "wallet_options": None,
        "_line_items": items,
        "_data": params.get("subscription_data", {}) | params.get("payment_intent_data", {}),
        "_intent": None,
        "_method": None,
    }


# What the page does


def submit(call: Call, session: Object, card: Card, details: dict[str, str]) -> bool:
    """Pays with a card as typed into the page; False if its bank asks the customer to authenticate first.

    `details` has `email` and `name`. A decline is raised; the session stays open for another card.
    """
    method = payment_methods.make(
        call, card, billing={name: value or None for name, value in details.items()}
    )
    session["customer_details"] = {
        **dict.fromkeys(("address", "business_name", "individual_name", "phone", "tax_ids")),
        "tax_exempt": "none",
        "email": (session["customer_details"] or {}).get("email") or details["email"],
        "name": details["name"] or None,
    }
    session["_method"] = method["id"]
    call.tx.replace(session)
    if card.authentication != "never" and session["amount_total"] > 0:
        return False
    complete(call, session, authenticated=False)
    return True


def complete(call: Call, session: Object, *, authenticated: bool) -> None:
    """Pays an open session with the card last typed into its page, or raises the decline."""
    method = call.named("payment_method", session["_method"], "payment_method", "PaymentMethod")
    if session["mode"] == "subscription":
        with call.tx.all_or_nothing():
            _subscribe(call, session, method, authenticated=authenticated)
    else:
        _pay(call, session, method, authenticated=authenticated)
    session |= {
        "status": "complete",
        "payment_status": "paid" if session["amount_total"] > 0 else "no_payment_required",
        "url": None,
    }
    call.tx.replace(session)
    events.emit(call, call.account, "checkout.session.completed", session)


def _customer(call: Call, session: Object) -> Object:
    if session["customer"] is not None:
        return customers.find(call, session["customer"])
    details = session["customer_details"]
    return customers.create(call, email=details["email"], name=details["name"])


def _subscribe(call: Call, session: Object, method: Object, *, authenticated: bool) -> None:
    customer = _customer(call, session)
    call = call.on_clock(customer["test_clock"])
    payment_methods.attach(call, method, customer)
    items = [(item["price"], item["quantity"]) for item in session["_line_items"]]
    for price, quantity in items:
        if price["recurring"] is None:
            invoice_items.add(
                call,
                customer,
                amount=price["unit_amount"] * quantity,
                currency=price["currency"],
                description=price["nickname"],
                period=(call.created, call.created),
                price=price,
                quantity=quantity,
            )
    subscription = subscriptions.create(
        call,
        customer,
        [(price, quantity) for price, quantity in items if price["recurring"] is not None],
        {**session["_data"], "default_payment_method": method["id"]},
        behaviour="error_if_incomplete",
        authenticated=authenticated,
    )
    session |= {
        "customer": customer["id"],
        "invoice": subscription["latest_invoice"],
        "subscription": subscription["id"],
    }


def _pay(call: Call, session: Object, method: Object, *, authenticated: bool) -> None:
    """A payment intent lives through all attempts of its session; the declined ones stay on record."""
    if session["customer"] is not None:
        call = call.on_clock(customers.find(call, session["customer"])["test_clock"])
    intent = call.tx.find("payment_intent", session["_intent"] or "")
    if intent is None:
        data = session["_data"]
        given = {name: value for name, value in data.items() if name != "metadata"}
        intent = payments.new_intent(
            call,
            amount=session["amount_total"],
            currency=session["currency"],
            customer=session["customer"],
            metadata=merge_metadata({}, data.get("metadata", {})),
            **given,
        )
        session["_intent"] = intent["id"]
        call.tx.replace(session)
    if session["customer"] is None and session["customer_creation"] == "always":
        session["customer"] = _customer(call, session)["id"]
    intent |= {"payment_method": method["id"], "customer": session["customer"]}
    payments.confirm(call, intent, authenticated=authenticated)
    if intent["status"] != "succeeded":
        raise payments.declined(intent)
    session["payment_intent"] = intent["id"]
    if session["customer"] is not None and intent["setup_future_usage"] is not None:
        payment_methods.attach(call, method, customers.find(call, session["customer"]))


def success_url(session: Object) -> str:
    """Where the browser goes after payment."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


# The endpoints


def _own(call: Call) -> Object:
    return call.own(_KIND, call.path["id"], "checkout.session")


def _expire_now(call: Call) -> Object:
    session = _own(call)
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
        )
        raise errors.StripeFault(400, f"{message}status of {session['status']}.")
    expire(call, call.account, session["id"])
    return _own(call)


@due.action("checkout.expire")
def expire(call: Call, owner: str, session_id: str) -> None:
    """An open session can be paid no more."""
    session = call.tx.find(_KIND, session_id, owner)
    if session is None or session["status"] != "open":
        return
    session |= {"status": "expired", "url": None}
    call.tx.replace(session)
    events.emit(call, owner, "checkout.session.expired", session)


def _update(call: Call) -> Object:
    session = _own(call)
    session["metadata"] = merge_metadata(session["metadata"], call.params.get("metadata", {}))
    call.tx.replace(session)
    return session


def _line_items(call: Call) -> Object:
    session = _own(call)
    url = f"{_URL}/{session['id']}/line_items"
    return {"object": "list", "data": copy.deepcopy(session["_line_items"]), "has_more": False, "url": url}


def _list(call: Call) -> Object:
    only: dict[str, Any] = {}
    if "customer_details" in call.params:
        only["customer_details.email"] = call.params["customer_details"]["email"]
    same = ("customer", "payment_intent", "status", "subscription")
    return call.list_of(_KIND, _URL, *same, only=only)


_DATA = {"description": Param(), "metadata": Param("metadata")}
ENDPOINTS = [
    Endpoint(
        "POST",
        _URL,
        _create,
        {
            **EXPAND,
            "allow_promotion_codes": Param("boolean"),
            "billing_address_collection": Param(choices=("auto", "required")),
            "cancel_url": Param(),
            "client_reference_id": Param(max_length=200),
            "customer": Param(),
            "customer_creation": Param(choices=("always", "if_required")),
            "customer_email": Param(max_length=800),
            "expires_at": Param("integer"),
            "line_items": Param(
                "hashes",
                children={
                    "price": Param(),
                    "price_data": catalog.PRICE_DATA,
                    "quantity": Param("integer", minimum=1, maximum=999_999),
                },
            ),
            "locale": Param(),
            "metadata": Param("metadata"),
            "mode": Param(required=True, choices=("payment", "subscription")),
            "payment_intent_data": Param(
                "hash",
                children={
                    **_DATA,
                    "receipt_email": Param(),
                    "setup_future_usage": Param(choices=("off_session", "on_session")),
                    "statement_descriptor": Param(max_length=22),
                    "transfer_group": Param(),
                },
            ),
            "payment_method_types": Param("list"),
            "submit_type": Param(choices=("auto", "book", "donate", "pay", "subscribe")),
            "subscription_data": Param("hash", children=_DATA),
            "success_url": Param(),
            "ui_mode": Param(choices=("hosted_page",)),
        },
    ),
    Endpoint(
        "GET",
        _URL,
        _list,
        {
            **LIST_PARAMS,
            "customer": Param(),
            "customer_details": Param("hash", children={"email": Param(required=True)}),
            "payment_intent": Param(),
            "status": Param(choices=("complete", "expired", "open")),
            "subscription": Param(),
        },
    ),
    Endpoint("GET", f"{_URL}/{{id}}", _own, EXPAND),
    Endpoint("POST", f"{_URL}/{{id}}", _update, {**EXPAND, "metadata": Param("metadata")}),
    Endpoint("POST", f"{_URL}/{{id}}/expire", _expire_now, EXPAND),
    Endpoint("GET", f"{_URL}/{{id}}/line_items", _line_items, LIST_PARAMS),
]
