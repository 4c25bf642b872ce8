"""Time tracking: a worker's one timer, and what all parties see of the time that a job took."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, StringConstraints

from api.dependencies import ResourcesDep
from api.openapi import AUTHENTICATED, WITH_BODY, problems
from api.pagination import Page, PageDep, fetch_page
from api.security import AnyRole, WorkerOnly
from api.types import EntityId, PathId, RequestModel, ResponseModel
from app.documents import utcnow
from app.timetracking.models import RunningTimer, StoppedBy, TimeEntry
from app.timetracking.rules import counted_seconds, idle_at
from app.timetracking.service import TimeTracking
from app.timetracking.store import ENTRIES

router = APIRouter(prefix="/jobs/{job_id}/time", tags=["time"])

_ID = "6561f0c2a4b7d9e8f0123456"
_ACT = (*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "wrong-state", "outcome-unknown")


class StopTimer(RequestModel):
    """Which timer, so that repeating the request is safe; the one that runs, when none is named. The client sees the
    note.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"timerId": _ID, "note": "Both charts, and the first page"}]}
    )

    timer_id: EntityId | None = None
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class TimerView(ResponseModel):
    """A running timer. Without a heartbeat by `idleAt` it is stopped, and counts up to `lastSeenAt`."""

    timer_id: EntityId
    job_id: EntityId
    worker_id: EntityId
    started_at: datetime
    last_seen_at: datetime
    idle_at: datetime
    seconds: int = Field(description="Whole seconds so far.")


class TimeEntryView(ResponseModel):
    """Time that was spent: from `startedAt` to `stoppedAt`, in whole seconds, and what ended it."""

    timer_id: EntityId
    job_id: EntityId
    worker_id: EntityId
    started_at: datetime
    stopped_at: datetime
    seconds: int
    stopped_by: StoppedBy
    note: str


class TimeSheetView(Page[TimeEntryView]):
    """The entries, newest first, and beside every page the whole. `totalSeconds` has the running timer in it."""

    job_id: EntityId
    total_seconds: int
    running: TimerView | None = None
    hours_likely: float | None = Field(
        default=None, description="The estimate, once the brief has been read."
    )


def _tracking(resources: ResourcesDep) -> TimeTracking:
    return TimeTracking(resources.database, idle_seconds=resources.settings.timer_idle_seconds)


TrackingDep = Annotated[TimeTracking, Depends(_tracking)]


@router.post("/start", responses=problems(*_ACT, "timer-already-running"))
async def start(job_id: PathId, principal: WorkerOnly, tracking: TrackingDep) -> TimerView:
    """Start the timer on a job that is being worked on. Repeating it gets the same timer.

    A worker has one timer: while it runs on another job the answer is 409, and names that job in `jobId`.
    """
    at = utcnow()
    return _timer(await tracking.start(job_id, principal.user_id, at), at)


@router.post("/heartbeat", responses=problems(*_ACT, "timer-not-running"))
async def heartbeat(job_id: PathId, principal: WorkerOnly, tracking: TrackingDep) -> TimerView:
    """Say that the work goes on, about once a minute.

    Silence up to `idleAt` stops the timer; then the answer is 409, and says in `stoppedBy` what stopped it.
    """
    at = utcnow()
    return _timer(await tracking.heartbeat(job_id, principal.user_id, at), at)


@router.post("/stop", responses=problems(*_ACT, *WITH_BODY, "timer-not-running"))
async def stop(
    job_id: PathId, body: StopTimer, principal: WorkerOnly, tracking: TrackingDep
) -> TimeEntryView:
    """Stop the timer; its time is an entry from then on.

    Repeating it with the same `timerId` gets the same entry, also when silence or the job's process stopped it before.
    """
    entry = await tracking.stop(job_id, principal.user_id, utcnow(), timer_id=body.timer_id, note=body.note)
    return _entry(entry)


@router.get("", responses=problems(*AUTHENTICATED, "not-found", "invalid-request", "invalid-cursor"))
async def read(
    job_id: PathId, principal: AnyRole, tracking: TrackingDep, resources: ResourcesDep, page: PageDep
) -> TimeSheetView:
    """The time that a job took: its client and admins see all of it, its worker their own."""
    at = utcnow()
    sheet = await tracking.sheet(job_id, role=principal.role, user_id=principal.user_id, at=at)
    documents, cursor = await fetch_page(
        resources.database[ENTRIES],
        sheet.entries,
        page,
        scope=f"time:{job_id}:{principal.user_id}",
        field="startedAt",
    )
    return TimeSheetView(
        items=[_entry(TimeEntry.model_validate(document)) for document in documents],
        next_cursor=cursor,
        job_id=job_id,
        total_seconds=sheet.total_seconds,
        running=_timer(sheet.running, at) if sheet.running else None,
        hours_likely=sheet.hours_likely,
    )


def _timer(timer: RunningTimer, at: datetime) -> TimerView:
    return TimerView(
        timer_id=timer.timer_id,
        job_id=timer.job_id,
        worker_id=timer.id,
        started_at=timer.started_at,
        last_seen_at=timer.seen_at,
        idle_at=idle_at(timer),
        seconds=counted_seconds(timer, at),
    )


def _entry(entry: TimeEntry) -> TimeEntryView:
    return TimeEntryView(timer_id=entry.id, **entry.model_dump(exclude={"id"}))
