"""The timers while a worker has the job: due times, the client's look at the work, revisions, disputes.

On the time-skipping server, where everybody acts in time or not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from app.jobs.change import DisputeStatus
from app.jobs.policy import JobPolicy
from app.lifecycle import (
    AWAITING_APPROVAL,
    QUOTING_REVISION,
    RATING,
    READY,
    REVIEW_DISPUTED,
    REVISION_DISPUTED,
    REVISION_REQUESTED,
    TABLE,
    WORK_DISPUTED,
    WORK_IS_DUE,
    WORKING,
    Action,
    Actor,
    State,
)
from tests.support.scenes import ADMIN, Scene
from tests.support.timers import SLACK, Skipping, entries, hours_after, near, pass_time, told
from tests.workflows.test_job_acts import STATES
from workflows.contracts import ExtendDeadline, Update

DAY = 24 * 3600
ALARMS = (Action.REMIND_WORKER, Action.MARK_OVERDUE)
REVIEW = (Action.REMIND_CLIENT, Action.AUTO_APPROVE)
# Every deadline a day after its beginning.
A_DAY = {
    "offer_window_seconds": DAY,
    "rescue_reminder_seconds": DAY,
    "clarification_seconds": DAY,
    "quote_consent_seconds": DAY,
    "due_seconds": dict.fromkeys(JobPolicy().due_seconds, DAY),
    "auto_approve_seconds": DAY,
    "revision_quote_seconds": DAY,
    "evidence_seconds": DAY,
}


async def _since(scene: Scene, begin: Action, *actions: Action) -> list[tuple[Action, int]]:
    """What came after the last `begin`, and after how many hours."""
    start = (await entries(scene, begin))[-1].at
    found = [entry for entry in await entries(scene, *actions) if entry.at >= start]
    hours = hours_after(start, [entry.at for entry in found])
    return list(zip([entry.action for entry in found], hours, strict=True))


async def test_the_worker_is_reminded_and_lateness_is_told_at_growing_distances(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(READY)
    stored = await jobs.stored(scene.job)
    assert stored.assigned_at is not None
    assert stored.due_at == stored.assigned_at + timedelta(days=3)
    assert near((await jobs.state(scene.job)).next_alarm_at, stored.assigned_at + timedelta(hours=36))
    await pass_time(env, days=11)
    assert await _since(scene, Action.ACCEPT_OFFER, *ALARMS) == [
        (Action.REMIND_WORKER, 36),
        (Action.REMIND_WORKER, 58),
        (Action.MARK_OVERDUE, 72),
        (Action.MARK_OVERDUE, 72 + 24),
        (Action.MARK_OVERDUE, 72 + 24 + 48),
        (Action.MARK_OVERDUE, 72 + 24 + 48 + 96),
    ]
    late = await jobs.stored(scene.job)
    assert (late.overdue_count, late.needs_admin_reason) == (4, "the work is overdue")
    assert await told(jobs, scene.job, "job.overdue") == 4
    assert await told(jobs, scene.job, "job.overdue", scene.client) == 1
    assert await told(jobs, scene.job, "job.overdue", scene.worker) == 1
    assert await told(jobs, scene.job, "job.due_reminder", scene.worker) == 2
    assert State(late.status, late.phase) == READY  # nothing is cancelled by itself


async def test_a_revision_has_half_the_time_and_is_told_of_anew(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(READY)
    await pass_time(env, days=3, hours=1)
    assert (await jobs.stored(scene.job)).overdue_count == 1
    await jobs.start(scene.job, scene.worker)
    await jobs.submit(scene.job, scene.worker)
    delivered = await jobs.stored(scene.job)
    assert (delivered.due_at, delivered.needs_admin) == (None, False)
    await pass_time(env, days=2)  # no alarm while it is the client's turn
    await jobs.request_revision(scene.job)
    asked = (await entries(scene, Action.REQUEST_REVISION))[-1].at
    assert (await jobs.stored(scene.job)).due_at == asked + timedelta(hours=36)
    await pass_time(env, hours=61)
    assert await _since(scene, Action.REQUEST_REVISION, *ALARMS) == [
        (Action.REMIND_WORKER, 18),
        (Action.REMIND_WORKER, 29),
        (Action.MARK_OVERDUE, 36),
        (Action.MARK_OVERDUE, 60),
    ]
    assert (await jobs.stored(scene.job)).overdue_count == 3
    assert await told(jobs, scene.job, "job.overdue", scene.client) == 2  # once for each due time


async def test_a_silent_client_is_reminded_twice_for_each_delivery_and_then_approves(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(AWAITING_APPROVAL)
    await pass_time(env, hours=47)
    assert await _since(scene, Action.SUBMIT, *REVIEW) == [(Action.REMIND_CLIENT, 24)]
    await jobs.request_revision(scene.job)
    await jobs.start(scene.job, scene.worker)
    await jobs.submit(scene.job, scene.worker)
    view = await jobs.state(scene.job)
    assert view.deadline is not None
    assert hours_after(view.deadline, view.reminders) == [-48, -24]
    await pass_time(env, hours=73)
    assert await _since(scene, Action.SUBMIT, *REVIEW) == [
        (Action.REMIND_CLIENT, 24),
        (Action.REMIND_CLIENT, 48),
        (Action.AUTO_APPROVE, 72),
    ]
    await jobs.until(scene.job, RATING)
    assert await told(jobs, scene.job, "job.review_reminder", scene.client) == 3


async def test_a_client_who_takes_more_time_has_another_three_days(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(AWAITING_APPROVAL)
    await pass_time(env, hours=30)
    before = (await jobs.state(scene.job)).deadline
    assert before is not None
    answer = await scene.do(Action.EXTEND_REVIEW, Actor.CLIENT)
    assert answer.deadline == before + timedelta(hours=72)
    assert await told(jobs, scene.job, "job.deadline_moved", scene.worker) == 1
    assert (await jobs.stored(scene.job)).review_extended
    await pass_time(env, hours=120)
    assert await _since(scene, Action.SUBMIT, *REVIEW) == [
        (Action.REMIND_CLIENT, 24),
        (Action.REMIND_CLIENT, 48),
        (Action.REMIND_CLIENT, 120),
        (Action.AUTO_APPROVE, 144),
    ]


async def test_an_unanswered_price_of_a_further_revision_leads_back_to_the_review_with_its_time_anew(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(QUOTING_REVISION)
    await scene.do(Action.QUOTE_REVISION, Actor.WORKER)  # another price does not move the deadline
    before = await jobs.stored(scene.job)
    assert before.proposal is not None
    asked = (await entries(scene, Action.REQUEST_EXTRA_REVISION))[-1].at
    assert near(before.deadline, asked + timedelta(hours=48))
    await pass_time(env, hours=49)
    await jobs.until(scene.job, AWAITING_APPROVAL)
    stored = await jobs.stored(scene.job)
    assert (stored.proposal, stored.held_credits, stored.revision_count) == (None, before.held_credits, 0)
    assert stored.deadline == (await entries(scene, Action.EXPIRE_REVISION_QUOTE))[-1].at + timedelta(
        hours=72
    )
    await pass_time(env, hours=72)
    assert await _since(scene, Action.EXPIRE_REVISION_QUOTE, *REVIEW) == [
        (Action.REMIND_CLIENT, 24),
        (Action.REMIND_CLIENT, 48),
        (Action.AUTO_APPROVE, 72),
    ]
    assert (await jobs.resources.credits.balance(scene.client)).held == 0


def _moved(before: datetime | None, after: datetime | None, by: timedelta) -> bool:
    """By exactly so much, as far as the store keeps moments: to the millisecond."""
    return before is not None and after is not None and abs(after - before - by) <= timedelta(milliseconds=2)


async def _frozen_time(scene: Scene) -> timedelta:
    opened = (await entries(scene, Action.OPEN_DISPUTE))[-1].at
    ended = (await entries(scene, Action.DISMISS_DISPUTE, Action.WITHDRAW_DISPUTE))[-1].at
    return ended - opened


async def test_a_dispute_stops_the_clocks_of_the_review_until_it_is_dismissed(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(AWAITING_APPROVAL)
    await pass_time(env, hours=30)
    before = await jobs.state(scene.job)
    await scene.do(Action.OPEN_DISPUTE, Actor.CLIENT)
    opened = await jobs.stored(scene.job)
    assert opened.dispute is not None
    assert opened.deadline == opened.dispute.evidence_until
    assert near(opened.deadline, opened.dispute.opened_at + timedelta(hours=72))
    await pass_time(env, hours=75, minutes=30)
    await jobs.until(scene.job, REVIEW_DISPUTED)
    stages = (Action.CLOSE_EVIDENCE, Action.REMIND_ADMINS)
    assert await _since(scene, Action.OPEN_DISPUTE, *stages, *REVIEW) == [
        (Action.CLOSE_EVIDENCE, 72),
        (Action.REMIND_ADMINS, 73),
        (Action.REMIND_ADMINS, 74),
        (Action.REMIND_ADMINS, 75),
    ]
    assert await told(jobs, scene.job, "job.dispute_reminder") == 4
    assert (await jobs.stored(scene.job)).needs_admin_reason == "a dispute to rule on"
    await scene.do(Action.DISMISS_DISPUTE, Actor.ADMIN)
    after, frozen = await jobs.until(scene.job, AWAITING_APPROVAL), await _frozen_time(scene)
    assert after.deadline_action is Action.AUTO_APPROVE
    assert _moved(before.deadline, after.deadline, frozen)
    assert len(before.reminders) == len(after.reminders) == 1
    assert _moved(before.reminders[0], after.reminders[0], frozen)
    stored = await jobs.stored(scene.job)
    assert stored.dispute is not None
    assert (stored.dispute.status, stored.needs_admin) == (DisputeStatus.DISMISSED, False)
    await pass_time(env, hours=43)
    assert [action for action, _ in await _since(scene, Action.DISMISS_DISPUTE, *REVIEW)] == [*REVIEW]
    await jobs.until(scene.job, RATING)


@pytest.mark.parametrize(
    ("state", "back"), [(WORK_DISPUTED, WORKING), (REVISION_DISPUTED, REVISION_REQUESTED)], ids=str
)
async def test_a_dispute_stops_the_clock_of_the_due_time(
    skipping_jobs: Skipping, state: State, back: State
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs, opener=Actor.WORKER).reach(back)
    await pass_time(env, hours=20)  # past the first reminder of a revision, before that of new work
    before = await jobs.state(scene.job)
    reminded = len(await entries(scene, Action.REMIND_WORKER))
    await scene.do(Action.OPEN_DISPUTE, Actor.WORKER)
    assert (await jobs.until(scene.job, state)).due_at is None
    await pass_time(env, days=20)
    assert len(await entries(scene, *ALARMS)) == reminded
    await scene.do(Action.WITHDRAW_DISPUTE, Actor.WORKER)
    after, frozen = await jobs.until(scene.job, back), await _frozen_time(scene)
    assert _moved(before.due_at, after.due_at, frozen)
    assert _moved(before.next_alarm_at, after.next_alarm_at, frozen)
    await pass_time(env, days=3)
    assert [entry.action for entry in await entries(scene, *ALARMS)][:3] == [
        Action.REMIND_WORKER,
        Action.REMIND_WORKER,
        Action.MARK_OVERDUE,
    ]


async def test_late_work_is_not_told_of_again_at_once_after_a_dispute(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(WORKING)
    await pass_time(env, days=3, hours=4)
    before = await jobs.state(scene.job)
    await scene.do(Action.OPEN_DISPUTE, Actor.CLIENT)
    await pass_time(env, hours=40)
    await scene.do(Action.DISMISS_DISPUTE, Actor.ADMIN)
    await pass_time(env, hours=1)
    assert len(await entries(scene, Action.MARK_OVERDUE)) == 1
    assert _moved(
        before.next_alarm_at, (await jobs.state(scene.job)).next_alarm_at, await _frozen_time(scene)
    )
    await pass_time(env, hours=20)
    assert (await jobs.stored(scene.job)).overdue_count == 2


async def test_a_dispute_over_the_price_of_a_revision_ends_in_the_review_with_its_time_anew(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(QUOTING_REVISION)
    await scene.do(Action.OPEN_DISPUTE, Actor.CLIENT)
    await pass_time(env, hours=60)
    await scene.do(Action.DISMISS_DISPUTE, Actor.ADMIN)
    view = await jobs.until(scene.job, AWAITING_APPROVAL)
    assert (await jobs.stored(scene.job)).proposal is None
    ended = (await entries(scene, Action.DISMISS_DISPUTE))[-1].at
    assert near(view.deadline, ended + timedelta(hours=72), timedelta(milliseconds=2))


def _at_deadline(state: State) -> set[Action]:
    """What the process does in a state when its time is over."""
    if state in WORK_IS_DUE:
        return {Action.MARK_OVERDUE}
    timed = {cell.action for cell in TABLE[state] if cell.actor is Actor.SYSTEM}
    return (
        timed - {Action.REMIND_CLIENT} - ({Action.REMIND_ADMINS} if Action.CLOSE_EVIDENCE in timed else set())
    )


async def _until_fired(scene: Scene, actions: set[Action]) -> None:
    await scene.jobs.until_stored(
        scene.job, lambda job: not actions.isdisjoint(entry.action for entry in job.timeline)
    )


async def test_an_admin_moves_the_deadline_of_every_state_that_has_one(skipping_jobs: Skipping) -> None:
    """All side by side: due in a day, moved to 30 hours from now."""
    jobs, env = skipping_jobs
    extendable = [
        state for state in STATES if Action.EXTEND_DEADLINE in {cell.action for cell in TABLE[state]}
    ]
    assert len(extendable) == 13
    scenes = {state: await Scene(jobs).reach(state, **A_DAY) for state in extendable}
    to = await env.get_current_time() + timedelta(hours=30)
    for state, scene in scenes.items():
        act = ExtendDeadline(actor=Actor.ADMIN, actor_id=ADMIN, reason="a holiday", to=to)
        await jobs.update(scene.job, Update.EXTEND_DEADLINE, act)
        view = await jobs.state(scene.job)
        assert near(view.due_at if state in WORK_IS_DUE else view.deadline, to, timedelta(milliseconds=2)), (
            state
        )
        stored = await jobs.stored(scene.job)
        if state.phase == "disputed":
            assert stored.dispute is not None
            assert near(stored.dispute.evidence_until, to, timedelta(milliseconds=2))
    await pass_time(env, hours=29)
    for state, scene in scenes.items():
        stored = await jobs.stored(scene.job)
        assert State(stored.status, stored.phase) == state
        assert not await entries(scene, *_at_deadline(state)), state
    await pass_time(env, hours=1, seconds=1)
    for state, scene in scenes.items():
        await _until_fired(scene, _at_deadline(state))
        fired = await entries(scene, *_at_deadline(state))
        assert near(fired[0].at, to, SLACK), state
