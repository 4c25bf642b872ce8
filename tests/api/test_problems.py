"""Bad input and broken parts: every answer is a problem document that names the fault and nothing internal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from pymongo.asynchronous.database import AsyncDatabase

from api import problem_types
from api.main import create_app
from app.errors import DomainError
from app.jobs.errors import JobErrorCode
from app.settings import Settings
from app.users.models import Role
from tests.api.conftest import free_port, serve_in_process
from tests.api.people import PASSWORD, People

Database = AsyncDatabase[dict[str, Any]]

LOGIN = {"email": "nobody@example.com", "password": "whatever it is"}


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem, in the form that RFC 9457 gives it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    assert body["type"] == f"https://nimmit.example/problems/{code}"
    assert body["status"] == status
    assert body["instance"] == answer.request.url.path
    assert body["correlationId"] == answer.headers["x-correlation-id"]
    assert body["title"]
    assert body["detail"]
    return body


async def test_unknown_path_and_wrong_method(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/no/such/path"), 404, "not-found")
    wrong = await client.delete("/auth/login")
    assert_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"
    assert_problem(await client.get("/auth/login/"), 404, "not-found")


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff\xfe", b'{"email": "a"', b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}"]
)
async def test_malformed_json(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/auth/login", content=body, headers={"Content-Type": "application/json"})
    if body == b"":
        assert_problem(answer, 422, "invalid-request")
    else:
        assert_problem(answer, 400, "malformed-request")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
async def test_bodies_that_are_not_json(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/auth/login", content=b'{"email":"a","password":"b"}', headers=headers)
    assert_problem(answer, 415, "unsupported-media-type")


async def test_bodies_that_are_too_large(client: httpx2.AsyncClient, api_settings: Settings) -> None:
    filler = b" " * (api_settings.max_body_bytes // 4)
    headers = {"Content-Type": "application/json"}
    declared = await client.post("/auth/login", content=filler * 5, headers=headers)
    assert_problem(declared, 413, "request-too-large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield filler

    chunked = await client.post("/auth/login", content=chunks(), headers=headers)
    assert_problem(chunked, 413, "request-too-large")
    within = await client.post("/auth/login", json={**LOGIN, "pad": "x" * 1000})
    assert within.status_code == 422


async def test_validation_names_each_fault_and_never_repeats_the_input(client: httpx2.AsyncClient) -> None:
    sent = {"email": 5, "password": {"s3cr3t": "hunter2"}, "role": "boss", "extra/~field": 1}
    body = assert_problem(await client.post("/auth/register", json=sent), 422, "invalid-request")
    found = {(error["in"], error["pointer"], error["code"]) for error in body["errors"]}
    assert {
        ("body", "#/email", "string_type"),
        ("body", "#/password", "string_type"),
        ("body", "#/name", "missing"),
        ("body", "#/role", "literal_error"),
        ("body", "#/extra~1~0field", "extra_forbidden"),
    } <= found
    assert "hunter2" not in str(body)
    assert "s3cr3t" not in str(body)


def string_fields(
    schema: dict[str, Any], document: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The paths of every string in a body's schema."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        yield from string_fields(document["components"]["schemas"][name], document, path)
    for option in schema.get("anyOf", []):
        yield from string_fields(option, document, path)
    if schema.get("type") == "string":
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from string_fields(child, document, (*path, name))
    if schema.get("type") == "array":
        yield from string_fields(schema.get("items", {}), document, (*path, "0"))


def nest(path: tuple[str, ...], value: Any) -> Any:
    """`value` at `path`, and nothing beside it."""
    for step in reversed(path):
        value = [value] if step == "0" else {step: value}
    return value


async def test_operator_objects_are_refused_in_every_string_field(
    client: httpx2.AsyncClient, app: FastAPI, people: People
) -> None:
    headers = {role: (await people.someone(role)).headers for role in Role}
    client.cookies.clear()
    document = app.openapi()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = (
                operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            )
            for field in string_fields(body, document) if body else ():
                url = path.replace("{", "").replace("}", "") if "{" not in path else fill(path)
                answers = [
                    await client.request(method, url, json=nest(field, {"$ne": None}), headers=headers[role])
                    for role in Role
                ]
                allowed = [answer for answer in answers if answer.status_code != 403]
                assert allowed, f"no role may call {method} {path}"
                for answer in allowed:
                    problem = assert_problem(answer, 422, "invalid-request")
                    pointer = "#/" + "/".join(field)
                    assert any(error["pointer"].startswith(pointer) for error in problem["errors"]), problem
                tried += 1
    assert tried >= 10, "the walk found no fields"


def fill(path: str) -> str:
    """The path with a well-formed id in each place."""
    parts = ["0" * 24 if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


async def test_strings_that_mongodb_cannot_hold(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/auth/login",
        content=b'{"email": "\\ud800", "password": "x"}',
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 422, "invalid-request")


def all_domain_errors(kind: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for child in kind.__subclasses__():
        yield child
        yield from all_domain_errors(child)


# Codes that no caller can bring about: one that reaches the door is a defect, and is answered as 500.
DEFECTS = {
    "error",
    "money",
    "ledger-corrupted",
    "invalid-transaction",
    "negative-balance",
    "unknown-hold",
    "hold-amount-mismatch",
    "unknown-transaction",
    "nothing-to-expire",
}


def test_every_error_of_the_business_that_the_api_imports_has_a_status() -> None:
    codes = {kind.code for kind in all_domain_errors()} | {code.value for code in JobErrorCode}
    missing = codes - set(problem_types.STATUS_BY_CODE) - DEFECTS
    assert missing == set()


async def test_a_defect_is_answered_without_its_insides(
    api_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(api_settings)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("the secret is mongodb://admin:hunter2@db and dara@example.com")

    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            answer = await http.get("/broken", headers={"Origin": "https://client.nimmit.example"})
    body = assert_problem(answer, 500, "internal-error")
    assert "ValueError" not in str(body)
    assert answer.headers["access-control-allow-origin"] == "https://client.nimmit.example"
    assert answer.headers["x-content-type-options"] == "nosniff"
    logged = capsys.readouterr().out
    line = next(line for line in logged.splitlines() if "unhandled_error" in line)
    assert body["correlationId"] in line
    assert "ValueError" in line
    assert "hunter2" not in logged
    assert "dara@example.com" not in logged


@pytest.mark.alone
async def test_mongodb_away_from_the_start(api_settings: Settings) -> None:
    away = api_settings.model_copy(
        update={"mongodb_uri": type(api_settings.mongodb_uri)(f"mongodb://127.0.0.1:{free_port()}")}
    )
    before = time.monotonic()
    async with serve_in_process(away) as http:
        assert time.monotonic() - before < 10, "it starts without MongoDB"
        for path in ("/auth/login", "/auth/register"):
            body = LOGIN if path == "/auth/login" else {**LOGIN, "name": "A", "role": "client"}
            started = time.monotonic()
            answer = await http.post(path, json=body)
            assert_problem(answer, 503, "dependency-unavailable")
            assert answer.headers["retry-after"].isdigit()
            assert time.monotonic() - started < 2
        assert (await http.get("/health/live")).status_code == 200
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["dependencies"]["mongodb"]["status"]) == (503, "down")


async def test_redis_away_only_degrades(api_settings: Settings, people: People, database: Database) -> None:
    away = api_settings.model_copy(
        update={"redis_url": type(api_settings.redis_url)(f"redis://127.0.0.1:{free_port()}/0")}
    )
    _, email = await people.account(Role.CLIENT)
    async with serve_in_process(away) as http:
        login = await http.post("/auth/login", json={"email": email, "password": PASSWORD})
        assert login.status_code == 200
        headers = {"Authorization": f"Bearer {login.json()['accessToken']}"}
        assert (await http.get("/users/me", headers=headers)).status_code == 200
        assert (await http.post("/auth/logout")).status_code == 204
        assert (await http.get("/users/me", headers=headers)).status_code == 401
        ready = (await http.get("/health/ready")).json()["dependencies"]["redis"]
        assert ready == {"status": "down", "latencyMs": None, "deciding": False}


async def test_login_is_limited_with_and_without_redis(api_settings: Settings, people: People) -> None:
    for redis_url in (
        api_settings.redis_url,
        type(api_settings.redis_url)(f"redis://127.0.0.1:{free_port()}/0"),
    ):
        _, email = await people.account(Role.CLIENT)
        limited = api_settings.model_copy(update={"login_attempts_per_minute": 5, "redis_url": redis_url})
        async with serve_in_process(limited) as http:
            wrong = {"email": email, "password": "wrong wrong wrong"}
            good = {"email": email, "password": PASSWORD}
            for _ in range(8):  # good logins are not counted
                assert (await http.post("/auth/login", json=good)).status_code == 200
            answers = await asyncio.gather(*(http.post("/auth/login", json=wrong) for _ in range(12)))
            statuses = sorted(answer.status_code for answer in answers)
            # a window that turns over in mid-test lets one more batch through, and no more
            assert 5 <= statuses.count(401) <= 10
            refused = next(answer for answer in answers if answer.status_code == 429)
            assert_problem(refused, 429, "rate-limited")
            assert 1 <= int(refused.headers["retry-after"]) <= 3600
            assert (await http.post("/auth/login", json=good)).status_code in (429, 200)


class Wire:
    """A TCP relay to MongoDB that can stop carrying bytes, as a hung host or a cut network does."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._clear = asyncio.Event()
        self._clear.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            return
        finally:
            far_writer.close()
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._clear.wait()
            writer.write(data)
        writer.close()

    def hang(self) -> None:
        self._clear.clear()

    def resume(self) -> None:
        self._clear.set()


@pytest.mark.alone
async def test_a_hung_mongodb_is_503_within_2_seconds_and_comes_back(
    api_settings: Settings, people: People
) -> None:
    address = urlsplit(api_settings.mongodb_uri.get_secret_value())
    assert address.hostname is not None
    assert address.port is not None
    wire = Wire(address.hostname, address.port)
    relay = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    port = relay.sockets[0].getsockname()[1]
    through = api_settings.model_copy(
        update={"mongodb_uri": type(api_settings.mongodb_uri)(f"mongodb://127.0.0.1:{port}")}
    )
    _, email = await people.account(Role.CLIENT)
    login = {"email": email, "password": PASSWORD}
    async with serve_in_process(through) as http:
        good = await http.post("/auth/login", json=login)
        headers = {"Authorization": f"Bearer {good.json()['accessToken']}"}
        wire.hang()
        for method, path, body, codes in (
            ("GET", "/users/me", None, {"dependency-unavailable"}),
            ("PATCH", "/users/me", {"company": "Acme"}, {"dependency-unavailable", "outcome-unknown"}),
            ("POST", "/auth/login", login, {"dependency-unavailable", "outcome-unknown"}),
        ):
            started = time.monotonic()
            answer = await http.request(method, path, json=body, headers=headers)
            assert time.monotonic() - started < 2, f"{method} {path}"
            assert answer.json()["code"] in codes
            assert_problem(answer, 503, answer.json()["code"])
            assert answer.headers["retry-after"].isdigit()
        wire.resume()
        deadline = time.monotonic() + 15
        while (await http.get("/users/me", headers=headers)).status_code != 200:
            assert time.monotonic() < deadline, "it does not come back"
            await asyncio.sleep(0.2)
    relay.close()
