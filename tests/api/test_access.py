"""The access table holds for every route: nobody gets in who may not, and what is not one's own is not there."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from api.main import create_app
from app.ids import new_id
from app.settings import Settings
from app.users.models import Role
from tests.api.access_table import ACCESS, Access, Owner
from tests.api.people import People, Person

Route = tuple[str, str]


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
    path = "/".join(new_id() if part.startswith("{") else part for part in template.split("/"))
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
