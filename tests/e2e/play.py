"""Plays jobs by a script, everybody over HTTP: how each offer is answered, and how the work is received."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.http import Json, Person, until


@dataclass(frozen=True)
class Script:
    """One job's story. `answers` are to its offers, in order: `accept`, `decline` or `lapse`."""

    answers: tuple[str, ...] = ("accept",)
    revisions: int = 0
    post: Json = field(default_factory=dict)
    quote: str | None = None  # `approve` or `decline`
    assigned: bool = False  # nobody accepts; an admin gives the job to a worker
    rated_by: tuple[str, ...] = ("client", "worker")


@dataclass
class Board:
    """The open offers of all workers, as each of them sees their own."""

    workers: Sequence[Person]
    seen: dict[tuple[str, int], Person] = field(default_factory=dict)

    async def offer(self, job_id: str, number: int, *, seconds: float = 60) -> Person:
        """Wait for the job's offer of that number; the worker to whom it was made."""

        async def look() -> Person | None:
            return self.seen.get((job_id, number))

        worker = await until(
            look, lambda found: found is not None, f"offer {number} of {job_id}", seconds=seconds
        )
        assert worker is not None
        return worker

    async def watch(self) -> None:
        """Look at everybody's offers, again and again."""
        while True:
            for worker in self.workers:
                offers = (await worker.get("/offers"))["items"]
                self.seen |= {(offer["jobId"], offer["number"]): worker for offer in offers}
            await asyncio.sleep(0.1)


@asynccontextmanager
async def watching(workers: Sequence[Person]) -> AsyncIterator[Board]:
    """A board that is kept up to date meanwhile."""
    board = Board(workers)
    task = asyncio.create_task(board.watch())
    try:
        yield board
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def play(script: Script, client: Person, board: Board, admin: Person | None = None) -> str:
    """One job from post to ratings; its id."""
    job_id = str((await client.post_job(**script.post))["id"])
    await client.upload(job_id, filename="brief.pdf")
    if script.quote:
        await _phase(client, job_id, "quoting")
        await client.act(job_id, f"quote/{script.quote}")
        if script.quote == "decline":
            return job_id
    worker = await _find_worker(script, job_id, board, admin)
    await work(job_id, client, worker, revisions=script.revisions)
    for person in (client, worker):
        if person.role in script.rated_by:
            await rate(person, job_id)
    return job_id


async def _find_worker(script: Script, job_id: str, board: Board, admin: Person | None) -> Person:
    worker = None
    for number, answer in enumerate(script.answers, start=1):
        worker = await board.offer(job_id, number)
        if answer == "accept":
            await worker.act(job_id, "offer/accept")
            return worker
        if answer == "decline":
            await worker.act(job_id, "offer/decline", {"reason": f"busy, says {worker.id}"})
    assert script.assigned
    assert admin is not None
    assert worker is not None
    await _phase(admin, job_id, "rescue")
    body = {"workerId": worker.id, "reason": "asked by phone"}
    await admin.insist("POST", f"/admin/jobs/{job_id}/assign", body)
    return worker


async def work(job_id: str, client: Person, worker: Person, *, revisions: int = 0) -> None:
    """Start, deliver, revise as often as asked, approve."""
    for round_ in range(revisions + 1):
        await worker.act(job_id, "start")
        await worker.upload(job_id, filename=f"work-{round_}.pdf")
        await worker.act(job_id, "submit", {"note": f"delivery {round_ + 1}"})
        if round_ < revisions:
            await client.act(job_id, "request-revision", {"reason": "the second chart is missing"})
    await client.act(job_id, "approve")


async def rate(person: Person, job_id: str, stars: int = 4) -> None:
    """Rate the other side."""
    await person.act(job_id, "reviews", {"rating": stars, "comment": "as agreed"})


async def _phase(person: Person, job_id: str, phase: str) -> None:
    await until(
        lambda: person.get(f"/jobs/{job_id}"), lambda job: bool(job["phase"] == phase), f"{job_id} in {phase}"
    )
