"""Registration, verification, login, refresh and logout, as a caller sees them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.settings import Settings
from app.users.models import Role
from tests.api.conftest import LiveApi, serve_in_process
from tests.api.people import PASSWORD, People

Database = AsyncDatabase[dict[str, Any]]


def registration(email: str, /, **changes: str) -> dict[str, str]:
    return {"email": email, "password": PASSWORD, "name": "Dara Sok", "role": "worker", **changes}


async def test_register_verify_login_and_see_oneself(client: httpx2.AsyncClient, people: People) -> None:
    answer = await client.post("/auth/register", json=registration("Dara@Example.com"))
    assert answer.status_code == 202, answer.text
    assert (await people.log_in("dara@example.com")).json()["code"] == "email-not-verified"

    token = await people.mailed_token("dara@example.com")
    for _ in range(2):  # following the link twice is harmless
        verified = await client.post("/auth/verify-email", json={"token": token})
        assert (verified.status_code, verified.json()) == (200, {"emailVerified": True})

    session = await people.log_in("DARA@example.com")
    assert session.status_code == 200
    body = session.json()
    assert body["user"] == {
        "id": body["user"]["id"],
        "email": "dara@example.com",
        "name": "Dara Sok",
        "role": "worker",
    }
    assert (body["tokenType"], body["expiresIn"]) == ("Bearer", 900)
    me = await client.get("/users/me", headers={"Authorization": f"Bearer {body['accessToken']}"})
    assert me.status_code == 200
    assert me.json()["email"] == "dara@example.com"


async def test_the_refresh_cookie_is_out_of_reach_of_scripts(people: People) -> None:
    _, email = await people.account(Role.CLIENT)
    cookie = (await people.log_in(email)).headers["set-cookie"]
    assert cookie.startswith("refreshToken=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/auth"} <= attributes
    assert any(
        604700 < int(part.removeprefix("max-age=")) <= 604800 for part in attributes if "max-age" in part
    )


async def test_register_does_not_tell_whether_an_email_is_taken(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    _, taken = await people.account(Role.CLIENT)
    before = await database["users"].find_one({"email": taken})
    answers = [
        await client.post("/auth/register", json=registration(email)) for email in (taken, "free@example.com")
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert await database["users"].find_one({"email": taken}) == before
    mails = await database["outbox"].find({"to": taken}).to_list()
    assert [mail["template"] for mail in mails] == ["auth.already_registered"]


async def test_a_later_registration_takes_an_unverified_mailbox_over(
    client: httpx2.AsyncClient, people: People
) -> None:
    """Whoever registered somebody else's mailbox must not get in when its owner follows a link."""
    email = "squatted@example.com"
    await client.post("/auth/register", json=registration(email, password="attacker knows this"))
    stale = await people.mailed_token(email)
    await client.post("/auth/register", json=registration(email, role="client"))
    fresh = await people.mailed_token(email)
    refused = await client.post("/auth/verify-email", json={"token": stale})
    assert (refused.status_code, refused.json()["code"]) == (422, "verification-link-invalid")
    assert (await client.post("/auth/verify-email", json={"token": fresh})).status_code == 200
    assert (await people.log_in(email, "attacker knows this")).status_code == 401
    assert (await people.log_in(email)).json()["user"]["role"] == "client"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"role": "admin"}, "invalid-request"),
        ({"email": "no-address"}, "invalid-request"),
        ({"name": "   "}, "invalid-request"),
        ({"isAdmin": "true"}, "invalid-request"),
        ({"password": "short12"}, "weak-password"),
        ({"password": "Password123"}, "weak-password"),
        ({"password": "xx refused@example.com"}, "weak-password"),
        ({"password": "é" * 37}, "weak-password"),  # 74 bytes: refused, not cut
        ({"password": "long enough\0but with a null"}, "weak-password"),
    ],
)
async def test_bad_registrations_change_nothing(
    client: httpx2.AsyncClient, database: Database, changes: dict[str, str], code: str
) -> None:
    answer = await client.post("/auth/register", json=registration("refused@example.com", **changes))
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert await database["users"].find_one({"email": "refused@example.com"}) is None


async def test_a_password_of_exactly_72_bytes_is_read_to_its_end(
    client: httpx2.AsyncClient, people: People
) -> None:
    email = "long@example.com"
    password = "abcdefgh" * 9
    await client.post("/auth/register", json=registration(email, password=password))
    token = await people.mailed_token(email)
    await client.post("/auth/verify-email", json={"token": token})
    assert (await people.log_in(email, password)).status_code == 200
    assert (await people.log_in(email, password[:-1] + "X")).status_code == 401
    assert (await people.log_in(email, password + "h")).status_code == 401


async def test_unknown_account_and_wrong_password_look_the_same(people: People) -> None:
    _, email = await people.account(Role.WORKER)
    wrong, unknown = await people.log_in(email, "not the password"), await people.log_in("nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    drop = ("correlationId",)
    assert {k: v for k, v in wrong.json().items() if k not in drop} == {
        k: v for k, v in unknown.json().items() if k not in drop
    }


async def test_a_disabled_account_is_out_at_once(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    person = await people.someone(Role.WORKER)
    assert (await client.get("/users/me", headers=person.headers)).status_code == 200
    await database["users"].update_one({"_id": person.id}, {"$set": {"disabled": True}})
    refused = await client.get("/users/me", headers=person.headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "session-ended")
    assert (await client.post("/auth/refresh")).json()["code"] == "session-ended"
    assert (await people.log_in(person.email)).json()["code"] == "account-disabled"
    # enabling the account again does not bring the session back
    await database["users"].update_one({"_id": person.id}, {"$set": {"disabled": False}})
    assert (await client.get("/users/me", headers=person.headers)).status_code == 401


async def test_a_new_role_is_seen_at_once(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    person = await people.someone(Role.CLIENT)
    await database["users"].update_one({"_id": person.id}, {"$set": {"role": "admin"}})
    assert (await client.get("/users/me", headers=person.headers)).json()["role"] == "admin"


async def test_refresh_rotates_and_keeps_the_absolute_end(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    person = await people.someone(Role.CLIENT)
    session = await database["sessions"].find_one({"userId": person.id})
    assert session is not None
    seen = {client.cookies["refreshToken"]}
    for _ in range(3):
        answer = await client.post("/auth/refresh")
        assert answer.status_code == 200
        seen.add(client.cookies["refreshToken"])
        me = await client.get(
            "/users/me", headers={"Authorization": f"Bearer {answer.json()['accessToken']}"}
        )
        assert me.status_code == 200
    assert len(seen) == 4
    tokens = await database["refresh_tokens"].find({"userId": person.id}).to_list()
    assert {token["expiresAt"] for token in tokens} == {session["expiresAt"]}
    stored = str(tokens)
    assert not any(token in stored for token in seen), "only digests are stored"


async def test_an_old_session_ends_however_often_it_was_refreshed(
    client: httpx2.AsyncClient, people: People, database: Database
) -> None:
    person = await people.someone(Role.CLIENT)
    await client.post("/auth/refresh")
    past = utcnow() - timedelta(seconds=1)
    await database["sessions"].update_one({"userId": person.id}, {"$set": {"expiresAt": past}})
    assert (await client.post("/auth/refresh")).json()["code"] == "session-ended"


async def test_reuse_kills_the_family_for_good_over_a_socket(
    live_api: LiveApi, people: People, database: Database
) -> None:
    user_id, email = await people.account(Role.WORKER)
    async with httpx2.AsyncClient(base_url=live_api.base_url) as owner:
        login = await owner.post("/auth/login", json={"email": email, "password": PASSWORD})
        stolen = owner.cookies["refreshToken"]
        other = await owner.post("/auth/login", json={"email": email, "password": PASSWORD})
        elsewhere = {"Authorization": f"Bearer {other.json()['accessToken']}"}
        owner.cookies.clear()
        owner.cookies.set("refreshToken", stolen, path="/auth")
        fresh = (await owner.post("/auth/refresh")).json()["accessToken"]
        current = next(cookie.value for cookie in owner.cookies.jar if cookie.value != stolen)
        assert current is not None

        async def use(token: str) -> httpx2.Response:
            headers = {"Cookie": f"refreshToken={token}"}
            async with httpx2.AsyncClient(base_url=live_api.base_url, headers=headers) as thief:
                return await thief.post("/auth/refresh")

        assert (await use(stolen)).json()["code"] == "session-ended"
        for _ in range(2):  # it stays dead: for the newest token, for the next request, for access tokens
            assert (await use(current)).status_code == 401
        for access in (login.json()["accessToken"], fresh):
            me = await owner.get("/users/me", headers={"Authorization": f"Bearer {access}"})
            assert (me.status_code, me.json()["code"]) == (401, "session-ended")
        assert (await owner.get("/users/me", headers=elsewhere)).status_code == 200, "another login lives on"
    ended = await database["sessions"].find({"userId": user_id, "endedAt": {"$ne": None}}).to_list()
    assert [session["endReason"] for session in ended] == ["token-reuse"]


async def test_of_parallel_refreshes_at_most_one_gets_in_and_the_family_dies(
    live_api: LiveApi, people: People
) -> None:
    _, email = await people.account(Role.WORKER)
    async with httpx2.AsyncClient(base_url=live_api.base_url) as owner:
        await owner.post("/auth/login", json={"email": email, "password": PASSWORD})
        headers = {"Cookie": f"refreshToken={owner.cookies['refreshToken']}"}

    async def refresh() -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=live_api.base_url, headers=headers) as tab:
            return await tab.post("/auth/refresh")

    answers = await asyncio.gather(*(refresh() for _ in range(8)))
    winners = [answer for answer in answers if answer.status_code == 200]
    assert len(winners) <= 1
    assert {answer.status_code for answer in answers} <= {200, 401}
    for winner in winners:
        async with httpx2.AsyncClient(base_url=live_api.base_url) as tab:
            headers = {"Authorization": f"Bearer {winner.json()['accessToken']}"}
            assert (await tab.get("/users/me", headers=headers)).status_code == 401


async def test_logout_ends_the_session_on_the_server(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.CLIENT)
    kept = client.cookies["refreshToken"]
    assert (await client.get("/users/me", headers=person.headers)).status_code == 200
    out = await client.post("/auth/logout")
    assert out.status_code == 204
    assert 'refreshToken=""' in out.headers["set-cookie"]
    assert (await client.get("/users/me", headers=person.headers)).json()["code"] == "session-ended"
    headers = {"Cookie": f"refreshToken={kept}"}
    assert (await client.post("/auth/refresh", headers=headers)).status_code == 401
    assert (await client.post("/auth/logout", headers=headers)).status_code == 204, "repeating it is harmless"


async def test_logout_by_access_token_alone(client: httpx2.AsyncClient, people: People) -> None:
    person = await people.someone(Role.CLIENT)
    client.cookies.clear()
    assert (await client.post("/auth/logout", headers=person.headers)).status_code == 204
    assert (await client.get("/users/me", headers=person.headers)).status_code == 401


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout"])
async def test_cookie_routes_refuse_other_sites(
    client: httpx2.AsyncClient, people: People, path: str
) -> None:
    person = await people.someone(Role.CLIENT)
    body = {"email": person.email, "password": PASSWORD} if path == "/auth/login" else None
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        refused = await client.post(path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross-site-request")
    own = await client.post(path, json=body, headers={"Origin": "https://client.nimmit.example"})
    assert own.status_code in (200, 204)


async def test_refresh_without_a_cookie(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/auth/refresh")
    assert (answer.status_code, answer.json()["code"]) == (401, "session-ended")


async def test_repeating_a_registration_by_its_key(client: httpx2.AsyncClient, database: Database) -> None:
    headers = {"Idempotency-Key": "registration-1"}
    body = registration("twice@example.com")
    first = await client.post("/auth/register", json=body, headers=headers)
    second = await client.post("/auth/register", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.headers["idempotent-replayed"] == "true"
    assert await database["outbox"].count_documents({"to": "twice@example.com"}) == 1
    other = await client.post(
        "/auth/register", json={**body, "password": "another pass phrase"}, headers=headers
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_secure_cookies_bear_the_prefix(api_settings: Settings, people: People) -> None:
    _, email = await people.account(Role.CLIENT)
    async with serve_in_process(api_settings.model_copy(update={"cookie_secure": True})) as http:
        answer = await http.post("/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.headers["set-cookie"].startswith("__Secure-refreshToken=")
    assert "secure" in answer.headers["set-cookie"].lower().split("; ")
    assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
