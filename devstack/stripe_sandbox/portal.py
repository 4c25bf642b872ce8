"""The customer portal: sessions of it, and what its buttons do."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import customers, payment_methods, subscription_api, subscription_state
from devstack.stripe_sandbox.call import Call, Endpoint
from devstack.stripe_sandbox.cards import Card
from devstack.stripe_sandbox.forms import EXPAND, Param
from devstack.stripe_sandbox.store import Object, new_id

LIFETIME_SECONDS = 3600


def _create(call: Call) -> Object:
    customer = customers.find(call, call.params["customer"])
    token = new_id("test", 32)
    session: Object = {
        "id": new_id("bps"),
        "object": "billing_portal.session",
        "configuration": call.params.get("configuration") or f"bpc_{call.platform[5:]}",
        "created": call.created,
        "customer": customer["id"],
        "customer_account": None,
        "flow": _flow(call.params.get("flow_data")),
        "livemode": False,
        "locale": call.params.get("locale"),
        "on_behalf_of": None,
        "return_url": call.params.get("return_url"),
        "url": f"{call.options.public_url}/p/session/{token}",
    }
    call.tx.insert(call.account, session)
    page = {"id": token, "object": "_portal_page", "session": session["id"], "created": call.created}
    call.tx.insert(call.account, page)
    return session


def _flow(given: dict[str, Any] | None) -> Object | None:
    """The one thing that the page was opened for; the sandbox's page shows the rest all the same."""
    if given is None:
        return None
    return {
        "after_completion": {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"},
        "subscription_cancel": None,
        "subscription_update": None,
        "subscription_update_confirm": None,
        **given,
    }


def subscriptions_of(call: Call, customer: Object) -> list[Object]:
    """What the page shows: all that have not ended."""
    found = call.tx.every("subscription", call.account, customer=customer["id"])
    return [one for one in found if one["status"] not in subscription_state.ENDED]


def plan_end(call: Call, customer: Object, subscription_id: str, *, wanted: bool) -> None:
    """The cancel button, which ends it with its period, and the one that undoes this."""
    subscription = call.named("subscription", subscription_id, "subscription")
    if subscription["customer"] != customer["id"] or subscription["status"] in subscription_state.ENDED:
        return
    call = call.on_clock(subscription["test_clock"])
    before = copy.deepcopy(subscription)
    subscription_api.plan_end(call, subscription, wanted=wanted)
    subscription_state.save(call, before, subscription)


def change_card(call: Call, customer: Object, card: Card) -> None:
    """The new card becomes the default of the customer and of their subscriptions, or its decline is raised."""
    method = payment_methods.attach(call, payment_methods.make(call, card), customer)
    before = copy.deepcopy(customer)
    customer["invoice_settings"]["default_payment_method"] = method["id"]
    customers.save(call, before, customer)
    for subscription in subscriptions_of(call, customer):
        if subscription["default_payment_method"] is not None:
            old = copy.deepcopy(subscription)
            subscription["default_payment_method"] = method["id"]
            subscription_state.save(call, old, subscription)


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/billing_portal/sessions",
        _create,
        {
            **EXPAND,
            "configuration": Param(),
            "customer": Param(required=True),
            "flow_data": Param("hash"),
            "locale": Param(),
            "return_url": Param(),
        },
    ),
]
