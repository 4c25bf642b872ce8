"""A dispute of many runs, the limit of a history lowered: deadlines, reminders, acts and what payouts are still to hear
of go on from run to run, and a repeat gets its first answer from a later one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from api.job_gateway import ActRefusedError, JobGateway
from app.ids import new_id
from app.jobs.change import DisputeStatus
from app.lifecycle import Action, Actor
from tests.support.completed import ADMIN, completed_job
from tests.support.jobs import JobHarness
from tests.workflows.followers_support import job_of, notices_of, unique_queue, worker
from tests.workflows.test_dispute_timers import Scene, scene
from workflows.contracts import (
    NEEDS_ADMIN,
    STATE_QUERY,
    WORKER_ID,
    Act,
    ActResult,
    DisputeInput,
    ExtendDeadline,
    Reasoned,
    Update,
    dispute_workflow_id,
)
from workflows.dispute import DisputeWorkflow
from workflows.followers import CompletedDisputeView

__all__ = ["scene"]
LIMIT = 25  # events of one run


async def view(handle: Any) -> CompletedDisputeView:
    found: CompletedDisputeView = await handle.query(STATE_QUERY, result_type=CompletedDisputeView)
    return found


def extension(opened: ActResult, hours: int) -> ExtendDeadline:
    assert opened.deadline is not None
    to = opened.deadline + timedelta(hours=hours)
    return ExtendDeadline(actor=Actor.ADMIN, actor_id=ADMIN, reason="away", to=to, body_hash=str(hours))


async def test_reminders_go_on_from_run_to_run_at_the_distances_that_they_had(scene: Scene) -> None:
    scene.dispute = scene.dispute.model_copy(update={"history_limit": LIMIT})
    queue = unique_queue()
    async with worker(scene.env.client, queue, [DisputeWorkflow], scene.activities):
        await scene.start(queue)
        opened = await scene.open()
        await scene.update(Update.EXTEND_DEADLINE, extension(opened, 24))
        await scene.env.sleep(timedelta(days=4, seconds=60))
        assert await scene.actions() == ["open_dispute", "extend_deadline", "close_evidence"]
        await scene.env.sleep(timedelta(days=4))
        reminders = (await scene.actions())[3:]
        assert set(reminders) == {"remind_admins"}
        assert 24 + 1 <= len(reminders) <= 24 + 4, "hourly for a day, then daily"
        found = await view(scene.handle)
        assert found.runs > 4
        assert (found.deadline, found.deadline_action) == (
            (await job_of(scene.database, scene.dispute.job_id))["deadline"],
            Action.REMIND_ADMINS,
        )
        told = await notices_of(scene.database, scene.dispute.job_id)
        assert told.count(("job.dispute_reminder", None)) == len(reminders) + 1
        described = await scene.handle.describe()
        assert described.typed_search_attributes.get(NEEDS_ADMIN) is True
        assert described.typed_search_attributes.get(WORKER_ID) == scene.dispute.worker_id
        dismissal = Reasoned(actor=Actor.ADMIN, actor_id=ADMIN, reason="as agreed")
        await scene.update(Update.DISMISS_DISPUTE, dismissal)
        ended = await scene.handle.result()
        assert ended["dispute"]["status"] == DisputeStatus.DISMISSED.value
    timeline = (await job_of(scene.database, scene.dispute.job_id))["timeline"]
    assert [entry["seq"] for entry in timeline] == list(range(1, len(timeline) + 1))


async def test_acts_that_meet_a_seam_are_each_done_once_and_repeats_get_their_first_answer(
    jobs: JobHarness,
) -> None:
    """Each act makes the run too long, and more of them are on their way; then the dispute is taken back."""
    done = await completed_job(jobs)
    stored = await done.stored()
    assert stored.completed_at is not None
    gateway = JobGateway(jobs.resources.client, jobs.resources.settings)
    dispute = DisputeInput(
        job_id=stored.id,
        client_id=stored.client_id,
        worker_id=done.worker,
        completed_at=stored.completed_at,
        window_seconds=86_400,
        evidence_seconds=86_400,
        reminder_seconds=3_600,
        payouts=[1],
        history_limit=12,
    )
    asked = Reasoned(actor=Actor.CLIENT, actor_id=stored.client_id, reason="not as agreed", body_hash="o")
    opened = await gateway.open_completed_dispute(dispute, "open:1", asked)
    workflow_id = dispute_workflow_id(stored.id)

    async def extend(hours: int) -> ActResult | None:
        act = extension(opened, hours)
        try:
            return await gateway.act(workflow_id, Update.EXTEND_DEADLINE, f"extend:{hours}", act, ActResult)
        except ActRefusedError as refused:
            if refused.code != "deadline-not-later":
                raise
            return None

    answers = await asyncio.gather(*(extend(hours) for hours in range(1, 9)))
    taken = [answer for answer in answers if answer is not None]
    entries = [entry for entry in (await done.stored()).timeline if entry.action is Action.EXTEND_DEADLINE]
    assert sorted(answer.seq for answer in taken) == [entry.seq for entry in entries]
    assert answers[-1] is not None, "the latest moment is later than every other"
    found = await view(done.dispute)
    assert found.runs > 1
    assert found.dispute is not None
    assert (found.deadline, found.dispute.evidence_until) == (answers[-1].deadline, answers[-1].deadline)
    assert await extend(8) == answers[-1]
    assert await gateway.open_completed_dispute(dispute, "open:1", asked) == opened
    assert len((await done.stored()).timeline) == len(entries) + stored.seq + 1
    back = Act(actor=Actor.CLIENT, actor_id=stored.client_id)
    await gateway.act(workflow_id, Update.WITHDRAW_DISPUTE, new_id(), back, ActResult)
    ended = await done.dispute.result()
    assert ended["dispute"]["status"] == DisputeStatus.WITHDRAWN.value
