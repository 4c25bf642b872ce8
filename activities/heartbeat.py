"""Signs of life of activities that wait for others, so that one whose worker died is begun again in seconds.

Without them Temporal learns of a dead worker by the start-to-close time-out alone, and that leaves room for the
slowest answer of each request. An activity that ends sooner than its first sign costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from temporalio import activity

_P = ParamSpec("_P")
_T = TypeVar("_T")
_BEATS = 3  # for each time-out: one may be late


def beating(work: Callable[_P, Awaitable[_T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """The same activity, with signs of life for as long as it runs if its workflow asks for them."""

    @wraps(work)
    async def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        timeout = activity.info().heartbeat_timeout if activity.in_activity() else None
        if timeout is None:
            return await work(*args, **kwargs)
        beats = asyncio.create_task(_beat(timeout.total_seconds() / _BEATS))
        try:
            return await work(*args, **kwargs)
        finally:
            beats.cancel()

    return run


async def _beat(every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        activity.heartbeat()
