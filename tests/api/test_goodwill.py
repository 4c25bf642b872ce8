"""`POST /admin/clients/{id}/credits`: once, with a reason, and only to clients."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from app.documents import utcnow
from app.ids import new_id
from app.money.credits import Credits
from app.money.verify import verify
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People, Person

BODY = {"amount": 2.5, "reason": "Two days late", "expiresInDays": 30}


@pytest_asyncio.fixture
async def admin(people: People) -> Person:
    return await people.someone(Role.ADMIN)


@pytest_asyncio.fixture
async def owner(people: People) -> Person:
    return await people.someone(Role.CLIENT)


async def give(
    client: httpx2.AsyncClient, admin: Person, user_id: str, key: str | None = None, **fields: Any
) -> httpx2.Response:
    headers = admin.headers | ({"Idempotency-Key": key} if key else {})
    return await client.post(f"/admin/clients/{user_id}/credits", json=BODY | fields, headers=headers)


async def test_credits_are_given_with_who_and_why_in_the_ledger(
    client: httpx2.AsyncClient, database: Database, admin: Person, owner: Person
) -> None:
    answer = await give(client, admin, owner.id)
    assert answer.status_code == 201, answer.text
    given = answer.json()
    assert {
        name: given[name] for name in ("clientId", "amount", "reason", "givenBy", "available", "debt")
    } == {
        "clientId": owner.id,
        "amount": 2.5,
        "reason": "Two days late",
        "givenBy": admin.id,
        "available": 2.5,
        "debt": 0,
    }
    expiry = datetime.fromisoformat(given["expiresAt"]) - utcnow()
    assert timedelta(days=29, hours=23) < expiry <= timedelta(days=30)
    row = await database["transactions"].find_one({"_id": given["transactionId"]})
    assert row is not None
    assert (row["actorId"], row["reason"], row["amount"], row["lot"]["source"]) == (
        admin.id,
        "Two days late",
        250,
        "goodwill",
    )
    me = await client.get("/users/me", headers=owner.headers)
    assert me.json()["client"]["credits"] == {"available": 2.5, "held": 0, "debt": 0}


async def test_a_repeat_gives_nothing_more(
    client: httpx2.AsyncClient, database: Database, admin: Person, owner: Person
) -> None:
    key = new_id()
    first = await give(client, admin, owner.id, key)
    again = await give(client, admin, owner.id, key)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await give(client, admin, owner.id, key, amount=3)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert (await Credits(database).balance(owner.id)).available == 250


async def test_goodwill_pays_a_debt_first(
    client: httpx2.AsyncClient, database: Database, admin: Person, owner: Person
) -> None:
    credits_ = Credits(database)
    await credits_.grant(owner.id, 100, key=f"invoice:{owner.id}", source="plan")
    await credits_.hold(owner.id, owner.id, 100, key=f"hold:{owner.id}:1")
    await credits_.claw_back(
        owner.id, f"invoice:{owner.id}", 100, key=f"clawback:{owner.id}", reason="chargeback"
    )
    me = await client.get("/users/me", headers=owner.headers)
    assert me.json()["client"]["credits"] == {"available": 0, "held": 1, "debt": 1}
    given = (await give(client, admin, owner.id)).json()
    assert (given["debtPaid"], given["available"], given["debt"]) == (1, 1.5, 0)


@pytest.mark.parametrize("role", [Role.WORKER, Role.ADMIN, None])
async def test_only_clients_have_credits(
    client: httpx2.AsyncClient, admin: Person, people: People, role: Role | None
) -> None:
    user_id = (await people.account(role))[0] if role else new_id()
    answer = await give(client, admin, user_id)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 1.234},
        {"amount": 1000.01},
        {"amount": "5"},
        {"amount": True},
        {"reason": ""},
        {"reason": "  "},
        {"reason": 5},
        {"expiresInDays": 0},
        {"expiresInDays": 1.5},
        {"expiresInDays": 10_000},
        {"expires_in_days": 5},
        {"source": "plan"},
    ],
)
async def test_what_makes_no_sense_is_refused_and_moves_nothing(
    client: httpx2.AsyncClient, database: Database, admin: Person, owner: Person, fields: dict[str, Any]
) -> None:
    answer = await give(client, admin, owner.id, **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert (await Credits(database).balance(owner.id)).available == 0


async def test_after_all_of_that_the_books_are_sound(database: Database) -> None:
    assert await verify(database) == []
