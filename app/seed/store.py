"""Writes the seeded people. Every write may be repeated: what is there stays as it is.

Development and demonstrations only: all of them have one password, and it is in this file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.auth.passwords import Passwords
from app.documents import utcnow
from app.gateways.payments import PaymentGateway
from app.money.credits import Credits
from app.seed.people import Cast, SeedAdmin, SeedClient, SeedWorker, person_id
from app.settings import Settings
from app.skills.store import ensure_skills
from app.subscriptions.store import open_subscription
from app.users.models import ClientProfile, Role, WorkerProfile

SEED_PASSWORD = "mango-sticky-rice"  # noqa: S105  # for development, and refused in production below

_ACCOUNTS_AT_ONCE = 5  # Stripe's test mode takes 25 requests a second

Database = AsyncDatabase[dict[str, Any]]


class SeedRefusedError(RuntimeError):
    """Seeding would put known passwords into a production database."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """How much was written; all zero when everything was there. `accounts` are payout accounts at Stripe."""

    people: int = 0
    accounts: int = 0
    subscriptions: int = 0


@dataclass(frozen=True, slots=True)
class Seeder:
    """Writes a cast; stands on the stores and the gateway it is given."""

    database: Database
    settings: Settings
    credits: Credits
    payments: PaymentGateway

    async def write(self, cast: Cast, *, subscribed: bool = True) -> Seeded:
        """Write everybody who is not there yet, with payout accounts, subscriptions and histories.

        A person is known by their e-mail: one who has an account already keeps it, whatever its id. Without
        `subscribed`, clients have no tier yet: they buy it themselves.

        Raises:
            SeedRefusedError: the settings are a production's.
            app.gateways.payments.PaymentError: Stripe refused or did not answer; call again.
        """
        if self.settings.environment == "production":
            raise SeedRefusedError("people with known passwords are not for production")
        await ensure_skills(self.database)
        password_hash = await Passwords(self.settings.password_bcrypt_rounds).hash(SEED_PASSWORD)
        people = [_admin(cast.admin), *map(_client, cast.clients), *map(_worker, cast.workers)]
        new = sum([await self._insert(person | {"passwordHash": password_hash}) for person in people])
        accounts = sum(await self._payout_accounts(cast.workers))
        tiers = cast.clients if subscribed else []
        subscriptions = sum([await self._subscribe(client) for client in tiers])
        if cast.clients:
            await self._histories(cast.clients[0], cast.workers)
        return Seeded(people=new, accounts=accounts, subscriptions=subscriptions)

    async def _insert(self, person: dict[str, Any]) -> bool:
        try:
            await self.database["users"].insert_one(person)
        except DuplicateKeyError:
            return False
        return True

    async def _id_of(self, email: str) -> str:
        found = await self.database["users"].find_one({"email": email}, {"_id": 1})
        if found is None:
            raise LookupError(f"{email} was just written and is not there")
        return str(found["_id"])

    async def _payout_accounts(self, workers: list[SeedWorker]) -> list[bool]:
        gate = asyncio.Semaphore(_ACCOUNTS_AT_ONCE)

        async def one(worker: SeedWorker) -> bool:
            async with gate:
                return await self._payout_account(worker)

        return await asyncio.gather(*map(one, workers))

    async def _payout_account(self, worker: SeedWorker) -> bool:
        """Give the worker an account at Stripe, once. The key covers a crash between Stripe's write and ours."""
        users = self.database["users"]
        user = await users.find_one({"email": worker.email}, {"workerProfile.stripeAccountId": 1})
        if user is None or (user.get("workerProfile") or {}).get("stripeAccountId"):
            return False
        account = await self.payments.create_recipient_account(
            user["_id"], worker.email, idempotency_key=f"seed-account-{user['_id']}"
        )
        await users.update_one({"_id": user["_id"]}, {"$set": {"workerProfile.stripeAccountId": account.id}})
        return True

    async def _subscribe(self, client: SeedClient) -> bool:
        user_id = await self._id_of(client.email)
        known = await self.database["subscriptions"].find_one({"userId": user_id}, {"_id": 1})
        await open_subscription(self.credits, user_id, client.tier)
        return known is None

    async def _histories(self, client: SeedClient, workers: list[SeedWorker]) -> None:
        """That some workers have completed jobs for the client, long ago; those jobs themselves are not kept."""
        client_id = await self._id_of(client.email)
        for worker in workers:
            if not worker.worked_with_first_client:
                continue
            worker_id = await self._id_of(worker.email)
            history = {
                "clientId": client_id,
                "workerId": worker_id,
                "jobIds": [
                    person_id(number, f"past-job:{client_id}", int(worker_id[:6], 16))
                    for number in range(worker.worked_with_first_client)
                ],
                "lastCompletedAt": utcnow() - timedelta(days=40),
            }
            await self.database["work_history"].update_one(
                {"_id": f"{client_id}:{worker_id}"}, {"$setOnInsert": history}, upsert=True
            )


def _account(user_id: str, email: str, name: str, role: Role) -> dict[str, Any]:
    return {
        "_id": user_id,
        "email": email,
        "role": role.value,
        "name": name,
        "emailVerified": True,
        "disabled": False,
        "registration": "",
        "workerProfile": None,
        "clientProfile": None,
        "createdAt": utcnow(),
    }


def _admin(admin: SeedAdmin) -> dict[str, Any]:
    return _account(admin.id, admin.email, admin.name, Role.ADMIN)


def _client(client: SeedClient) -> dict[str, Any]:
    profile = ClientProfile(company=client.company)
    return _account(client.id, client.email, client.name, Role.CLIENT) | {
        "clientProfile": profile.model_dump(by_alias=True)
    }


def _worker(worker: SeedWorker) -> dict[str, Any]:
    profile = WorkerProfile(
        skills=worker.skills,
        timezone=worker.timezone,
        working_hours=worker.working_hours,
        capacity=worker.capacity,
        opted_in_urgent=worker.opted_in_urgent,
        rating=worker.rating,
        offers=worker.offers,
        completed_jobs=worker.completed_jobs,
    )
    return _account(worker.id, worker.email, worker.name, Role.WORKER) | {
        "workerProfile": profile.model_dump(by_alias=True)
    }
