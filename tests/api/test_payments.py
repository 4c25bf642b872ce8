"""`/payments`: a worker's account is opened once, finished on Stripe's page, and shown as it stands."""

from __future__ import annotations

import httpx2
import pytest_asyncio

from app.settings import Settings
from app.users.models import Role
from devstack.stack import Stack
from devstack.stripe_sandbox.control import SandboxControl
from tests.api.conftest import Database
from tests.api.people import People, Person


@pytest_asyncio.fixture
async def worker(stack: Stack, people: People) -> Person:
    stack.require("stripe")
    return await people.someone(Role.WORKER)


async def test_an_account_is_opened_finished_and_shown(
    client: httpx2.AsyncClient, database: Database, api_settings: Settings, worker: Person
) -> None:
    before = await client.get("/payments/account", headers=worker.headers)
    assert (before.status_code, before.json()["status"]) == (200, "none")
    terms = before.json()["terms"]
    assert {
        name: terms[name] for name in ("country", "minimumUsdCents", "feeUsdCents", "exchangePercent")
    } == {
        "country": "KH",
        "minimumUsdCents": 3000,
        "feeUsdCents": 0,
        "exchangePercent": 2.0,
    }
    links = [await client.post("/payments/onboarding", headers=worker.headers) for _ in range(2)]
    assert [link.status_code for link in links] == [201, 201], links[0].text
    user = await database["users"].find_one({"_id": worker.id})
    assert user is not None
    account = user["workerProfile"]["stripeAccountId"]
    async with SandboxControl(api_settings.stripe_api_base) as control:
        await control.require(account, "individual.id_number")
        shown = (await client.get("/payments/account", headers=worker.headers)).json()
        assert (shown["status"], shown["requirementsDue"]) == ("incomplete", ["individual.id_number"])
        assert shown["canReceive"] is False
        me = await client.get("/users/me", headers=worker.headers)
        assert me.json()["worker"]["payoutsReady"] is False
        await control.complete_onboarding(account)
    shown = (await client.get("/payments/account", headers=worker.headers)).json()
    assert (shown["status"], shown["canReceive"], shown["canBePaidOut"]) == ("active", True, True)
    assert (shown["requirementsDue"], shown["availableUsdCents"]) == ([], 0)
    me = await client.get("/users/me", headers=worker.headers)
    assert me.json()["worker"]["payoutsReady"] is True


async def test_while_stripe_is_away_the_account_is_shown_as_it_was_and_nothing_is_opened(
    client: httpx2.AsyncClient, database: Database, api_settings: Settings, worker: Person, people: People
) -> None:
    other = await people.someone(Role.WORKER)
    await client.post("/payments/onboarding", headers=worker.headers)
    known = (await client.get("/payments/account", headers=worker.headers)).json()
    async with SandboxControl(api_settings.stripe_api_base) as control:
        try:
            await control.add_fault(method="*", path="/v1/*", status=500, times=10)
            shown = await client.get("/payments/account", headers=worker.headers)
            assert shown.json()["asOf"] == known["asOf"]
            refused = await client.post("/payments/onboarding", headers=other.headers)
            assert (refused.status_code, refused.json()["code"]) == (503, "outcome-unknown")
        finally:
            await control.clear_faults()
    assert (await client.post("/payments/onboarding", headers=other.headers)).status_code == 201
