"""Three clients, ten workers and a dozen jobs at once, over HTTP on the real services."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.e2e.checks import actions, check_all, job_of, settled
from tests.e2e.platform import Platform
from tests.e2e.play import Script, play, watching, work
from tests.support.http import Json, Person, until

OFFER_WINDOW_SECONDS, WORKERS, CAPACITY = 6, 10, 3
SCRIPTS = (
    Script(),
    Script(),
    Script(post={"urgency": "high"}),
    Script(post={"urgency": "low"}, rated_by=("client",)),
    Script(("decline", "accept")),
    Script(("decline", "decline", "accept"), rated_by=()),
    Script(("lapse", "accept")),
    Script(("lapse", "decline", "accept")),
    Script(revisions=1),
    Script(("decline", "accept"), revisions=2),
    Script(post={"maxCredits": 0.01}, quote="approve"),
    Script(post={"maxCredits": 0.01}, quote="decline"),
    Script(("decline", "lapse", "decline", "decline", "lapse", "decline"), assigned=True),
)


async def test_three_clients_ten_workers_and_a_dozen_jobs_at_once(
    platform: Platform, workers: list[Person]
) -> None:
    clients = [await platform.client() for _ in range(3)]
    admin = await platform.admin()
    async with watching(workers) as board:
        job_ids = await asyncio.gather(
            *(play(script, clients[n % 3], board, admin) for n, script in enumerate(SCRIPTS))
        )
    await settled(platform, job_ids)
    await check_all(platform, job_ids)
    for script, job_id in zip(SCRIPTS, job_ids, strict=True):
        await _check_script(platform, script, job_id)
    await _check_seen(clients, workers, job_ids)


async def _check_script(platform: Platform, script: Script, job_id: str) -> None:
    """What was done is what the script says, and the ratings are out when both are in."""
    job = await job_of(platform.database, job_id)
    done = actions(job)
    words = {"accept": "accept_offer", "decline": "decline_offer", "lapse": "expire_offer"}
    answers = [action for action in done if action in words.values()]
    if script.quote == "decline":
        assert job["status"] == "cancelled"
        assert done[-1] == "decline_quote"
        return
    assert answers == [words[answer] for answer in script.answers]
    assert done.count("request_revision") == script.revisions
    assert done.count("submit") == script.revisions + 1 == len(job["deliveries"])
    assert done.count("assign") == script.assigned
    assert job["status"] == "completed"
    assert (job["ratings"] is not None) == (len(script.rated_by) == 2)


async def _check_seen(clients: Sequence[Person], workers: Sequence[Person], job_ids: Sequence[str]) -> None:
    """People see the same over HTTP: credits spent and none held, jobs, timelines, states, notices, files."""
    seen: set[str] = set()
    for client in clients:
        credits_ = (await client.get("/users/me"))["client"]["credits"]
        jobs = [await client.get(f"/jobs/{job['id']}") for job in await client.every("/jobs")]
        seen |= {job["id"] for job in jobs}
        spent = sum(round(job["price"]["spentCredits"] * 100) for job in jobs)
        assert (credits_["held"], round(credits_["available"] * 100)) == (0, 8000 - spent)
        for job in jobs:
            await _check_job_seen(client, job)
        notices = await client.every("/notifications")
        assert len({notice["id"] for notice in notices}) == len(notices)
        assert (await client.insist("POST", "/notifications/read-all"))["marked"] == len(notices)
        assert await client.every("/notifications", unread="true") == []
    assert seen == set(job_ids)
    for worker in workers:
        me = (await worker.get("/users/me"))["worker"]
        assert me["activeJobs"] == 0
        assert (await worker.get("/offers"))["items"] == []


async def _check_job_seen(client: Person, job: Json) -> None:
    assert [entry["seq"] for entry in job["timeline"]] == list(range(1, len(job["timeline"]) + 1))
    state = await client.get(f"/jobs/{job['id']}/state")
    assert (state["status"], state["phase"]) == (job["status"], job["phase"])
    assert state["seq"] == len(job["timeline"])
    assert not state["live"]
    files = (await client.get(f"/jobs/{job['id']}/files"))["items"]
    deliveries = [file for file in files if file["purpose"] == "deliverable"]
    assert {file["status"] for file in files} == {"confirmed"}
    assert {file["fileId"] for file in deliveries} == {
        file_id for delivery in job["deliveries"] for file_id in delivery["fileIds"]
    }


async def test_the_state_of_a_live_job_is_its_own_process_word(
    platform: Platform, workers: list[Person]
) -> None:
    client = await platform.client()
    async with watching(workers) as board:
        job_id = (await client.post_job())["id"]

        async def offering() -> Json:
            return await client.get(f"/jobs/{job_id}/state")

        state = await until(offering, lambda found: found["phase"] == "offering", "an offer")
        assert state["live"]
        assert state["deadlineAction"] == "expire_offer"
        assert state["awaited"][0]["actor"] == "worker"
        assert state["allowedActions"] == ["cancel"]
        worker = await board.offer(job_id, 1)
        await worker.act(job_id, "offer/accept")
        state = await worker.get(f"/jobs/{job_id}/state")
        assert (state["phase"], state["allowedActions"]) == (
            "ready",
            ["start", "withdraw"],
        )
        await work(job_id, client, worker)
    await settled(platform, [job_id])
    await check_all(platform, [job_id])
