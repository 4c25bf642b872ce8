"""Counts what one call costs, in this process: MongoDB commands and Temporal requests, by who made them.

A tally is bound to the context of a call, so calls that run beside it are not counted to it. Activities get tallies
of their own by name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pymongo import monitoring
from temporalio import client as temporal_client
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

# Of the driver's own talk with the server: not operations of a call.
_NOT_OPERATIONS = frozenset({"hello", "ismaster", "ping", "endSessions", "killCursors"})


@dataclass
class Tally:
    """Commands as `collection.command`, requests by the name of the remote procedure."""

    mongodb: Counter[str] = field(default_factory=Counter)
    temporal: Counter[str] = field(default_factory=Counter)


_current: ContextVar[Tally | None] = ContextVar("bench_tally", default=None)


@contextmanager
def tallied(tally: Tally) -> Iterator[Tally]:
    """Count what is done inside, also by tasks started there."""
    token = _current.set(tally)
    try:
        yield tally
    finally:
        _current.reset(token)


class _Commands(monitoring.CommandListener):
    def started(self, event: monitoring.CommandStartedEvent) -> None:
        tally = _current.get()
        if tally is None or event.command_name in _NOT_OPERATIONS:
            return
        target = event.command.get(event.command_name)
        tally.mongodb[
            f"{target}.{event.command_name}" if isinstance(target, str) else event.command_name
        ] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing: a command counts when it is sent."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing: a command counts when it is sent."""


@cache
def meter_mongodb() -> None:
    """Count the commands of every MongoDB client that this process makes from now on."""
    monitoring.register(_Commands())


def meter_temporal(client: Client) -> None:
    """Count the requests of this client; the workers' own polling is done elsewhere and is not among them."""
    service: Any = client.service_client
    call = service._rpc_call  # noqa: SLF001  # every request of the client passes here, and the SDK offers no hook

    async def counted(rpc: str, *arguments: Any, **options: Any) -> Any:
        tally = _current.get()
        if tally is not None:
            tally.temporal[rpc] += 1
        return await call(rpc, *arguments, **options)

    service._rpc_call = counted  # noqa: SLF001


class ActivityMeter(temporal_client.Interceptor, Interceptor):
    """A tally for each activity by name, over all its runs. Given to a client, its workers take it over."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)

    def clear(self) -> None:
        """Forget what was counted."""
        self.tallies.clear()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Count what each activity does."""
        return _CountedActivity(next, self)


class _CountedActivity(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, meter: ActivityMeter) -> None:
        super().__init__(inner)
        self._meter = meter

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        definition = getattr(input.fn, "__temporal_activity_definition", None)
        name = str(getattr(definition, "name", None) or input.fn.__name__)
        with tallied(self._meter.tallies[name]):
            return await super().execute_activity(input)
