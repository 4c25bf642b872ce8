"""Changes of a subscription: other prices and quantities with proration, and its end before its time."""

from __future__ import annotations

from devstack.stripe_sandbox import (
    collection,
    customers,
    invoice_items,
    invoices,
    periods,
    subscription_state,
    subscriptions,
)
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.store import Object


def change_items(
    call: Call, subscription: Object, wanted: list[Object], *, behaviour: str, at: int, reset: bool
) -> tuple[list[Object], bool]:
    """Gives the subscription other items, prorated from `at`.

    Returns the lines of a new period, if one begins now (another interval, or `reset`), and whether one does. The
    credit for the old items and the charge for the rest of the period wait as invoice items.
    """
    old = subscription["items"]["data"]
    period = subscriptions.period_of(subscription)
    anew = reset or _interval(old[0]) != _interval(wanted[0])
    if behaviour != "none":
        gone = [item for item in old if anew or item not in wanted]
        _prorate(call, subscription, gone, period, at, credit=True)
        if not anew:
            fresh = [item for item in wanted if item not in old]
            _prorate(call, subscription, fresh, period, at, credit=False)
    subscription["items"] |= {"data": wanted, "total_count": len(wanted)}
    if not anew:
        return [], False
    subscription |= {"billing_cycle_anchor": call.created, "_cycle": 0}
    period = periods.period(call.created, wanted[0]["price"], 0)
    for item in wanted:
        item |= {"current_period_start": period[0], "current_period_end": period[1]}
    subscriptions.plan(call, subscription)
    return subscriptions.period_lines(subscription, period), True


def _interval(item: Object) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _prorate(
    call: Call, subscription: Object, items: list[Object], period: tuple[int, int], at: int, *, credit: bool
) -> None:
    """Invoice items for the rest of the period: taken back for items that go, charged for those that come."""
    customer = customers.find(call, subscription["customer"])
    for item in items:
        amount = periods.share(item["price"]["unit_amount"] * item["quantity"], *period, at)
        if amount == 0:
            continue
        what = "Unused time on" if credit else "Remaining time on"
        invoice_items.add(
            call,
            customer,
            amount=-amount if credit else amount,
            currency=item["price"]["currency"],
            description=f"{what} {item['quantity']} × {subscriptions.name_of(item['price'])} after {periods.day(at)}",
            period=(max(at, period[0]), period[1]),
            price=item["price"],
            quantity=item["quantity"],
            subscription=subscription["id"],
            subscription_item=item["id"],
        )


def bill_change(call: Call, subscription: Object, lines: list[Object], *, off_session: bool) -> Object | None:
    """Invoices what is pending, with the lines given, and collects it; None if there is nothing to invoice."""
    if not lines and not invoice_items.pending(call, subscription["customer"], subscription["id"]):
        return None
    customer = customers.find(call, subscription["customer"])
    invoice = invoices.draft(call, customer, lines, reason="subscription_update", subscription=subscription)
    subscription["latest_invoice"] = invoice["id"]
    call.tx.replace(subscription)
    collection.settle(call, invoice, off_session=off_session)
    return invoice


def cancel_now(call: Call, subscription: Object, *, prorate: bool, invoice_now: bool) -> None:
    """Ends a subscription at once, with credit for the unused time if `prorate`, invoiced if `invoice_now`."""
    if prorate:
        items = subscription["items"]["data"]
        _prorate(call, subscription, items, subscriptions.period_of(subscription), call.created, credit=True)
    if invoice_now:
        bill_change(call, subscription, [], off_session=True)
        subscription |= call.tx.find("subscription", subscription["id"]) or {}
    for invoice in call.tx.every(
        "invoice", call.account, parent__subscription_details__subscription=subscription["id"]
    ):
        if invoice["auto_advance"] and invoice["status"] in {"draft", "open"}:
            invoices.save(
                call,
                invoices.copy_of(invoice),
                invoice | {"auto_advance": False, "next_payment_attempt": None},
            )
    subscription_state.end(call, subscription, reason="cancellation_requested")
