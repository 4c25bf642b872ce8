"""Stopping timers that nobody keeps alive."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from app.timetracking import service
from workflows.followers import FollowerActivity, TimersStopped


class TimeTrackingActivities:
    """What the sweep does to timers."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        """Share one database among all sweeps of the process."""
        self._database = database

    @activity.defn(name=FollowerActivity.STOP_IDLE_TIMERS)
    async def stop_idle_timers(self, at: datetime) -> TimersStopped:
        """Stop every timer that is over at that moment. Repeatable; a running one stays as it is."""
        return TimersStopped(**asdict(await service.stop_idle(self._database, at)))
