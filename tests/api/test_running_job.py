"""A running job moves for its own people alone: the door and the job's process, on the real Temporal server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest_asyncio
from fastapi import FastAPI
from temporalio.client import Client

from app.jobs.models import Job, offer_id
from app.settings import Settings
from devstack.stack import Stack
from tests.api.access_table import Caller, Scene
from tests.api.scenes import Database, World, everything_shown, open_world
from tests.support.http import PDF, until
from tests.support.jobs import JobHarness, run_harness

OWNER, CLIENT, WORKER, ADMIN = Caller.OWNER, Caller.CLIENT, Caller.WORKER, Caller.ADMIN
WORKERS = frozenset({WORKER, Caller.LAPSED, Caller.DECLINED, Caller.STRANGER})


@pytest_asyncio.fixture(scope="module")
async def world(
    app: FastAPI, database: Database, api_settings: Settings, stack: Stack
) -> AsyncIterator[World]:
    async with open_world(app, database, api_settings, stack) as made:
        yield made


@pytest_asyncio.fixture(scope="module")
async def harness(
    stack: Stack, temporal: Client, database: Database, settings: Settings, world: World
) -> AsyncIterator[JobHarness]:
    stack.require("mongodb", "s3", "stripe")
    async with run_harness(temporal, database, settings) as running:
        await running.resources.credits.grant(world.persons[OWNER].id, 100_000, key="seed", source="seed")
        for caller in (WORKER, Caller.DECLINED):  # these two are asked, in whichever order
            model = await running.user(await running.add_worker())
            await database["users"].delete_one({"_id": model["_id"]})
            await database["users"].update_one(
                {"_id": world.persons[caller].id}, {"$set": {"workerProfile": model["workerProfile"]}}
            )
        yield running


class Live:
    """One job with its process, and what must not move while others try."""

    def __init__(self, world: World, jobs: JobHarness, job: Job) -> None:
        self.world, self.jobs, self.job = world, jobs, job

    async def traces(self) -> tuple[Any, ...]:
        """The job, its offers, and how many acts its process has taken in: a refused one leaves no event."""
        offers = await self.world.database["offers"].find({"jobId": self.job.id}).sort("_id", 1).to_list()
        its_own_course = {"payout": 0, "updatedAt": 0}  # goes on by itself after the approval
        stored = await self.world.database["jobs"].find_one({"_id": self.job.id}, its_own_course)
        events = await self.jobs.events(self.job)
        taken = [e for e in events if e.HasField("workflow_execution_update_accepted_event_attributes")]
        return stored, offers, len(taken)

    async def offered(self, *, to: str | None = None) -> str:
        """Wait for an offer, and for its record, which is written a moment after the job's; the offered worker."""
        worker_id = await self.jobs.until_offered(self.job, to=to)
        number = (await self.jobs.stored(self.job)).offer_number
        key = {"_id": offer_id(self.job.id, number)}
        await until(lambda: self.world.database["offers"].find_one(key), bool, "the offer's record")
        return worker_id

    async def only(self, who: Caller, act: str, body: Any, refusals: dict[Caller, str]) -> dict[str, Any]:
        """Everyone else is refused and moves nothing; then `who` is not."""
        path = f"/jobs/{self.job.id}/{act}"
        before = await self.traces()
        for caller, code in refusals.items():
            answer = await self.world.call(caller, "POST", path, body)
            assert answer.json()["code"] == code, f"{act} by {caller}: {answer.text}"
        assert await self.traces() == before, f"a refused {act} left a trace"
        answer = await self.world.call(who, "POST", path, body)
        assert answer.is_success, f"{act} by {who}: {answer.text}"
        result: dict[str, Any] = answer.json()
        return result

    async def upload(self, who: Caller) -> str:
        """Put a deliverable into the store and have it confirmed."""
        base = f"/jobs/{self.job.id}/files"
        wanted = {"filename": "work.pdf", "mimeType": "application/pdf", "size": len(PDF)}
        granted = (await self.world.call(who, "POST", f"{base}/upload-url", wanted)).json()
        async with httpx2.AsyncClient() as browser:
            put = await browser.put(granted["uploadUrl"], content=PDF, headers=granted["headers"])
        assert put.is_success, put.text
        body = {"fileId": granted["fileId"], "url": granted["url"]}
        assert (await self.world.call(who, "POST", base, body)).status_code == 201
        return str(granted["fileId"])


async def test_a_running_job_moves_for_its_own_people_alone(world: World, harness: JobHarness) -> None:
    job = await harness.post(world.persons[OWNER].id, max_credits=50_000)
    live = Live(world, harness, job)
    by_id = {person.id: caller for caller, person in world.persons.items()}
    clients, role = {CLIENT: "not-found"}, "wrong-role"
    not_workers = {OWNER: role, CLIENT: role, ADMIN: role}
    not_clients = dict.fromkeys((*WORKERS, ADMIN), role)

    first = by_id[await live.offered()]
    second = WORKER if first is Caller.DECLINED else Caller.DECLINED
    never = dict.fromkeys(WORKERS - {first}, "offer-not-found")
    await live.only(first, "offer/decline", {"reason": "Away until Monday"}, not_workers | never)

    await live.offered(to=world.persons[second].id)
    refusals = not_workers | dict.fromkeys(WORKERS - {first, second}, "offer-not-found")
    await live.only(second, "offer/accept", None, refusals | {first: "offer-declined"})

    others = not_workers | dict.fromkeys(WORKERS - {second}, "not-found")
    await live.only(second, "start", None, others)
    delivered = await live.upload(second)
    elsewhere = world.files[Scene.REVIEW].deliverable
    before = await live.traces()
    answer = await world.call(second, "POST", f"/jobs/{job.id}/submit", {"fileIds": [delivered, elsewhere]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await live.traces() == before
    await live.only(second, "submit", {"fileIds": [delivered]}, others)

    await live.only(OWNER, "request-revision", {"reason": "The logo is the old one"}, clients | not_clients)
    await live.only(second, "start", None, others)
    await live.upload(second)
    await live.only(second, "submit", {}, others)
    late_file = {"filename": "late.pdf", "mimeType": "application/pdf"}
    late = await world.call(second, "POST", f"/jobs/{job.id}/files/upload-url", late_file)
    assert (late.json()["code"], late.json()["jobStatus"]) == ("wrong-state", "review")
    done = await live.only(OWNER, "approve", None, clients | not_clients)
    assert done["status"] == "completed"

    strangers = {CLIENT: "not-found", ADMIN: role} | dict.fromkeys(WORKERS - {second}, "not-found")
    rated = await live.only(OWNER, "reviews", {"rating": 1, "comment": "a-sealed-word"}, strangers)
    assert not rated["revealed"]
    for caller in Caller:
        assert "a-sealed-word" not in await everything_shown(world, caller, [job.id]), caller
    assert (await live.only(second, "reviews", {"rating": 5}, strangers))["revealed"]
    await harness.until_stored(job, lambda stored: stored.ratings is not None)
    for caller in (OWNER, second, ADMIN):
        assert "a-sealed-word" in await everything_shown(world, caller, [job.id]), caller
