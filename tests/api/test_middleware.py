"""What goes around every request: ids, headers, CORS, logs; and the process that serves."""

from __future__ import annotations

import json
import signal
from typing import Any

import httpx2
import pytest

from app.ids import is_id, new_id
from app.logging import REDACTED, redact
from app.users.models import Role
from tests.api.conftest import LiveApi
from tests.api.people import PASSWORD, People

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/skills", 200),
        ("GET", "/users/me", 401),
        ("GET", "/nowhere", 404),
        ("DELETE", "/skills", 405),
        ("POST", "/auth/login", 422),
        ("OPTIONS", "/skills", 405),
        ("HEAD", "/skills", 405),
    ],
)
async def test_every_answer_has_the_headers_over_a_socket(
    live_api: LiveApi, method: str, path: str, status: int
) -> None:
    async with httpx2.AsyncClient(base_url=live_api.base_url) as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    found = {name: answer.headers.get(name) for name in SECURITY_HEADERS}
    assert found == SECURITY_HEADERS
    assert is_id(answer.headers["x-correlation-id"])
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers  # only when served over HTTPS


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "has space in it", 'a"quote-and', "-leading-dash", "ü" * 10]
)
async def test_a_malformed_correlation_id_is_replaced(client: httpx2.AsyncClient, given: str) -> None:
    answer = await client.get("/health/live", headers={b"X-Correlation-Id": given.encode()})
    assert is_id(answer.headers["x-correlation-id"])


async def test_a_well_formed_correlation_id_is_kept(client: httpx2.AsyncClient) -> None:
    given = "portal-7f3a.2026_11"
    answer = await client.get("/nowhere", headers={"X-Correlation-Id": given})
    assert answer.headers["x-correlation-id"] == answer.json()["correlationId"] == given


async def test_cors_lets_in_the_listed_origins_alone(client: httpx2.AsyncClient) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    good = await client.options("/jobs", headers={"Origin": "https://client.nimmit.example", **preflight})
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == "https://client.nimmit.example"
    assert good.headers["access-control-allow-credentials"] == "true"
    bad = await client.options("/jobs", headers={"Origin": "https://evil.example", **preflight})
    assert bad.status_code == 400
    assert "access-control-allow-origin" not in bad.headers
    simple = await client.get("/skills", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in simple.headers


async def test_logs_hold_ids_and_no_person(own_live_api: LiveApi, people: People) -> None:
    live = own_live_api
    user_id, email = await people.account(Role.CLIENT)
    correlation_id = f"log-test-{new_id()}"
    async with httpx2.AsyncClient(
        base_url=live.base_url, headers={"X-Correlation-Id": correlation_id}
    ) as http:
        login = await http.post("/auth/login", json={"email": email, "password": PASSWORD})
        token = login.json()["accessToken"]
        refresh_token = http.cookies["refreshToken"]
        await http.get("/users/me?email=leak@example.com", headers={"Authorization": f"Bearer {token}"})
        await http.post("/auth/login", json={"email": email, "password": "wrong-pass-phrase"})
        await http.get(f"/no/such/{email}")
    status, output = await live.stop()  # SIGTERM
    assert status == 0, output
    for secret in (
        email,
        PASSWORD,
        token,
        refresh_token,
        "leak@example.com",
        "wrong-pass-phrase",
        "127.0.0.1:",
    ):
        assert secret not in output.replace(live.base_url, ""), f"{secret} is in the log"
    lines = [json.loads(line) for line in output.splitlines()]
    requests = [
        line for line in lines if line["event"] == "request" and line.get("correlation_id") == correlation_id
    ]
    assert [(line["route"], line["status"]) for line in requests] == [
        ("/auth/login", 200),
        ("/users/me", 200),
        ("/auth/login", 401),
        ("(no route)", 404),
    ]
    assert requests[1]["user_id"] == user_id
    events = {line["event"] for line in lines}
    assert {"login", "login_failed"} <= events


async def test_ctrl_c_ends_it_with_status_0(own_live_api: LiveApi) -> None:
    status, output = await own_live_api.stop(signal.SIGINT)
    assert status == 0, output
    assert "Application shutdown complete" in output


def test_redaction() -> None:
    event: dict[str, Any] = {
        "event": "mail to dara@example.com failed",
        "password": "hunter2",
        "accessToken": "abc",
        "headers": {"Authorization": "Bearer abc", "Accept": "*/*"},
        "nested": [{"email": "x"}, "sent with Bearer abc.def"],
        "uri": "mongodb://admin:hunter2@db.example:27017/nimmit",
        "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def",
        "stripe": "sk_live_51Habc and whsec_abc123",
        "hash": "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
        "user_id": "6561f0c2a4b7d9e8f0123456",
        "count": 3,
    }
    assert redact(event) == {
        "event": f"mail to {REDACTED} failed",
        "password": REDACTED,
        "accessToken": REDACTED,
        "headers": {"Authorization": REDACTED, "Accept": "*/*"},
        "nested": [{"email": REDACTED}, f"sent with {REDACTED}"],
        "uri": f"mongodb://{REDACTED}@db.example:27017/nimmit",
        "jwt": REDACTED,
        "stripe": f"{REDACTED} and {REDACTED}",
        "hash": REDACTED,
        "user_id": "6561f0c2a4b7d9e8f0123456",
        "count": 3,
    }
