"""`/users/me` and `/skills`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from app.ids import new_id
from app.money.credits import Credits
from app.skills.store import ensure_skills, list_skills
from app.skills.taxonomy import SKILLS
from app.subscriptions.store import open_subscription
from app.subscriptions.tiers import TierName
from app.users.models import Role
from tests.api.people import People

Database = AsyncDatabase[dict[str, Any]]


async def test_a_new_worker(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.WORKER)
    me = (await client.get("/users/me", headers=person.headers)).json()
    assert me["client"] is None
    worker = me["worker"]
    assert worker["timezone"] == "Asia/Phnom_Penh"
    assert worker["workingHours"]["monday"] == [{"start": "09:00", "end": "18:00"}]
    assert worker["workingHours"]["sunday"] == []
    assert worker["rating"] == {"average": None, "count": 0}
    assert (worker["skills"], worker["capacity"], worker["available"]) == ([], 3, True)
    assert "passwordHash" not in str(me)
    assert "stripeAccountId" not in str(me)


async def test_a_client_sees_tier_and_credits(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    person = await people.someone(Role.CLIENT)
    fresh = (await client.get("/users/me", headers=person.headers)).json()["client"]
    assert fresh == {"company": "", "tier": None, "credits": {"available": 0.0, "held": 0.0, "debt": 0.0}}
    ledger = Credits(database)
    tier = next(iter(TierName))
    subscription = await open_subscription(ledger, person.id, tier)
    await ledger.hold(person.id, new_id(), 234, key=f"hold:{new_id()}")
    me = (await client.get("/users/me", headers=person.headers)).json()["client"]
    granted = subscription.plan.credits_per_period
    assert me["tier"] == tier.value
    assert me["credits"] == {"available": (granted - 234) / 100, "held": 2.34, "debt": 0.0}


async def test_a_worker_edits_the_profile(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.WORKER)
    week = {
        "monday": [{"start": "22:00", "end": "24:00"}],
        "tuesday": [{"start": "13:00", "end": "17:30"}, {"start": "00:00", "end": "06:00"}],
    }
    changes = {
        "name": "  Sokha Chan ",
        "skills": [SKILLS[0].slug, SKILLS[1].slug],
        "timezone": "Europe/Berlin",
        "workingHours": week,
        "capacity": 5,
        "available": False,
        "optedInUrgent": True,
    }
    answer = await client.patch("/users/me", json=changes, headers=person.headers)
    assert answer.status_code == 200, answer.text
    again = await client.get("/users/me", headers=person.headers)
    assert again.json() == answer.json()
    worker = again.json()["worker"]
    assert again.json()["name"] == "Sokha Chan"
    assert worker["workingHours"]["tuesday"] == [
        {"start": "00:00", "end": "06:00"},
        {"start": "13:00", "end": "17:30"},
    ]
    assert worker["workingHours"]["wednesday"] == []
    for name in ("skills", "timezone", "capacity", "available", "optedInUrgent"):
        assert worker[name] == changes[name]


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "admin"},
        {"email": "new@example.com"},
        {"emailVerified": True},
        {"disabled": False},
        {"passwordHash": "x"},
        {"activeJobs": 0},
        {"rating": {"sum": 5, "count": 1}},
        {"workerProfile": {"capacity": 20}},
        {"workerProfile.activeJobs": 0},
        {"$set": {"role": "admin"}},
        {"worker": {"capacity": 2}},
        {"working_hours": {}},
        {"skills": ["no-such-skill"]},
        {"skills": [SKILLS[0].slug, SKILLS[0].slug]},
        {"skills": [f"skill-{n}" for n in range(31)]},
        {"skills": "logo-design"},
        {"skills": [{"$ne": None}]},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": "/etc/passwd"},
        {"timezone": {"$ne": None}},
        {"capacity": 0},
        {"capacity": 21},
        {"capacity": "5"},
        {"capacity": 2.5},
        {"capacity": True},
        {"available": "yes"},
        {"available": None},
        {"name": ""},
        {"workingHours": {"monday": [{"start": "09:00", "end": "09:00"}]}},
        {"workingHours": {"monday": [{"start": "22:00", "end": "06:00"}]}},
        {
            "workingHours": {
                "monday": [{"start": "09:00", "end": "12:00"}, {"start": "11:59", "end": "13:00"}]
            }
        },
        {"workingHours": {"monday": [{"start": "9:00", "end": "12:00"}]}},
        {"workingHours": {"monday": [{"start": "24:00", "end": "24:00"}]}},
        {"workingHours": {"monday": [{"start": "09:60", "end": "12:00"}]}},
        {"workingHours": {"noday": []}},
        {"workingHours": {"monday": [{"start": "09:00", "end": "12:00", "x": 1}]}},
        {"company": "a client's field"},
    ],
)
async def test_bad_edits_change_nothing(
    client: httpx2.AsyncClient, people: People, database: Database, changes: dict[str, Any]
) -> None:
    person = await people.someone(Role.WORKER)
    before = await database["users"].find_one({"_id": person.id})
    answer = await client.patch("/users/me", json={"capacity": 7, **changes}, headers=person.headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] in ("invalid-request", "field-not-for-role")
    assert await database["users"].find_one({"_id": person.id}) == before


async def test_worker_fields_are_not_a_clients(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.CLIENT)
    answer = await client.patch("/users/me", json={"capacity": 2}, headers=person.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "field-not-for-role")
    ok = await client.patch("/users/me", json={"company": "Acme"}, headers=person.headers)
    assert ok.json()["client"]["company"] == "Acme"


async def test_an_unknown_skill_is_named_by_its_place(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.WORKER)
    body = {"skills": [SKILLS[0].slug, "telepathy"]}
    answer = await client.patch("/users/me", json=body, headers=person.headers)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/skills/1"]


async def test_editing_keeps_what_others_count_meanwhile(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    person = await people.someone(Role.WORKER)
    count = {"$inc": {"workerProfile.activeJobs": 1, "workerProfile.offers.offered": 1}}

    async def edit(number: int) -> httpx2.Response:
        return await client.patch("/users/me", json={"capacity": 1 + number}, headers=person.headers)

    await asyncio.gather(
        *(edit(number) for number in range(10)),
        *(database["users"].update_one({"_id": person.id}, count) for _ in range(10)),
    )
    stored = await database["users"].find_one({"_id": person.id})
    assert stored is not None
    assert stored["workerProfile"]["activeJobs"] == 10
    assert stored["workerProfile"]["offers"]["offered"] == 10


async def test_skills_are_the_taxonomy_and_seeding_is_repeatable(
    client: httpx2.AsyncClient, database: Database
) -> None:
    listed = (await client.get("/skills")).json()["items"]
    assert {skill["slug"] for skill in listed} == {definition.slug for definition in SKILLS}
    assert await ensure_skills(database) == 0

    slug = SKILLS[0].slug
    await database["skills"].update_one(
        {"_id": slug}, {"$set": {"name": "stale", "pricing.rateBasisPoints": 12_000}}
    )
    await database["skills"].delete_one({"_id": SKILLS[1].slug})
    assert await ensure_skills(database) == 2
    stored = {skill.slug: skill for skill in await list_skills(database)}
    assert stored[slug].name == SKILLS[0].name
    assert stored[slug].pricing.rate_basis_points == 12_000, "a price that an admin set is kept"
    assert SKILLS[1].slug in stored
    await asyncio.gather(*(ensure_skills(database) for _ in range(4)))
    assert await database["skills"].count_documents({}) == len(SKILLS)
