"""Invoice items: what waits for a customer's next invoice, and the lines that invoices are made of."""

from __future__ import annotations

from typing import Any

from devstack.stripe_sandbox import catalog, customers, errors, events
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id


def pricing_of(price: Object | None, unit_amount: int) -> Object:
    """How a line says what a piece costs."""
    pricing: Object = {"type": "price_details", "unit_amount_decimal": str(unit_amount)}
    if price is not None:
        pricing["price_details"] = {"price": price["id"], "product": price["product"]}
    return pricing


def line(
    *,
    amount: int,
    currency: str,
    description: str,
    period: tuple[int, int],
    pricing: Object,
    quantity: int,
    parent: Object,
    metadata: dict[str, str] | None = None,
) -> Object:
    """A line of an invoice; `period` is the time it pays for."""
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "discountable": amount >= 0,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": metadata or {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": _subscription_of(parent),
        "subtotal": amount,
        "taxes": [],
    }


def _subscription_of(parent: Object) -> Any:
    details = parent["subscription_item_details"] or parent["invoice_item_details"]
    return details["subscription"]


def subscription_parent(
    subscription_id: str, item_id: str, *, proration: bool = False, invoice_item: str | None = None
) -> Object:
    """Says that a line comes from an item of a subscription."""
    return {
        "type": "subscription_item_details",
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": invoice_item,
            "proration": proration,
            "proration_details": {"credited_items": None} if proration else None,
            "subscription": subscription_id,
            "subscription_item": item_id,
        },
    }


def add(
    call: Call,
    customer: Object,
    *,
    amount: int,
    currency: str,
    description: str | None,
    period: tuple[int, int],
    price: Object | None = None,
    quantity: int = 1,
    subscription: str | None = None,
    subscription_item: str | None = None,
    invoice: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Object:
    """Something to be charged (or credited, below zero) with the next invoice, or with the draft named."""
    unit = amount if quantity == 0 else amount // quantity
    item: Object = {
        "id": new_id("ii"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "date": call.created,
        "description": description,
        "discountable": amount >= 0,
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": metadata or {},
        "net_amount": amount,
        "parent": None,
        "period": {"start": period[0], "end": period[1]},
        "pricing": pricing_of(price, unit),
        "proration": subscription_item is not None,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": customer["test_clock"],
        "_pending": invoice is None,
    }
    if subscription is not None:
        details = {"subscription": subscription, "subscription_item": subscription_item}
        item["parent"] = {"type": "subscription_details", "subscription_details": details}
    call.tx.insert(call.account, item)
    events.emit(call, call.account, "invoiceitem.created", item)
    return item


def pending(call: Call, customer_id: str, subscription_id: str | None) -> list[Object]:
    """What waits for the next invoice: of this subscription, and of no subscription at all."""
    waiting = call.tx.every("invoiceitem", call.account, customer=customer_id, _pending=1)
    return [item for item in waiting if subscription_id_of(item) in {None, subscription_id}]


def subscription_id_of(item: Object) -> Any:
    return item["parent"] and item["parent"]["subscription_details"]["subscription"]


def as_line(item: Object) -> Object:
    """The line that an invoice item becomes."""
    subscription = subscription_id_of(item)
    if subscription is not None and item["proration"]:
        member = item["parent"]["subscription_details"]["subscription_item"]
        parent = subscription_parent(subscription, member, proration=True, invoice_item=item["id"])
    else:
        parent = {
            "type": "invoice_item_details",
            "subscription_item_details": None,
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": None,
                "subscription": subscription,
            },
        }
    return line(
        amount=item["amount"],
        currency=item["currency"],
        description=item["description"] or "",
        period=(item["period"]["start"], item["period"]["end"]),
        pricing=item["pricing"],
        quantity=item["quantity"],
        parent=parent,
        metadata=item["metadata"],
    )


def _create(call: Call) -> Object:
    params = call.params
    customer = customers.find(call, params["customer"])
    call = call.on_clock(customer["test_clock"])
    price = _price(call)
    quantity = params.get("quantity", 1)
    amount = params["amount"] if price is None else price["unit_amount"] * quantity
    draft = _draft(call)
    period = params.get("period", {})
    item = add(
        call,
        customer,
        amount=amount,
        currency=params.get("currency") or (price or {}).get("currency", "usd"),
        description=params.get("description"),
        period=(period.get("start", call.created), period.get("end", call.created)),
        price=price,
        quantity=quantity,
        subscription=params.get("subscription"),
        invoice=params.get("invoice"),
        metadata=merge_metadata({}, params.get("metadata", {})),
    )
    if draft is not None:
        from_item = {**as_line(item), "invoice": draft["id"]}
        draft["lines"]["data"].append(from_item)
        for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
            draft[name] += amount
        draft["amount_due"] = draft["amount_remaining"] = max(0, draft["total"])
        call.tx.replace(draft)
    return item


def _price(call: Call) -> Object | None:
    params = call.params
    if "pricing" in params:
        return call.named("price", params["pricing"].get("price", ""), "pricing[price]")
    if "price_data" in params:
        return catalog.price_from_data(call, params["price_data"], "price_data")
    if "amount" not in params:
        raise errors.missing_parameter("amount")
    return None


def _draft(call: Call) -> Object | None:
    if "invoice" not in call.params:
        return None
    draft = call.named("invoice", call.params["invoice"], "invoice")
    if draft["status"] != "draft":
        raise errors.StripeFault(400, "You can only add invoice items to a draft invoice.", param="invoice")
    return draft


def _delete(call: Call) -> Object:
    item = call.own("invoiceitem", call.path["id"])
    if not item["_pending"]:
        raise errors.StripeFault(400, "This invoice item is on an invoice that is no longer a draft.")
    deleted = {"id": item["id"], "object": "invoiceitem", "deleted": True}
    call.tx.replace(deleted)
    events.emit(call, call.account, "invoiceitem.deleted", item)
    return deleted


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/invoiceitems",
        _create,
        {
            **EXPAND,
            "amount": Param("integer"),
            "currency": Param("currency"),
            "customer": Param(required=True),
            "description": Param(),
            "invoice": Param(),
            "metadata": Param("metadata"),
            "period": Param(
                "hash",
                children={"start": Param("integer", required=True), "end": Param("integer", required=True)},
            ),
            "price_data": catalog.PRICE_DATA,
            "pricing": Param("hash", children={"price": Param()}),
            "quantity": Param("integer", minimum=0),
            "subscription": Param(),
        },
    ),
    Endpoint(
        "GET",
        "/v1/invoiceitems",
        lambda call: call.list_of("invoiceitem", "/v1/invoiceitems", "customer", "invoice"),
        {**LIST_PARAMS, "customer": Param(), "invoice": Param()},
    ),
    Endpoint("GET", "/v1/invoiceitems/{id}", lambda call: call.own("invoiceitem", call.path["id"]), EXPAND),
    Endpoint("DELETE", "/v1/invoiceitems/{id}", _delete),
]
