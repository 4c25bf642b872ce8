"""Seeding the real stores: whole the first time, nothing the second, and never in production."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from app.auth.passwords import Passwords, check_password
from app.gateways.stripe import StripeGateway
from app.matching.candidates import find_candidates
from app.matching.rank import rank
from app.money.credits import Credits
from app.money.verify import verify
from app.seed.people import make_cast
from app.seed.store import SEED_PASSWORD, Seeded, Seeder, SeedRefusedError
from app.settings import Settings
from app.subscriptions.store import get_subscription
from app.subscriptions.tiers import TIERS, TierName
from app.users.models import Role
from app.users.store import UserStore
from devstack.stack import Stack

Database = AsyncDatabase[dict[str, Any]]

CAST = make_cast(workers=12, clients=2)


@pytest_asyncio.fixture(scope="module")
async def payments(stack: Stack) -> AsyncIterator[StripeGateway]:
    stack.require("stripe")
    gateway = StripeGateway("sk_test_seeding", api_base=stack.settings().stripe_api_base)
    yield gateway
    await gateway.close()


@pytest.fixture
def seeder(fresh_database: Database, settings: Settings, payments: StripeGateway) -> Seeder:
    return Seeder(fresh_database, settings, Credits(fresh_database), payments)


async def _everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    names = sorted(await database.list_collection_names())
    return {name: await database[name].find().sort("_id", 1).to_list() for name in names}


async def test_everybody_is_there_once_however_often_it_is_repeated(
    fresh_database: Database, seeder: Seeder
) -> None:
    first = await seeder.write(CAST)
    assert first == Seeded(people=15, accounts=12, subscriptions=2)
    before = await _everything(fresh_database)
    again = await seeder.write(CAST)
    assert again == Seeded()
    assert await _everything(fresh_database) == before
    assert len(before["users"]) == 15
    assert len(before["work_history"]) == sum(worker.worked_with_first_client > 0 for worker in CAST.workers)
    assert await verify(fresh_database) == []


async def test_what_a_crash_left_out_is_added_and_the_rest_kept(
    fresh_database: Database, seeder: Seeder
) -> None:
    await seeder.write(CAST)
    before = await _everything(fresh_database)
    worker, client = CAST.workers[3], CAST.clients[1]
    users = fresh_database["users"]
    await users.update_one({"_id": worker.id}, {"$set": {"workerProfile.stripeAccountId": None}})
    await users.update_one({"_id": CAST.workers[4].id}, {"$set": {"name": "A name of their own"}})
    await users.delete_one({"_id": CAST.admin.id})
    assert await seeder.write(CAST) == Seeded(people=1, accounts=1)
    after = await _everything(fresh_database)
    # The key gives the same account of Stripe's again, not a second one.
    assert after["users"] != before["users"]
    profiles = {user["_id"]: user["workerProfile"] for user in after["users"]}
    assert profiles == {user["_id"]: user["workerProfile"] for user in before["users"]}
    kept = await users.find_one({"_id": CAST.workers[4].id})
    assert kept is not None
    assert kept["name"] == "A name of their own"
    granted = await Credits(fresh_database).balance(client.id)
    assert granted.available == TIERS[client.tier].credits_per_period


async def test_the_first_client_is_on_the_growth_tier_and_workers_can_be_paid(
    fresh_database: Database, seeder: Seeder, payments: StripeGateway
) -> None:
    await seeder.write(CAST)
    client = CAST.clients[0]
    assert (await get_subscription(client.id)).tier is TierName.GROWTH
    balance = await Credits(fresh_database).balance(client.id)
    assert (balance.available, balance.held) == (TIERS[TierName.GROWTH].credits_per_period, 0)
    users = UserStore(fresh_database)
    for worker in CAST.workers[:3]:
        stored = await users.get(worker.id)
        assert stored.role is Role.WORKER
        assert stored.worker_profile is not None
        account = await payments.retrieve_account(stored.worker_profile.stripe_account_id or "")
        assert (account.user_id, account.transfers_active) == (worker.id, True)


async def test_seeded_workers_are_ranked_by_shift_and_past_work(
    fresh_database: Database, seeder: Seeder
) -> None:
    await seeder.write(CAST)
    at = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)  # ten o'clock on a Monday in Phnom Penh
    candidates = await find_candidates(fresh_database, client_id=CAST.clients[0].id, at=at)
    assert {item.worker_id: item.jobs_with_client for item in candidates} == {
        worker.id: worker.worked_with_first_client for worker in CAST.workers
    }
    awake = {item.worker_id for item in candidates if item.on_shift}
    assert 0 < len(awake) < len(CAST.workers)
    ranking = rank(candidates, ["web-development"], now=at)
    assert ranking.eligible_ids
    assert {worker.id for worker in CAST.workers if worker.trade == "web"} <= set(ranking.eligible_ids)


async def test_production_gets_no_known_passwords(
    fresh_database: Database, settings: Settings, payments: StripeGateway
) -> None:
    production = settings.model_copy(update={"environment": "production"})
    seeder = Seeder(fresh_database, production, Credits(fresh_database), payments)
    with pytest.raises(SeedRefusedError):
        await seeder.write(CAST)
    assert await fresh_database["users"].count_documents({}) == 0


async def test_the_seed_password_is_one_that_the_door_would_take(settings: Settings) -> None:

    for person in CAST.everybody:
        check_password(SEED_PASSWORD, email=person.email)
    passwords = Passwords(settings.password_bcrypt_rounds)
    assert await passwords.verify(SEED_PASSWORD, await passwords.hash(SEED_PASSWORD))
