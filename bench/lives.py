"""One job's life as its people see it: post, accept, start, submit, approve, over HTTP.

Two things are not done over HTTP, so that the life is the same as the floor's. The worker learns of the offer from the
job's document, in place of a push message. And the deliverable's record is put into the job as if it had been uploaded
and confirmed: bytes go to the object store and never through the platform.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import httpx2
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.files.models import FilePurpose, FileStatus, JobFile
from app.ids import new_id
from bench.people import Cast

Database = AsyncDatabase[dict[str, Any]]

BRIEF = {
    "title": "Data analysis in Excel",
    "description": "Analyse our sales data in Excel and make a dashboard of 3 pages with charts.",
    "urgency": "normal",
}
OFFER_SECONDS = 60.0
_TICK = 0.02
_REPEATS = 3


class LifeError(RuntimeError):
    """A benchmark's job did not go as it must; its figures would mean nothing."""


class Board:
    """Sees offers by one read for all jobs that wait, instead of a poll for each."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._jobs = database["jobs"]
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def offered(self, job_id: str) -> str:
        """Wait for the job's offer; the worker who has it.

        Raises:
            LifeError: none came in a minute.
        """
        waiting = self._waiting[job_id] = asyncio.get_running_loop().create_future()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            return await asyncio.wait_for(waiting, OFFER_SECONDS)
        except TimeoutError:
            raise LifeError(f"job {job_id} was offered to nobody") from None
        finally:
            self._waiting.pop(job_id, None)

    async def _read(self) -> None:
        while self._waiting:
            wanted = {"_id": {"$in": list(self._waiting)}}
            for job in await self._jobs.find(wanted, {"offeredWorkerId": 1}).to_list():
                waiting = self._waiting.get(job["_id"])
                if job.get("offeredWorkerId") and waiting and not waiting.done():
                    waiting.set_result(job["offeredWorkerId"])
            await asyncio.sleep(_TICK)


@dataclass(slots=True)
class Door:
    """The API, the people with their tokens, and the board."""

    http: httpx2.AsyncClient
    cast: Cast
    database: Database
    board: Board
    repeats: int = 0  # of requests whose outcome was unknown: the machine was too busy to answer in time

    async def post_job(self, client_id: str) -> str:
        """Post the brief; the job's id."""
        answer = await self.send(client_id, "/jobs", BRIEF, key=uuid.uuid4().hex)
        return str(answer["id"])

    async def act(self, user_id: str, job_id: str, act: str, body: Any = None) -> dict[str, Any]:
        """One act on a job."""
        return await self.send(user_id, f"/jobs/{job_id}/{act}", body)

    async def send(self, user_id: str, path: str, body: Any, *, key: str | None = None) -> dict[str, Any]:
        """One POST of a person. An unknown outcome is repeated, as the API says that it may be, and counted.

        Raises:
            LifeError: it was refused, or its outcome stayed unknown.
        """
        headers = {"Authorization": f"Bearer {self.cast.tokens[user_id]}"}
        if key:
            headers["Idempotency-Key"] = key
        answer = await self.http.post(path, json=body, headers=headers)
        for _ in range(_REPEATS):
            if answer.status_code != 503:
                break
            self.repeats += 1
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
            answer = await self.http.post(path, json=body, headers=headers)
        if answer.is_error:
            raise LifeError(f"POST {path}: {answer.status_code} {answer.text}")
        content: dict[str, Any] = answer.json()
        return content

    async def put_deliverable(self, job_id: str, worker_id: str) -> None:
        """The record of a confirmed deliverable, as an upload leaves it."""
        file_id = new_id()
        file = JobFile(
            file_id=file_id,
            purpose=FilePurpose.DELIVERABLE,
            filename="dashboard.xlsx",
            mime_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            size=1,
            bucket="bench",
            upload_key=f"{job_id}/{file_id}",
            key=f"{job_id}/{file_id}",
            status=FileStatus.CONFIRMED,
            uploaded_by=worker_id,
            delivery_no=1,
            created_at=utcnow(),
            confirmed_at=utcnow(),
        )
        await self.database["jobs"].update_one(
            {"_id": job_id}, {"$push": {"files": file.model_dump(by_alias=True)}}
        )

    async def to_offer(self, client_id: str) -> tuple[str, str]:
        """Post a job and wait for its offer: the job, and the worker who has it."""
        job_id = await self.post_job(client_id)
        return job_id, await self.board.offered(job_id)

    async def live(self, client_id: str) -> str:
        """A whole life, up to `completed`; the job's id."""
        job_id, worker_id = await self.to_offer(client_id)
        await self.act(worker_id, job_id, "offer/accept")
        await self.act(worker_id, job_id, "start")
        await self.put_deliverable(job_id, worker_id)
        await self.act(worker_id, job_id, "submit", {"note": "done"})
        answer = await self.act(client_id, job_id, "approve")
        if answer["status"] != "completed":
            raise LifeError(f"job {job_id} is {answer['status']} after its approval")
        return job_id


async def timed(call: Awaitable[Any]) -> float:
    """How long a call takes, in seconds."""
    started = time.perf_counter()
    await call
    return time.perf_counter() - started
