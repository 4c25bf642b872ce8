"""Balances: every movement of money is a balance transaction of one account."""

from __future__ import annotations

from devstack.stripe_sandbox import due, events
from devstack.stripe_sandbox.call import Call, Endpoint
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

_CATEGORIES = {
    "payment": "charge",
    "payment_refund": "refund",
    "payout_cancel": "payout_reversal",
    "payout_failure": "payout_reversal",
    "refund_failure": "refund_failure",
    "transfer_refund": "transfer_reversal",
}


def post(
    call: Call,
    owner: str,
    *,
    amount: int,
    currency: str,
    kind: str,
    source: str,
    available_after: float = 0.0,
    fee: int = 0,
    category: str | None = None,
) -> str:
    """Moves `amount` less `fee` (smallest unit, signed) on an account, at once or pending; returns its id."""
    pending = available_after > 0
    transaction: Object = {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": int(call.now + available_after),
        "balance_type": "payments",
        "created": call.created,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": _fee_details(fee, currency),
        "net": amount - fee,
        "reporting_category": category or _CATEGORIES.get(kind, kind),
        "source": source,
        "status": "pending" if pending else "available",
        "type": kind,
    }
    call.tx.insert(owner, transaction)
    if pending:
        call.tx.move(owner, currency, pending=amount - fee)
        at = call.now + available_after
        call.schedule("balance_transaction.available", owner, transaction["id"], at=at)
    else:
        call.tx.move(owner, currency, available=amount - fee)
    return str(transaction["id"])


def _fee_details(fee: int, currency: str) -> list[Object]:
    if fee == 0:
        return []
    return [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]


@due.action("balance_transaction.available")
def become_available(call: Call, owner: str, transaction_id: str) -> None:
    """A pending amount whose day has come."""
    transaction = call.tx.find("balance_transaction", transaction_id, owner)
    if transaction is None or transaction["status"] == "available":
        return
    call.tx.replace({**transaction, "status": "available"})
    amount, currency = transaction["net"], transaction["currency"]
    call.tx.move(owner, currency, available=amount, pending=-amount)
    events.emit(call, owner, "balance.available", balance_of(call, owner))


def available(call: Call, owner: str, currency: str) -> int:
    """What an account may spend now, in the smallest unit."""
    return call.tx.balances(owner).get(currency, (0, 0))[0]


def balance_of(call: Call, owner: str) -> Object:
    balances = call.tx.balances(owner) or {"usd": (0, 0)}

    def amounts(index: int) -> list[Object]:
        return [
            {"amount": pair[index], "currency": currency, "source_types": {"card": pair[index]}}
            for currency, pair in balances.items()
        ]

    shown: Object = {
        "object": "balance",
        "available": amounts(0),
        "livemode": False,
        "pending": amounts(1),
    }
    if owner == call.platform:
        shown["connect_reserved"] = [{"amount": 0, "currency": currency} for currency in balances]
    return shown


ENDPOINTS = [
    Endpoint("GET", "/v1/balance", lambda call: balance_of(call, call.account), EXPAND),
    Endpoint(
        "GET",
        "/v1/balance_transactions",
        lambda call: call.list_of("balance_transaction", "/v1/balance_transactions", "type", "source"),
        {**LIST_PARAMS, "type": Param(), "source": Param()},
    ),
    Endpoint(
        "GET",
        "/v1/balance_transactions/{id}",
        lambda call: call.own("balance_transaction", call.path["id"], "balance_transaction"),
        EXPAND,
    ),
]
