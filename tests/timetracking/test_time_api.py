"""Time tracking through the front door: shapes, parties, problems, pages, and a timer that falls silent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from app.documents import utcnow
from app.ids import new_id
from app.lifecycle import AWAITING_APPROVAL, WORKING, State
from app.timetracking.service import stop_idle
from app.users.models import Role
from tests.api.conftest import api_settings, app, client, people  # noqa: F401  # fixtures
from tests.api.people import People, Person
from tests.timetracking.conftest import Database


class Scene:
    """The parties of jobs, logged in."""

    def __init__(self, http: httpx2.AsyncClient, database: Database, persons: dict[str, Person]) -> None:
        self.http, self.database, self.persons = http, database, persons

    async def job(self, state: State = WORKING) -> str:
        job_id = new_id()
        await self.database["jobs"].insert_one(
            {
                "_id": job_id,
                "seq": 1,
                "title": "Logo",
                "clientId": self.persons["client"].id,
                "workerId": self.persons["worker"].id,
                "offeredWorkerId": self.persons["offered"].id,
                "status": state.status.value,
                "phase": state.phase.value,
                "parsed": {"hoursLow": 1.0, "hoursLikely": 2.5, "hoursHigh": 4.0},
                "createdAt": utcnow(),
            }
        )
        return job_id

    async def call(
        self, who: str, method: str, job_id: str, path: str = "", body: Any = None
    ) -> httpx2.Response:
        sent = {"json": body} if body is not None else {}
        headers = self.persons[who].headers
        while True:
            url = f"/jobs/{job_id}/time{path}"
            answer = await self.http.request(method, url, headers=headers, **sent)
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.2)  # a busy machine: every act may be repeated

    async def fall_silent(self, seconds: int) -> None:
        """Move the worker's timer that far into the past."""
        timer = await self.database["running_timers"].find_one({"_id": self.persons["worker"].id})
        assert timer is not None
        moved = {name: timer[name] - timedelta(seconds=seconds) for name in ("startedAt", "seenAt")}
        await self.database["running_timers"].update_one({"_id": timer["_id"]}, {"$set": moved})


@pytest_asyncio.fixture
async def scene(client: httpx2.AsyncClient, people: People, database: Database) -> Scene:  # noqa: F811
    roles = {
        "client": Role.CLIENT,
        "worker": Role.WORKER,
        "offered": Role.WORKER,
        "stranger": Role.CLIENT,
        "admin": Role.ADMIN,
    }
    persons = {name: await people.someone(role) for name, role in roles.items()}
    client.cookies.clear()
    return Scene(client, database, persons)


async def test_the_whole_way_of_a_timer(scene: Scene) -> None:
    job_id = await scene.job()
    started = await scene.call("worker", "POST", job_id, "/start")
    assert started.status_code == 200, started.text
    timer = started.json()
    assert set(timer) == {"timerId", "jobId", "workerId", "startedAt", "lastSeenAt", "idleAt", "seconds"}
    assert (timer["jobId"], timer["workerId"]) == (job_id, scene.persons["worker"].id)
    await scene.fall_silent(60)
    beaten = (await scene.call("worker", "POST", job_id, "/heartbeat")).json()
    assert beaten["timerId"] == timer["timerId"]
    assert beaten["seconds"] >= 60
    assert beaten["lastSeenAt"] >= timer["lastSeenAt"]
    for who in ("client", "worker", "admin"):
        seen = (await scene.call(who, "GET", job_id)).json()
        assert (seen["items"], seen["nextCursor"], seen["hoursLikely"]) == ([], None, 2.5)
        assert seen["running"]["timerId"] == timer["timerId"]
        assert seen["totalSeconds"] >= 60
    body = {"timerId": timer["timerId"], "note": " The first page "}
    stopped = await scene.call("worker", "POST", job_id, "/stop", body)
    assert stopped.status_code == 200, stopped.text
    entry = stopped.json()
    assert (entry["timerId"], entry["stoppedBy"], entry["note"]) == (
        timer["timerId"],
        "worker",
        "The first page",
    )
    assert entry["seconds"] >= 60
    again = await scene.call("worker", "POST", job_id, "/stop", body)
    assert (again.status_code, again.json()) == (200, entry)
    for who in ("client", "worker", "admin"):
        assert (await scene.call(who, "GET", job_id)).json() == {
            "items": [entry],
            "nextCursor": None,
            "jobId": job_id,
            "totalSeconds": entry["seconds"],
            "running": None,
            "hoursLikely": 2.5,
        }


async def test_twenty_starts_at_once_run_one_timer(scene: Scene) -> None:
    jobs = [await scene.job() for _ in range(20)]
    answers = await asyncio.gather(*(scene.call("worker", "POST", job, "/start") for job in jobs))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    winner = next(answer.json()["jobId"] for answer in answers if answer.status_code == 200)
    for answer in answers:
        if answer.status_code == 409:
            problem = answer.json()
            assert (problem["code"], problem["jobId"]) == ("timer-already-running", winner)
    sheets = [(await scene.call("client", "GET", job)).json() for job in jobs]
    assert [job for job, sheet in zip(jobs, sheets, strict=True) if sheet["running"]] == [winner]


async def test_refusals_say_why(scene: Scene) -> None:
    job_id = await scene.job()
    for path, body in (("/heartbeat", None), ("/stop", {}), ("/stop", {"timerId": new_id()})):
        answer = await scene.call("worker", "POST", job_id, path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "timer-not-running"), path
    reviewed = await scene.job(AWAITING_APPROVAL)
    for path, body in (("/start", None), ("/heartbeat", None), ("/stop", {})):
        answer = await scene.call("worker", "POST", reviewed, path, body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "wrong-state"), path
        assert (problem["jobStatus"], problem["jobPhase"]) == ("review", "awaiting_approval")
    for who, status in (("offered", 404), ("client", 403), ("stranger", 403), ("admin", 403)):
        for path, body in (("/start", None), ("/heartbeat", None), ("/stop", {})):
            assert (await scene.call(who, "POST", job_id, path, body)).status_code == status, who
    for who in ("offered", "stranger"):
        assert (await scene.call(who, "GET", job_id)).status_code == 404, who


@pytest.mark.parametrize(
    "body",
    [
        {"seconds": 9},
        {"stoppedAt": "2026-11-22T10:00:00Z"},
        {"timerId": {"$ne": None}},
        {"timerId": "x"},
        {"note": "n" * 501},
        {"note": 5},
        [],
    ],
)
async def test_bodies_are_closed(scene: Scene, body: Any) -> None:
    job_id = await scene.job()
    assert (await scene.call("worker", "POST", job_id, "/start")).status_code == 200
    answer = await scene.call("worker", "POST", job_id, "/stop", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert (await scene.call("worker", "GET", job_id)).json()["running"]


async def test_a_silent_timer_is_shown_as_stopped_and_is(scene: Scene) -> None:
    job_id = await scene.job()
    timer = (await scene.call("worker", "POST", job_id, "/start")).json()
    await scene.fall_silent(900)
    sheet = (await scene.call("client", "GET", job_id)).json()
    assert (sheet["running"], sheet["totalSeconds"]) == (None, 0)
    late = await scene.call("worker", "POST", job_id, "/heartbeat")
    assert (late.status_code, late.json()["code"]) == (409, "timer-not-running")
    assert late.json()["stoppedBy"] == "idle"
    [entry] = (await scene.call("client", "GET", job_id)).json()["items"]
    assert (entry["timerId"], entry["seconds"], entry["stoppedBy"]) == (timer["timerId"], 0, "idle")
    assert (await stop_idle(scene.database, utcnow())).idle == 0


async def test_entries_come_in_pages_and_the_sum_is_of_all(scene: Scene) -> None:
    job_id, other = await scene.job(), await scene.job()
    ids = []
    for _ in range(5):
        ids.append((await scene.call("worker", "POST", job_id, "/start")).json()["timerId"])
        await scene.fall_silent(100)
        stopped = await scene.call("worker", "POST", job_id, "/stop", {"timerId": ids[-1]})
        assert stopped.status_code == 200, stopped.text
    found: list[str] = []
    query = "?limit=2"
    for size in (2, 2, 1):
        page = (await scene.call("client", "GET", job_id, query)).json()
        assert (len(page["items"]), bool(page["nextCursor"])) == (size, size == 2)
        assert page["totalSeconds"] >= 500
        found += [item["timerId"] for item in page["items"]]
        query = f"?limit=2&cursor={page['nextCursor']}"
        for who, job in (("client", other), ("worker", job_id)) if size == 2 else ():
            foreign = await scene.call(who, "GET", job, query)
            assert (foreign.status_code, foreign.json()["code"]) == (422, "invalid-cursor")
    assert sorted(found) == sorted(ids)


async def test_a_worker_sees_nothing_of_the_one_before(scene: Scene) -> None:
    job_id = await scene.job()
    for who in ("worker", "offered"):
        await scene.database["jobs"].update_one(
            {"_id": job_id}, {"$set": {"workerId": scene.persons[who].id, "offeredWorkerId": None}}
        )
        timer = (await scene.call(who, "POST", job_id, "/start")).json()
        body = {"timerId": timer["timerId"], "note": f"by {who}"}
        stopped = await scene.call(who, "POST", job_id, "/stop", body)
        assert stopped.status_code == 200
    assert (await scene.call("worker", "GET", job_id)).status_code == 404
    for who, notes in (
        ("offered", ["by offered"]),
        ("client", ["by offered", "by worker"]),
        ("admin", ["by offered", "by worker"]),
    ):
        items = (await scene.call(who, "GET", job_id)).json()["items"]
        assert sorted(item["note"] for item in items) == notes, who
