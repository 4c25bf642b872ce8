"""People who use the platform over HTTP, as their programs would: sessions, jobs, offers, files, acts, repeats.

`call` is one request. `insist` is what a careful client does: it repeats the same request, under the same
`Idempotency-Key`, for as long as the answer is "not now" or "outcome unknown", or there is no answer at all.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

import httpx2

from app.ids import new_id

Json = dict[str, Any]
T = TypeVar("T")

PASSWORD = "correct horse battery"
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
BRIEF = "Analyse our sales data in Excel and make a dashboard of 3 pages with charts."

_REPEATABLE = frozenset({"outcome-unknown", "dependency-unavailable", "request-in-progress", "rate-limited"})
_PAUSE_SECONDS = 0.25


class LateError(AssertionError):
    """What was waited for did not come."""


@dataclass
class Door:
    """The API's address and one connection pool. `unanswered` counts why requests had to be repeated."""

    url: str
    patience_seconds: float = 120  # how long a request is repeated
    http: httpx2.AsyncClient = field(init=False)
    unanswered: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=30)

    async def close(self) -> None:
        """Close every connection."""
        await self.http.aclose()


@dataclass
class Person:
    """Somebody with an account and, once logged in, a session."""

    door: Door
    id: str
    email: str
    role: str
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What this person's requests carry."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def login(self) -> None:
        """Open a session; waits out an outage."""
        body = {"email": self.email, "password": PASSWORD}
        self.token = (await self.insist("POST", "/auth/login", body))["accessToken"]

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **more: Any
    ) -> httpx2.Response:
        """One request and its answer, whatever it is."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {}) | more.pop("headers", {})
        if body is not None:
            more["json"] = body
        return await self.door.http.request(method, path, headers=headers, **more)

    async def insist(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Json:
        """Repeat the same request until it has a definite answer, which must be a yes.

        Raises:
            RefusedError: a definite no.
            LateError: no definite answer in that time.
        """
        deadline = time.monotonic() + self.door.patience_seconds
        last = "nothing"
        while time.monotonic() < deadline:
            try:
                answer = await self.call(method, path, body, key=key)
            except httpx2.TransportError as error:
                last = type(error).__name__
                self.door.unanswered[last] += 1
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if answer.is_success:
                content: Json = answer.json() if answer.content else {}
                return content
            problem = problem_of(answer)
            if problem["code"] == "token-expired":
                await self.login()
                continue
            if problem["code"] not in _REPEATABLE:
                raise RefusedError(method, path, problem)
            last = problem["code"]
            self.door.unanswered[last] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        raise LateError(f"{method} {path}: no definite answer in time; the last was {last}")

    async def get(self, path: str) -> Json:
        """Read."""
        return await self.insist("GET", path)

    # -- what clients do

    async def post_job(self, *, key: str | None = None, **fields: Any) -> Json:
        """Post the usual brief, or one with other fields."""
        body = {"title": "Data analysis in Excel", "description": BRIEF} | fields
        return await self.insist("POST", "/jobs", body, key=key or new_id())

    async def act(self, job_id: str, act: str, body: Json | None = None) -> Json:
        """An act on a job, such as `approve` or `offer/accept`, until it is answered."""
        return await self.insist("POST", f"/jobs/{job_id}/{act}", body)

    async def upload(self, job_id: str, content: bytes = PDF, filename: str = "work.pdf") -> str:
        """Put a file into the store by a presigned URL and have it confirmed; its id."""
        base, mime = f"/jobs/{job_id}/files", "application/pdf"
        wanted = {"filename": filename, "mimeType": mime, "size": len(content)}
        granted = await self.insist("POST", f"{base}/upload-url", wanted, key=new_id())
        put = await self.door.http.put(granted["uploadUrl"], content=content, headers=granted["headers"])
        assert put.is_success, put.text
        body = {"fileId": granted["fileId"], "url": granted["url"], "metadata": {"size": len(content)}}
        confirmed = await self.insist("POST", base, body, key=new_id())
        assert confirmed["status"] == "confirmed"
        return str(granted["fileId"])

    async def every(self, path: str, **query: str) -> list[Json]:
        """Every item of a paged list."""
        items: list[Json] = []
        while True:
            page = await self.get(f"{path}?{urlencode({'limit': '50', **query})}")
            items += page["items"]
            if not page["nextCursor"]:
                return items
            query["cursor"] = page["nextCursor"]


class RefusedError(AssertionError):
    """A definite no, where a yes was expected."""

    def __init__(self, method: str, path: str, problem: Json) -> None:
        super().__init__(f"{method} {path}: {problem}")
        self.problem, self.code = problem, str(problem["code"])


def problem_of(answer: httpx2.Response) -> Json:
    """The problem document of a refusal, checked to be one (RFC 9457)."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: Json = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].endswith(f"/problems/{problem['code']}")
    assert problem["title"]
    assert problem["detail"]
    assert problem["correlationId"] == answer.headers["x-correlation-id"]
    return problem


async def register(door: Door, mail_url: str, role: str, *, name: str = "Dara Sok") -> Person:
    """Through the front door: register, follow the link in the mail, log in."""
    person = Person(door, "", f"{role}-{new_id()}@example.com", role)
    body = {"email": person.email, "password": PASSWORD, "name": name, "role": role}
    await person.insist("POST", "/auth/register", body, key=new_id())
    mail = (await until(lambda: mails(mail_url, person.email), bool, "the verification mail"))[0]
    link = re.search(r"#token=([\w.%~-]+)", mail["text"])
    assert link, mail["text"]
    await person.insist("POST", "/auth/verify-email", {"token": unquote(link[1])})
    await person.login()
    person.id = (await person.get("/users/me"))["id"]
    return person


async def mails(mail_url: str, recipient: str | None = None) -> list[Json]:
    """What the mail sink has taken, newest first."""
    query = {"limit": "100000"} | ({"recipient": recipient} if recipient else {})
    async with httpx2.AsyncClient(base_url=mail_url, timeout=20) as sink:
        found: list[Json] = (await sink.get("/messages", params=query)).json()["messages"]
    return found


async def until(
    read: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    what: str,
    *,
    seconds: float = 60,
    every: float = 0.1,
) -> T:
    """Read until it is so.

    Raises:
        LateError: it is not so after that many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = await read()
        if done(value):
            return value
        if time.monotonic() > deadline:
            raise LateError(f"{what}: not within {seconds:g} s; the last was {value!r}"[:1500])
        await asyncio.sleep(every)
