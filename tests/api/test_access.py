"""The access table holds for every route: nobody gets in who may not, and what is not one's own is not there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from api.main import create_app
from app.ids import new_id
from app.settings import Settings
from app.users.models import Role
from devstack.stack import Stack
from tests.api.access_table import (
    ABSENT,
    ACCESS,
    ANSWERS,
    MAIN_SCENES,
    Access,
    Caller,
    Owner,
    Route,
    Scene,
    job_rows,
)
from tests.api.people import People, Person
from tests.api.scenes import Database, World, add_job, open_world, run_timer, shut_out


def routes_of(app: FastAPI) -> set[Route]:
    """Every (method, path) that the application serves, but its own documentation."""
    return {
        (method, str(context.path))
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute)
        for method in context.methods or ()
        if method != "HEAD"
    }


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    routes = routes_of(create_app(Settings(environment="test")))
    assert routes - set(ACCESS) == set(), "add these routes to tests/api/access_table.py"
    assert set(ACCESS) - routes == set(), "these rows have no route"
    assert len(routes) >= 10, "the walk found no routes"


@pytest.fixture(scope="module")
def cast() -> dict[Role, Person]:
    return {}


async def someone_of_each(people: People, cast: dict[Role, Person]) -> dict[Role, Person]:
    for role in Role:
        if role not in cast:
            cast[role] = await people.someone(role)
    people.client.cookies.clear()
    return cast


async def call(client: httpx2.AsyncClient, route: Route, person: Person | None) -> httpx2.Response:
    """The route with well-formed ids of nothing, and an empty body where one may be sent."""
    method, template = route
    path = re.sub(r"\{\w+\}", lambda _: new_id(), template)
    body: dict[str, str] | None = {} if method in ("POST", "PUT", "PATCH") else None
    return await client.request(method, path, json=body, headers=person.headers if person else {})


def guarded() -> list[tuple[Route, Access]]:
    return [(route, access) for route, access in sorted(ACCESS.items()) if access.roles is not None]


@pytest.mark.parametrize(
    ("route", "access"), guarded(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
async def test_roles(
    client: httpx2.AsyncClient, people: People, cast: dict[Role, Person], route: Route, access: Access
) -> None:
    everyone = await someone_of_each(people, cast)
    anonymous = await call(client, route, None)
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "authentication-required")
    for role, person in everyone.items():
        answer = await call(client, route, person)
        if access.roles is not None and role in access.roles:
            assert answer.status_code not in (401, 403, 405, 500), f"{role} may call it: {answer.text}"
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong-role"), role


def of_jobs() -> list[Route]:
    return [
        route
        for route, access in sorted(ACCESS.items())
        if access.owner in (Owner.JOB_CLIENT, Owner.JOB_WORKER, Owner.JOB_PARTY) and "{" in route[1]
    ]


async def test_malformed_ids_are_refused_by_shape(
    client: httpx2.AsyncClient, people: People, cast: dict[Role, Person]
) -> None:
    everyone = await someone_of_each(people, cast)
    for method, template in of_jobs():
        roles = ACCESS[method, template].roles or frozenset()
        person = everyone[min(roles)]
        for bad in ("x", "0" * 23, "G" * 24, "%24ne", "..%2f..%2fetc"):
            path = "/".join(bad if part.startswith("{") else part for part in template.split("/"))
            answer = await client.request(method, path, headers=person.headers)
            assert answer.status_code in (404, 422), f"{method} {path}: {answer.status_code}"


JOB_ROWS = job_rows()


@pytest_asyncio.fixture(scope="module")
async def world(
    app: FastAPI, database: Database, api_settings: Settings, stack: Stack
) -> AsyncIterator[World]:
    async with open_world(app, database, api_settings, stack) as made:
        yield made


NOT_READY = "The job is not ready for this act yet; try again soon."


def body_for(world: World, route: Route, scene: Scene) -> dict[str, Any] | None:
    """A body that the route takes."""
    if route[0] == "GET":
        return None
    pending = world.files[scene].pending
    bodies: dict[str, dict[str, Any]] = {
        "offer/decline": {"reason": "Away until Monday"},
        "request-revision": {"reason": "The logo is the old one"},
        "reviews": {"rating": 5},
        "clarify": {"answer": "Two pages"},
        "raise-price": {"credits": 90_000},
        "revision-quote": {"credits": 2, "reason": "A new page"},
        "price/approve": {"extraCredits": 2},
        "revision-quote/approve": {"extraCredits": 2},
        "cancel": {"previewVersion": "0" * 16, "reason": "No longer needed"},
        "withdraw": {} if "/dispute/" in route[1] else {"reason": "I am ill"},
        "dispute": {"reason": "Not what we agreed"},
        "evidence": {"text": "See page three"},
        "reassign": {"reason": "Does not answer"},
        "extend-deadline": {"reason": "Files came late", "to": "2099-01-01T00:00:00Z"},
        "propose-price": {"reason": "More pages", "credits": 90_000},
        "policy": {"version": 1, "reason": "A longer review"},
        "rule": {"reason": "Most is usable", "workerShareBasisPoints": 6000},
        "dismiss": {"reason": "Nothing to rule on"},
        "upload-url": {"filename": "menu.pdf", "mimeType": "application/pdf"},
        "files": {"fileId": pending, "url": world.file_url(scene, pending)},
        "assign": {"workerId": world.persons[Caller.STRANGER].id},
    }
    return next((body for end, body in bodies.items() if route[1].endswith(f"/{end}")), {})


def told(answer: httpx2.Response) -> dict[str, Any]:
    """A problem without what differs from one request to the next."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return {name: value for name, value in answer.json().items() if name not in ("instance", "correlationId")}


async def check_refused(world: World, route: Route, scene: Scene, caller: Caller, *, word: str) -> None:
    """The refusal that the table tells; and of what is not theirs, callers hear the same as of what is not."""
    body = body_for(world, route, scene)
    path = route[1].format(job_id=world.jobs[scene], file_id=world.files[scene].brief)
    answer = await world.call(caller, route[0], path, body)
    assert (answer.status_code, answer.json()["code"]) == ANSWERS[word], f"{caller}: {answer.text}"
    if word in ABSENT or word == "role":
        absent = await world.call(caller, route[0], route[1].format(job_id=new_id(), file_id=new_id()), body)
        assert (absent.status_code, told(absent)) == (answer.status_code, told(answer)), caller
        assert set(answer.headers) == set(absent.headers), caller
    if word == "role":  # before anything of the request is looked at
        shapeless = await world.call(caller, route[0], route[1].format(job_id="x", file_id="x"), {"x": 1})
        assert told(shapeless) == told(answer), caller


def check_served(answer: httpx2.Response, route: Route) -> None:
    """What `yes` means: acts reach the job's process, which these jobs do not have."""
    if route[0] == "GET" or "/time/" in route[1]:
        assert answer.status_code == 200, answer.text
    elif route[1].endswith(("/upload-url", "/evidence")):
        assert answer.status_code == 201, answer.text
    else:
        found = (answer.status_code, answer.json().get("code"), answer.json().get("detail"))
        assert found == (409, "wrong-state", NOT_READY)


@pytest.mark.parametrize(
    ("route", "scene"),
    sorted(JOB_ROWS),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
async def test_everyone_around_a_job(world: World, route: Route, scene: Scene) -> None:
    body = body_for(world, route, scene)
    row = JOB_ROWS[route, scene]
    if "/time" in route[1]:
        await run_timer(world, scene)
    before = await world.snapshot()
    for caller, word in row.items():
        if word != "yes":
            await check_refused(world, route, scene, caller, word=word)
    assert await world.snapshot() == before, "a refused call changed something"
    path = route[1].format(job_id=world.jobs[scene], file_id=world.files[scene].brief)
    for caller in (caller for caller, word in row.items() if word == "yes"):
        check_served(await world.call(caller, route[0], path, body), route)


def test_the_job_table_is_whole_and_agrees_with_the_roles() -> None:
    of_one_job = {route for route in ACCESS if "{job_id}" in route[1]}
    assert {(route, scene) for route in of_one_job for scene in MAIN_SCENES} <= set(JOB_ROWS), (
        "add rows to JOB_TABLE in tests/api/access_table.py"
    )
    assert {route for route, _ in JOB_ROWS} == of_one_job
    for (route, scene), row in JOB_ROWS.items():
        for caller, word in row.items():
            allowed = caller.role in (ACCESS[route].roles or frozenset())
            assert (word != "role") == allowed, f"{route} {scene} {caller}"
    for route in of_one_job - {("POST", "/jobs/{job_id}/files"), ("POST", "/jobs/{job_id}/reviews")}:
        words = {word for (of, _), row in JOB_ROWS.items() if of == route for word in row.values()}
        assert "yes" in words, f"nobody is served by {route}"


@pytest.mark.parametrize("how", ["disabled", "ended"])
async def test_who_is_shut_out_gets_in_nowhere(world: World, how: str) -> None:
    persons = {role: await shut_out(world, role, how) for role in Role}
    client, worker = persons[Role.CLIENT].id, persons[Role.WORKER].id
    job_id = await add_job(world, Scene.WORKING, client_id=client, worker_id=worker)
    before = await world.snapshot()
    for route, access in guarded():
        body = body_for(world, route, Scene.WORKING) if "{job_id}" in route[1] else None
        ids = {
            "job_id": job_id,
            "file_id": world.files[Scene.WORKING].brief,
            "notification_id": "x",
            "version": 1,
            "client_id": job_id,
            "dispute_id": "du_1",
            "month": "2026-11",
            "report_id": job_id,
            "number": 1,
        }
        for role in access.roles or ():
            answer = await world.call(persons[role], route[0], route[1].format(**ids), body)
            assert (answer.status_code, answer.json()["code"]) == (401, "session-ended"), f"{route} {role}"
    assert await world.snapshot() == before
