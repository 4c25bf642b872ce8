"""`Idempotency-Key`: one creation per key, over repeats, races and crashes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect
from starlette.responses import Response

from api.idempotency import IdempotencyDep
from api.main import create_app
from api.security import AnyRole
from api.types import RequestModel, ResponseModel
from app.documents import utcnow
from app.errors import NotFoundError
from app.idempotency import Answered, Begun, IdempotencyStore, purge_expired
from app.settings import Settings
from app.users.models import Role
from tests.api.people import People

Database = AsyncDatabase[dict[str, Any]]


class NoteBody(RequestModel):
    text: str
    fault: str = ""


class Note(ResponseModel):
    id: str
    text: str


@pytest.fixture(scope="module")
def app(api_settings: Settings, database: Database) -> FastAPI:
    """The application with one route that creates."""
    application = create_app(api_settings)
    faults: list[str] = []

    @application.post("/notes", status_code=201, response_model=Note)
    async def create(body: NoteBody, principal: AnyRole, idempotency: IdempotencyDep) -> Response:
        async def work(note_id: str) -> Note:
            if body.fault == "refused":
                raise NotFoundError("There is no such thing.")
            await database["notes"].update_one({"_id": note_id}, {"$inc": {"times": 1}}, upsert=True)
            if body.fault and body.fault not in faults:
                faults.append(body.fault)
                if body.fault.startswith("slow"):
                    await asyncio.sleep(0.5)
                else:
                    raise AutoReconnect("cut off after the write")
            return Note(id=note_id, text=body.text)

        return await idempotency.run(principal.user_id, body, work)

    return application


@pytest.fixture(autouse=True)
async def serving(app: FastAPI) -> Any:
    async with app.router.lifespan_context(app):
        yield


async def post(people: People, headers: dict[str, str], **body: str) -> httpx2.Response:
    return await people.client.post("/notes", json={"text": "x", **body}, headers=headers)


async def test_same_key_and_body_create_once(people: People, database: Database) -> None:
    someone, another = await people.someone(Role.CLIENT), await people.someone(Role.CLIENT)
    headers = {**someone.headers, "Idempotency-Key": "k1"}
    first = await post(people, headers)
    again = await people.client.post(
        "/notes",
        content=b'{ "fault":"",  "text": "x"}',
        headers={**headers, "Content-Type": "application/json"},
    )
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    note = await database["notes"].find_one({"_id": first.json()["id"]})
    assert note is not None
    assert note["times"] == 1
    clash = await post(people, headers, text="y")
    assert (clash.status_code, clash.json()["code"]) == (422, "idempotency-key-reused")
    other_person = await post(people, {**another.headers, "Idempotency-Key": "k1"})
    assert other_person.json()["id"] != first.json()["id"], "keys are each caller's own"
    no_key = [await post(people, someone.headers) for _ in range(2)]
    assert no_key[0].json()["id"] != no_key[1].json()["id"]


async def test_ten_at_once_create_once(people: People, database: Database) -> None:
    someone = await people.someone(Role.CLIENT)
    headers = {**someone.headers, "Idempotency-Key": "race"}
    before = await database["notes"].count_documents({})
    answers = await asyncio.gather(*(post(people, headers, fault="slow") for _ in range(10)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(201) >= 1
    assert set(statuses) <= {201, 409}
    busy = [answer for answer in answers if answer.status_code == 409]
    assert busy, "the work is slow enough for others to find it unfinished"
    assert {answer.json()["code"] for answer in busy} == {"request-in-progress"}
    assert busy[0].headers["retry-after"] == "1"
    assert await database["notes"].count_documents({}) == before + 1
    assert (await post(people, headers, fault="slow")).headers["idempotent-replayed"] == "true"


async def test_an_unknown_outcome_is_repeated_with_the_same_id(people: People, database: Database) -> None:
    someone = await people.someone(Role.CLIENT)
    headers = {**someone.headers, "Idempotency-Key": "cut"}
    before = await database["notes"].count_documents({})
    first = await post(people, headers, fault="cut")
    assert (first.status_code, first.json()["code"]) == (503, "outcome-unknown")
    second = await post(people, headers, fault="cut")
    assert second.status_code == 201
    assert await database["notes"].count_documents({}) == before + 1
    note = await database["notes"].find_one({"_id": second.json()["id"]})
    assert note is not None
    assert note["times"] == 2


async def test_a_refusal_frees_the_key(people: People) -> None:
    someone = await people.someone(Role.CLIENT)
    headers = {**someone.headers, "Idempotency-Key": "refusal"}
    assert (await post(people, headers, fault="refused")).status_code == 404
    assert (await post(people, headers)).status_code == 201


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"has space", b"\xc3\xa9", b"tab\there"])
async def test_malformed_keys(people: People, key: bytes) -> None:
    someone = await people.someone(Role.CLIENT)
    headers = {b"Authorization": someone.headers["Authorization"].encode(), b"Idempotency-Key": key}
    answer = await people.client.post("/notes", json={"text": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert answer.json()["errors"][0]["in"] == "header"


async def test_a_crashed_attempt_is_taken_over_by_exactly_one(database: Database) -> None:
    patient = IdempotencyStore(database, takeover_seconds=60)
    eager = IdempotencyStore(database, takeover_seconds=0)
    begun = await patient.begin("crash", "h")
    assert isinstance(begun, Begun)
    outcomes = await asyncio.gather(*(eager.begin("crash", "h") for _ in range(5)), return_exceptions=True)
    taken = [outcome for outcome in outcomes if isinstance(outcome, Begun)]
    assert taken
    assert {attempt.resource_id for attempt in taken} == {begun.resource_id}
    assert len({attempt.attempt for attempt in taken}) == len(taken), "each takeover is a new attempt"
    await eager.finish(taken[-1], status=201, body="{}")
    assert await patient.begin("crash", "h") == Answered(201, "{}")


async def test_records_live_48_hours(database: Database) -> None:
    store = IdempotencyStore(database, takeover_seconds=60)
    for key in ("old", "purged", "young"):
        begun = await store.begin(key, "h")
        assert isinstance(begun, Begun)
        await store.finish(begun, status=201, body=key)
    past = utcnow() - timedelta(seconds=1)
    await database["idempotency_keys"].update_many(
        {"_id": {"$in": ["old", "purged"]}}, {"$set": {"expiresAt": past}}
    )
    renewed = await store.begin("old", "another request")
    assert isinstance(renewed, Begun), "an expired key is free even before the purge"
    assert await purge_expired(database) == 1
    assert await store.begin("young", "h") == Answered(201, "young")
