"""The steps of a timer's life. Each is one atomic write, and any of them may be the last one of a process.

A timer ends by a mark: one guarded update writes when and why it stopped. Then its entry is inserted under the
timer's id, its worker is told if it was stopped for silence, and the timer is removed. Whoever meets a marked timer
does what is left, so a crash between two writes loses nothing, and a repeat counts nothing twice.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.timetracking.models import RunningTimer, StoppedBy, TimeEntry, TimerStop

Database = AsyncDatabase[dict[str, Any]]

TIMERS, ENTRIES = "running_timers", "time_entries"

log = structlog.stdlib.get_logger(__name__)


class TimerStore:
    """Reads and changes timers and entries; holds no state."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._timers, self._entries = database[TIMERS], database[ENTRIES]

    async def find(self, worker_id: str) -> RunningTimer | None:
        """The worker's timer, which may be marked as stopped."""
        found = await self._timers.find_one({"_id": worker_id})
        return RunningTimer.model_validate(found) if found else None

    async def begin(self, timer: RunningTimer) -> bool:
        """Let the timer run, unless the worker has one: then False."""
        try:
            await self._timers.insert_one(timer.model_dump(by_alias=True))
        except DuplicateKeyError:
            return False
        log.info("timer.started", job_id=timer.job_id, timer_id=timer.timer_id)
        return True

    async def beat(self, timer: RunningTimer, at: datetime) -> RunningTimer | None:
        """Take a sign of life. None when the timer was stopped since it was read."""
        found = await self._timers.find_one_and_update(
            {"_id": timer.id, "timerId": timer.timer_id, "stop": None},
            {"$max": {"seenAt": at}},
            return_document=ReturnDocument.AFTER,
        )
        return RunningTimer.model_validate(found) if found else None

    async def settle(self, timer: RunningTimer, stop: TimerStop) -> TimeEntry | None:
        """End the timer as decided from what was read of it.

        None when that is no longer so (a sign of life came, or another stop): read it again.
        """
        if timer.stop is None and not await self._mark(timer, stop):
            return None
        entry = TimeEntry(
            id=timer.timer_id,
            job_id=timer.job_id,
            worker_id=timer.id,
            started_at=timer.started_at,
            **(timer.stop or stop).model_dump(),
        )
        with suppress(DuplicateKeyError):
            await self._entries.insert_one(entry.model_dump(by_alias=True))
        if entry.stopped_by is StoppedBy.IDLE:
            await enqueue(self._database, [_idle_notice(entry)])
        await self._timers.delete_one({"_id": timer.id, "timerId": timer.timer_id})
        log.info(
            "timer.stopped",
            job_id=entry.job_id,
            timer_id=entry.id,
            seconds=entry.seconds,
            stopped_by=entry.stopped_by.value,
        )
        return entry

    async def entry(self, timer_id: str, *, job_id: str, worker_id: str) -> TimeEntry | None:
        """What became of the worker's timer on that job."""
        found = await self._entries.find_one({"_id": timer_id})
        if found is None or (found["jobId"], found["workerId"]) != (job_id, worker_id):
            return None
        entry: TimeEntry = TimeEntry.model_validate(found)
        return entry

    async def _mark(self, timer: RunningTimer, stop: TimerStop) -> bool:
        as_read = {"_id": timer.id, "timerId": timer.timer_id, "seenAt": timer.seen_at, "stop": None}
        marked = await self._timers.update_one(as_read, {"$set": {"stop": stop.model_dump(by_alias=True)}})
        return marked.matched_count == 1


def _idle_notice(entry: TimeEntry) -> OutboxEntry:
    return OutboxEntry.of(
        Notice(
            type="time.idle_stopped",
            user_id=entry.worker_id,
            job_id=entry.job_id,
            context={"stopped_at": entry.stopped_at},
        ),
        key=f"timer-{entry.id}:idle",
    )
