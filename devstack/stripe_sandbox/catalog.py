"""Products and their prices, recurring and one-off."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import errors, events
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

INTERVALS = ("day", "month", "week", "year")
RECURRING = Param(
    "hash",
    children={
        "interval": Param(required=True, choices=INTERVALS),
        "interval_count": Param("integer", minimum=1, maximum=36),
        "usage_type": Param(choices=("licensed",)),
    },
)
PRODUCT_DATA = {
    "name": Param(required=True),
    "active": Param("boolean"),
    "description": Param(),
    "images": Param("list"),
    "metadata": Param("metadata"),
    "statement_descriptor": Param(max_length=22),
    "tax_code": Param(),
    "unit_label": Param(),
}
_PRODUCT = {
    **EXPAND,
    "active": Param("boolean"),
    "description": Param(unset=True),
    "images": Param("list"),
    "metadata": Param("metadata"),
    "name": Param(),
    "statement_descriptor": Param(max_length=22),
    "tax_code": Param(),
    "unit_label": Param(unset=True),
    "url": Param(unset=True),
    "default_price": Param(),
}
_PLAIN = ("active", "description", "images", "name", "statement_descriptor", "tax_code", "unit_label", "url")


def create_product(call: Call, given: dict[str, Any]) -> Object:
    """A product from `product_data` or the parameters of its own endpoint."""
    product: Object = {
        "id": given.get("id") or new_id("prod", 14),
        "object": "product",
        "active": True,
        "created": call.created,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": merge_metadata({}, given.get("metadata", {})),
        "name": given["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": call.created,
        "url": None,
    }
    product |= {name: given[name] for name in _PLAIN if name in given}
    call.tx.insert(call.account, product)
    events.emit(call, call.account, "product.created", product)
    return product


def _create_product(call: Call) -> Object:
    given = call.params
    if "id" in given and call.tx.find("product", given["id"]) is not None:
        raise errors.StripeFault(400, "Product already exists.", code="resource_already_exists", param="id")
    product = create_product(call, given)
    if "default_price_data" in given:
        price = create_price(call, given["default_price_data"], product["id"])
        product["default_price"] = price["id"]
        call.tx.replace(product)
    return product


def _update_product(call: Call) -> Object:
    product = call.own("product", call.path["id"])
    before = copy.deepcopy(product)
    product |= {name: call.params[name] for name in (*_PLAIN, "default_price") if name in call.params}
    product["metadata"] = merge_metadata(product["metadata"], call.params.get("metadata", {}))
    product["updated"] = call.created
    call.tx.replace(product)
    events.emit_change(call, call.account, "product.updated", before, product)
    return product


def _delete_product(call: Call) -> Object:
    product = call.own("product", call.path["id"])
    if call.tx.every("price", call.account, product=product["id"]):
        raise errors.StripeFault(
            400, "This product cannot be deleted because it has one or more user-created prices."
        )
    deleted = {"id": product["id"], "object": "product", "deleted": True}
    call.tx.replace(deleted)
    events.emit(call, call.account, "product.deleted", product)
    return deleted


def create_price(call: Call, given: dict[str, Any], product_id: str) -> Object:
    """A price from `price_data` or the parameters of its own endpoint. Amounts are in the smallest unit."""
    recurring = given.get("recurring")
    price: Object = {
        "id": new_id("price"),
        "object": "price",
        "active": given.get("active", True),
        "billing_scheme": "per_unit",
        "created": call.created,
        "currency": given["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": given.get("lookup_key"),
        "metadata": merge_metadata({}, given.get("metadata", {})),
        "nickname": given.get("nickname"),
        "product": product_id,
        "recurring": None,
        "tax_behavior": given.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time" if recurring is None else "recurring",
        "unit_amount": given["unit_amount"],
        "unit_amount_decimal": str(given["unit_amount"]),
    }
    if recurring is not None:
        price["recurring"] = {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
    call.tx.insert(call.account, price)
    events.emit(call, call.account, "price.created", price)
    return price


def price_from_data(call: Call, data: dict[str, Any], param: str) -> Object:
    """The price that `price_data` describes, made for this one use: it is not active."""
    if "product" in data:
        product_id = call.named("product", data["product"], f"{param}[product]")["id"]
    elif "product_data" in data:
        product_id = create_product(call, data["product_data"])["id"]
    else:
        raise errors.missing_parameter(f"{param}[product]")
    return create_price(call, {**data, "active": False}, product_id)


def _create_price(call: Call) -> Object:
    params = call.params
    if ("product" in params) == ("product_data" in params):
        raise errors.missing_parameter("product")
    if params.get("lookup_key") is not None:
        _free_lookup_key(call, params["lookup_key"], transfer=params.get("transfer_lookup_key", False))
    if "product" in params:
        return create_price(call, params, call.named("product", params["product"], "product")["id"])
    return create_price(call, params, create_product(call, params["product_data"])["id"])


def _free_lookup_key(call: Call, key: str, *, transfer: bool) -> None:
    """Takes a look-up key from the price that has it, or refuses."""
    for price in call.tx.every("price", call.account, lookup_key=key):
        if not transfer:
            message = f"A price (`{price['id']}`) already uses that lookup key."
            raise errors.StripeFault(400, message, param="lookup_key")
        call.tx.replace({**price, "lookup_key": None})


def _update_price(call: Call) -> Object:
    price = call.own("price", call.path["id"])
    before = copy.deepcopy(price)
    if call.params.get("lookup_key") not in {None, price["lookup_key"]}:
        _free_lookup_key(
            call, call.params["lookup_key"], transfer=call.params.get("transfer_lookup_key", False)
        )
    price |= {name: call.params[name] for name in ("active", "nickname", "lookup_key") if name in call.params}
    price["metadata"] = merge_metadata(price["metadata"], call.params.get("metadata", {}))
    call.tx.replace(price)
    events.emit_change(call, call.account, "price.updated", before, price)
    return price


def _list_prices(call: Call) -> Object:
    only = {"lookup_key": call.params["lookup_keys"]} if "lookup_keys" in call.params else {}
    return call.list_of("price", "/v1/prices", "active", "currency", "product", "type", only=only)


_PRICE = {
    **EXPAND,
    "active": Param("boolean"),
    "lookup_key": Param(unset=True, max_length=200),
    "metadata": Param("metadata"),
    "nickname": Param(unset=True),
    "tax_behavior": Param(choices=("exclusive", "inclusive", "unspecified")),
    "transfer_lookup_key": Param("boolean"),
}
_UNIT_AMOUNT = Param("integer", required=True, minimum=0, maximum=99_999_999)
PRICE_DATA = Param(
    "hash",
    children={
        "currency": Param("currency", required=True),
        "product": Param(),
        "product_data": Param("hash", children=PRODUCT_DATA),
        "recurring": RECURRING,
        "tax_behavior": _PRICE["tax_behavior"],
        "unit_amount": _UNIT_AMOUNT,
    },
)

ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/products",
        _create_product,
        {
            **_PRODUCT,
            "name": Param(required=True),
            "id": Param(),
            "type": Param(choices=("good", "service")),
            "default_price_data": PRICE_DATA,
        },
    ),
    Endpoint(
        "GET",
        "/v1/products",
        lambda call: call.list_of("product", "/v1/products", "active"),
        {**LIST_PARAMS, "active": Param("boolean")},
    ),
    Endpoint("GET", "/v1/products/{id}", lambda call: call.own("product", call.path["id"]), EXPAND),
    Endpoint("POST", "/v1/products/{id}", _update_product, _PRODUCT),
    Endpoint("DELETE", "/v1/products/{id}", _delete_product),
    Endpoint(
        "POST",
        "/v1/prices",
        _create_price,
        {
            **_PRICE,
            "billing_scheme": Param(choices=("per_unit",)),
            "currency": Param("currency", required=True),
            "product": Param(),
            "product_data": Param("hash", children=PRODUCT_DATA),
            "recurring": RECURRING,
            "unit_amount": _UNIT_AMOUNT,
        },
    ),
    Endpoint(
        "GET",
        "/v1/prices",
        _list_prices,
        {
            **LIST_PARAMS,
            "active": Param("boolean"),
            "currency": Param("currency"),
            "lookup_keys": Param("list"),
            "product": Param(),
            "type": Param(choices=("one_time", "recurring")),
        },
    ),
    Endpoint("GET", "/v1/prices/{id}", lambda call: call.own("price", call.path["id"]), EXPAND),
    Endpoint("POST", "/v1/prices/{id}", _update_price, _PRICE),
]
