"""Files through the front door: shapes, roles, problems, and the whole way of one file."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from app.ids import new_id
from app.users.models import Role
from devstack.stack import Stack
from tests.api.conftest import api_settings, app, client, people  # noqa: F401  # fixtures
from tests.api.people import People, Person
from tests.files.conftest import PNG, a_job

Database = AsyncDatabase[dict[str, Any]]


class Scene:
    """One job and its parties, logged in."""

    def __init__(self, http: httpx2.AsyncClient, job_id: str, persons: dict[str, Person]) -> None:
        self.http, self.job_id, self.persons = http, job_id, persons

    async def call(
        self, who: str, method: str, path: str = "", body: Any = None, **headers: str
    ) -> httpx2.Response:
        sent = self.persons[who].headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, f"/jobs/{self.job_id}/files{path}", json=body, headers=sent)


@pytest_asyncio.fixture
async def scene(
    client: httpx2.AsyncClient,  # noqa: F811
    people: People,  # noqa: F811
    database: Database,
    stack: Stack,
) -> Scene:
    stack.require("s3")
    persons = {
        "client": await people.someone(Role.CLIENT),
        "worker": await people.someone(Role.WORKER),
        "stranger": await people.someone(Role.CLIENT),
        "admin": await people.someone(Role.ADMIN),
    }
    client.cookies.clear()
    job = a_job(persons["client"].id, persons["worker"].id, None, "in_progress")
    await database["jobs"].insert_one(job)
    return Scene(client, job["_id"], persons)


async def put(upload: dict[str, Any], body: bytes) -> int:
    async with httpx2.AsyncClient() as browser:
        answer = await browser.request(
            upload["method"], upload["uploadUrl"], content=body, headers=upload["headers"]
        )
    return answer.status_code


async def test_the_whole_way_of_a_deliverable(scene: Scene) -> None:
    asked = await scene.call(
        "worker", "POST", "/upload-url", {"filename": "logo.png", "mimeType": "image/png", "size": len(PNG)}
    )
    assert asked.status_code == 201, asked.text
    upload = asked.json()
    assert set(upload) == {"fileId", "uploadUrl", "method", "headers", "expiresAt", "url"}
    body = {"fileId": upload["fileId"], "url": upload["url"], "metadata": {"size": len(PNG), "note": "v1"}}
    early = await scene.call("worker", "POST", "", body)
    assert (early.status_code, early.json()["code"]) == (409, "file-not-uploaded")
    assert await put(upload, PNG) == 200
    confirmed = await scene.call("worker", "POST", "", body)
    assert confirmed.status_code == 201, confirmed.text
    file = confirmed.json()
    assert (file["status"], file["size"], file["purpose"], file["note"]) == (
        "confirmed",
        len(PNG),
        "deliverable",
        "v1",
    )
    assert not set(file) & {"bucket", "key", "uploadKey"}, "where it is kept is nobody's business"
    again = await scene.call("worker", "POST", "", body)
    assert (again.status_code, again.json()) == (201, file)
    for who in ("client", "worker", "admin"):
        listed = await scene.call(who, "GET")
        assert listed.json() == {"items": [file]}
        link = (await scene.call(who, "GET", f"/{file['fileId']}/download-url")).json()
        async with httpx2.AsyncClient() as browser:
            download = await browser.get(link["url"])
        assert download.content == PNG
        assert download.headers["content-disposition"].startswith("attachment;")


async def test_the_same_idempotency_key_reserves_one_file(scene: Scene) -> None:
    body = {"filename": "a.png", "mimeType": "image/png"}
    key = new_id()
    first = await scene.call("client", "POST", "/upload-url", body, Idempotency_Key=key)
    second = await scene.call("client", "POST", "/upload-url", body, Idempotency_Key=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = await scene.call("client", "POST", "/upload-url", body | {"size": 9}, Idempotency_Key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len((await scene.call("client", "GET")).json()["items"]) == 1


async def test_wrong_content_is_a_problem_that_names_the_fault(scene: Scene) -> None:
    asked = await scene.call("client", "POST", "/upload-url", {"filename": "a.png", "mimeType": "image/png"})
    upload = asked.json()
    assert await put(upload, b"#!/bin/sh\nrm -rf /\n") == 200
    answer = await scene.call("client", "POST", "", {"fileId": upload["fileId"], "url": upload["url"]})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["fault"]) == ("file-rejected", "content-mismatch")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"filename": "a.exe", "mimeType": "application/x-msdownload"}, "file-rejected"),
        ({"filename": "a.exe", "mimeType": "image/png"}, "file-rejected"),
        ({"filename": "a.png", "mimeType": "image/png", "size": 10**9}, "file-rejected"),
        ({"filename": "a.png", "mimeType": "image/png", "size": 0}, "file-rejected"),
        ({"filename": "a.png", "mimeType": "image/png", "size": "5"}, "invalid-request"),
        ({"filename": "a.png", "mimeType": "image/png", "size": 5.5}, "invalid-request"),
        ({"filename": "a.png", "mimeType": "image/png", "size": True}, "invalid-request"),
        ({"filename": {"$ne": None}, "mimeType": "image/png"}, "invalid-request"),
        ({"filename": "a.png", "mimeType": {"$gt": ""}}, "invalid-request"),
        ({"filename": "a.png", "mimeType": "image/png", "purpose": "deliverable"}, "invalid-request"),
        ({"filename": "a.png", "mimeType": "image/png", "bucket": "archive"}, "invalid-request"),
        ({"filename": "", "mimeType": "image/png"}, "invalid-request"),
        ({"filename": "a" * 300 + ".png", "mimeType": "image/png"}, "invalid-request"),
        ({"mimeType": "image/png"}, "invalid-request"),
    ],
)
async def test_bad_declarations_change_nothing(scene: Scene, body: dict[str, Any], code: str) -> None:
    answer = await scene.call("client", "POST", "/upload-url", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await scene.call("client", "GET")).json() == {"items": []}


async def test_strangers_find_nothing(scene: Scene) -> None:
    asked = await scene.call("client", "POST", "/upload-url", {"filename": "a.png", "mimeType": "image/png"})
    upload = asked.json()
    assert await put(upload, PNG) == 200
    body = {"fileId": upload["fileId"], "url": upload["url"]}
    request = {"filename": "a.png", "mimeType": "image/png"}
    download = f"/{upload['fileId']}/download-url"
    for who, method, path, sent, status in (
        ("stranger", "GET", "", None, 404),
        ("stranger", "POST", "", body, 404),
        ("stranger", "POST", "/upload-url", request, 404),
        ("stranger", "GET", download, None, 404),
        ("worker", "POST", "", body, 404),
        ("worker", "GET", download, None, 404),
        ("admin", "POST", "", body, 403),
        ("admin", "POST", "/upload-url", request, 403),
    ):
        answer = await scene.call(who, method, path, sent)
        assert answer.status_code == status, f"{who} {method} {path}: {answer.text}"
    assert (await scene.call("client", "POST", "", body)).status_code == 201


async def test_a_foreign_url_is_refused(scene: Scene) -> None:
    asked = await scene.call("client", "POST", "/upload-url", {"filename": "a.png", "mimeType": "image/png"})
    body = {"fileId": asked.json()["fileId"], "url": "http://169.254.169.254/latest/meta-data"}
    answer = await scene.call("client", "POST", "", body)
    assert (answer.status_code, answer.json()["fault"]) == (422, "url-mismatch")
