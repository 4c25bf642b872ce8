"""Roads that jobs take while processes are killed: approved, left and finished, cancelled, priced anew, disputed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from app.jobs.policy import JobPolicy
from tests.e2e.play import Board, rate
from tests.support.http import Json, LateError, Person, RefusedError

# What may be answered to one who comes late: a definite no is as good as a yes.
LATE = {"offer-expired", "offer-withdrawn", "job-taken", "worker-at-capacity", "wrong-state"}


@dataclass
class Cast:
    """Everybody who has to do with one job. `answered` is the number of the last offer that was looked at."""

    job_id: str
    client: Person
    admin: Person
    board: Board
    die: Random
    lapses: bool = True  # now and then an offer gets no answer, which takes its whole window
    answered: int = 0
    patience_seconds: float = 400
    worker: Person | None = None

    async def find_worker(self) -> Person:
        """Answer offer after offer; an admin assigns when nobody took it.

        Raises:
            LateError: nobody has the job in time.
        """
        deadline = time.monotonic() + self.patience_seconds
        while True:
            job = await self.client.get(f"/jobs/{self.job_id}")
            if time.monotonic() > deadline:
                raise LateError(
                    f"{self.job_id}: nobody within {self.patience_seconds:g} s, it is {job['phase']}"
                )
            if job["phase"] == "rescue":
                self.worker = self.die.choice(list(self.board.workers))
                if await self.taken(
                    self.admin, f"/admin/jobs/{self.job_id}/assign", {"workerId": self.worker.id}
                ):
                    return self.worker
            newest = max((number for its_id, number in self.board.seen if its_id == self.job_id), default=0)
            if newest > self.answered:
                self.answered, self.worker = newest, self.board.seen[self.job_id, newest]
                if await self._answer(self.worker):
                    return self.worker
            await asyncio.sleep(0.3)

    async def _answer(self, worker: Person) -> bool:
        dice = self.die.random()
        if dice < 0.05 and self.lapses:
            return False  # lets it lapse
        if dice < 0.2:
            await self.taken(worker, f"/jobs/{self.job_id}/offer/decline", {"reason": "busy today"})
            return False
        return await self.taken(worker, f"/jobs/{self.job_id}/offer/accept")

    async def taken(self, person: Person, path: str, body: Json | None = None) -> bool:
        """Whether the act was done.

        Raises:
            RefusedError: it was refused for another reason than coming late.
        """
        try:
            await person.insist("POST", path, body)
        except RefusedError as refused:
            if refused.code not in LATE:
                raise
            return False
        return True

    async def deliver(self, worker: Person) -> None:
        """Start, upload, submit."""
        await worker.act(self.job_id, "start")
        await worker.upload(self.job_id)
        await worker.act(self.job_id, "submit", {})

    async def approve(self, worker: Person) -> None:
        """The client is satisfied, and both rate."""
        await self.client.act(self.job_id, "approve")
        await self.rate(worker)

    async def rate(self, worker: Person) -> None:
        """Both rate."""
        for person in (self.client, worker):
            await rate(person, self.job_id, self.die.randint(1, 5))


async def approved(cast: Cast) -> None:
    """The main road, with a revision now and then."""
    worker = await cast.find_worker()
    await cast.deliver(worker)
    if cast.die.random() < 0.3:
        await cast.client.act(cast.job_id, "request-revision", {"reason": "the second chart is missing"})
        await cast.deliver(worker)
    await cast.approve(worker)


async def left(cast: Cast) -> None:
    """The worker leaves, before or after a delivery; another finishes."""
    first = await cast.find_worker()
    if cast.die.random() < 0.5:
        await cast.deliver(first)
    await first.act(cast.job_id, "withdraw", {"reason": "I am ill"})
    second = await cast.find_worker()
    await cast.deliver(second)
    await cast.approve(second)


async def cancelled(cast: Cast) -> None:
    """The client cancels on the terms of a preview; when those have changed meanwhile, on the new ones."""
    if cast.die.random() < 0.7:
        await cast.deliver(await cast.find_worker())
    while True:
        preview = await cast.client.get(f"/jobs/{cast.job_id}/cancel-preview")
        body = {"previewVersion": preview["version"], "reason": "no longer needed"}
        try:
            await cast.client.act(cast.job_id, "cancel", body)
        except RefusedError as refused:
            if refused.code != "stale-preview":
                raise
        else:
            return


async def priced_anew(cast: Cast) -> None:
    """One revision more than the price includes; the worker names what it costs, and the client agrees."""
    worker = await cast.find_worker()
    await cast.deliver(worker)
    for _ in range(JobPolicy().revision_limit):
        await cast.client.act(cast.job_id, "request-revision", {"reason": "another chart is missing"})
        await cast.deliver(worker)
    await cast.client.act(cast.job_id, "request-revision", {"reason": "and another one"})
    if cast.die.random() < 0.5:
        await worker.act(cast.job_id, "revision-quote", {"credits": 0.5, "reason": "it is a small one"})
    proposal = (await cast.client.get(f"/jobs/{cast.job_id}"))["proposal"]
    await cast.client.act(cast.job_id, "revision-quote/approve", {"extraCredits": proposal["extraCredits"]})
    await cast.deliver(worker)
    await cast.approve(worker)


async def disputed(cast: Cast) -> None:
    """A dispute over what was delivered: dismissed, or ended by a ruling."""
    worker = await cast.find_worker()
    await cast.deliver(worker)
    opener = cast.die.choice([cast.client, worker])
    await opener.act(cast.job_id, "dispute", {"reason": "this is not what was agreed"})
    base = f"/admin/jobs/{cast.job_id}/dispute"
    if cast.die.random() < 0.3:
        await cast.admin.insist("POST", f"{base}/dismiss", {"reason": "it is as agreed"})
        await cast.approve(worker)
        return
    share = cast.die.choice([0, 3_300, 6_000])
    ruling = {"workerShareBasisPoints": share, "reason": "some of it is usable"}
    await cast.admin.insist("POST", f"{base}/rule", ruling)
    if share:
        await cast.rate(worker)


Road = Callable[[Cast], Awaitable[None]]
ROADS: dict[Road, int] = {approved: 5, left: 2, cancelled: 2, priced_anew: 1, disputed: 2}  # weights
EACH_ONCE: tuple[Road, ...] = (priced_anew, left, disputed, approved, cancelled)  # the longest first
