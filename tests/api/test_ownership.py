"""What is another's is not there: in bodies, in lists, and in what is shown of one's own jobs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.documents import utcnow
from app.files.models import FilePurpose
from app.ids import new_id
from app.jobs.models import Job
from app.lifecycle import Actor, Status
from app.reviews.store import keep_rating
from app.settings import Settings
from app.users.models import Role
from devstack.stack import Stack
from tests.api.access_table import Caller, Scene
from tests.api.scenes import (
    MAX_PRICE,
    PAY,
    PRICE,
    WITHOUT_WORKER,
    Database,
    World,
    add_job,
    everything_shown,
    open_world,
    points_of,
    shut_out,
    track_time,
)

OWNER, CLIENT, WORKER, ADMIN = Caller.OWNER, Caller.CLIENT, Caller.WORKER, Caller.ADMIN
ASKED_BEFORE = frozenset({Caller.LAPSED, Caller.DECLINED})
WORKERS = ASKED_BEFORE | {WORKER, Caller.STRANGER}
PARTIES = frozenset({OWNER, WORKER, ADMIN})
NOBODY: frozenset[Caller] = frozenset()


@pytest_asyncio.fixture(scope="module")
async def world(
    app: FastAPI, database: Database, api_settings: Settings, stack: Stack
) -> AsyncIterator[World]:
    async with open_world(app, database, api_settings, stack) as made:
        yield made


def told(answer: httpx2.Response) -> tuple[int, dict[str, Any]]:
    """A problem without what differs from one request to the next."""
    members = answer.json()
    return answer.status_code, {
        name: members[name] for name in members if name not in ("instance", "correlationId")
    }


async def refused(
    world: World, who: Caller, route: str, body: Any, expected: tuple[int, str]
) -> dict[str, Any]:
    """The problem of a call that must be refused so, and must change nothing."""
    before = await world.snapshot()
    method, _, path = route.partition(" ")
    answer = await world.call(who, method, path, body)
    assert (answer.status_code, answer.json()["code"]) == expected, answer.text
    assert await world.snapshot() == before
    return told(answer)[1]


# --- what is shown


def secrets_of(world: World) -> dict[str, tuple[str, frozenset[Caller]]]:
    """What may be seen by some alone: the text that would give it away, and by whom it may be seen."""
    ids = {caller: person.id for caller, person in world.persons.items()}
    return {
        "the price": (f"{PRICE / 100:.2f}", frozenset({OWNER, ADMIN})),
        "the price, raw": (str(PRICE), NOBODY),
        "the client's limit": (f"{MAX_PRICE / 100:.2f}", frozenset({OWNER, ADMIN})),
        "the worker's pay": (str(PAY), frozenset({WORKER, ADMIN})),
        "who let an offer lapse": (ids[Caller.LAPSED], frozenset({ADMIN})),
        "who declined": (ids[Caller.DECLINED], frozenset({ADMIN})),
        "who was passed over": (ids[Caller.STRANGER], frozenset({ADMIN})),
        "which admin assigned": (ids[ADMIN], frozenset({ADMIN})),
        "why a worker declined": ("reason-of-the-decline", frozenset({ADMIN})),
        "why an admin assigned": ("reason-of-the-admin", frozenset({ADMIN})),
        "why consent was asked": ("reason-of-the-quote", frozenset({OWNER, ADMIN})),
        "what is to be revised": ("reason-of-the-revision", PARTIES),
        "why admins are needed": ("why-admins-are-needed", frozenset({ADMIN})),
        "why the pay waits": ("reason-of-the-payout", frozenset({WORKER, ADMIN})),
        "Stripe's transfer": ("tr_hidden", NOBODY),
        "internals of the timeline": ("details-of-the-timeline", frozenset({ADMIN})),
        "correlation ids of others": ("correlation-of", NOBODY),
        "where files are kept": (f'"jobs/{world.jobs[Scene.REVIEW]}', NOBODY),
        "the worker's own points": (str(points_of(WORKER)), frozenset({WORKER, ADMIN})),
        "points of who declined": (str(points_of(Caller.DECLINED)), frozenset({ADMIN})),
        "points of who lapsed": (str(points_of(Caller.LAPSED)), frozenset({ADMIN})),
        "points of a stranger": (str(points_of(Caller.STRANGER)), frozenset({ADMIN})),
        "revealed ratings": ("comment-that-is-revealed", PARTIES),
        "sealed ratings": ("comment-that-is-sealed", NOBODY),
        "the client's pending file": ("owner-pending.pdf", frozenset({OWNER, ADMIN})),
        "the worker's pending file": ("worker-pending.pdf", frozenset({WORKER, ADMIN})),
        "the brief's file": ("owner-confirmed.pdf", PARTIES),
        "what time was spent on": ("note-of-the-time", PARTIES),
        "the title": ("title-of-the-job", PARTIES),
        **{
            f"notifications of the {caller}": (f"notification-of-{caller}", frozenset({caller}))
            for caller in Caller
        },
    }


async def seal_ratings(world: World) -> str:
    """A completed job whose ratings are both given, and not yet revealed."""
    job_id = await add_job(world, Scene.COMPLETED, ratings=None)
    sides = {Actor.CLIENT: (OWNER, WORKER), Actor.WORKER: (WORKER, OWNER)}
    for by, (author, subject) in sides.items():
        await keep_rating(
            world.database,
            job_id=job_id,
            by=by,
            author_id=world.persons[author].id,
            subject_id=world.persons[subject].id,
            rating=1,
            comment=f"comment-that-is-sealed {by}",
            at=utcnow(),
        )
    return job_id


async def test_everyone_sees_their_own_and_no_more(world: World) -> None:
    job_ids = [*world.jobs.values(), await seal_ratings(world)]
    await track_time(world, Scene.REVIEW)
    shown = {caller: await everything_shown(world, caller, job_ids) for caller in Caller}
    for what, (text, allowed) in secrets_of(world).items():
        seers = {caller for caller in Caller if text in shown[caller]}
        assert seers == allowed, f"{what} is seen by {sorted(seers)}, and should be by {sorted(allowed)}"
    stored = json.dumps(await world.snapshot(), default=str)
    for what, (text, allowed) in secrets_of(world).items():
        assert allowed or text.strip('"') in stored, f"nothing holds {what}: the test shows nothing"


async def test_the_worker_of_an_open_offer_sees_the_brief_and_no_work(world: World) -> None:
    deliverable = world.files[Scene.WORKING].deliverable
    brief = world.files[Scene.WORKING].brief
    working = await world.database["jobs"].find_one({"_id": world.jobs[Scene.WORKING]})
    job_id = await add_job(world, Scene.OFFERING, files=Job.model_validate(working).files)
    listed = (await world.call(WORKER, "GET", f"/jobs/{job_id}/files")).json()["items"]
    assert {item["purpose"] for item in listed} == {"brief"}
    assert (await world.call(WORKER, "GET", f"/jobs/{job_id}/files/{brief}/download-url")).status_code == 200
    gone = await world.call(WORKER, "GET", f"/jobs/{job_id}/files/{deliverable}/download-url")
    absent = await world.call(WORKER, "GET", f"/jobs/{job_id}/files/{new_id()}/download-url")
    assert told(gone) == told(absent)
    assert gone.status_code == 404


async def test_files_that_are_not_confirmed_and_files_of_another_job_do_not_open(world: World) -> None:
    here, other = world.files[Scene.REVIEW], world.files[Scene.WORKING]
    base = f"/jobs/{world.jobs[Scene.REVIEW]}/files"
    for caller in PARTIES:
        absent = await world.call(caller, "GET", f"{base}/{new_id()}/download-url")
        assert absent.status_code == 404
        for file_id in (here.pending, here.unfinished, other.brief, other.deliverable):
            answer = await world.call(caller, "GET", f"{base}/{file_id}/download-url")
            assert told(answer) == told(absent), caller


async def test_lists_hold_the_callers_own(world: World) -> None:
    async def ids(caller: Caller, path: str, name: str = "id") -> list[str]:
        return [item[name] for item in (await world.call(caller, "GET", path)).json()["items"]]

    theirs = set(world.jobs.values())
    for caller in (CLIENT, Caller.LAPSED, Caller.DECLINED, Caller.STRANGER):
        assert await ids(caller, "/jobs?limit=100") == []
        assert await ids(caller, "/notifications?limit=100") == [world.notifications[caller]]
    for caller in ASKED_BEFORE | {Caller.STRANGER}:
        assert await ids(caller, "/offers", "jobId") == []
    assert world.jobs[Scene.OFFERING] in await ids(WORKER, "/offers", "jobId")
    assert theirs <= set(await ids(OWNER, "/jobs?limit=100"))
    unknown = {world.jobs[scene] for scene in WITHOUT_WORKER if scene is not Scene.OFFERING}
    assert theirs - unknown <= set(await ids(WORKER, "/jobs?limit=100"))
    assert not unknown & set(await ids(WORKER, "/jobs?limit=100"))
    for status in Status:  # a filter narrows, and never widens
        assert await ids(CLIENT, f"/jobs?status={status}") == []


@pytest.mark.parametrize("path", ["/jobs", "/notifications"])
async def test_cursors_of_another_open_nothing(world: World, path: str) -> None:
    for number in range(2):
        await world.database["notifications"].insert_one(
            await a_notification(world, OWNER) | {"_id": f"{new_id()}:1:{number}"}
        )
    page = (await world.call(OWNER, "GET", f"{path}?limit=1")).json()
    assert page["nextCursor"]
    follow = f"{path}?limit=1&cursor={page['nextCursor']}"
    assert (await world.call(OWNER, "GET", follow)).status_code == 200
    for caller in (CLIENT, WORKER, ADMIN):
        await refused(world, caller, f"GET {follow}", None, (422, "invalid-cursor"))
    other = "/notifications" if path == "/jobs" else "/jobs"
    await refused(world, OWNER, f"GET {follow.replace(path, other)}", None, (422, "invalid-cursor"))


async def a_notification(world: World, who: Caller) -> dict[str, Any]:
    """The document of the caller's first notification."""
    found = await world.database["notifications"].find_one({"_id": world.notifications[who]})
    assert found is not None
    return found


# --- what is named


async def test_notifications_of_another_are_not_there(world: World) -> None:
    path = f"/notifications/{world.notifications[CLIENT]}/read"
    for caller in set(Caller) - {CLIENT}:
        problem = await refused(world, caller, f"POST {path}", None, (404, "not-found"))
        absent = await refused(world, caller, "POST /notifications/x:1:0/read", None, (404, "not-found"))
        assert problem == absent, caller
    assert (await world.call(OWNER, "POST", "/notifications/read-all")).status_code == 200
    assert (await a_notification(world, OWNER))["read"]
    for caller in set(Caller) - {OWNER}:
        assert not (await a_notification(world, caller))["read"], f"{caller}'s were marked too"
    assert (await world.call(CLIENT, "POST", path)).status_code == 200


async def test_files_of_another_job_are_not_delivered(world: World) -> None:
    files, elsewhere = world.files[Scene.WORKING], world.files[Scene.REVIEW]
    path = f"/jobs/{world.jobs[Scene.WORKING]}/submit"
    for file_id in (elsewhere.deliverable, elsewhere.brief, files.brief, files.pending, files.unfinished):
        for ids in ([file_id], [files.deliverable, file_id]):
            problem = await refused(world, WORKER, f"POST {path}", {"fileIds": ids}, (422, "invalid-request"))
            assert [error["pointer"] for error in problem["errors"]] == ["#/fileIds"]
            unknown = new_id()
            absent = await refused(
                world, WORKER, f"POST {path}", {"fileIds": [unknown]}, (422, "invalid-request")
            )
            assert json.dumps(problem).replace(file_id, unknown) == json.dumps(absent)


async def test_uploads_of_another_are_not_confirmed(world: World) -> None:
    scene, files = Scene.WORKING, world.files[Scene.WORKING]
    path = f"/jobs/{world.jobs[scene]}/files"
    deliverable, brief = FilePurpose.DELIVERABLE, FilePurpose.BRIEF

    def body(file_id: str, purpose: FilePurpose) -> dict[str, Any]:
        return {"fileId": file_id, "url": world.file_url(scene, file_id, purpose)}

    for caller, file_id, purpose in (
        (OWNER, files.unfinished, deliverable),
        (OWNER, files.deliverable, deliverable),  # confirmed, and the worker's
        (WORKER, files.pending, brief),
        (WORKER, files.brief, brief),
        (OWNER, world.files[Scene.REVIEW].pending, brief),  # one's own, of another job
    ):
        problem = await refused(world, caller, f"POST {path}", body(file_id, purpose), (404, "not-found"))
        absent = await refused(world, caller, f"POST {path}", body(new_id(), purpose), (404, "not-found"))
        assert problem == absent
    # one's own file under the address of another's
    swapped = body(files.pending, brief) | {"url": world.file_url(scene, files.brief)}
    problem = await refused(world, OWNER, f"POST {path}", swapped, (422, "file-rejected"))
    assert problem["fault"] == "url-mismatch"


async def test_an_idempotency_key_of_another_gives_nothing(world: World) -> None:
    path = f"/jobs/{world.jobs[Scene.OFFERING]}/files/upload-url"
    body, headers = {"filename": "a.pdf", "mimeType": "application/pdf"}, {"Idempotency-Key": new_id()}
    assert (await world.call(OWNER, "POST", path, body, headers=headers)).status_code == 201
    before = await world.snapshot()
    for caller, status in ((CLIENT, 404), (WORKER, 404), (ADMIN, 403), (None, 401)):
        answer = await world.call(caller, "POST", path, body, headers=headers)
        assert answer.status_code == status, answer.text
        assert "idempotent-replayed" not in answer.headers
    assert await world.snapshot() == before
    again = await world.call(OWNER, "POST", path, body, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")


async def test_only_an_enabled_worker_is_assigned(world: World) -> None:
    path = f"/admin/jobs/{world.jobs[Scene.OFFERING]}/assign"
    disabled = await shut_out(world, Role.WORKER, "disabled")
    problems = [
        await refused(world, ADMIN, f"POST {path}", {"workerId": worker_id}, (422, "invalid-request"))
        for worker_id in (
            world.persons[OWNER].id,
            world.persons[CLIENT].id,
            world.persons[ADMIN].id,
            disabled.id,
            new_id(),
        )
    ]
    assert all(problem == problems[0] for problem in problems)
    assert problems[0]["errors"][0]["pointer"] == "#/workerId"


# --- what is not for callers to set

NOT_EDITABLE: dict[str, Any] = {
    "role": "admin",
    "id": "0" * 24,
    "_id": "0" * 24,
    "email": "other@example.com",
    "emailVerified": True,
    "disabled": False,
    "password": "another long one",
    "passwordHash": "$2b$04$x",
    "registration": "x",
    "createdAt": "2020-01-01T00:00:00Z",
    "credits": 1000,
    "client": {"credits": {"available": 1000}},
    "tier": "enterprise",
    "worker": {"rating": {"average": 5}},
    "workerProfile": {"completedJobs": 999},
    "workerProfile.rating.sum": 500,
    "clientProfile": {"rating": {"sum": 5, "count": 1}},
    "rating": {"sum": 500, "count": 100},
    "activeJobs": 0,
    "activeJobIds": [],
    "openOfferIds": [],
    "openRatingIds": [],
    "completedJobs": 999,
    "offers": {"accepted": 999},
    "lastDeclinedAt": None,
    "stripeAccountId": "acct_other",
    "payoutsReady": True,
    "$set": {"role": "admin"},
    "working_hours": {},
}


@pytest.mark.parametrize("name", NOT_EDITABLE)
async def test_what_nobody_edits_of_themselves(world: World, name: str) -> None:
    for caller in (OWNER, WORKER, ADMIN):
        body = {"name": "New Name", name: NOT_EDITABLE[name]}
        problem = await refused(world, caller, "PATCH /users/me", body, (422, "invalid-request"))
        assert [error["code"] for error in problem["errors"]] == ["extra_forbidden"]


async def test_fields_of_another_role_are_refused(world: World) -> None:
    for caller, body in (
        (OWNER, {"capacity": 20}),
        (OWNER, {"available": True}),
        (WORKER, {"company": "Mine"}),
        (ADMIN, {"company": "Mine"}),
        (ADMIN, {"skills": []}),
    ):
        changed: dict[str, Any] = {"name": "New Name", **body}
        await refused(world, caller, "PATCH /users/me", changed, (422, "field-not-for-role"))


@pytest.mark.parametrize(
    "extra",
    [
        {"clientId": "0" * 24},
        {"workerId": "0" * 24},
        {"id": "0" * 24},
        {"status": "completed"},
        {"pricing": {"credits": 1}},
        {"rate": 1},
        {"policy": {"revisionLimit": 99}},
        {"files": []},
    ],
    ids=lambda extra: next(iter(extra)),
)
async def test_what_a_post_does_not_say(world: World, extra: dict[str, Any]) -> None:
    body = {"title": "A dashboard", "description": "A dashboard of three pages with charts."} | extra
    await refused(world, OWNER, "POST /jobs", body, (422, "invalid-request"))


@pytest.mark.parametrize("extra", [{"role": "admin"}, {"emailVerified": True}, {"disabled": False}])
async def test_what_a_registration_does_not_say(world: World, extra: dict[str, Any]) -> None:
    body = {"email": "new@example.com", "password": "correct horse battery", "name": "N", "role": "client"}
    before = await world.snapshot()
    answer = await world.call(None, "POST", "/auth/register", body | extra)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await world.snapshot() == before
