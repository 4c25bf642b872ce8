"""Time tracking: what a worker does with a timer, what others see of it, and what a job's process asks of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.errors import NotFoundError
from app.ids import new_id
from app.lifecycle import WORKING
from app.parsing.models import ParsedBrief
from app.timetracking.errors import NotWorkedOnError, TimerAlreadyRunningError, TimerNotRunningError
from app.timetracking.models import Estimate, RunningTimer, StoppedBy, TimeEntry, WorkerSeconds
from app.timetracking.rules import counted_seconds, end_of, is_idle, stop_of
from app.timetracking.store import ENTRIES, TIMERS, TimerStore
from app.users.models import Role

Database = AsyncDatabase[dict[str, Any]]
Filter = dict[str, Any]

_STATE = {"status": 1, "phase": 1, "workerId": 1}

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The time of one job as one caller may see it; `entries` is the filter of the entries they may read."""

    entries: Filter
    total_seconds: int
    running: RunningTimer | None
    hours_likely: float | None


@dataclass(slots=True)
class TimersStopped:
    """What a sweep stopped: silent timers, those whose job is no longer worked on; and those it could not read."""

    idle: int = 0
    left: int = 0
    failed: int = 0


class TimeTracking:
    """What people do. `at` is the caller's now; every act may be repeated."""

    def __init__(self, database: Database, *, idle_seconds: int) -> None:
        """New timers stop after so many seconds without a sign of life."""
        self._database, self._idle_seconds = database, idle_seconds
        self._store = TimerStore(database)

    async def start(self, job_id: str, worker_id: str, at: datetime) -> RunningTimer:
        """Run the worker's one timer on a job of theirs; the same one if it runs there already.

        A timer that is over but was not yet stopped does not stand in the way: it is stopped as a sweep would.

        Raises:
            NotFoundError: the job is not the worker's.
            NotWorkedOnError: it is not being worked on.
            TimerAlreadyRunningError: the worker's timer runs on another job.
        """
        while True:
            await self._require_working(job_id, worker_id)
            timer = RunningTimer(
                id=worker_id,
                timer_id=new_id(),
                job_id=job_id,
                started_at=at,
                seen_at=at,
                idle_seconds=self._idle_seconds,
            )
            found = timer if await self._store.begin(timer) else await self._store.find(worker_id)
            if found is None:
                continue
            # The state is read again: a timer that began as its job moved on is one too many.
            working = _is_working(await _state(self._database, found.job_id), worker_id)
            if stop := end_of(found, at, working=working):
                await self._store.settle(found, stop)
            elif found.job_id != job_id:
                raise TimerAlreadyRunningError(found.job_id, found.started_at)
            elif found is timer:
                return timer
            elif beaten := await self._store.beat(found, at):
                return beaten

    async def heartbeat(self, job_id: str, worker_id: str, at: datetime) -> RunningTimer:
        """Say that the work goes on. A sign of life that comes too late stops the timer instead.

        Raises:
            NotFoundError, NotWorkedOnError: as `start`.
            TimerNotRunningError: no timer runs on this job, or it has been silent for too long.
        """
        while True:
            await self._require_working(job_id, worker_id)
            timer = await self._store.find(worker_id)
            if timer is None or timer.job_id != job_id:
                raise TimerNotRunningError
            if stop := end_of(timer, at, working=True):
                if entry := await self._store.settle(timer, stop):
                    raise TimerNotRunningError(entry.stopped_by.value)
            elif beaten := await self._store.beat(timer, at):
                return beaten

    async def stop(
        self, job_id: str, worker_id: str, at: datetime, *, timer_id: str | None = None, note: str = ""
    ) -> TimeEntry:
        """Stop the worker's timer on a job, and answer its entry. With `timer_id`, only that one.

        Repeatable by `timer_id`: it gets the entry that the timer has become, whoever stopped it.

        Raises:
            NotFoundError: the job is not the worker's.
            NotWorkedOnError: no timer runs on it, and none could.
            TimerNotRunningError: no timer runs on it.
        """
        job = await self._own_job(job_id, worker_id)
        while timer := await self._store.find(worker_id):
            if timer.job_id != job_id or timer_id not in (None, timer.timer_id):
                break
            stop = None if _is_working(job, worker_id) else end_of(timer, at, working=False)
            stop = stop or stop_of(timer, at, StoppedBy.WORKER, note=note)
            if entry := await self._store.settle(timer, stop):
                return entry
        if timer_id and (entry := await self._store.entry(timer_id, job_id=job_id, worker_id=worker_id)):
            return entry
        await self._require_working(job_id, worker_id)
        raise TimerNotRunningError

    async def sheet(self, job_id: str, *, role: Role, user_id: str, at: datetime) -> Sheet:
        """What the caller may see: its client and admins all time of a job, its worker their own.

        Raises:
            NotFoundError: the job is not the caller's.
        """
        owned: dict[Role, Filter] = {Role.CLIENT: {"clientId": user_id}, Role.WORKER: {"workerId": user_id}}
        query = {"_id": job_id, **owned.get(role, {})}
        job = await self._database["jobs"].find_one(query, _STATE | {"parsed.hoursLikely": 1})
        if job is None:
            raise NotFoundError("There is no such job.")
        timer = await self._store.find(job["workerId"]) if job.get("workerId") else None
        runs = timer and timer.job_id == job_id and not end_of(timer, at, working=_is_working(job, timer.id))
        worker_id = user_id if role is Role.WORKER else None
        seconds = await _seconds_by_worker(self._database, job_id, at, worker_id=worker_id)
        return Sheet(
            entries={"jobId": job_id} | ({"workerId": worker_id} if worker_id else {}),
            total_seconds=seconds.total(),
            running=timer if runs else None,
            hours_likely=(job.get("parsed") or {}).get("hoursLikely"),
        )

    async def _own_job(self, job_id: str, worker_id: str) -> Filter:
        job = await self._database["jobs"].find_one({"_id": job_id, "workerId": worker_id}, _STATE)
        if job is None:
            raise NotFoundError("There is no such job.")
        return job

    async def _require_working(self, job_id: str, worker_id: str) -> None:
        job = await self._own_job(job_id, worker_id)
        if not _is_working(job, worker_id):
            raise NotWorkedOnError(job["status"], job["phase"])


# --- What a job's process asks. Each may run again after a crash.


async def tracked_seconds(database: Database, job_id: str, worker_id: str, at: datetime) -> int:
    """What a worker has tracked on a job: finished entries, and a running timer as if it were stopped at `at`.

    A timer that is idle by then counts up to its last sign of life. Never negative.
    """
    return (await _seconds_by_worker(database, job_id, at, worker_id=worker_id))[worker_id]


async def stop_for_job(database: Database, job_id: str, worker_id: str, at: datetime) -> None:
    """Stop the worker's timer if it runs on this job: the job leaves the phase of work at `at`. Repeatable.

    A timer that began after `at` is left alone, so that a late repeat does not stop the work of the next revision;
    if it is not rightly there, the sweep finds it.
    """
    store = TimerStore(database)
    while timer := await store.find(worker_id):
        if timer.job_id != job_id or timer.started_at > at:
            return
        if await store.settle(timer, stop_of(timer, at, StoppedBy.PROCESS)):
            return


async def note_actual(database: Database, job_id: str) -> None:
    """Keep the job's estimate beside what was tracked on it, for analytics. Repeatable: the last note stands.

    A job without a reading has nothing to compare, and is not noted.
    """
    fields = {"parsed": 1, "category": 1, "requiredSkills": 1}
    job = await database["jobs"].find_one({"_id": job_id}, fields)
    if job is None or not job.get("parsed"):
        return
    at, reading = utcnow(), ParsedBrief.model_validate(job["parsed"])
    seconds = await _seconds_by_worker(database, job_id, at)
    estimate = Estimate(
        id=job_id,
        category=job.get("category") or reading.category,
        complexity=reading.complexity,
        required_skills=job.get("requiredSkills") or reading.required_skills,
        parser=reading.parser,
        hours_low=reading.hours_low,
        hours_likely=reading.hours_likely,
        hours_high=reading.hours_high,
        tracked_seconds=seconds.total(),
        workers=[WorkerSeconds(worker_id=worker, seconds=seconds[worker]) for worker in sorted(seconds)],
        at=at,
    )
    noted = estimate.model_dump(by_alias=True, exclude={"id"})
    await database["estimates"].update_one({"_id": job_id}, {"$set": noted}, upsert=True)


# --- What the sweep does


async def stop_idle(database: Database, at: datetime) -> TimersStopped:
    """Stop every timer that is over: silent for too long, on a job no longer worked on, or stopped half-way.

    Repeatable. A timer that shows a sign of life meanwhile stays for the next sweep.
    """
    store, result = TimerStore(database), TimersStopped()
    for found in await database[TIMERS].find({}).to_list():
        try:
            timer = RunningTimer.model_validate(found)
        except ValidationError:  # one unreadable timer must not keep the others running
            log.exception("timer.unreadable", worker_id=found["_id"])
            result.failed += 1
            continue
        working = _is_working(await _state(database, timer.job_id), timer.id)
        stop = end_of(timer, at, working=working)
        if stop is None or not await store.settle(timer, stop):
            continue
        if is_idle(timer, at):
            result.idle += 1
        else:
            result.left += 1
    return result


async def _state(database: Database, job_id: str) -> Filter | None:
    return await database["jobs"].find_one({"_id": job_id}, _STATE)


def _is_working(job: Filter | None, worker_id: str) -> bool:
    if job is None:
        return False
    state = (WORKING.status.value, WORKING.phase.value)
    return (job["status"], job["phase"]) == state and job.get("workerId") == worker_id


async def _seconds_by_worker(
    database: Database, job_id: str, at: datetime, *, worker_id: str | None = None
) -> Counter[str]:
    """Timers are read before entries: one that becomes an entry in between is in both, and counts once."""
    of_worker = {"_id": worker_id} if worker_id else {}
    timers = await database[TIMERS].find({"jobId": job_id} | of_worker).to_list()
    entries = {"jobId": job_id} | ({"workerId": worker_id} if worker_id else {})
    found = await database[ENTRIES].find(entries, {"workerId": 1, "seconds": 1}).to_list()
    seconds: Counter[str] = Counter()
    for entry in found:
        seconds[entry["workerId"]] += entry["seconds"]
    for timer in (RunningTimer.model_validate(document) for document in timers):
        if timer.timer_id not in {entry["_id"] for entry in found}:
            seconds[timer.id] += counted_seconds(timer, at)
    return seconds
