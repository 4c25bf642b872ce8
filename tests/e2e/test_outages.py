"""A dependency away: 503 with Retry-After within 2 seconds, an honest unknown where it is one, and repeats are safe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from app.ids import new_id
from tests.e2e.checks import actions, check_all, job_of, settled
from tests.e2e.platform import Platform
from tests.e2e.play import watching, work
from tests.support.http import BRIEF, PASSWORD, PDF, Json, Person, problem_of, until

LIMIT_SECONDS = 2.0
OFFER_WINDOW_SECONDS, WORKERS, CAPACITY = 300, 2, 10
pytestmark = pytest.mark.usefixtures("mended")
POST = {"title": "Data analysis in Excel", "description": BRIEF}


async def offered(client: Person, workers: list[Person]) -> tuple[str, Person]:
    """A job with an open offer, and to whom."""
    async with watching(workers) as board:
        job_id = str((await client.post_job())["id"])
        return job_id, await board.offer(job_id, 1)


async def quick_503(send: Callable[[], Awaitable[httpx2.Response]], *codes: str) -> Json:
    """Three times: always a 503 in time that says when to come back, with one of the codes."""
    took: list[float] = []
    problem: Json = {}
    for _ in range(3):
        started = time.monotonic()
        answer = await send()
        took.append(round(time.monotonic() - started, 2))
        problem = problem_of(answer)
        assert answer.status_code == 503, problem
        assert problem["code"] in codes, problem
        assert int(answer.headers["retry-after"]) >= 1
    assert max(took) <= LIMIT_SECONDS, took
    return problem


async def readiness(platform: Platform) -> tuple[int, str, set[str]]:
    """Status code, word, and what is down."""
    answer = await platform.door.http.get("/health/ready")
    body = answer.json()
    assert (await platform.door.http.get("/health/live")).status_code == 200
    return (
        answer.status_code,
        body["status"],
        {name for name, health in body["dependencies"].items() if health["status"] == "down"},
    )


async def ready_again(platform: Platform) -> None:
    """Wait until everything is up."""
    await until(lambda: readiness(platform), lambda found: found == (200, "ok", set()), "readiness")


async def finish(platform: Platform, client: Person, worker: Person, job_id: str) -> None:
    """Take an accepted job to its end, and check everything."""
    await work(job_id, client, worker)
    await settled(platform, [job_id])
    done = actions(await job_of(platform.database, job_id))
    assert [action for action in done if action != "make_offer"] == [
        "start_parsing",
        "hold_credits",
        "accept_offer",
        "start",
        "submit",
        "approve",
    ]
    await check_all(platform, [job_id])


@pytest.mark.alone
async def test_temporal_away(platform: Platform, client: Person, workers: list[Person]) -> None:
    job_id, worker = await offered(client, workers)
    key = new_id()
    await platform.kill("temporal")
    accept = f"/jobs/{job_id}/offer/accept"
    await quick_503(lambda: worker.call("POST", accept), "outcome-unknown")
    await quick_503(lambda: client.call("GET", f"/jobs/{job_id}/state"), "dependency-unavailable")
    await quick_503(
        lambda: client.call("POST", "/jobs", POST, key=key), "dependency-unavailable", "outcome-unknown"
    )
    assert (await client.get(f"/jobs/{job_id}"))["phase"] == "offering"  # reading goes on
    assert job_id in {job["id"] for job in await client.every("/jobs")}
    assert (await readiness(platform)) == (503, "unavailable", {"temporal"})
    await platform.revive("temporal")
    await ready_again(platform)
    posted = await client.insist("POST", "/jobs", POST, key=key)
    assert await client.insist("POST", "/jobs", POST, key=key) == posted
    assert await platform.database["jobs"].count_documents({"_id": posted["id"]}) == 1
    first = await worker.insist("POST", accept)
    assert await worker.insist("POST", accept) == first
    assert first["phase"] == "ready"
    await finish(platform, client, worker, job_id)
    async with watching(workers) as board:
        worker = await board.offer(posted["id"], 1)
        await worker.act(posted["id"], "offer/accept")
    await finish(platform, client, worker, posted["id"])


@pytest.mark.alone
async def test_mongodb_away(platform: Platform, client: Person, workers: list[Person]) -> None:
    job_id, worker = await offered(client, workers)
    key = new_id()
    await platform.kill("mongodb")
    accept = f"/jobs/{job_id}/offer/accept"
    unknown = ("dependency-unavailable", "outcome-unknown")
    await quick_503(lambda: worker.call("POST", accept), *unknown)
    await quick_503(lambda: client.call("POST", "/jobs", POST, key=key), *unknown)
    await quick_503(lambda: client.call("GET", f"/jobs/{job_id}"), "dependency-unavailable")
    login = {"email": client.email, "password": PASSWORD}
    await quick_503(lambda: client.call("POST", "/auth/login", login), *unknown)
    assert (await readiness(platform)) == (503, "unavailable", {"mongodb"})
    await platform.revive("mongodb")
    await ready_again(platform)
    posted = await client.insist("POST", "/jobs", POST, key=key)
    assert await client.insist("POST", "/jobs", POST, key=key) == posted
    assert (await worker.insist("POST", accept))["phase"] == "ready"
    await finish(platform, client, worker, job_id)
    async with watching(workers) as board:
        worker = await board.offer(posted["id"], 1)
        await worker.act(posted["id"], "offer/accept")
    await finish(platform, client, worker, posted["id"])


async def test_mongodb_away_while_an_act_is_with_the_process(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    """The act was handed on, and its record cannot be written: unknown, until the repeat gets the one result."""
    job_id, worker = await offered(client, workers)
    accept = asyncio.ensure_future(worker.insist("POST", f"/jobs/{job_id}/offer/accept"))
    await asyncio.sleep(0.02)
    await platform.kill("mongodb")
    await asyncio.sleep(3)
    await platform.revive("mongodb")
    assert (await accept)["phase"] == "ready"
    await finish(platform, client, worker, job_id)


@pytest.mark.alone
async def test_redis_away_is_degraded_and_everything_works(
    platform: Platform, client: Person, workers: list[Person]
) -> None:
    job_id, worker = await offered(client, workers)
    await platform.kill("redis")
    assert (await readiness(platform)) == (200, "degraded", {"redis"})
    for email, password, status in ((client.email, PASSWORD, 200), (client.email, "not it", 401)):
        answer = await client.call("POST", "/auth/login", {"email": email, "password": password})
        assert answer.status_code == status
    assert (await worker.act(job_id, "offer/accept"))["phase"] == "ready"
    someone = await platform.client()  # logs in without Redis, and can be logged out at once
    assert (await someone.call("POST", "/auth/logout")).status_code == 204
    assert (await someone.call("GET", "/users/me")).status_code == 401
    await platform.revive("redis")
    await ready_again(platform)
    assert (await someone.call("GET", "/users/me")).status_code == 401
    await finish(platform, client, worker, job_id)


@pytest.mark.alone
async def test_the_file_store_away(platform: Platform, client: Person, workers: list[Person]) -> None:
    job_id, worker = await offered(client, workers)
    await worker.act(job_id, "offer/accept")
    await worker.act(job_id, "start")
    wanted = {"filename": "work.pdf", "mimeType": "application/pdf", "size": len(PDF)}
    base, key = f"/jobs/{job_id}/files", new_id()
    granted = await worker.insist("POST", f"{base}/upload-url", wanted, key=new_id())
    put = await platform.door.http.put(granted["uploadUrl"], content=PDF, headers=granted["headers"])
    assert put.is_success
    confirm = {"fileId": granted["fileId"], "url": granted["url"]}
    await platform.kill("s3")
    await quick_503(lambda: worker.call("POST", base, confirm, key=key), "dependency-unavailable")
    assert (await readiness(platform)) == (200, "degraded", {"storage"})
    submit = await worker.call("POST", f"/jobs/{job_id}/submit", {})
    assert problem_of(submit)["code"] == "no-deliverable"  # all else is answered as ever
    await platform.revive("s3")
    await ready_again(platform)
    confirmed = await worker.insist("POST", base, confirm, key=key)
    assert confirmed["status"] == "confirmed"
    assert await worker.insist("POST", base, confirm, key=key) == confirmed
    await worker.act(job_id, "submit", {})
    await client.act(job_id, "approve")
    await settled(platform, [job_id])
    await check_all(platform, [job_id])


async def test_mail_away_holds_up_nothing(platform: Platform, client: Person, workers: list[Person]) -> None:
    await platform.kill("mail")
    job_id, worker = await offered(client, workers)
    await worker.act(job_id, "offer/accept")
    assert (await readiness(platform)) == (200, "degraded", {"mail"})
    notices = lambda: worker.every("/notifications")  # noqa: E731
    await until(
        notices,
        lambda found: "job.assigned" in {n["type"] for n in found if n["jobId"] == job_id},
        "a notice",
    )
    await platform.revive("mail")
    await finish(platform, client, worker, job_id)


@pytest.mark.alone
@pytest.mark.parametrize("act", ["accept", "approve"])
async def test_no_worker_runs(platform: Platform, client: Person, workers: list[Person], act: str) -> None:
    """The process takes no act now: an honest unknown, and the repeat gets the one result once a worker is back."""
    job_id, worker = await offered(client, workers)
    person, path = worker, f"/jobs/{job_id}/offer/accept"
    if act == "approve":
        await worker.act(job_id, "offer/accept")
        await worker.act(job_id, "start")
        await worker.upload(job_id)
        await worker.act(job_id, "submit", {})
        person, path = client, f"/jobs/{job_id}/approve"
    await platform.kill("worker")
    started = time.monotonic()
    answer = await person.call("POST", path)
    assert (answer.status_code, problem_of(answer)["code"]) == (503, "outcome-unknown")
    assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - started < platform.settings.update_timeout_seconds + 2
    await platform.revive("worker")
    first = await person.insist("POST", path)
    assert await person.insist("POST", path) == first
    if act == "accept":
        await finish(platform, client, worker, job_id)
    else:
        await settled(platform, [job_id])
        await check_all(platform, [job_id])
