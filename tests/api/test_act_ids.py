"""How acts are named: a repeat finds its first answer, and a refusal does not outlive the stay that it was given in."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from api.act_ids import stay_of
from api.job_desk import ActView, JobDesk
from api.job_gateway import ActRefusedError, JobGateway
from api.routers import admin_jobs, disputes, job_acts
from api.routers.admin_jobs import AssignBody
from api.routers.disputes import DisputeBody, RuleBody
from api.security import Principal
from app.ids import new_id
from app.jobs.models import Job
from app.jobs.queries import JobQueries
from app.lifecycle import (
    AWAITING_APPROVAL,
    COMPLETION_DISPUTED,
    READY,
    RESCUE,
    WORKING,
    Action,
    Actor,
    State,
    cell_for,
)
from app.users.models import Role
from app.users.store import UserStore
from tests.support.jobs import JobHarness
from tests.support.scenes import ADMIN, Scene

Step = tuple[Actor, Action] | tuple[Actor, Action, str]


def after(state: State, *steps: Step) -> Job:
    """A job that was accepted by the worker, and what was done to it since, from that state on."""
    entries = [_entry(1, Actor.WORKER, Action.ACCEPT_OFFER, "first", state)]
    for number, (actor, action, *by) in enumerate(steps, start=2):
        state = cell_for(state, action, actor).to
        entries.append(_entry(number, actor, action, by[0] if by else "first", state))
    return cast("Job", SimpleNamespace(timeline=entries))


def _entry(seq: int, actor: Actor, action: Action, by: str, to: State) -> Any:
    return SimpleNamespace(seq=seq, actor=actor, action=action, actor_id=by, status=to.status, phase=to.phase)


SYSTEM, WORKER, CLIENT = Actor.SYSTEM, Actor.WORKER, Actor.CLIENT


def test_a_repeat_is_in_the_stay_that_the_act_has_ended() -> None:
    before = after(READY, (WORKER, Action.START), (SYSTEM, Action.MARK_OVERDUE))
    done = after(READY, (WORKER, Action.START), (SYSTEM, Action.MARK_OVERDUE), (WORKER, Action.SUBMIT))
    assert stay_of(before, WORKER, Action.SUBMIT) == stay_of(done, WORKER, Action.SUBMIT) == 2
    assert stay_of(done, CLIENT, Action.APPROVE) == 4


def test_another_stay_in_the_same_state_is_another() -> None:
    disputed: tuple[Step, ...] = ((CLIENT, Action.OPEN_DISPUTE), (Actor.ADMIN, Action.DISMISS_DISPUTE))
    first, second = after(WORKING), after(WORKING, *disputed)
    assert stay_of(first, WORKER, Action.SUBMIT) == 1
    assert stay_of(second, WORKER, Action.SUBMIT) == 3


def test_a_worker_who_left_repeats_their_own_leaving() -> None:
    job = after(
        READY,
        (WORKER, Action.WITHDRAW),
        (SYSTEM, Action.ESCALATE),
        (Actor.ADMIN, Action.ASSIGN),
    )
    assert stay_of(job, WORKER, Action.WITHDRAW, by="first") == 1
    assert stay_of(job, WORKER, Action.WITHDRAW) == 4


def _principal(role: Role, user_id: str) -> Principal:
    return Principal(user_id=user_id, role=role, session_id=new_id())


def _desk(jobs: JobHarness) -> JobDesk:
    gateway = JobGateway(jobs.resources.client, jobs.resources.settings)
    return JobDesk(JobQueries(jobs.database), gateway, "test")


async def test_who_was_refused_for_a_dispute_may_act_once_it_is_dismissed(jobs: JobHarness) -> None:
    """Both at once, several times: some approvals come so close behind that the process has taken them in already."""
    reason = DisputeBody(reason="not what we agreed")
    for _ in range(6):
        scene = await Scene(jobs).reach(AWAITING_APPROVAL)
        client = _principal(Role.CLIENT, scene.client)
        worker = _principal(Role.WORKER, scene.worker)
        opened, approved = await asyncio.gather(
            disputes.open_dispute(scene.job.id, reason, worker, _desk(jobs)),
            job_acts.approve(scene.job.id, client, _desk(jobs)),
            return_exceptions=True,
        )
        assert isinstance(opened, ActView), "a dispute comes before the approval, or after the completion"
        if isinstance(approved, ActView):
            assert State(opened.status, opened.phase) == COMPLETION_DISPUTED
            assert await disputes.open_dispute(scene.job.id, reason, worker, _desk(jobs)) == opened
            continue
        assert isinstance(approved, ActRefusedError)
        assert approved.code == "wrong-state"
        await scene.do(Action.DISMISS_DISPUTE, Actor.ADMIN)
        first = await job_acts.approve(scene.job.id, client, _desk(jobs))
        assert first.status == "completed"
        again = await job_acts.approve(scene.job.id, client, _desk(jobs))
        assert again == first


async def test_who_repeats_a_ruling_that_completed_the_job_has_its_first_answer(jobs: JobHarness) -> None:
    admin = _principal(Role.ADMIN, ADMIN)
    for share in (0, 6_000):
        scene = await Scene(jobs).reach(AWAITING_APPROVAL)
        await scene.do(Action.OPEN_DISPUTE, Actor.CLIENT)
        ruling = RuleBody.model_validate({"workerShareBasisPoints": share, "reason": "some of it is usable"})
        first = await disputes.rule(scene.job.id, ruling, admin, _desk(jobs))
        assert await disputes.rule(scene.job.id, ruling, admin, _desk(jobs)) == first


async def test_who_repeats_a_dismissal_after_the_job_has_completed_has_its_first_answer(
    jobs: JobHarness,
) -> None:
    admin, reason = _principal(Role.ADMIN, ADMIN), DisputeBody(reason="it is as agreed")
    scene = await Scene(jobs).reach(AWAITING_APPROVAL)
    await scene.do(Action.OPEN_DISPUTE, Actor.CLIENT)
    first = await disputes.dismiss(scene.job.id, reason, admin, _desk(jobs))
    await scene.do(Action.APPROVE, Actor.CLIENT)
    assert await disputes.dismiss(scene.job.id, reason, admin, _desk(jobs)) == first


async def test_a_worker_who_left_can_be_given_the_job_again(jobs: JobHarness) -> None:
    scene = await Scene(jobs).reach(RESCUE)
    admin, resources = _principal(Role.ADMIN, ADMIN), SimpleNamespace(users=UserStore(jobs.database))
    body = AssignBody.model_validate({"workerId": scene.worker, "reason": "by hand"})

    async def assign() -> ActView:
        return await admin_jobs.assign(scene.job.id, body, admin, cast("Any", resources), _desk(jobs))

    first = await assign()
    assert await assign() == first
    await scene._make_available(False)
    await scene.do(Action.WITHDRAW, Actor.WORKER)
    await jobs.until(scene.job, RESCUE)
    second = await assign()
    assert second.seq > first.seq
    stored = await jobs.stored(scene.job)
    assert (stored.worker_id, stored.assignments) == (scene.worker, 2)
    await scene._make_available(True)
