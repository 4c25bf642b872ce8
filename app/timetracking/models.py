"""The collections of time tracking: `running_timers`, `time_entries`, and `estimates` beside what was tracked.

Time is content, not process: the API writes it, and a job's own process only asks for sums and stops what runs.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.camel import CamelModel
from app.documents import CamelDocument
from app.parsing.models import Complexity, ParserName


class StoppedBy(StrEnum):
    """Who ended a timer: its worker, its silence, or the job, which left the phase of work."""

    WORKER = "worker"
    IDLE = "idle"
    PROCESS = "process"


class TimerStop(CamelModel):
    """The end of a timer, decided once; `seconds` count from its start to `stopped_at`."""

    stopped_at: datetime
    seconds: int
    stopped_by: StoppedBy
    note: str = Field(default="", repr=False)


class RunningTimer(CamelDocument):
    """A worker's one timer. `_id` is the worker's id, so a second one cannot be inserted.

    `seen_at` is the last sign of life. `stop` is set from when the end is decided until it is an entry.
    """

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the worker's id in place of an ObjectId
    timer_id: str
    job_id: str
    started_at: datetime
    seen_at: datetime
    idle_seconds: int
    stop: TimerStop | None = None

    class Settings:
        """Collection and indexes."""

        name = "running_timers"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("jobId", ASCENDING)], name="job")]


class TimeEntry(CamelDocument):
    """Time that a worker has spent on a job. `_id` is the id of the timer that it comes from."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the timer's id in place of an ObjectId
    job_id: str
    worker_id: str
    started_at: datetime
    stopped_at: datetime
    seconds: int
    stopped_by: StoppedBy
    note: str = Field(default="", repr=False)

    class Settings:
        """Collection and indexes."""

        name = "time_entries"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("jobId", ASCENDING), ("startedAt", DESCENDING), ("_id", DESCENDING)], name="job"),
            IndexModel(
                [("workerId", ASCENDING), ("startedAt", DESCENDING), ("_id", DESCENDING)], name="worker"
            ),
        ]


class WorkerSeconds(CamelModel):
    """What one worker has tracked on a job."""

    worker_id: str
    seconds: int


class Estimate(CamelDocument):
    """What a reading expected of a job, beside what was tracked on it; `_id` is the job's id. Hours and seconds."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the job's id in place of an ObjectId
    category: str
    complexity: Complexity
    required_skills: list[str]
    parser: ParserName
    hours_low: float
    hours_likely: float
    hours_high: float
    tracked_seconds: int
    workers: list[WorkerSeconds]
    at: datetime

    class Settings:
        """Collection and indexes."""

        name = "estimates"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("category", ASCENDING), ("at", DESCENDING)], name="category_at")
        ]


DOCUMENTS: list[type[Document]] = [RunningTimer, TimeEntry, Estimate]
