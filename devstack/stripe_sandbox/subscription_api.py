"""The endpoints of subscriptions."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import (
    catalog,
    collection,
    customers,
    errors,
    subscription_changes,
    subscription_state,
    subscriptions,
)
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object


def recurring_price(call: Call, given: dict[str, Any], param: str) -> Object:
    """The recurring price that an item names, or describes."""
    if "price_data" in given:
        price = catalog.price_from_data(call, given["price_data"], f"{param}[price_data]")
    elif "price" in given:
        price = call.named("price", given["price"], f"{param}[price]")
        if not price["active"]:
            message = "The price specified is inactive. This field only accepts active prices."
            raise errors.StripeFault(400, message, param=f"{param}[price]")
    else:
        raise errors.missing_parameter(f"{param}[price]")
    if price["recurring"] is None:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`."
        )
        raise errors.StripeFault(400, message, param=f"{param}[price]")
    return price


def same_interval(prices: list[Object]) -> None:
    """Stripe bills all items of a subscription together."""
    if len({(p["recurring"]["interval"], p["recurring"]["interval_count"]) for p in prices}) > 1:
        raise errors.StripeFault(400, "Currently, all prices of a subscription must have the same interval.")
    if len({price["currency"] for price in prices}) > 1:
        raise errors.StripeFault(400, "All prices of a subscription must have the same currency.")


def _create(call: Call) -> Object:
    params = call.params
    customer = customers.find(call, params["customer"])
    call = call.on_clock(customer["test_clock"])
    if not params["items"]:
        raise errors.missing_parameter("items")
    items = [
        (recurring_price(call, given, f"items[{n}]"), given.get("quantity", 1))
        for n, given in enumerate(params["items"])
    ]
    same_interval([price for price, _ in items])
    given: dict[str, Any] = {
        name: params[name] for name in ("description", "metadata", "payment_settings") if name in params
    }
    if "default_payment_method" in params:
        method = customers.attached_method(
            call, customer, params["default_payment_method"], "default_payment_method"
        )
        given["default_payment_method"] = method["id"]
    behaviour = params.get("payment_behavior", "allow_incomplete")
    has_method = "default_payment_method" in given or customer["invoice_settings"]["default_payment_method"]
    free = all(price["unit_amount"] * count == 0 for price, count in items)
    if not has_method and not free and behaviour != "default_incomplete":
        raise collection.no_method()
    return subscriptions.create(
        call,
        customer,
        items,
        given,
        behaviour=behaviour,
        off_session=params.get("off_session", False),
    )


def _own(call: Call) -> Object:
    return call.own("subscription", call.path["id"])


def _living(call: Call) -> tuple[Call, Object]:
    """A subscription that can still be changed, and the call in its time."""
    subscription = _own(call)
    if subscription["status"] in subscription_state.ENDED:
        if call.params:
            message = "A canceled subscription can only update its cancellation_details and metadata."
            raise errors.StripeFault(400, message)
        raise errors.no_such("subscription", subscription["id"])
    return call.on_clock(subscription["test_clock"]), subscription


def _update(call: Call) -> Object:
    params = call.params
    if set(params) <= {"metadata", "cancellation_details", "expand"}:
        subscription = _own(call)
        call = call.on_clock(subscription["test_clock"])
    else:
        call, subscription = _living(call)
    before = copy.deepcopy(subscription)
    subscription["metadata"] = merge_metadata(subscription["metadata"], params.get("metadata", {}))
    subscription["cancellation_details"] |= params.get("cancellation_details", {})
    subscription["payment_settings"] |= params.get("payment_settings", {})
    subscription |= {name: params[name] for name in ("description",) if name in params}
    _set_method(call, subscription)
    set_cancellation(call, subscription)
    lines, anew = apply_items(call, subscription)
    subscription_state.save(call, before, subscription)
    behaviour = params.get("proration_behavior", "create_prorations")
    if anew or (behaviour == "always_invoice" and _touches_items(params)):
        invoice = subscription_changes.bill_change(
            call, subscription, lines, off_session=params.get("off_session", False)
        )
        if invoice is not None and params.get("payment_behavior") == "error_if_incomplete":
            subscriptions.refuse_if_unpaid(call, invoice)
    return call.tx.find("subscription", subscription["id"]) or subscription


def _touches_items(params: dict[str, Any]) -> bool:
    return "items" in params or params.get("billing_cycle_anchor") == "now"


def apply_items(call: Call, subscription: Object) -> tuple[list[Object], bool]:
    """Carries out `items`, `proration_behavior`, `proration_date` and `billing_cycle_anchor` of the request."""
    params = call.params
    if not _touches_items(params):
        return [], False
    wanted = _wanted(call, subscription, params.get("items", []))
    start, end = subscriptions.period_of(subscription)
    at = params.get("proration_date", call.created)
    if not start <= at <= end:
        message = "Cannot specify `proration_date` outside of the current billing period."
        raise errors.StripeFault(400, message, param="proration_date")
    return subscription_changes.change_items(
        call,
        subscription,
        wanted,
        behaviour=params.get("proration_behavior", "create_prorations"),
        at=at,
        reset=params.get("billing_cycle_anchor") == "now",
    )


def _wanted(call: Call, subscription: Object, changes: list[dict[str, Any]]) -> list[Object]:
    """The items as the request wants them; those that it does not name stay."""
    items = {item["id"]: copy.deepcopy(item) for item in subscription["items"]["data"]}
    period = subscriptions.period_of(subscription)
    for n, change in enumerate(changes):
        param = f"items[{n}]"
        if "id" not in change:
            price = recurring_price(call, change, param)
            made = subscriptions.new_item(call, subscription["id"], price, change.get("quantity", 1), period)
            items[made["id"]] = made
            continue
        if change["id"] not in items:
            raise errors.no_such("subscription_item", change["id"], param=f"{param}[id]", status=400)
        if change.get("deleted"):
            del items[change["id"]]
            continue
        item = items[change["id"]]
        if "price" in change or "price_data" in change:
            price = recurring_price(call, change, param)
            made = subscriptions.new_item(call, subscription["id"], price, item["quantity"], period)
            item |= {"price": price, "plan": made["plan"]}
        item["quantity"] = change.get("quantity", item["quantity"])
        item["metadata"] = merge_metadata(item["metadata"], change.get("metadata", {}))
    if not items:
        raise errors.StripeFault(400, "A subscription must have at least one active plan.")
    same_interval([item["price"] for item in items.values()])
    return list(items.values())


def _set_method(call: Call, subscription: Object) -> None:
    if "default_payment_method" not in call.params:
        return
    method = call.params["default_payment_method"]
    if method is not None:
        customer = customers.find(call, subscription["customer"])
        method = customers.attached_method(call, customer, method, "default_payment_method")["id"]
    subscription["default_payment_method"] = method


def set_cancellation(call: Call, subscription: Object) -> None:
    """Carries out `cancel_at_period_end` and `cancel_at`: a planned end, its undoing, or another date."""
    params = call.params
    if "cancel_at_period_end" in params and params.get("cancel_at") is not None:
        raise errors.StripeFault(400, "You may only specify one of these: cancel_at, cancel_at_period_end.")
    if "cancel_at_period_end" in params:
        plan_end(call, subscription, wanted=params["cancel_at_period_end"])
    elif "cancel_at" in params:
        at = params["cancel_at"]
        if at is not None and at <= call.created:
            raise errors.StripeFault(400, "`cancel_at` must be in the future.", param="cancel_at")
        subscription |= {
            "cancel_at": at,
            "cancel_at_period_end": False,
            "canceled_at": None if at is None else call.created,
        }
        if at is not None:
            call.schedule("subscription.cancel", call.account, subscription["id"], at=at)


def plan_end(call: Call, subscription: Object, *, wanted: bool) -> None:
    """Sets or undoes the end of a subscription with its period."""
    subscription |= {
        "cancel_at_period_end": wanted,
        "cancel_at": subscriptions.period_of(subscription)[1] if wanted else None,
        "canceled_at": call.created if wanted else None,
    }
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if wanted else None


def _cancel(call: Call) -> Object:
    params = call.params
    subscription = _own(call)
    if subscription["status"] in subscription_state.ENDED:
        raise errors.no_such("subscription", subscription["id"])
    call = call.on_clock(subscription["test_clock"])
    subscription["cancellation_details"] |= params.get("cancellation_details", {})
    subscription_changes.cancel_now(
        call,
        subscription,
        prorate=params.get("prorate", False),
        invoice_now=params.get("invoice_now", False),
    )
    return subscription


def _list(call: Call) -> Object:
    """Those that have ended are left out unless asked for, as Stripe does."""
    status = call.params.get("status")
    only: dict[str, Any] = {}
    if status in {None, "ended"}:
        ended = list(subscription_state.ENDED)
        alive = ["active", "incomplete", "past_due", "paused", "trialing", "unpaid"]
        only["status"] = alive if status is None else ended
    elif status != "all":
        only["status"] = status
    return call.list_of("subscription", "/v1/subscriptions", "customer", "test_clock", only=only)


def _list_items(call: Call) -> Object:
    subscription = call.named("subscription", call.params["subscription"], "subscription")
    data = subscription["items"]["data"]
    return {"object": "list", "data": data, "has_more": False, "url": "/v1/subscription_items"}


_DETAILS = Param(
    "hash",
    children={
        "comment": Param(unset=True),
        "feedback": Param(
            unset=True,
            choices=(
                "customer_service",
                "low_quality",
                "missing_features",
                "other",
                "switched_service",
                "too_complex",
                "too_expensive",
                "unused",
            ),
        ),
    },
)
_QUANTITY = Param("integer", minimum=0, maximum=999_999)
ITEMS = Param(
    "hashes",
    children={
        "id": Param(),
        "deleted": Param("boolean"),
        "metadata": Param("metadata"),
        "price": Param(),
        "price_data": catalog.PRICE_DATA,
        "quantity": _QUANTITY,
    },
)
PRORATION = Param(choices=("always_invoice", "create_prorations", "none"))
SETTINGS = Param(
    "hash",
    children={
        "payment_method_types": Param("list"),
        "payment_method_options": Param("hash"),
        "save_default_payment_method": Param(choices=("off", "on_subscription")),
    },
)
_WRITABLE = {
    **EXPAND,
    "default_payment_method": Param(unset=True),
    "description": Param(unset=True, max_length=500),
    "metadata": Param("metadata"),
    "off_session": Param("boolean"),
    "payment_behavior": Param(choices=("allow_incomplete", "default_incomplete", "error_if_incomplete")),
    "payment_settings": SETTINGS,
    "proration_behavior": PRORATION,
}

ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/subscriptions",
        _create,
        {
            **_WRITABLE,
            "collection_method": Param(choices=("charge_automatically",)),
            "customer": Param(required=True),
            "items": Param("hashes", required=True, children=ITEMS.children),
        },
    ),
    Endpoint(
        "GET",
        "/v1/subscriptions",
        _list,
        {
            **LIST_PARAMS,
            "customer": Param(),
            "status": Param(
                choices=(
                    "active",
                    "all",
                    "canceled",
                    "ended",
                    "incomplete",
                    "incomplete_expired",
                    "past_due",
                    "paused",
                    "trialing",
                    "unpaid",
                )
            ),
            "test_clock": Param(),
        },
    ),
    Endpoint("GET", "/v1/subscriptions/{id}", _own, EXPAND),
    Endpoint(
        "POST",
        "/v1/subscriptions/{id}",
        _update,
        {
            **_WRITABLE,
            "billing_cycle_anchor": Param(choices=("now", "unchanged")),
            "cancel_at": Param("integer", unset=True),
            "cancel_at_period_end": Param("boolean"),
            "cancellation_details": _DETAILS,
            "items": ITEMS,
            "proration_date": Param("integer"),
        },
    ),
    Endpoint(
        "DELETE",
        "/v1/subscriptions/{id}",
        _cancel,
        {
            **EXPAND,
            "cancellation_details": _DETAILS,
            "invoice_now": Param("boolean"),
            "prorate": Param("boolean"),
        },
    ),
    Endpoint(
        "GET", "/v1/subscription_items", _list_items, {**LIST_PARAMS, "subscription": Param(required=True)}
    ),
]
