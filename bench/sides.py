"""The two sides that are compared: the platform over HTTP, and the floor by the bare client."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from temporalio.client import Client, WorkflowHandle

from bench.floor import FLOOR_QUEUE, Bare, Floor
from bench.lives import Door, LifeError
from workflows.contracts import job_workflow_id, payout_workflow_id

_WAIT_SECONDS = 60.0


class Side(Protocol):
    """What is measured."""

    async def live(self) -> str:
        """One whole life up to `completed`; its workflow's id."""
        ...

    async def acceptance(self) -> float:
        """Bring one to its offer, then accept it; the seconds that the acceptance took."""
        ...

    async def settle(self, lives: list[str]) -> None:
        """Wait until nothing is left to be done for these lives."""
        ...


class Platform:
    """Jobs over HTTP."""

    def __init__(self, door: Door, client: Client) -> None:
        """`client` is only used to wait for payouts."""
        self._door, self._client = door, client
        self._turn = itertools.cycle(door.cast.clients)

    @property
    def repeats(self) -> int:
        """Requests that had to be repeated so far."""
        return self._door.repeats

    async def live(self) -> str:
        """Post, accept, start, submit, approve."""
        return job_workflow_id(await self._door.live(next(self._turn)))

    async def acceptance(self) -> float:
        """One POST to `/offer/accept`, once the worker has been told of the offer, as it is in life."""
        job_id, worker_id = await self._door.to_offer(next(self._turn))
        await self._delivered()
        started = time.perf_counter()
        await self._door.act(worker_id, job_id, "offer/accept")
        return time.perf_counter() - started

    async def settle(self, lives: list[str]) -> None:
        """Every payout sent and every notice delivered."""
        for life in lives:
            payout = payout_workflow_id(life.removeprefix("job-"))
            await self._client.get_workflow_handle(payout).result()
        await self._delivered()

    async def _delivered(self) -> None:
        async with asyncio.timeout(_WAIT_SECONDS):
            while await self._door.database["outbox"].count_documents({}):  # noqa: ASYNC110  # another process empties it
                await asyncio.sleep(0.05)


class Bells(asyncio.DatagramProtocol):
    """Hears which floors can be accepted."""

    def __init__(self) -> None:
        """Nobody is waited for."""
        self._waiting: dict[str, asyncio.Event] = {}

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        """One floor waits for its acceptance."""
        if waiting := self._waiting.get(data.decode()):
            waiting.set()

    @asynccontextmanager
    async def expecting(self, workflow_id: str) -> AsyncIterator[None]:
        """Inside, start the floor; on leaving, it can be accepted.

        Raises:
            LifeError: it did not ring in a minute.
        """
        event = self._waiting[workflow_id] = asyncio.Event()
        try:
            yield
            await asyncio.wait_for(event.wait(), _WAIT_SECONDS)
        except TimeoutError:
            raise LifeError(f"{workflow_id} did not ring") from None
        finally:
            del self._waiting[workflow_id]


class BareFloor:
    """Floors by the bare client."""

    def __init__(self, client: Client, bells: Bells) -> None:
        """`bells` hear of floors that can be accepted."""
        self._client, self._bells = client, bells

    async def live(self) -> str:
        """Start, and the same four acts as updates."""
        handle = await self._started()
        await handle.execute_update(Floor.accept, "floor")
        await handle.execute_update(Floor.start, "floor")
        await handle.execute_update(Floor.submit, "floor")
        await handle.execute_update(Floor.approve, "floor")
        return handle.id

    async def acceptance(self) -> float:
        """One update, with an upsert and a regular activity that does nothing, as an acceptance has them."""
        handle = await self._started()
        started = time.perf_counter()
        await handle.execute_update(Floor.accept, "floor")
        return time.perf_counter() - started

    async def bare_update(self) -> float:
        """One update that does nothing at all."""
        workflow_id = f"bare-{uuid.uuid4().hex}"
        async with self._bells.expecting(workflow_id):
            handle = await self._client.start_workflow(
                Bare.run, "floor", id=workflow_id, task_queue=FLOOR_QUEUE
            )
        started = time.perf_counter()
        await handle.execute_update(Bare.accept, "floor")
        return time.perf_counter() - started

    async def settle(self, lives: list[str]) -> None:
        """Every floor's payout ended."""
        for life in lives:
            await self._client.get_workflow_handle(f"{life}-FloorPayout").result()

    async def _started(self) -> WorkflowHandle[Floor, str]:
        workflow_id = f"floor-{uuid.uuid4().hex}"
        async with self._bells.expecting(workflow_id):
            return await self._client.start_workflow(
                Floor.run, "floor", id=workflow_id, task_queue=FLOOR_QUEUE
            )
