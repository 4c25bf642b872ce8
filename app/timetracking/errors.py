"""Why a timer cannot be started, kept or stopped; the API turns each into a problem."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from app.errors import DomainError


class TimerAlreadyRunningError(DomainError):
    """The worker's one timer runs on another job."""

    code: ClassVar[str] = "timer-already-running"

    def __init__(self, job_id: str, started_at: datetime) -> None:
        super().__init__(
            "Your timer runs on another job; stop it there first.",
            jobId=job_id,
            startedAt=started_at.isoformat(),
        )


class TimerNotRunningError(DomainError):
    """No timer of the worker's runs on this job. `stopped_by` says what ended one that did."""

    code: ClassVar[str] = "timer-not-running"

    def __init__(self, stopped_by: str | None = None) -> None:
        if stopped_by is None:
            super().__init__("No timer of yours runs on this job.")
        else:
            super().__init__(
                "Your timer on this job has been stopped; start a new one.", stoppedBy=stopped_by
            )


class NotWorkedOnError(DomainError):
    """Time is tracked only while the job is being worked on."""

    code: ClassVar[str] = "wrong-state"

    def __init__(self, status: str, phase: str) -> None:
        super().__init__(
            f"Time cannot be tracked while the job is {status} ({phase}).", status=status, phase=phase
        )
