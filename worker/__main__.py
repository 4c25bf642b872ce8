"""`python -m worker`: runs the Temporal workers and the outbox dispatcher until it is told to stop."""

from __future__ import annotations

import asyncio
import signal

import structlog
from pymongo.errors import PyMongoError

from app.logging import configure_logging
from app.notifications.dispatcher import Dispatcher
from app.process import leave
from app.settings import Settings, get_settings
from worker.resources import Resources, open_resources
from worker.search_attributes import register_search_attributes
from worker.workers import build_workers
from workflows.ledger import ensure_ledger_night
from workflows.sweep import ensure_schedule

_log = structlog.get_logger("worker")


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, then let what runs end.

    Raises:
        PyMongoError, RuntimeError: MongoDB or Temporal could not be reached at the start.
    """
    async with open_resources(settings) as resources:
        await register_search_attributes(resources.client)
        await ensure_schedule(resources.client, settings.task_queue_prefix)
        await ensure_ledger_night(resources.client, settings.task_queue_prefix)
        await _run(resources, stop)
    _log.info("worker_stopped")


async def _run(resources: Resources, stop: asyncio.Event) -> None:
    dispatcher = Dispatcher(resources.database, resources.mail, portal_url=resources.settings.portal_url)
    async with asyncio.TaskGroup() as group:
        workers = build_workers(resources)
        for worker in workers:
            group.create_task(worker.run())
        group.create_task(dispatcher.run(stop))
        _log.info(
            "worker_ready",
            task_queues=[worker.task_queue for worker in workers],
            build_id=resources.settings.worker_build_id or None,
        )
        await stop.wait()
        await asyncio.gather(*(worker.shutdown() for worker in workers))


async def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    settings = get_settings()
    configure_logging(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        await serve(settings, stop)
    except (PyMongoError, RuntimeError) as error:
        _log.error("worker_not_started", reason=str(error))  # the reason says it all
        return 1
    return 0


if __name__ == "__main__":
    leave(asyncio.run(main()))
