"""Two hundred jobs of one client at once, on credits for fifty: over HTTP, Temporal and the ledger."""

from __future__ import annotations

import asyncio

import pytest

from app.money.credits import Credits
from app.money.verify import audit, compare_with_jobs
from tests.e2e.checks import job_of
from tests.e2e.platform import Platform
from tests.support.http import Json, Person, until
from workflows.contracts import job_workflow_id

OFFER_WINDOW_SECONDS, WORKERS, CAPACITY = 3600, 0, 0
JOBS, FUNDED, AT_ONCE = 200, 50, 25


async def _decided(platform: Platform, job_ids: list[str]) -> list[Json]:
    """The jobs, once each of them has its credits or has asked for consent."""

    async def read() -> list[Json]:
        return [await job_of(platform.database, job_id) for job_id in job_ids]

    def is_decided(jobs: list[Json]) -> bool:
        return all(job["heldCredits"] or job["phase"] == "quoting" for job in jobs)

    return await until(read, is_decided, "what became of the jobs", seconds=300, every=1)


async def _post(client: Person, number: int) -> list[str]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def post() -> str:
        async with turn:
            return str((await client.post_job())["id"])

    return list(await asyncio.gather(*(post() for _ in range(number))))


@pytest.mark.long
@pytest.mark.usefixtures("workers")
async def test_200_racing_jobs_on_credits_for_50(platform: Platform) -> None:
    """Exactly fifty hold, and the others have asked whether to wait; nobody is around to work on any."""
    scout, client = await platform.client(), await platform.client()
    (first,) = await _decided(platform, await _post(scout, 1))
    price = first["heldCredits"]
    credits_ = Credits(platform.database)
    there = (await credits_.balance(client.id)).available
    more = FUNDED * price - there
    assert more > 0, "a tier's credits are fewer than fifty jobs cost"
    await credits_.grant(client.id, more, key=f"race:{client.id}", source="goodwill", reason="test")
    job_ids = await _post(client, JOBS)
    try:
        jobs = await _decided(platform, job_ids)
        assert sorted(job["heldCredits"] for job in jobs) == [0] * (JOBS - FUNDED) + [price] * FUNDED
        balance = await credits_.balance(client.id)
        assert (balance.available, balance.held) == (0, FUNDED * price)
        found = await audit(platform.database)
        assert found.discrepancies == []
        mine = [hold for hold in found.open_holds if hold.client_id == client.id]
        holding = [job["_id"] for job in jobs if job["heldCredits"]]
        assert sorted(hold.job_id for hold in mine) == sorted(holding)
        assert await compare_with_jobs(platform.database, mine) == []
    finally:
        for job_id in [first["_id"], *job_ids]:
            await platform.temporal.get_workflow_handle(job_workflow_id(job_id)).terminate("the race is over")
