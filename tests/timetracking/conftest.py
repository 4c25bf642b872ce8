"""A worker with jobs, time tracking over the real MongoDB, and a process that dies after a chosen write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.ids import new_id
from app.lifecycle import WORKING, State
from app.timetracking.service import TimeTracking

Database = AsyncDatabase[dict[str, Any]]
IDLE = 900  # seconds

_WRITES = ("insert_one", "insert_many", "update_one", "delete_one", "find_one_and_update")


class DiedError(Exception):
    """The process is gone; its last write stands."""


Dying = Callable[[int], AbstractContextManager[None]]


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Dying:
    """`with dying(n):` lets the n-th write through to the store, and ends the process before it learns of it."""

    @contextmanager
    def after(writes: int) -> Any:
        left = writes

        def breaking(write: Callable[..., Any]) -> Callable[..., Any]:
            async def run(*arguments: Any, **more: Any) -> Any:
                nonlocal left
                answer = await write(*arguments, **more)
                left -= 1
                if left == 0:
                    raise DiedError
                return answer

            return run

        with monkeypatch.context() as patch:
            for name in _WRITES:
                patch.setattr(AsyncCollection, name, breaking(getattr(AsyncCollection, name)))
            yield

    return after


@dataclass
class Desk:
    """One worker, whose day begins at `now`."""

    database: Database
    worker_id: str = field(default_factory=new_id)
    now: datetime = field(default_factory=utcnow)

    @property
    def tracking(self) -> TimeTracking:
        """As another process would have it: nothing is kept between calls."""
        return TimeTracking(self.database, idle_seconds=IDLE)

    def after(self, seconds: float) -> datetime:
        """So many seconds into the day."""
        return self.now + timedelta(seconds=seconds)

    async def job(self, state: State = WORKING, **fields: Any) -> str:
        """A job of the worker's."""
        job = {
            "_id": new_id(),
            "seq": 1,
            "title": "Logo",
            "clientId": new_id(),
            "workerId": self.worker_id,
            "status": state.status.value,
            "phase": state.phase.value,
        }
        await self.database["jobs"].insert_one(job | fields)
        return str(job["_id"])

    async def move(self, job_id: str, state: State, **fields: Any) -> None:
        """The job's process moves it on."""
        moved = {"status": state.status.value, "phase": state.phase.value}
        await self.database["jobs"].update_one({"_id": job_id}, {"$set": moved | fields})

    async def timers(self) -> list[dict[str, Any]]:
        """What runs for the worker."""
        return await self.database["running_timers"].find({"_id": self.worker_id}).to_list()

    async def entries(self) -> list[dict[str, Any]]:
        """What is finished, oldest first."""
        found = self.database["time_entries"].find({"workerId": self.worker_id})
        return await found.sort("startedAt", 1).to_list()

    async def notices(self) -> list[dict[str, Any]]:
        """What the worker is told."""
        return await self.database["outbox"].find({"userId": self.worker_id}).to_list()


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    """A worker of this test's own, and the only one with a timer."""
    yield Desk(database)
    await database["running_timers"].delete_many({})
