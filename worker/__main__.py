"""`python -m worker [QUEUE …]`: runs the Temporal workers of these queues, or of all, until it is told to stop.

The process that has `notify` also runs the outbox dispatcher: a process of its own for that queue keeps the composing
of mails out of the way of acts.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

import structlog
from pymongo.errors import PyMongoError

from app.logging import configure_logging
from app.notifications.dispatcher import Dispatcher
from app.process import leave
from app.settings import Settings, get_settings
from worker.resources import Resources, open_resources
from worker.search_attributes import register_search_attributes
from worker.workers import build_workers
from workflows.bank_payout import ensure_bank_payouts
from workflows.contracts import TaskQueue
from workflows.ledger import ensure_ledger_night
from workflows.sweep import ensure_schedule
from workflows.webhooks import ensure_webhook_sweep

_log = structlog.get_logger("worker")


async def serve(
    settings: Settings, stop: asyncio.Event, queues: Sequence[TaskQueue] = tuple(TaskQueue)
) -> None:
    """Work on these queues until `stop` is set, then let what runs end.

    Raises:
        PyMongoError, RuntimeError: MongoDB or Temporal could not be reached at the start.
    """
    async with open_resources(settings) as resources:
        await register_search_attributes(resources.client)
        await ensure_schedule(resources.client, settings.task_queue_prefix)
        await ensure_webhook_sweep(resources.client, settings.task_queue_prefix)
        await ensure_ledger_night(resources.client, settings.task_queue_prefix)
        await ensure_bank_payouts(resources.client, settings)
        await _run(resources, stop, queues)
    _log.info("worker_stopped")


async def _run(resources: Resources, stop: asyncio.Event, queues: Sequence[TaskQueue]) -> None:
    async with asyncio.TaskGroup() as group:
        workers = build_workers(resources, queues)
        for worker in workers:
            group.create_task(worker.run())
        if TaskQueue.NOTIFY in queues:
            group.create_task(_dispatcher(resources).run(stop))
        _log.info(
            "worker_ready",
            task_queues=[worker.task_queue for worker in workers],
            build_id=resources.settings.worker_build_id or None,
        )
        await stop.wait()
        await asyncio.gather(*(worker.shutdown() for worker in workers))


def _dispatcher(resources: Resources) -> Dispatcher:
    settings = resources.settings
    return Dispatcher(
        resources.database,
        resources.mail,
        portal_url=settings.portal_url,
        lease=timedelta(seconds=settings.outbox_lease_seconds),
    )


def queues_of(given: Sequence[str]) -> list[TaskQueue]:
    """The queues that the command line names, each once; all of them when it names none."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Nimmit's worker.")
    names = [queue.value for queue in TaskQueue]
    parser.add_argument("queues", nargs="*", metavar="QUEUE", help=f"of {', '.join(names)}; all by default")
    named = parser.parse_args(given).queues
    for name in named:
        if name not in names:
            parser.error(f"no such queue: {name}")
    return [queue for queue in TaskQueue if not named or queue.value in named]


async def main(queues: Sequence[TaskQueue] = tuple(TaskQueue)) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    settings = get_settings()
    configure_logging(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        await serve(settings, stop, queues)
    except (PyMongoError, RuntimeError) as error:
        _log.error("worker_not_started", reason=str(error))  # the reason says it all
        return 1
    return 0


if __name__ == "__main__":
    leave(asyncio.run(main(queues_of(sys.argv[1:]))))
