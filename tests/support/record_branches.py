"""Records the histories of a job's side roads: `python -m tests.support.record_branches [name ...]`.

As `record_histories`, which has the main road: run it when a branch is added, not to mend a replay that fails.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from temporalio.client import WorkflowHandle

from app.jobs.models import Job
from app.jobs.policy import Urgency
from app.lifecycle import (
    AWAITING_APPROVAL,
    CLARIFYING,
    OFFERING,
    QUOTING,
    QUOTING_REVISION,
    RATING,
    READY,
    REPRICING,
    RESCUE,
    REVIEW_DISPUTED,
    REVISION_DISPUTED,
    REVISION_REQUESTED,
    WORK_DISPUTED,
    WORKING,
    Action,
    Actor,
    State,
)
from app.process import leave
from tests.support.books import track
from tests.support.jobs import JobHarness, RefusedError
from tests.support.record_histories import SCENARIOS, record, scenario
from tests.support.scenes import Scene
from workflows.contracts import ActResult, Reasoned, Update, job_workflow_id

Handles = dict[str, WorkflowHandle[Any, Any]]
CANCELLED_IN = (
    CLARIFYING,
    QUOTING,
    OFFERING,
    RESCUE,
    REPRICING,
    READY,
    WORKING,
    AWAITING_APPROVAL,
    QUOTING_REVISION,
    REVISION_REQUESTED,
)


async def _after(scene: Scene, action: Action, times: int = 1) -> Job:
    """The job once its process has done something so often."""
    return await scene.jobs.until_stored(
        scene.job, lambda job: sum(entry.action is action for entry in job.timeline) >= times
    )


async def _finish(scene: Scene, *, deliver: bool = True) -> None:
    if deliver:
        await scene.jobs.start(scene.job, scene.worker)
        await scene.jobs.submit(scene.job, scene.worker)
    await scene.jobs.approve(scene.job)
    await scene.jobs.handle(scene.job).result()


async def _by_the_next(scene: Scene) -> None:
    scene.worker = await scene.jobs.until_offered(scene.job)
    await scene.jobs.accept(scene.job, scene.worker)
    await _finish(scene)


@scenario
async def clarified(jobs: JobHarness) -> Handles:
    """An unclear brief: answered, and left to its best reading."""
    answered = await Scene(jobs).reach(CLARIFYING)
    await answered.do(Action.CLARIFY, Actor.CLIENT)
    await jobs.until_offered(answered.job)
    silent = await Scene(jobs).reach(CLARIFYING, clarification_seconds=1)
    await jobs.until_offered(silent.job)
    return {
        "job-clarified": jobs.handle(answered.job),
        "job-clarification-lapsed": jobs.handle(silent.job),
    }


@scenario
async def repriced(jobs: JobHarness) -> Handles:
    """A job in rescue: raised by the client; raised by an admin with a yes, a no, and silence; then found."""
    raised = await Scene(jobs).reach(RESCUE)
    await raised.do(Action.RAISE_PRICE, Actor.CLIENT)
    await _by_the_next(raised)
    agreed = await Scene(jobs).reach(REPRICING)
    await agreed.do(Action.APPROVE_PRICE, Actor.CLIENT)
    await _by_the_next(agreed)
    declined = await Scene(jobs).reach(REPRICING)
    await declined.do(Action.DECLINE_PRICE, Actor.CLIENT)
    await declined.do(Action.ASSIGN, Actor.ADMIN)
    lapsed = await Scene(jobs).reach(REPRICING, quote_consent_seconds=1, rescue_reminder_seconds=1)
    await _after(lapsed, Action.EXPIRE_PRICE)
    await jobs.until_offered(lapsed.job)
    return {
        "job-price-raised": jobs.handle(raised.job),
        "job-price-approved": jobs.handle(agreed.job),
        "job-price-declined": jobs.handle(declined.job),
        "job-price-lapsed": jobs.handle(lapsed.job),
    }


@scenario
async def left(jobs: JobHarness) -> Handles:
    """Left after a delivery and finished by another; left before one; taken away by an admin."""
    paid = await Scene(jobs).reach(AWAITING_APPROVAL)
    await track(jobs, paid.job.id, paid.worker, 1)
    await paid.do(Action.WITHDRAW, Actor.WORKER)
    await _by_the_next(paid)
    unpaid = await Scene(jobs).reach(READY)
    await unpaid.do(Action.WITHDRAW, Actor.WORKER)
    await jobs.until_offered(unpaid.job)
    reassigned = await Scene(jobs).reach(REVISION_REQUESTED)
    await reassigned.do(Action.REASSIGN, Actor.ADMIN)
    await _by_the_next(reassigned)
    return {
        "job-withdrawn-after-delivery": jobs.handle(paid.job),
        "job-withdrawn-before-start": jobs.handle(unpaid.job),
        "job-reassigned": jobs.handle(reassigned.job),
    }


@scenario
async def cancelled(jobs: JobHarness) -> Handles:
    """At each stage, by each who may."""

    async def cancel(state: State, actor: Actor) -> WorkflowHandle[Any, Any]:
        scene = await Scene(jobs).reach(state)
        if (await jobs.stored(scene.job)).worker_id:
            await track(jobs, scene.job.id, scene.worker, 1)
        await scene.do(Action.CANCEL, actor)
        await jobs.handle(scene.job).result()
        return jobs.handle(scene.job)

    return {
        f"job-cancelled-{state.phase}-{actor}".replace("_", "-"): await cancel(state, actor)
        for state in CANCELLED_IN
        for actor in (Actor.CLIENT, Actor.ADMIN)
    }


@scenario
async def reviewed(jobs: JobHarness) -> Handles:
    """A silent client, reminded twice; one who takes more time first."""
    short = {"review_reminder_seconds": (1, 2), "auto_approve_seconds": 3, "review_extension_seconds": 3}
    silent = await Scene(jobs).reach(AWAITING_APPROVAL, **short)
    slow = await Scene(jobs).reach(AWAITING_APPROVAL, **short)
    await slow.do(Action.EXTEND_REVIEW, Actor.CLIENT)
    for scene in (silent, slow):
        await jobs.handle(scene.job).result()
    return {
        "job-reminded-auto-approved": jobs.handle(silent.job),
        "job-review-extended": jobs.handle(slow.job),
    }


@scenario
async def revised_further(jobs: JobHarness) -> Handles:
    """A revision beyond the limit: at the worker's price with a yes; a no; silence."""
    agreed = await Scene(jobs).reach(QUOTING_REVISION)
    await agreed.do(Action.QUOTE_REVISION, Actor.WORKER)
    await agreed.do(Action.APPROVE_REVISION_QUOTE, Actor.CLIENT)
    await _finish(agreed)
    declined = await Scene(jobs).reach(QUOTING_REVISION)
    await declined.do(Action.DECLINE_REVISION_QUOTE, Actor.CLIENT)
    await _finish(declined, deliver=False)
    lapsed = await Scene(jobs).reach(QUOTING_REVISION, revision_quote_seconds=1)
    await _after(lapsed, Action.EXPIRE_REVISION_QUOTE)
    await _finish(lapsed, deliver=False)
    return {
        "job-extra-revision-agreed": jobs.handle(agreed.job),
        "job-extra-revision-declined": jobs.handle(declined.job),
        "job-extra-revision-lapsed": jobs.handle(lapsed.job),
    }


@scenario
async def overdue(jobs: JobHarness) -> Handles:
    """Reminded, late, late again; then the time is extended, and the work delivered."""
    due = dict.fromkeys(Urgency, 2)
    scene = await Scene(jobs).reach(WORKING, due_seconds=due, overdue_alert_seconds=1)
    await _after(scene, Action.MARK_OVERDUE, 2)
    await scene.do(Action.EXTEND_DEADLINE, Actor.ADMIN)
    await jobs.submit(scene.job, scene.worker)
    await _finish(scene, deliver=False)
    return {"job-overdue": jobs.handle(scene.job)}


@scenario
async def disputed(jobs: JobHarness) -> Handles:
    """Ruled with a share and with a refund, dismissed, taken back; past the evidence and before its end."""
    short = {"evidence_seconds": 1, "rescue_reminder_seconds": 1}
    shared = await Scene(jobs).reach(REVIEW_DISPUTED, **short)
    await _after(shared, Action.REMIND_ADMINS)
    await shared.do(Action.RULE, Actor.ADMIN)
    refunded = await Scene(jobs).reach(WORK_DISPUTED)
    await refunded.do(Action.RULE_REFUND, Actor.ADMIN)
    for scene in (shared, refunded):
        await jobs.handle(scene.job).result()
    dismissed = await Scene(jobs, opener=Actor.WORKER).reach(REVISION_DISPUTED)
    await dismissed.do(Action.DISMISS_DISPUTE, Actor.ADMIN)
    await _finish(dismissed)
    withdrawn = await Scene(jobs).reach(QUOTING_REVISION)
    await withdrawn.do(Action.OPEN_DISPUTE, Actor.CLIENT)
    await withdrawn.do(Action.WITHDRAW_DISPUTE, Actor.CLIENT)
    await _finish(withdrawn, deliver=False)
    return {
        "job-dispute-ruled-share": jobs.handle(shared.job),
        "job-dispute-ruled-refund": jobs.handle(refunded.job),
        "job-dispute-dismissed": jobs.handle(dismissed.job),
        "job-dispute-withdrawn": jobs.handle(withdrawn.job),
    }


@scenario
async def policy_changed(jobs: JobHarness) -> Handles:
    """Another policy while the worker works."""
    scene = await Scene(jobs).reach(WORKING)
    await scene.do(Action.CHANGE_POLICY, Actor.ADMIN)
    await jobs.submit(scene.job, scene.worker)
    await _finish(scene, deliver=False)
    return {"job-policy-changed": jobs.handle(scene.job)}


@scenario
async def disputed_too_late(jobs: JobHarness) -> Handles:
    """A dispute that the job's own process hears of while it ends is refused there."""
    for _ in range(20):
        scene = await Scene(jobs).reach(AWAITING_APPROVAL)
        job = scene.job
        late = Reasoned(actor=Actor.CLIENT, actor_id=job.client_id, reason="not what we agreed")
        approved, refused = await asyncio.gather(
            jobs.approve(job), jobs.update(job, Update.OPEN_DISPUTE, late), return_exceptions=True
        )
        if isinstance(approved, ActResult) and isinstance(refused, RefusedError):
            await jobs.handle(job).result()
            return {"job-dispute-refused-at-the-end": jobs.handle(job)}
    raise RuntimeError("no dispute came while a job was being completed")


@scenario
async def continued(jobs: JobHarness) -> Handles:
    """A life of many runs: the first, which was the first to be too long, and the last, which ends the job."""
    scene = await Scene(jobs, history_limit=60).reach(AWAITING_APPROVAL, revision_limit=9)
    for _ in range(4):
        await jobs.request_revision(scene.job)
        await jobs.start(scene.job, scene.worker)
        await jobs.submit(scene.job, scene.worker)
    await scene.do(Action.EXTEND_REVIEW, Actor.CLIENT)
    runs = (await jobs.state(scene.job)).runs
    await jobs.approve(scene.job)
    await jobs.until(scene.job, RATING)
    await jobs.handle(scene.job).result()
    if runs < 3:
        raise RuntimeError(f"{runs} runs")
    described = await jobs.handle(scene.job).describe()
    first = described.raw_description.workflow_execution_info.first_run_id
    client, key = jobs.resources.client, job_workflow_id(scene.job.id)
    return {
        "job-continued-first-run": client.get_workflow_handle(key, run_id=first),
        "job-continued-last-run": jobs.handle(scene.job),
    }


if __name__ == "__main__":
    own = [name for name, run in SCENARIOS.items() if run.__module__ == __name__]
    asyncio.run(record(sys.argv[1:] or own))
    leave(0)
