"""A worker that kills itself (`kill -9`) right after the n-th write that one activity makes to MongoDB.

    python -m tests.e2e.dying_worker assign_worker 2

So each gap between two writes can be tried exactly, instead of by luck.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import Any

from pymongo import monitoring

from activities.jobs import JobActivities
from activities.ratings import RatingActivities
from app.process import leave
from worker.__main__ import main

_WRITES = frozenset({"insert", "update", "findAndModify", "delete"})
_inside: ContextVar[bool] = ContextVar("inside", default=False)


class Killer(monitoring.CommandListener):
    """Counts the activity's writes, and kills the process when the last one it may make was acknowledged."""

    def __init__(self, writes: int) -> None:
        self._left = writes

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Nothing yet."""

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count it, and die in time."""
        if _inside.get() and event.command_name in _WRITES:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """A refused write is no write."""


def marked(function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The same activity, whose writes count."""

    @wraps(function)
    async def run(*arguments: Any) -> Any:
        token = _inside.set(True)
        try:
            return await function(*arguments)
        finally:
            _inside.reset(token)

    return run


if __name__ == "__main__":
    name, writes = sys.argv[1], int(sys.argv[2])
    owner = next(kind for kind in (JobActivities, RatingActivities) if hasattr(kind, name))
    setattr(owner, name, marked(getattr(owner, name)))
    monitoring.register(Killer(writes))
    leave(asyncio.run(main()))
