"""The platform as its users reach it: over HTTP, each person with a session of their own."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2

from app.seed.store import SEED_PASSWORD

_PATIENCE_SECONDS = 60.0

Json = dict[str, Any]
T = TypeVar("T")


class RefusedError(Exception):
    """The platform said no. `problem` is its problem document."""

    def __init__(self, what: str, status: int, problem: Json) -> None:
        self.status, self.problem = status, problem
        self.code = str(problem.get("code", ""))
        super().__init__(f"{what}: {status} {self.code} {problem.get('detail', '')}".strip())


class LateError(Exception):
    """Something that should have happened did not, in the time it had."""


class Door:
    """One connection pool to the API, shared by everybody. `at_once` bounds the requests in flight."""

    def __init__(self, url: str, *, at_once: int = 16) -> None:
        self.url = url
        self.requests = self.repeats = 0
        self.http = httpx2.AsyncClient(base_url=url, timeout=30)
        self._gate = asyncio.Semaphore(at_once)

    async def close(self) -> None:
        """Close every connection."""
        await self.http.aclose()

    async def login(self, email: str) -> Person:
        """Open a session with the password of the seeded people."""
        person = Person(self, email)
        await person.login()
        return person

    async def send(self, method: str, path: str, *, body: Any, headers: dict[str, str]) -> Json:
        """One request; its JSON answer.

        A 503 is repeated, also when its outcome is unknown: the API promises that it is done at most once.

        Raises:
            RefusedError: the platform refused.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        answer = await self._once(method, path, body, headers)
        while answer.status_code == 503 and time.monotonic() < deadline:
            self.repeats += 1
            await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            answer = await self._once(method, path, body, headers)
        content: Json = answer.json() if answer.content else {}
        if answer.is_error:
            raise RefusedError(f"{method} {path}", answer.status_code, content)
        return content

    async def _once(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
        async with self._gate:
            self.requests += 1
            return await self.http.request(method, path, json=body, headers=headers)


class Person:
    """Somebody with an account: what their client program would send."""

    def __init__(self, door: Door, email: str) -> None:
        self.email, self.id, self.name = email, "", ""
        self._door = door
        self._token = ""

    async def login(self) -> None:
        """Open a session."""
        answer = await self._door.send(
            "POST", "/auth/login", body={"email": self.email, "password": SEED_PASSWORD}, headers={}
        )
        self._token = answer["accessToken"]
        self.id, self.name = answer["user"]["id"], answer["user"]["name"]

    async def get(self, path: str) -> Json:
        """Read."""
        return await self._door.send("GET", path, body=None, headers=self._headers())

    async def post(self, path: str, body: Json | None = None) -> Json:
        """Act. Each act has an `Idempotency-Key` of its own, which a repeat of it keeps."""
        headers = self._headers() | {"Idempotency-Key": uuid.uuid4().hex}
        return await self._door.send("POST", path, body=body, headers=headers)

    async def upload(
        self, job_id: str, filename: str, mime_type: str, content: bytes, note: str = ""
    ) -> Json:
        """Send a file straight to the store by a presigned URL, and have it looked at."""
        base = f"/jobs/{job_id}/files"
        wanted = {"filename": filename, "mimeType": mime_type, "size": len(content)}
        granted = await self.post(f"{base}/upload-url", wanted)
        put = await self._door.http.put(
            granted["uploadUrl"],
            content=content,
            headers=granted.get("headers") or {"Content-Type": mime_type},
        )
        put.raise_for_status()
        metadata = {"size": len(content), "mimeType": mime_type} | ({"note": note} if note else {})
        return await self.post(
            base, {"fileId": granted["fileId"], "url": granted["url"], "metadata": metadata}
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


async def until(
    read: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    what: str,
    *,
    seconds: float = 20.0,
    every: float = 0.1,
) -> T:
    """Read until it is so.

    Raises:
        LateError: it is not so after that many seconds; the message says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = await read()
        if done(value):
            return value
        if time.monotonic() > deadline:
            raise LateError(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(every)
