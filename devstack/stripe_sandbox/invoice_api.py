"""The endpoints of invoices and of the payments on them."""

from __future__ import annotations

from dataclasses import replace

from devstack.stripe_sandbox import (
    collection,
    customers,
    errors,
    events,
    invoice_items,
    invoices,
    payment_methods,
    payments,
    subscription_api,
    subscriptions,
)
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object


def _create(call: Call) -> Object:
    params = call.params
    customer = customers.find(call, params["customer"])
    call = call.on_clock(customer["test_clock"])
    if params.get("pending_invoice_items_behavior", "exclude") == "include":
        invoice = invoices.draft(call, customer, [], reason="manual")
    else:
        invoice = invoices.build(call, customer, [], reason="manual")
        call.tx.insert(call.account, invoice)
        events.emit(call, call.account, "invoice.created", invoice)
    invoice |= {name: params[name] for name in ("auto_advance", "currency", "description") if name in params}
    invoice["metadata"] = merge_metadata({}, params.get("metadata", {}))
    call.tx.replace(invoice)
    if invoice["auto_advance"]:
        at = call.created + invoices.FINALISATION_SECONDS
        call.schedule("invoice.finalise", call.account, invoice["id"], at=at)
    return invoice


def _own(call: Call) -> Object:
    return call.own("invoice", call.path["id"])


def _in(call: Call, *statuses: str, verb: str) -> tuple[Call, Object]:
    """The invoice, if it is in one of these states, and the call in its time."""
    invoice = _own(call)
    if invoice["status"] not in statuses:
        known = {"paid": "Invoice is already paid", "void": "This invoice is void"}
        message = known.get(invoice["status"], f"You can only {verb} {' or '.join(statuses)} invoices.")
        raise errors.StripeFault(400, message, code="invoice_not_editable" if verb == "change" else None)
    return call.on_clock(invoice["test_clock"]), invoice


def _update(call: Call) -> Object:
    invoice = _own(call)
    before = invoices.copy_of(invoice)
    params = call.params
    if "default_payment_method" in params:
        customer = customers.find(call, invoice["customer"])
        method = customers.attached_method(
            call, customer, params["default_payment_method"], "default_payment_method"
        )
        invoice["default_payment_method"] = method["id"]
    invoice |= {name: params[name] for name in ("auto_advance", "description") if name in params}
    invoice["metadata"] = merge_metadata(invoice["metadata"], params.get("metadata", {}))
    invoices.save(call, before, invoice)
    return invoice


def _finalise(call: Call) -> Object:
    call, invoice = _in(call, "draft", verb="finalize")
    if call.params.get("auto_advance", invoice["auto_advance"]) or invoice["total"] <= 0:
        collection.settle(call, invoice)
    else:
        invoices.finalise(call, invoice)
    return call.tx.find("invoice", invoice["id"]) or invoice


def _pay(call: Call) -> Object:
    """Tries an invoice now; a decline is answered with 402 and leaves its traces."""
    params = call.params
    call, invoice = _in(call, "draft", "open", "uncollectible", verb="pay")
    if invoice["status"] == "draft":
        invoices.finalise(call, invoice)
    if params.get("paid_out_of_band") or invoice["amount_due"] == 0:
        collection.pay_out_of_band(call, invoice)
        return call.tx.find("invoice", invoice["id"]) or invoice
    method = params.get("payment_method")
    if method is not None:
        customer = customers.find(call, invoice["customer"])
        method = payment_methods.attach(
            call, payment_methods.named(call, method, "payment_method"), customer
        )["id"]
    if method is None and collection.default_method(call, invoice) is None:
        raise collection.no_method()
    collection.collect(
        call, invoice, off_session=params.get("off_session", True), method_id=method, manual=True
    )
    intent = call.tx.find("payment_intent", invoice["_payment_intent"])
    if intent is not None and intent["last_payment_error"] is not None:
        raise payments.declined(intent)
    return call.tx.find("invoice", invoice["id"]) or invoice


def _void(call: Call) -> Object:
    call, invoice = _in(call, "open", "uncollectible", verb="void")
    invoices.close(call, invoice, "void")
    return invoice


def _mark_uncollectible(call: Call) -> Object:
    call, invoice = _in(call, "open", verb="mark as uncollectible")
    invoices.close(call, invoice, "uncollectible")
    return invoice


def _delete(call: Call) -> Object:
    call, invoice = _in(call, "draft", verb="delete")
    deleted = {"id": invoice["id"], "object": "invoice", "deleted": True}
    call.tx.replace(deleted)
    events.emit(call, call.account, "invoice.deleted", invoice)
    return deleted


def _lines(call: Call) -> Object:
    listed: Object = _own(call)["lines"]
    limit = call.params.get("limit", 10)
    ids = [line["id"] for line in listed["data"]]
    first = ids.index(call.params["starting_after"]) + 1 if call.params.get("starting_after") in ids else 0
    return listed | {"data": listed["data"][first : first + limit], "has_more": len(ids) > first + limit}


def _preview(call: Call) -> Object:
    """What a change of a subscription would cost, or what its next renewal will; nothing is kept."""
    details = call.params.get("subscription_details", {})
    if "subscription" not in call.params:
        raise errors.missing_parameter("subscription")
    subscription = call.named("subscription", call.params["subscription"], "subscription")
    call = call.on_clock(subscription["test_clock"])
    with call.tx.undone():
        inner = replace(call, params=details)
        subscription_api.set_cancellation(inner, subscription)
        lines, anew = subscription_api.apply_items(inner, subscription)
        if not anew and details.get("proration_behavior") != "always_invoice":
            return _as_preview(subscriptions.upcoming(call, subscription))
        customer = customers.find(call, subscription["customer"])
        waiting = invoice_items.pending(call, customer["id"], subscription["id"])
        invoice = invoices.build(
            call,
            customer,
            [*(invoice_items.as_line(item) for item in waiting), *lines],
            reason="subscription_update",
            subscription=subscription,
        )
        invoices.preview_balance(invoice, customer)
        return _as_preview(invoice)


def _as_preview(invoice: Object) -> Object:
    return invoice | {"id": f"upcoming_{invoice['id']}"}


def _list(call: Call) -> Object:
    only = {}
    if "subscription" in call.params:
        only["parent.subscription_details.subscription"] = call.params["subscription"]
    return call.list_of("invoice", "/v1/invoices", "customer", "status", only=only)


def _list_payments(call: Call) -> Object:
    params = call.params
    only = {}
    if "payment" in params:
        only["payment.payment_intent"] = params["payment"].get("payment_intent", "")
    return call.list_of("invoice_payment", "/v1/invoice_payments", "invoice", "status", only=only)


_METADATA = {"metadata": Param("metadata")}
_AUTO_ADVANCE = {"auto_advance": Param("boolean")}
_DESCRIPTION = {"description": Param(unset=True)}
_STATUSES = ("draft", "open", "paid", "uncollectible", "void")

ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/invoices",
        _create,
        {
            **EXPAND,
            **_METADATA,
            **_AUTO_ADVANCE,
            **_DESCRIPTION,
            "collection_method": Param(choices=("charge_automatically",)),
            "currency": Param("currency"),
            "customer": Param(required=True),
            "pending_invoice_items_behavior": Param(choices=("exclude", "include")),
        },
    ),
    Endpoint(
        "POST",
        "/v1/invoices/create_preview",
        _preview,
        {
            **EXPAND,
            "customer": Param(),
            "subscription": Param(),
            "subscription_details": Param(
                "hash",
                children={
                    "billing_cycle_anchor": Param(choices=("now", "unchanged")),
                    "cancel_at": Param("integer", unset=True),
                    "cancel_at_period_end": Param("boolean"),
                    "items": subscription_api.ITEMS,
                    "proration_behavior": subscription_api.PRORATION,
                    "proration_date": Param("integer"),
                },
            ),
        },
    ),
    Endpoint(
        "GET",
        "/v1/invoices",
        _list,
        {**LIST_PARAMS, "customer": Param(), "status": Param(choices=_STATUSES), "subscription": Param()},
    ),
    Endpoint("GET", "/v1/invoices/{id}", _own, EXPAND),
    Endpoint(
        "POST",
        "/v1/invoices/{id}",
        _update,
        {**EXPAND, **_METADATA, **_AUTO_ADVANCE, **_DESCRIPTION, "default_payment_method": Param()},
    ),
    Endpoint("DELETE", "/v1/invoices/{id}", _delete),
    Endpoint("POST", "/v1/invoices/{id}/finalize", _finalise, {**EXPAND, **_AUTO_ADVANCE}),
    Endpoint(
        "POST",
        "/v1/invoices/{id}/pay",
        _pay,
        {
            **EXPAND,
            "off_session": Param("boolean"),
            "paid_out_of_band": Param("boolean"),
            "payment_method": Param(),
        },
    ),
    Endpoint("POST", "/v1/invoices/{id}/void", _void, EXPAND),
    Endpoint("POST", "/v1/invoices/{id}/mark_uncollectible", _mark_uncollectible, EXPAND),
    Endpoint("GET", "/v1/invoices/{id}/lines", _lines, LIST_PARAMS),
    Endpoint(
        "GET",
        "/v1/invoice_payments",
        _list_payments,
        {
            **LIST_PARAMS,
            "invoice": Param(),
            "payment": Param(
                "hash",
                children={
                    "type": Param(required=True, choices=("payment_intent", "payment_record")),
                    "payment_intent": Param(),
                },
            ),
            "status": Param(choices=("canceled", "open", "paid")),
        },
    ),
    Endpoint(
        "GET",
        "/v1/invoice_payments/{id}",
        lambda call: call.own("invoice_payment", call.path["id"]),
        EXPAND,
    ),
]
