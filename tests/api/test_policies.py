"""`/admin/policies`: read, changed with history, and given to the jobs that are posted from then on."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import pytest_asyncio
from temporalio.client import Client

from app.ids import new_id
from app.jobs.policy import JobPolicy
from app.money.credits import Credits
from app.subscriptions.store import open_subscription
from app.subscriptions.tiers import TierName
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People, Person
from worker.search_attributes import register_search_attributes
from workflows.contracts import job_workflow_id

PATH = "/admin/policies"


@pytest_asyncio.fixture
async def admin(people: People) -> Person:
    return await people.someone(Role.ADMIN)


async def current(client: httpx2.AsyncClient, admin: Person) -> dict[str, Any]:
    answer = await client.get(PATH, params={"limit": 1}, headers=admin.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["items"][0]
    assert found["current"]
    return found


async def change(
    client: httpx2.AsyncClient, admin: Person, based_on: int, key: str | None = None, **changes: Any
) -> httpx2.Response:
    return await client.post(
        PATH,
        json={"basedOn": based_on, "changes": changes, "reason": "For the test"},
        headers=admin.headers | ({"Idempotency-Key": key} if key else {}),
    )


async def test_a_change_is_told_with_who_when_why_and_what(client: httpx2.AsyncClient, admin: Person) -> None:
    before = await current(client, admin)
    rounds = before["policy"]["rounds"]
    answer = await change(client, admin, before["version"], rounds=rounds + 1)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["version"] == made["policy"]["version"] == before["version"] + 1
    assert (made["changedBy"], made["reason"]) == (admin.id, "For the test")
    assert made["diff"] == [{"field": "rounds", "before": rounds, "after": rounds + 1}]
    assert made["policy"] == before["policy"] | {"rounds": rounds + 1, "version": made["version"]}
    assert await current(client, admin) == made
    old = await client.get(f"{PATH}/{before['version']}", headers=admin.headers)
    assert old.json() == before | {"current": False}
    absent = await client.get(f"{PATH}/{made['version'] + 1}", headers=admin.headers)
    assert (absent.status_code, absent.json()["code"]) == (404, "not-found")


async def test_the_whole_policy_may_be_sent(client: httpx2.AsyncClient, admin: Person) -> None:
    before = await current(client, admin)
    whole = {name: value for name, value in before["policy"].items() if name != "version"}
    limit = whole["revisionLimit"] + 1
    answer = await change(client, admin, before["version"], **(whole | {"revisionLimit": limit}))
    assert [row["field"] for row in answer.json()["diff"]] == ["revisionLimit"], answer.text


async def test_a_stale_change_is_refused_and_a_repeat_is_not(
    client: httpx2.AsyncClient, admin: Person, people: People
) -> None:
    version, key = (await current(client, admin))["version"], new_id()
    first = await change(client, admin, version, key, candidatesPerRound=4)
    assert first.status_code == 201, first.text
    again = await change(client, admin, version, key, candidatesPerRound=4)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    clash = await change(client, admin, version, key, candidatesPerRound=5)
    assert (clash.status_code, clash.json()["code"]) == (422, "idempotency-key-reused")
    stale = await change(client, await people.someone(Role.ADMIN), version, candidatesPerRound=6)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale-policy")
    assert stale.json()["currentVersion"] == version + 1
    assert (await current(client, admin))["policy"]["candidatesPerRound"] == 4


def test_every_number_of_the_policy_is_bounded_from_below() -> None:
    for name, field in JobPolicy.model_fields.items():
        if field.annotation is int and name != "version":
            assert any(hasattr(bound, "gt") or hasattr(bound, "ge") for bound in field.metadata), name


NEGATIVE = [
    ({field.alias: -1}, f"#/changes/{field.alias}")
    for name, field in JobPolicy.model_fields.items()
    if field.annotation is int and name != "version"
]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        *NEGATIVE,
        ({"rounds": "3"}, "#/changes/rounds"),
        ({"rounds": True}, "#/changes/rounds"),
        ({"rounds": 2.5}, "#/changes/rounds"),
        ({"rounds": None}, "#/changes/rounds"),
        ({"rounds": {"$gt": 0}}, "#/changes/rounds"),
        ({"workerShareBasisPoints": 10_001}, "#/changes/workerShareBasisPoints"),
        ({"urgencyBasisPoints": {"high": 20_000}}, "#/changes/urgencyBasisPoints"),
        ({"offerWindowSeconds": 10**9}, "#/changes/offerWindowSeconds"),
        ({"version": 9}, "#/changes/version"),
        ({"noSuchField": 1}, "#/changes/noSuchField"),
        ({"offer_window_seconds": 600}, "#/changes/offer_window_seconds"),
        ({}, "#/changes"),
    ],
)
async def test_bad_changes_change_nothing(
    client: httpx2.AsyncClient, admin: Person, database: Database, changes: dict[str, Any], pointer: str
) -> None:
    rows = await database["policies"].count_documents({})
    version = (await current(client, admin))["version"]
    answer = await change(client, admin, version, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await database["policies"].count_documents({}) == rows


async def test_history_is_paged_down_to_the_first(client: httpx2.AsyncClient, admin: Person) -> None:
    version = (await current(client, admin))["version"]
    for number in range(version, version + 3):
        assert (await change(client, admin, number, revisionLimit=number + 20)).status_code == 201
    seen, cursor = [], None
    while True:
        parameters = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(PATH, params=parameters, headers=admin.headers)).json()
        seen += [(item["version"], item["current"]) for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    newest = version + 3
    assert seen == [(number, number == newest) for number in range(newest, 0, -1)]
    first = (await client.get(f"{PATH}/1", headers=admin.headers)).json()
    assert (first["changedBy"], first["changedAt"], first["diff"]) == (None, None, [])
    other = await client.get("/admin/jobs", params={"limit": 1}, headers=admin.headers)
    assert other.json()["nextCursor"] is None
    forged = await client.get(PATH, params={"cursor": "AAAA"}, headers=admin.headers)
    assert (forged.status_code, forged.json()["code"]) == (422, "invalid-cursor")


async def post_job(client: httpx2.AsyncClient, person: Person) -> str:
    body = {"title": "A dashboard", "description": "Make a dashboard of our sales in Excel, three pages."}
    answer = await client.post("/jobs", json=body, headers=person.headers)
    assert answer.status_code == 201, answer.text
    job_id: str = answer.json()["id"]
    return job_id


async def test_a_job_keeps_the_policy_it_was_posted_with(
    client: httpx2.AsyncClient, admin: Person, people: People, database: Database, temporal: Client
) -> None:
    await register_search_attributes(temporal)
    person = await people.someone(Role.CLIENT)
    await open_subscription(Credits(database), person.id, next(iter(TierName)))

    async def snapshot(job_id: str) -> dict[str, Any]:
        stored = await database["jobs"].find_one({"_id": job_id})
        assert stored is not None
        policy: dict[str, Any] = stored["policy"]
        return policy

    before = (await current(client, admin))["policy"]
    early = await post_job(client, person)
    window = before["offerWindowSeconds"] + 60
    made = (await change(client, admin, before["version"], offerWindowSeconds=window)).json()["policy"]
    late = await post_job(client, person)
    assert (await snapshot(early))["offerWindowSeconds"] == before["offerWindowSeconds"]
    assert (await snapshot(early))["version"] == before["version"]
    assert JobPolicy.model_validate(await snapshot(late)) == JobPolicy.model_validate(made)
    for job_id in (early, late):
        await temporal.get_workflow_handle(job_workflow_id(job_id)).terminate("the test is over")
