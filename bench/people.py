"""The people of a benchmark: clients with credits, workers always on shift, each logged in over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
from pymongo.asynchronous.database import AsyncDatabase

from app.auth.passwords import Passwords
from app.documents import utcnow
from app.gateways.payments import PaymentGateway
from app.ids import new_id
from app.money.credits import Credits
from app.subscriptions.store import open_subscription
from app.subscriptions.tiers import TierName
from app.users.hours import WEEKDAYS
from app.users.models import ClientProfile, Role, WorkerProfile

Database = AsyncDatabase[dict[str, Any]]

PASSWORD = "a benchmark on loopback"  # noqa: S105  # accounts of a stack that ends with the run
CREDITS = 100_000_000  # hundredths: enough for any number of jobs
CAPACITY = 20  # the most that a profile allows
SKILLS = ["microsoft-excel", "data-analysis", "dashboards", "data-visualization"]


@dataclass(frozen=True, slots=True)
class Cast:
    """Ids of the people; `tokens` holds an access token for each."""

    clients: list[str]
    workers: list[str]
    tokens: dict[str, str]


async def enlist(
    database: Database,
    credits_: Credits,
    payments: PaymentGateway | None,
    http: httpx2.AsyncClient,
    *,
    clients: int,
    workers: int,
) -> Cast:
    """Write the people and log them in. With `payments`, each worker has a payout account."""
    password_hash = await Passwords(4).hash(PASSWORD)
    client_ids = [await _client(database, credits_, password_hash) for _ in range(clients)]
    worker_ids = [await _worker(database, payments, password_hash) for _ in range(workers)]
    tokens = {}
    for user_id in (*client_ids, *worker_ids):
        answer = await http.post("/auth/login", json={"email": _email(user_id), "password": PASSWORD})
        answer.raise_for_status()
        tokens[user_id] = answer.json()["accessToken"]
    return Cast(client_ids, worker_ids, tokens)


async def _client(database: Database, credits_: Credits, password_hash: str) -> str:
    client_id = new_id()
    profile = ClientProfile(company="Benchmark").model_dump(by_alias=True)
    account = _account(client_id, Role.CLIENT, password_hash) | {"clientProfile": profile}
    await database["users"].insert_one(account)
    await open_subscription(credits_, client_id, TierName.SCALE)
    await credits_.grant(client_id, CREDITS, key=f"bench:{client_id}", source="benchmark")
    return client_id


async def _worker(database: Database, payments: PaymentGateway | None, password_hash: str) -> str:
    worker_id = new_id()
    account_id = None
    if payments:
        made = await payments.create_recipient_account(
            worker_id, _email(worker_id), idempotency_key=f"bench-account-{worker_id}"
        )
        account_id = made.id
    profile = WorkerProfile(skills=SKILLS, capacity=CAPACITY, stripe_account_id=account_id)
    stored = profile.model_dump(by_alias=True) | {
        "workingHours": {day: [{"start": "00:00", "end": "24:00"}] for day in WEEKDAYS}
    }
    account = _account(worker_id, Role.WORKER, password_hash) | {"workerProfile": stored}
    await database["users"].insert_one(account)
    return worker_id


def _account(user_id: str, role: Role, password_hash: str) -> dict[str, Any]:
    return {
        "_id": user_id,
        "email": _email(user_id),
        "role": role.value,
        "name": f"Benchmark {role.value}",
        "passwordHash": password_hash,
        "emailVerified": True,
        "disabled": False,
        "registration": "",
        "workerProfile": None,
        "clientProfile": None,
        "createdAt": utcnow(),
    }


def _email(user_id: str) -> str:
    return f"{user_id}@bench.example"
