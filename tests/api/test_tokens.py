"""Access tokens that must not open anything: each differs from a good one in exactly one thing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import jwt
import pytest

from app.auth.tokens import issue_verification_token
from app.documents import utcnow
from app.ids import new_id
from app.settings import Settings
from app.users.models import Role
from tests.api.people import People

Change = Callable[[dict[str, Any]], None]


def good_claims(settings: Settings, person_token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(person_token, options={"verify_signature": False})
    return claims


def sign(settings: Settings, claims: dict[str, Any], **changes: Any) -> str:
    options = {"key": settings.jwt_secret.get_secret_value(), "algorithm": "HS256", **changes}
    return jwt.encode(claims, **options)


def unsigned(claims: dict[str, Any], algorithm: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


async def status_of(client: httpx2.AsyncClient, token: str) -> tuple[int, str]:
    answer = await client.get("/users/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("code", "")


async def test_the_baseline_is_good(
    client: httpx2.AsyncClient, people: People, api_settings: Settings
) -> None:
    person = await people.someone(Role.CLIENT)
    token = sign(api_settings, good_claims(api_settings, person.access_token))
    assert await status_of(client, token) == (200, "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aud": "another-api"}, "invalid-token"),
        ({"aud": ["nimmit-api"]}, "invalid-token"),
        ({"iss": "https://evil.example"}, "invalid-token"),
        ({"typ": "verify-email"}, "invalid-token"),
        ({"typ": "refresh"}, "invalid-token"),
        ({"exp": -60}, "token-expired"),
        ({"nbf": 3600}, "invalid-token"),
        ({"iat": 3600}, "invalid-token"),
        ({"sub": new_id()}, "session-ended"),
        ({"sid": new_id()}, "session-ended"),
        ({"sid": {"$ne": None}}, "invalid-token"),
        ({"sub": {"$ne": None}}, "invalid-token"),
        *(
            ({name: None}, "invalid-token")
            for name in ("iss", "aud", "sub", "typ", "iat", "nbf", "exp", "jti", "sid")
        ),
    ],
)
async def test_a_changed_claim(
    client: httpx2.AsyncClient, people: People, api_settings: Settings, change: dict[str, Any], code: str
) -> None:
    person = await people.someone(Role.CLIENT)
    claims = good_claims(api_settings, person.access_token)
    for name, value in change.items():
        if value is None:
            del claims[name]
        elif name in ("exp", "nbf", "iat"):
            claims[name] = int((utcnow() + timedelta(seconds=value)).timestamp())
        else:
            claims[name] = value
    token = jwt.api_jws.encode(
        json.dumps(claims).encode(), api_settings.jwt_secret.get_secret_value(), algorithm="HS256"
    )
    assert await status_of(client, token) == (401, code)


async def test_other_signatures(client: httpx2.AsyncClient, people: People, api_settings: Settings) -> None:
    person = await people.someone(Role.CLIENT)
    claims = good_claims(api_settings, person.access_token)
    head, body, signature = person.access_token.split(".")
    bad = [
        unsigned(claims, "none"),
        unsigned(claims, "None"),
        unsigned(claims, "HS256"),
        sign(api_settings, claims, algorithm="HS384", key="x" * 64),
        sign(api_settings, claims, algorithm="HS512", key=api_settings.jwt_secret.get_secret_value() * 2),
        sign(api_settings, claims, key="another secret of a decent length"),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}",
        "not-a-token",
        "é",
    ]
    for token in bad:
        headers = {b"Authorization": f"Bearer {token}".encode()}
        answer = await client.get("/users/me", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid-token"), token


async def test_keys_named_by_the_token_are_ignored(
    client: httpx2.AsyncClient, people: People, api_settings: Settings
) -> None:
    person = await people.someone(Role.CLIENT)
    claims = good_claims(api_settings, person.access_token)
    evil = {"jku": "https://evil.example/keys", "kid": "../../dev/null", "jwk": {"kty": "oct", "k": "AAAA"}}
    token = sign(api_settings, claims, key="AAAA" * 16, headers=evil)
    assert await status_of(client, token) == (401, "invalid-token")


async def test_tokens_of_other_uses(
    client: httpx2.AsyncClient, people: People, api_settings: Settings
) -> None:
    person = await people.someone(Role.CLIENT)
    refresh_token = client.cookies["refreshToken"]
    assert await status_of(client, refresh_token) == (401, "invalid-token")
    mailed = issue_verification_token(api_settings, user_id=person.id, registration="x")
    assert await status_of(client, mailed) == (401, "invalid-token")
    as_link = await client.post("/auth/verify-email", json={"token": person.access_token})
    assert as_link.json()["code"] == "verification-link-invalid"
    headers = {"Cookie": f"refreshToken={person.access_token}"}
    client.cookies.clear()
    assert (await client.post("/auth/refresh", headers=headers)).status_code == 401


async def test_other_schemes_and_none(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.CLIENT)
    for headers in ({}, {"Authorization": f"Basic {person.access_token}"}, {"Authorization": "Bearer"}):
        answer = await client.get("/users/me", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "authentication-required")
        assert answer.headers["www-authenticate"] == "Bearer"
    in_url = await client.get("/users/me", params={"access_token": person.access_token})
    assert in_url.status_code == 401


async def test_an_expired_link(client: httpx2.AsyncClient, people: People, api_settings: Settings) -> None:
    user_id, _ = await people.account(Role.CLIENT, verified=False)
    yesterday = utcnow() - timedelta(hours=api_settings.verification_token_hours, seconds=1)
    token = issue_verification_token(api_settings, user_id=user_id, registration="x", now=yesterday)
    answer = await client.post("/auth/verify-email", json={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (422, "verification-link-expired")
