"""Activities that crash: before their work, or after it but before anybody knows that it was done."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from temporalio import activity
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

_TRIES = 3  # an activity crashes at most so often in a row: what is tested is the repeat, not patience


def _crash(when: str) -> ApplicationError:
    """As if the process had died at this moment, for this activity; benign, so that the log stays readable."""
    return ApplicationError(f"crashed {when} the work", category=ApplicationErrorCategory.BENIGN)


class Crashes(ClientInterceptor, Interceptor):
    """Lets a share of all attempts crash; which ones depends on the seed and the activity's place in its workflow."""

    def __init__(self, seed: str, *, share: float) -> None:
        """`share` of the attempts, from 0 to 1, half of them after the real effect."""
        self.seed, self.share = seed, share
        self.before: Counter[str] = Counter()
        self.after: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Around every activity of the worker."""
        return _Crashing(next, self)

    def fate(self, info: activity.Info) -> str:
        """`before`, `after` or nothing."""
        if info.attempt > _TRIES:
            return ""
        place = f"{info.workflow_id}:{info.activity_type}"
        self._calls[place] += 1
        dice = Random(f"{self.seed}:{place}:{self._calls[place]}").random()
        if dice >= self.share:
            return ""
        return "before" if dice < self.share / 2 else "after"


class _Crashing(ActivityInboundInterceptor):
    def __init__(self, next_: ActivityInboundInterceptor, crashes: Crashes) -> None:
        super().__init__(next_)
        self._crashes = crashes

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # the SDK's name
        info = activity.info()
        fate = self._crashes.fate(info)
        if fate == "before":
            self._crashes.before[info.activity_type] += 1
            raise _crash("before")
        result = await super().execute_activity(input)
        if fate == "after":
            self._crashes.after[info.activity_type] += 1
            raise _crash("after")
        return result
