"""Completed jobs and disputes over them, as the door hands them over, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowHandle

from api.job_desk import ActView, JobDesk
from api.job_gateway import JobGateway
from app.ids import new_id
from app.jobs.models import Job
from app.jobs.policy import JobPolicy
from app.jobs.queries import JobQueries
from app.lifecycle import RESCUE, Actor
from devstack.stripe_sandbox.control import SandboxControl
from tests.support.books import track
from tests.support.jobs import JobHarness
from workflows.contracts import (
    Act,
    ExtendDeadline,
    Reasoned,
    Rule,
    Update,
    dispute_workflow_id,
    job_workflow_id,
    payout_workflow_id,
)

ADMIN = "a" * 24


@dataclass
class Completed:
    """One completed job, its two sides, and the door."""

    jobs: JobHarness
    job: Job
    worker: str
    desk: JobDesk = field(init=False)

    def __post_init__(self) -> None:
        resources = self.jobs.resources
        gateway = JobGateway(resources.client, resources.settings)
        self.desk = JobDesk(JobQueries(resources.database), gateway, "test")

    async def stored(self) -> Job:
        """The job on record."""
        return await self.jobs.stored(self.job)

    async def open(self, actor: Actor = Actor.CLIENT, *, by: str | None = None) -> ActView:
        """Either side asks for a ruling."""
        act = Reasoned(actor=actor, actor_id=by or self._id_of(actor), reason="not what we agreed")
        return await self.desk.open_dispute(await self.stored(), act, update_id=f"open:{new_id()}")

    async def rule(self, share: int) -> ActView:
        """An admin gives the worker this share, in basis points."""
        act = Rule(actor=Actor.ADMIN, actor_id=ADMIN, reason="half of it", worker_share_basis_points=share)
        return await self.act(Update.RULE, act)

    async def act(self, update: Update, act: Act) -> ActView:
        """An act on the dispute."""
        return await self.desk.hand_to_dispute(await self.stored(), update, f"{update}:{new_id()}", act)

    async def dismiss(self) -> ActView:
        """An admin finds nothing to rule on."""
        return await self.act(
            Update.DISMISS_DISPUTE, Reasoned(actor=Actor.ADMIN, actor_id=ADMIN, reason="fine")
        )

    async def withdraw(self, actor: Actor) -> ActView:
        """Somebody takes the dispute back."""
        return await self.act(Update.WITHDRAW_DISPUTE, Act(actor=actor, actor_id=self._id_of(actor)))

    async def extend(self, to: Any) -> ActView:
        """An admin moves the deadline."""
        act = ExtendDeadline(actor=Actor.ADMIN, actor_id=ADMIN, reason="away", to=to)
        return await self.act(Update.EXTEND_DEADLINE, act)

    @property
    def dispute(self) -> WorkflowHandle[Any, Any]:
        """The dispute's workflow."""
        return self.jobs.resources.client.get_workflow_handle(dispute_workflow_id(self.job.id))

    @property
    def payout(self) -> WorkflowHandle[Any, Any]:
        """The payout's workflow."""
        return self.jobs.resources.client.get_workflow_handle(payout_workflow_id(self.job.id))

    def payout_number(self, number: int) -> WorkflowHandle[Any, Any]:
        """The workflow of one of the job's payouts."""
        return self.jobs.resources.client.get_workflow_handle(payout_workflow_id(self.job.id, number))

    @property
    def process(self) -> WorkflowHandle[Any, Any]:
        """The job's workflow."""
        return self.jobs.resources.client.get_workflow_handle(job_workflow_id(self.job.id))

    async def balances(self) -> dict[str, int]:
        """What the client has, and what the worker is owed, was sent and owes."""
        credits_ = await self.jobs.resources.credits.balance(self.job.client_id)
        earned = await self.jobs.resources.earnings.balance(self.worker)
        return {
            "available": credits_.available,
            "held": credits_.held,
            "payable": earned.payable,
            "paid": earned.paid,
            "debt": earned.debt,
        }

    def _id_of(self, actor: Actor) -> str:
        return {Actor.CLIENT: self.job.client_id, Actor.WORKER: self.worker}[actor]


async def completed_job(
    jobs: JobHarness, *, account: bool = False, client: str | None = None, **policy: Any
) -> Completed:
    """A job that was done and approved; with an account its pay is sent at once, without one it is held."""
    await jobs.database["users"].update_many({"role": "worker"}, {"$set": {"workerProfile.available": False}})
    worker = await jobs.add_worker()
    if account:
        await give_account(jobs, worker)
    job = await jobs.post(client or await jobs.add_client(), policy=JobPolicy(**policy))
    await jobs.until_offered(job, to=worker)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await jobs.approve(job)
    await jobs.handle(job).result()
    return Completed(jobs, job, worker)


async def give_account(jobs: JobHarness, worker_id: str) -> str:
    """A connected account that can receive, and money on the platform's own to fill it; its id."""
    payments, settings = jobs.resources.payments, jobs.resources.settings
    account = await payments.create_recipient_account(
        worker_id, f"{worker_id}@worker.example", idempotency_key=f"account-{worker_id}"
    )
    async with SandboxControl(settings.stripe_api_base) as control:
        await control.complete_onboarding(account.id)
        await control.fund_platform(settings.stripe_api_key.get_secret_value(), 10_000_00)
    await jobs.database["users"].update_one(
        {"_id": worker_id}, {"$set": {"workerProfile.stripeAccountId": account.id}}
    )
    return account.id


async def left_and_completed_job(jobs: JobHarness, *, by_the_same: bool = False) -> tuple[Completed, str]:
    """A job whose first worker left with a part of the pay, and that the next one did; and who left.

    Nobody has an account yet. With `by_the_same` an admin gave it back to the one who had left.
    """
    await jobs.database["users"].update_many({"role": "worker"}, {"$set": {"workerProfile.available": False}})
    leaver = await jobs.add_worker()
    job = await jobs.post(await jobs.add_client(), policy=JobPolicy(candidates_per_round=1, rounds=1))
    await jobs.until_offered(job, to=leaver)
    await jobs.accept(job, leaver)
    await jobs.start(job, leaver)
    await track(jobs, job.id, leaver, 0.5)
    await jobs.submit(job, leaver)
    await jobs.update(job, Update.WITHDRAW, Reasoned(actor=Actor.WORKER, actor_id=leaver, reason="ill"))
    await jobs.until(job, RESCUE)
    worker = leaver if by_the_same else await jobs.add_worker()
    await jobs.assign(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await jobs.approve(job)
    await jobs.handle(job).result()
    return Completed(jobs, job, worker), leaver
