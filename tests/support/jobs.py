"""Runs jobs for tests: real stores, real workers, a task queue prefix of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from app.gateways.mail import SmtpMailGateway
from app.gateways.openai import OpenAIBriefReader
from app.gateways.storage import Storage
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.jobs.models import Job
from app.jobs.policy import JobPolicy, Urgency
from app.jobs.posting import insert_job, new_job
from app.lifecycle import Actor, State
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.journal import Journal
from app.settings import Settings
from app.users.hours import WEEKDAYS
from worker.resources import Resources
from worker.search_attributes import register_search_attributes
from worker.workers import build_workers
from workflows.contracts import (
    JOB_WORKFLOW,
    Act,
    ActResult,
    Assign,
    DeclineOffer,
    JobStateView,
    RequestRevision,
    Submit,
    TaskQueue,
    Update,
    job_workflow_id,
    task_queue,
)
from workflows.starting import job_input, start_job

Database = AsyncDatabase[dict[str, Any]]

DEFAULT_BRIEF = "Analyse our sales data in Excel and make a dashboard of 3 pages with charts."


class RefusedError(Exception):
    """The job's process refused an act; `code` is its reason."""

    def __init__(self, code: str | None, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class JobHarness:
    """Clients, workers and jobs on real parts."""

    resources: Resources

    @property
    def database(self) -> Database:
        """Where the jobs are."""
        return self.resources.database

    async def add_client(self, credits_: int = 100_000) -> str:
        """A client with this many hundredths of a credit."""
        client_id = new_id()
        await self.database["users"].insert_one(
            {"_id": client_id, "email": f"{client_id}@client.example", "role": "client", "name": "Client"}
        )
        if credits_:
            await self.resources.credits.grant(client_id, credits_, key=f"seed:{client_id}", source="seed")
        return client_id

    async def add_worker(self, *, capacity: int = 3, skills: list[str] | None = None, **profile: Any) -> str:
        """A worker on shift at every hour, who can do the default brief."""
        worker_id = new_id()
        always = [{"start": "00:00", "end": "24:00"}]
        await self.database["users"].insert_one(
            {
                "_id": worker_id,
                "email": f"{worker_id}@worker.example",
                "role": "worker",
                "name": "Worker",
                "disabled": False,
                "emailVerified": True,
                "workerProfile": {
                    "skills": skills
                    or ["microsoft-excel", "data-analysis", "dashboards", "data-visualization"],
                    "capacity": capacity,
                    "available": True,
                    "activeJobs": 0,
                    "activeJobIds": [],
                    "openOfferIds": [],
                    "workingHours": dict.fromkeys(WEEKDAYS, always),
                    "timezone": "Asia/Phnom_Penh",
                    **profile,
                },
            }
        )
        return worker_id

    async def post(
        self,
        client_id: str,
        *,
        policy: JobPolicy | None = None,
        urgency: Urgency = Urgency.NORMAL,
        max_credits: int | None = None,
        start: bool = True,
        history_limit: int | None = None,
    ) -> Job:
        """Post the default brief and start its process; with `history_limit`, one that soon continues as new."""
        job = new_job(
            new_id(),
            client_id=client_id,
            title="Data analysis in Excel",
            description=DEFAULT_BRIEF,
            urgency=urgency,
            max_credits=max_credits,
            rate=100,
            policy=policy or JobPolicy(),
            correlation_id=None,
        )
        await insert_job(self.database, job)
        if start and history_limit is None:
            await start_job(self.resources.client, job, self.resources.settings)
        elif start:
            settings = self.resources.settings
            await self.resources.client.start_workflow(
                JOB_WORKFLOW,
                job_input(job, settings).model_copy(update={"history_limit": history_limit}),
                id=job_workflow_id(job.id),
                task_queue=task_queue(TaskQueue.JOBS, settings.task_queue_prefix),
            )
        return job

    def handle(self, job: Job) -> WorkflowHandle[Any, Any]:
        """The job's workflow."""
        return self.resources.client.get_workflow_handle(job_workflow_id(job.id))

    async def update(self, job: Job, update: Update, act: Act, *, update_id: str | None = None) -> ActResult:
        """One act; raises RefusedError with the process's own code."""
        try:
            result: ActResult = await self.handle(job).execute_update(
                update, act, id=update_id or new_id(), result_type=ActResult
            )
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError):
                raise RefusedError(cause.type, cause.message) from error
            raise
        return result

    async def accept(self, job: Job, worker_id: str, *, update_id: str | None = None) -> ActResult:
        """The worker accepts."""
        return await self.update(job, Update.ACCEPT_OFFER, _by(Actor.WORKER, worker_id), update_id=update_id)

    async def decline(self, job: Job, worker_id: str, reason: str = "busy") -> ActResult:
        """The worker declines."""
        act = DeclineOffer(actor=Actor.WORKER, actor_id=worker_id, reason=reason)
        return await self.update(job, Update.DECLINE_OFFER, act)

    async def assign(self, job: Job, worker_id: str, admin_id: str = "a" * 24) -> ActResult:
        """An admin assigns."""
        act = Assign(actor=Actor.ADMIN, actor_id=admin_id, worker_id=worker_id, reason="by hand")
        return await self.update(job, Update.ASSIGN, act)

    async def start(self, job: Job, worker_id: str) -> ActResult:
        """The worker starts."""
        return await self.update(job, Update.START, _by(Actor.WORKER, worker_id))

    async def submit(self, job: Job, worker_id: str, note: str = "") -> ActResult:
        """The worker delivers one file."""
        act = Submit(actor=Actor.WORKER, actor_id=worker_id, file_ids=[new_id()], note=note)
        return await self.update(job, Update.SUBMIT, act)

    async def approve(self, job: Job, *, update_id: str | None = None) -> ActResult:
        """The client approves."""
        return await self.update(job, Update.APPROVE, _by(Actor.CLIENT, job.client_id), update_id=update_id)

    async def request_revision(self, job: Job, reason: str = "more charts") -> ActResult:
        """The client asks for a revision."""
        act = RequestRevision(actor=Actor.CLIENT, actor_id=job.client_id, reason=reason)
        return await self.update(job, Update.REQUEST_REVISION, act)

    async def quote_answer(self, job: Job, update: Update) -> ActResult:
        """The client answers the quote."""
        return await self.update(job, update, _by(Actor.CLIENT, job.client_id))

    async def state(self, job: Job) -> JobStateView:
        """The live state."""
        view: JobStateView = await self.handle(job).query("state", result_type=JobStateView)
        return view

    async def until(self, job: Job, state: State) -> JobStateView:
        """Wait until the stored job is in a state, then ask the process itself."""
        await self.until_stored(job, lambda stored: State(stored.status, stored.phase) == state)
        return await self.state(job)

    async def until_stored(self, job: Job, reached: Callable[[Job], bool], *, seconds: float = 60) -> Job:
        """Wait until something holds of the stored job. Asks no workflow, which would have to replay for it.

        Looks ever more rarely: many who wait side by side would keep from its work what they wait for.

        Raises:
            AssertionError: it did not come to hold in time; says where the job stands, and its process.
        """
        until, pause = asyncio.get_running_loop().time() + seconds, 0.02
        while not reached(stored := await self.stored(job)):
            if asyncio.get_running_loop().time() >= until:
                raise AssertionError(await self._standing(stored, seconds))
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, 0.25)
        return stored

    async def _standing(self, stored: Job, seconds: float) -> str:
        """Where a job stands that does not get on: on record, and the last events of its process."""
        history = await self.handle(stored).fetch_history()
        last = [f"{event.event_id} {EventType.Name(event.event_type)}" for event in history.events[-8:]]
        return (
            f"after {seconds:g} s the job {stored.id} is {stored.status}/{stored.phase}, seq {stored.seq}, "
            f"offered to {stored.offered_worker_id}; its process: {', '.join(last)}"
        )

    async def until_offered(self, job: Job, *, to: str | None = None) -> str:
        """Wait for an offer (to this worker); the offered worker."""

        def is_offered(stored: Job) -> bool:
            return stored.offered_worker_id is not None and to in (None, stored.offered_worker_id)

        stored = await self.until_stored(job, is_offered)
        assert stored.offered_worker_id is not None
        return stored.offered_worker_id

    async def stored(self, job: Job) -> Job:
        """The projection."""
        found: Job = Job.model_validate(await self.database["jobs"].find_one({"_id": job.id}))
        return found

    async def user(self, user_id: str) -> dict[str, Any]:
        """A user's document."""
        found = await self.database["users"].find_one({"_id": user_id})
        assert found is not None
        return found

    async def events(self, job: Job) -> list[HistoryEvent]:
        """The job's history."""
        return [event async for event in self.handle(job).fetch_history_events()]


def _by(actor: Actor, actor_id: str) -> Act:
    return Act(actor=actor, actor_id=actor_id)


@asynccontextmanager
async def run_harness(
    client: Client,
    database: Database,
    settings: Settings,
    *,
    max_cached_workflows: int = 1000,
    reader: OpenAIBriefReader | None = None,
) -> AsyncIterator[JobHarness]:
    """Workers on every queue of a prefix of their own, over a database of the test's own."""
    # a machine may be busy
    patience = {"task_queue_prefix": f"{new_id()}-", "dependency_timeout_seconds": 20.0}
    settings = settings.model_copy(update=patience)
    async with AsyncExitStack() as stack:
        journal = Journal(database)
        payments = StripeGateway.from_settings(settings)
        stack.push_async_callback(payments.close)
        billing = StripeBilling.from_settings(settings)
        stack.push_async_callback(billing.close)
        storage = Storage(settings)
        stack.callback(storage.close)
        resources = Resources(
            settings=settings,
            client=client,
            database=database,
            credits=Credits(database, journal=journal),
            earnings=Earnings(database, journal=journal),
            payments=payments,
            billing=billing,
            storage=storage,
            mail=SmtpMailGateway(settings.smtp_url, sender=settings.mail_from),
            reader=reader,
        )
        await register_search_attributes(client)
        for worker in build_workers(resources, max_cached_workflows=max_cached_workflows):
            await stack.enter_async_context(worker)
        yield JobHarness(resources)
