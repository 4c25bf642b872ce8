"""The floor: a bare workflow that does what a job does on the happy path, with nothing in it.

It has the same updates, timers, upserts of search attributes and children, and the same number of local and regular
activities, which do nothing; messages are plain text, the data converter is the SDK's own, nothing is logged or stored.
What is left is what Temporal itself costs. The benchmark compares both histories, so that the two stay alike.

    python -m bench.floor <port>     a worker for it; <port> is where the driver hears that a floor can be accepted
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeUpdate
from temporalio.worker import Worker
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from app.process import leave
    from app.settings import get_settings
    from workflows.contracts import DEADLINE, JOB_STATUS, WORKER_ID

FLOOR_QUEUE = "floor"
FLOOR_BILLING_QUEUE = "floor-billing"

_SHORT = timedelta(seconds=10)
_OFFER_WINDOW = timedelta(minutes=15)
_AUTO_APPROVE = timedelta(hours=72)
_RATING_WINDOW = timedelta(days=14)
_AT = "2026-01-01T00:00:00+00:00"


@activity.defn
async def nothing(text: str) -> str:
    """Do nothing."""
    return text


class Bell:
    """Tells the driver by one datagram that a floor waits for its acceptance, as the board sees it of a job."""

    def __init__(self, port: int) -> None:
        """Ring at this port of the loopback."""
        self._address = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    @activity.defn
    async def ring(self, text: str) -> str:
        """Do nothing else."""
        workflow_id = activity.info().workflow_id or ""
        self._socket.sendto(workflow_id.encode(), self._address)
        return text


@workflow.defn
class FloorPayout:
    """A payout has two regular activities."""

    @workflow.run
    async def run(self, text: str) -> str:
        """Both, one after the other."""
        for _ in range(2):
            await workflow.execute_activity(nothing, text, start_to_close_timeout=_SHORT)
        return text


@workflow.defn
class FloorRatings:
    """Ratings wait for a fortnight."""

    @workflow.run
    async def run(self, text: str) -> str:
        """Wait."""
        await workflow.sleep(_RATING_WINDOW)
        return text


@workflow.defn
class Bare:
    """What waits for one update that asks for nothing: what Temporal takes for an update, and no more."""

    def __init__(self) -> None:
        """Not answered."""
        self._done = False

    @workflow.run
    async def run(self, text: str) -> str:
        """Ring, then wait as long as an offer does."""
        await workflow.execute_local_activity_method(Bell.ring, text, start_to_close_timeout=_SHORT)
        await workflow.wait_condition(lambda: self._done, timeout=_OFFER_WINDOW)
        return text

    @workflow.update
    async def accept(self, text: str) -> str:
        """Answer."""
        self._done = True
        return text

    @accept.validator
    def _validate_accept(self, text: str) -> None:
        """Everything is allowed."""


@workflow.defn
class Floor:
    """A job's skeleton. Every act is an update that runs one activity under a lock: regular where it has rivals."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self._seq = 0
        self._lock = asyncio.Lock()

    @workflow.run
    async def run(self, text: str) -> str:
        """Four local activities, then the four acts, two of them against a deadline, then the children."""
        async with self._lock:
            for _ in range(3):  # read the brief, hold the credits, rank the workers
                await self._local(text)
            self._upsert("matching", deadline=True)
            await workflow.execute_local_activity_method(Bell.ring, text, start_to_close_timeout=_SHORT)
            self._seq += 1
        await self._wait_beyond(1, _OFFER_WINDOW)
        await self._wait_beyond(2, None)
        await self._wait_beyond(3, None)
        await self._wait_beyond(4, _AUTO_APPROVE)
        async with self._lock:
            await asyncio.gather(
                self._child("FloorPayout", text, FLOOR_BILLING_QUEUE),
                self._child("FloorRatings", text, FLOOR_QUEUE),
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return text

    @workflow.update
    async def accept(self, text: str) -> str:
        """A worker accepts."""
        return await self._act(text, "assigned", worker=True, rivals=True)

    @accept.validator
    def _validate_accept(self, text: str) -> None:
        """Everything is allowed."""

    @workflow.update
    async def start(self, text: str) -> str:
        """A worker starts."""
        return await self._act(text, "in_progress")

    @start.validator
    def _validate_start(self, text: str) -> None:
        """Everything is allowed."""

    @workflow.update
    async def submit(self, text: str) -> str:
        """A worker submits."""
        return await self._act(text, "review", deadline=True)

    @submit.validator
    def _validate_submit(self, text: str) -> None:
        """Everything is allowed."""

    @workflow.update
    async def approve(self, text: str) -> str:
        """A client approves."""
        return await self._act(text, "completed", rivals=True)

    @approve.validator
    def _validate_approve(self, text: str) -> None:
        """Everything is allowed."""

    async def _act(
        self, text: str, status: str, *, worker: bool = False, deadline: bool = False, rivals: bool = False
    ) -> str:
        async with self._lock:
            self._upsert(status, worker=worker, deadline=deadline)
            if rivals:
                await workflow.execute_activity(nothing, text, start_to_close_timeout=_SHORT)
            else:
                await self._local(text)
            self._seq += 1
            return text

    async def _wait_beyond(self, seq: int, deadline: timedelta | None) -> None:
        await workflow.wait_condition(lambda: self._seq > seq, timeout=deadline)

    async def _local(self, text: str) -> None:
        await workflow.execute_local_activity(nothing, text, start_to_close_timeout=_SHORT)

    def _upsert(self, status: str, *, worker: bool = False, deadline: bool = False) -> None:
        updates: list[SearchAttributeUpdate[Any]] = [
            JOB_STATUS.value_set(status),
            DEADLINE.value_set(workflow.now() + _AUTO_APPROVE) if deadline else DEADLINE.value_unset(),
        ]
        workflow.upsert_search_attributes(updates + ([WORKER_ID.value_set("floor")] if worker else []))

    async def _child(self, name: str, text: str, queue: str) -> None:
        await workflow.start_child_workflow(
            name,
            text,
            id=f"{workflow.info().workflow_id}-{name}",
            task_queue=queue,
            parent_close_policy=ParentClosePolicy.ABANDON,
        )


async def serve(port: int) -> None:
    """Work until SIGTERM."""
    settings = get_settings()
    client = await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    bell = Bell(port)
    jobs = Worker(
        client,
        task_queue=FLOOR_QUEUE,
        workflows=[Bare, Floor, FloorRatings],
        activities=[nothing, bell.ring],
    )
    billing = Worker(client, task_queue=FLOOR_BILLING_QUEUE, workflows=[FloorPayout], activities=[nothing])
    async with jobs, billing:
        print("floor_ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
    leave(0)
