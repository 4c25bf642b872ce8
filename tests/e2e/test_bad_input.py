"""Bad input over a real socket: a problem document that names the fault, and no change anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from app.ids import new_id
from tests.e2e.checks import everything, history_length, settled
from tests.e2e.platform import Platform
from tests.e2e.play import watching, work
from tests.support.http import BRIEF, Json, Person, problem_of, until

POST = {"title": "Data analysis in Excel", "description": BRIEF}


@dataclass(frozen=True)
class Scene:
    """People, and jobs that stand still: one offered, one in progress, one completed, one whose offer lapsed."""

    platform: Platform
    people: dict[str, Person]
    jobs: dict[str, str]
    lapsed_worker: Person

    async def all_there_is(self) -> tuple[Any, Any]:
        """Every document, and how long each job's history is."""
        lengths = {name: await history_length(self.platform, job_id) for name, job_id in self.jobs.items()}
        return await everything(self.platform.database), lengths


@pytest_asyncio.fixture(scope="module")
async def scene(whole: Platform) -> AsyncIterator[Scene]:
    """Set once; nothing in this module may change it."""
    users = whole.database["users"]
    await users.update_many({"role": "worker"}, {"$set": {"workerProfile.available": False}})
    await whole.serve(NIMMIT_OFFER_WINDOW_SECONDS="3")
    client, other_client = await whole.client(), await whole.client()
    workers = [await whole.worker() for _ in range(2)]
    jobs: dict[str, str] = {}
    async with watching(workers) as board:
        jobs["lapsed"] = (await client.post_job())["id"]
        first = await board.offer(jobs["lapsed"], 1)
        second = await board.offer(jobs["lapsed"], 2)
        await second.act(jobs["lapsed"], "offer/accept")
        await whole.serve(NIMMIT_OFFER_WINDOW_SECONDS="900")
        for name in ("completed", "working", "offered"):
            jobs[name] = (await client.post_job())["id"]
            worker = await board.offer(jobs[name], 1)
            if name != "offered":
                await worker.act(jobs[name], "offer/accept")
            if name == "completed":
                await work(jobs[name], client, worker)
                await settled(whole, [jobs[name]])
            if name == "working":
                await worker.act(jobs[name], "start")
    people = {
        "client": client,
        "other client": other_client,
        "worker": await _holder(whole, jobs["working"], workers),
        "offered worker": await _offered(whole, jobs["offered"], workers),
        "other worker": await whole.worker(available=False),
        "admin": await whole.admin(),
        "nobody": Person(whole.door, "", "", ""),
    }
    await until(
        lambda: whole.database["outbox"].count_documents({}), lambda left: left == 0, "an empty outbox"
    )
    yield Scene(whole, people, jobs, first)


async def _holder(platform: Platform, job_id: str, workers: list[Person]) -> Person:
    job = await platform.database["jobs"].find_one({"_id": job_id})
    return next(worker for worker in workers if job and worker.id == job["workerId"])


async def _offered(platform: Platform, job_id: str, workers: list[Person]) -> Person:
    job = await platform.database["jobs"].find_one({"_id": job_id})
    return next(worker for worker in workers if job and worker.id == job["offeredWorkerId"])


@dataclass(frozen=True)
class Case:
    """One bad request: who sends what to where, and the answer. `{working}` in a path is that job's id."""

    who: str
    path: str
    body: Any
    status: int
    code: str
    method: str = "POST"
    pointer: str | None = None
    more: Json = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.code} {self.pointer or ''} {self.who}".replace(" ", "-")


NEVER = "0" * 24
OPERATOR = {"$ne": None}
UPLOAD = "/jobs/{working}/files/upload-url"
PDF_FILE = {"filename": "a.pdf", "mimeType": "application/pdf"}

CASES = [
    # unknown fields, wrong types, operators, sizes
    Case("client", "/jobs", POST | {"price": 1}, 422, "invalid-request", pointer="#/price"),
    Case("client", "/jobs", POST | {"clientId": NEVER}, 422, "invalid-request", pointer="#/clientId"),
    Case("client", "/jobs", POST | {"title": 7}, 422, "invalid-request", pointer="#/title"),
    Case("client", "/jobs", POST | {"title": OPERATOR}, 422, "invalid-request", pointer="#/title"),
    Case("client", "/jobs", POST | {"urgency": OPERATOR}, 422, "invalid-request", pointer="#/urgency"),
    Case("client", "/jobs", POST | {"urgency": "now"}, 422, "invalid-request", pointer="#/urgency"),
    Case("client", "/jobs", POST | {"maxCredits": -1}, 422, "invalid-request", pointer="#/maxCredits"),
    Case("client", "/jobs", POST | {"maxCredits": 1.005}, 422, "invalid-request", pointer="#/maxCredits"),
    Case("client", "/jobs", POST | {"maxCredits": "12"}, 422, "invalid-request", pointer="#/maxCredits"),
    Case(
        "client",
        "/jobs",
        POST | {"description": "x" * 20_001},
        422,
        "invalid-request",
        pointer="#/description",
    ),
    Case("client", "/jobs", POST | {"description": "x" * 300_000}, 413, "request-too-large"),
    Case("client", "/jobs", {"title": "No brief"}, 422, "invalid-request", pointer="#/description"),
    Case("client", "/jobs", [POST], 422, "invalid-request"),
    Case("nobody", "/auth/login", {"email": OPERATOR, "password": OPERATOR}, 422, "invalid-request"),
    Case("nobody", "/auth/register", {"email": "a@b.example", "role": "admin"}, 422, "invalid-request"),
    Case("worker", "/users/me", {"capacity": OPERATOR}, 422, "invalid-request", "PATCH", "#/capacity"),
    Case("worker", "/users/me", {"company": "mine"}, 422, "field-not-for-role", "PATCH"),
    Case("client", "/users/me", {"role": "admin"}, 422, "invalid-request", "PATCH", "#/role"),
    # content types and bodies that are no JSON
    Case("client", "/jobs", None, 415, "unsupported-media-type", more={"data": {"title": "a form"}}),
    Case(
        "client",
        "/jobs",
        None,
        415,
        "unsupported-media-type",
        more={"content": b"<job/>", "headers": {"Content-Type": "application/xml"}},
    ),
    Case(
        "client",
        "/jobs",
        None,
        400,
        "malformed-request",
        more={"content": b'{"title": ', "headers": {"Content-Type": "application/json"}},
    ),
    # ids
    Case("client", "/jobs/not-an-id", None, 422, "invalid-request", "GET"),
    Case("client", "/jobs/{working}'%20or%201", None, 422, "invalid-request", "GET"),
    Case("client", f"/jobs/{NEVER}", None, 404, "not-found", "GET"),
    Case("client", f"/jobs/{NEVER}/approve", None, 404, "not-found"),
    Case("worker", f"/jobs/{NEVER}/offer/accept", None, 404, "offer-not-found"),
    Case("client", "/jobs?limit=0", None, 422, "invalid-request", "GET"),
    Case("client", "/jobs?cursor=abc", None, 422, "invalid-cursor", "GET"),
    Case("client", "/jobs?status=done", None, 422, "invalid-request", "GET"),
    Case("client", "/nowhere", None, 404, "not-found", "GET"),
    Case("client", "/jobs/{working}", None, 405, "method-not-allowed", "DELETE"),
    # whose job it is
    Case("nobody", "/jobs/{working}", None, 401, "authentication-required", "GET"),
    Case("other client", "/jobs/{working}", None, 404, "not-found", "GET"),
    Case("other client", "/jobs/{working}/state", None, 404, "not-found", "GET"),
    Case("other client", "/jobs/{working}/approve", None, 404, "not-found"),
    Case("other client", "/jobs/{completed}/reviews", {"rating": 5}, 404, "not-found"),
    Case("other worker", "/jobs/{working}/submit", {}, 404, "not-found"),
    Case("other worker", "/jobs/{offered}/offer/accept", None, 404, "offer-not-found"),
    Case("other worker", "/jobs/{working}/files", None, 404, "not-found", "GET"),
    # roles
    Case("worker", "/jobs", POST, 403, "wrong-role"),
    Case("worker", "/jobs/{working}/approve", None, 403, "wrong-role"),
    Case("client", "/jobs/{working}/start", None, 403, "wrong-role"),
    Case("client", "/jobs/{offered}/offer/accept", None, 403, "wrong-role"),
    Case("client", "/offers", None, 403, "wrong-role", "GET"),
    Case("client", "/admin/jobs", None, 403, "wrong-role", "GET"),
    Case("client", "/admin/jobs/{offered}/assign", {"workerId": NEVER}, 403, "wrong-role"),
    # states
    Case("client", "/jobs/{working}/approve", None, 409, "wrong-state"),
    Case("client", "/jobs/{working}/request-revision", {"reason": "not yet"}, 409, "wrong-state"),
    Case("client", "/jobs/{offered}/approve", None, 409, "wrong-state"),
    Case("client", "/jobs/{offered}/quote/approve", None, 409, "wrong-state"),
    Case("client", "/jobs/{working}/reviews", {"rating": 5}, 409, "wrong-state"),
    Case("client", "/jobs/{completed}/request-revision", {"reason": "too late"}, 409, "wrong-state"),
    Case("worker", "/jobs/{working}/submit", {}, 409, "no-deliverable"),
    Case(
        "worker", "/jobs/{working}/submit", {"fileIds": [NEVER]}, 422, "invalid-request", pointer="#/fileIds"
    ),
    Case("worker", "/jobs/{working}/submit", {"fileIds": [OPERATOR]}, 422, "invalid-request"),
    Case("offered worker", "/jobs/{offered}/offer/decline", {"reason": ""}, 422, "invalid-request"),
    Case("offered worker", "/jobs/{offered}/offer/decline", {"reason": OPERATOR}, 422, "invalid-request"),
    Case(
        "admin",
        "/admin/jobs/{offered}/assign",
        {"workerId": NEVER},
        422,
        "invalid-request",
        pointer="#/workerId",
    ),
    Case("admin", "/admin/jobs/{working}/assign", {"workerId": "{worker}"}, 409, "wrong-state"),
    Case("client", "/jobs/{completed}/reviews", {"rating": 6}, 422, "invalid-request", pointer="#/rating"),
    Case("client", "/jobs/{completed}/reviews", {"rating": "5"}, 422, "invalid-request", pointer="#/rating"),
    # files
    Case(
        "worker", UPLOAD, {"filename": "a.exe", "mimeType": "application/x-msdownload"}, 422, "file-rejected"
    ),
    Case("worker", UPLOAD, PDF_FILE | {"filename": OPERATOR}, 422, "invalid-request", pointer="#/filename"),
    Case("worker", UPLOAD, PDF_FILE | {"size": 10**10}, 422, "invalid-request", pointer="#/size"),
    Case("worker", UPLOAD, PDF_FILE | {"filename": "../a.exe"}, 422, "file-rejected"),
    Case("worker", "/jobs/{working}/files", {"fileId": NEVER, "url": "http://x/"}, 404, "not-found"),
    Case("client", "/notifications/{working}:9:9/read", None, 404, "not-found"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_bad_input_is_named_and_changes_nothing(scene: Scene, case: Case) -> None:
    person = scene.people[case.who]
    names = scene.jobs | {"worker": scene.people["worker"].id}
    body = _fill(case.body, names)
    before = await scene.all_there_is()
    answer = await person.call(case.method, _fill(case.path, names), body, **case.more)
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (case.status, case.code), problem
    if case.pointer:
        assert case.pointer in {error["pointer"] for error in problem["errors"]}, problem
    assert await scene.all_there_is() == before


def _fill(value: Any, names: dict[str, str]) -> Any:
    """Put ids where a path or a body names a job or a person."""
    if isinstance(value, str):
        for name, its_id in names.items():
            value = value.replace(f"{{{name}}}", its_id)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, names) for key, item in value.items()}
    return value


async def test_an_offer_whose_window_has_ended_says_when(scene: Scene) -> None:
    before = await scene.all_there_is()
    for act, body in (("accept", None), ("decline", {"reason": "too late"})):
        answer = await scene.lapsed_worker.call("POST", f"/jobs/{scene.jobs['lapsed']}/offer/{act}", body)
        problem = problem_of(answer)
        assert (answer.status_code, problem["code"]) == (409, "offer-expired")
    assert await scene.all_there_is() == before


async def test_another_body_under_the_same_key_is_refused(scene: Scene) -> None:
    client, key = scene.people["client"], new_id()
    too_dear = POST | {"maxCredits": 0}  # waits for a yes, so that it stands still
    first = await client.call("POST", "/jobs", too_dear, key=key)
    assert first.status_code == 201, first.text
    job_id = first.json()["id"]
    await until(lambda: client.get(f"/jobs/{job_id}"), lambda job: bool(job["phase"] == "quoting"), "a quote")
    await until(
        lambda: scene.platform.database["outbox"].count_documents({}),
        lambda left: left == 0,
        "an empty outbox",
    )
    before = await scene.all_there_is()
    problem = problem_of(await client.call("POST", "/jobs", too_dear | {"title": "Another title"}, key=key))
    assert (problem["status"], problem["code"]) == (422, "idempotency-key-reused")
    again = await client.call("POST", "/jobs", too_dear, key=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert await scene.all_there_is() == before


async def test_the_same_act_with_another_body_is_refused(scene: Scene) -> None:
    """An act's key is the act itself: a second submission of the same delivery must be the same."""
    worker, job_id = scene.people["worker"], scene.jobs["working"]
    file_id = await worker.upload(job_id)
    submit = {"fileIds": [file_id], "note": "done"}
    first = await worker.act(job_id, "submit", submit)
    await until(
        lambda: scene.platform.database["outbox"].count_documents({}),
        lambda left: left == 0,
        "an empty outbox",
    )
    before = await scene.all_there_is()
    answer = await worker.call("POST", f"/jobs/{job_id}/submit", submit | {"note": "changed my mind"})
    assert (answer.status_code, problem_of(answer)["code"]) == (422, "idempotency-key-reused")
    assert await worker.act(job_id, "submit", submit) == first
    assert await scene.all_there_is() == before
