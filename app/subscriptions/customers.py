"""Who a client is at Stripe, and back. Both ways are reads by a unique key."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.gateways.billing import BillingGateway
from app.gateways.saved_failures import past_saved_failures

COLLECTION = "billing_customers"
Database = AsyncDatabase[dict[str, Any]]


async def find_customer(database: Database, client_id: str) -> str | None:
    """The client's customer id, if there is one."""
    found = await database[COLLECTION].find_one({"_id": client_id})
    return None if found is None else str(found["stripeCustomerId"])


async def client_of(database: Database, customer_id: str) -> str | None:
    """The client behind a customer id, if it is one of ours."""
    found = await database[COLLECTION].find_one({"stripeCustomerId": customer_id})
    return None if found is None else str(found["_id"])


async def link(database: Database, client_id: str, customer_id: str) -> str:
    """Keep who the client is; the first word stands. Returns the customer id that stands."""
    try:
        await database[COLLECTION].insert_one(
            {"_id": client_id, "stripeCustomerId": customer_id, "createdAt": utcnow()}
        )
    except DuplicateKeyError:
        return await find_customer(database, client_id) or customer_id
    return customer_id


async def ensure_customer(database: Database, gateway: BillingGateway, client_id: str, email: str) -> str:
    """The client's customer id, made at Stripe if need be: once, also when its answer was lost long ago.

    Raises:
        app.gateways.payments.PaymentError: Stripe refused, or cannot be reached.
    """
    known = await find_customer(database, client_id)
    if known is not None:
        return known
    found = await gateway.find_customer(client_id, email)
    if found is None:
        found = await past_saved_failures(
            f"customer:{client_id}",
            lambda key: gateway.create_customer(client_id, email, idempotency_key=key),
            lambda: gateway.find_customer(client_id, email),
        )
    return await link(database, client_id, found)
