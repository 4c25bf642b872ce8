"""What one job on the happy path costs, counted in this process: the API's application, and workers of its own queues.

Nothing here is timed, so it does not matter what else the machine does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx2
from temporalio.client import Client
from temporalio.worker import Worker

from api.main import create_app
from app.ids import new_id
from app.notifications.dispatcher import Dispatcher
from app.settings import Settings
from bench.histories import Work, event_counts, work_of
from bench.lives import Board, Door
from bench.meter import ActivityMeter, Tally, meter_mongodb, meter_temporal, tallied
from bench.people import enlist
from bench.webhooks import PATH, Stripe
from worker.resources import Resources, open_resources
from worker.search_attributes import register_search_attributes
from worker.workers import build_workers
from workflows.connection import connect
from workflows.contracts import job_workflow_id, payout_workflow_id

_WARM_UP = 2  # jobs: the first ones fill the caches of sessions, heads of books and connections


@dataclass(frozen=True, slots=True)
class Counts:
    """One job's costs. `calls` are by the API's route, `activities` by name, `dispatch` is the whole outbox of it."""

    events: dict[str, int]
    job: Work
    payout: Work
    calls: dict[str, Tally]
    activities: dict[str, Tally]
    notices: int
    dispatch: Tally

    @property
    def event_count(self) -> int:
        """Events of the job's own history, up to `completed`."""
        return sum(self.events.values())


@dataclass(slots=True)
class _Bench:
    """A stack in this process: the door, the workers' meter, and what delivers the outbox."""

    client: Client
    resources: Resources
    door: Door
    meter: ActivityMeter
    dispatcher: Dispatcher
    calls: dict[str, Tally] = field(default_factory=dict)

    async def live(self) -> str:
        """One job's life, each call with a tally of its own; the job's id, once its payout is sent."""
        door, client_id = self.door, self.door.cast.clients[0]
        with self._call("POST /jobs"):
            job_id = await door.post_job(client_id)
        worker_id = await door.board.offered(job_id)
        with self._call("POST /jobs/{id}/offer/accept"):
            await door.act(worker_id, job_id, "offer/accept")
        with self._call("POST /jobs/{id}/start"):
            await door.act(worker_id, job_id, "start")
        await door.put_deliverable(job_id, worker_id)
        with self._call("POST /jobs/{id}/submit"):
            await door.act(worker_id, job_id, "submit", {"note": "done"})
        with self._call("POST /jobs/{id}/approve"):
            await door.act(client_id, job_id, "approve")
        await self.client.get_workflow_handle(job_workflow_id(job_id)).result()
        await self.client.get_workflow_handle(payout_workflow_id(job_id)).result()
        return job_id

    async def hear_from_stripe(self) -> None:
        """One webhook of a client, and what follows from it, which is not counted to the call."""
        door, resources = self.door, self.resources
        stripe = await Stripe.of(
            door.http, door.database, resources.settings, resources.billing, door.cast.clients
        )
        with self._call(f"POST {PATH}"):
            event_id = await stripe.send()
        await stripe.ended(event_id)

    async def deliver(self) -> int:
        """Deliver everything in the outbox; how many rows."""
        delivered = 0
        while done := await self.dispatcher.deliver_due():
            delivered += done
        return delivered

    async def work(self, workflow_id: str) -> tuple[dict[str, int], Work]:
        """A workflow's events by type, and its work."""
        handle = self.client.get_workflow_handle(workflow_id)
        events = [event async for event in handle.fetch_history_events()]
        return event_counts(events), work_of(events)

    def _call(self, route: str) -> AbstractContextManager[Tally]:
        return tallied(self.calls.setdefault(route, Tally()))


async def count(settings: Settings) -> Counts:
    """Run jobs on the services of `settings`, in a database and on task queues of their own, and count the last.

    Raises:
        bench.lives.LifeError: the job did not go as it must.
    """
    async with _bench(settings) as bench:
        for _ in range(_WARM_UP):
            await bench.live()
        await bench.deliver()
        bench.calls.clear()
        bench.meter.clear()
        job_id = await bench.live()
        with tallied(Tally()) as dispatch:
            notices = await bench.deliver()
        events, job = await bench.work(job_workflow_id(job_id))
        _, payout = await bench.work(payout_workflow_id(job_id))
        activities = dict(bench.meter.tallies)
        await bench.hear_from_stripe()
        return Counts(
            events=events,
            job=job,
            payout=payout,
            calls=bench.calls,
            activities=activities,
            notices=notices,
            dispatch=dispatch,
        )


@asynccontextmanager
async def _bench(settings: Settings) -> AsyncIterator[_Bench]:
    meter_mongodb()
    own = settings.model_copy(
        update={
            "task_queue_prefix": f"{new_id()}-",
            "mongodb_database": f"nimmit_counts_{new_id()}",
            "login_attempts_per_minute": 1_000,
        }
    )
    meter = ActivityMeter()
    client = await connect(own, interceptors=[meter])
    await register_search_attributes(client)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_resources(own))
        stack.push_async_callback(opened.database.client.drop_database, own.mongodb_database)
        resources = dataclasses.replace(opened, client=client)
        await stack.enter_async_context(_running(build_workers(resources)))
        door = await stack.enter_async_context(_door(own, resources))
        dispatcher = Dispatcher(resources.database, resources.mail, portal_url=own.portal_url)
        yield _Bench(client, resources, door, meter, dispatcher)


@asynccontextmanager
async def _running(workers: Sequence[Worker]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield


@asynccontextmanager
async def _door(settings: Settings, resources: Resources) -> AsyncIterator[Door]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        meter_temporal(app.state.resources.temporal)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench", timeout=30) as http:
            cast = await enlist(
                resources.database, resources.credits, resources.payments, http, clients=1, workers=3
            )
            yield Door(http, cast, resources.database, Board(resources.database))
