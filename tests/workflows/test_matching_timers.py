"""The timers before a worker has the job: the question, the offer's clock, the rescue, the new price.

On the time-skipping server, where everybody acts in time or not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import CLARIFYING, OFFERING, REPRICING, RESCUE, Action, Actor
from app.users.hours import WEEKDAYS
from tests.support.jobs import JobHarness
from tests.support.scenes import Scene
from tests.support.timers import Skipping, entries, hours_after, near, pass_time, told
from workflows.contracts import Clarify, Update

UNCLEAR = JobPolicy(clarify_below_basis_points=10_000)
WINDOW = timedelta(minutes=15)


async def test_an_unanswered_question_lapses_after_a_day_and_the_best_reading_has_to_do(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(CLARIFYING)
    asked = await jobs.stored(scene.job)
    assert asked.clarification is not None
    assert asked.clarification.question.endswith("?")
    assert near(asked.deadline, asked.clarification.asked_at + timedelta(days=1))
    assert asked.held_credits == 0
    await pass_time(env, hours=23, minutes=55)
    await jobs.until(scene.job, CLARIFYING)
    await pass_time(env, minutes=10)
    await jobs.until_offered(scene.job)
    stored = await jobs.stored(scene.job)
    assert stored.parsed == asked.parsed
    assert stored.clarification is not None
    assert stored.clarification.answer is None
    actions = [entry.action for entry in stored.timeline]
    assert actions.count(Action.REQUEST_CLARIFICATION) == 1
    after = actions.index(Action.EXPIRE_CLARIFICATION)
    assert actions[after + 1] is Action.HOLD_CREDITS
    assert stored.pricing is not None
    assert stored.held_credits == stored.pricing.credits


async def test_an_answer_is_read_with_the_brief_and_no_second_question_asked(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    await jobs.add_worker()
    job = await jobs.post(client, policy=UNCLEAR)
    await jobs.until(job, CLARIFYING)
    before = (await jobs.stored(job)).parsed
    assert before is not None
    assert "german" not in before.required_skills
    answer = "And translate the whole report from English to German, 20 pages."
    await jobs.update(job, Update.CLARIFY, Clarify(actor=Actor.CLIENT, actor_id=client, answer=answer))
    await jobs.until_offered(job)
    stored = await jobs.stored(job)
    assert stored.parsed is not None
    assert {"german", "translation"} <= set(stored.parsed.required_skills)
    assert set(before.required_skills) & set(stored.parsed.required_skills)
    assert stored.pricing is not None
    assert stored.pricing.hours_likely == stored.parsed.hours_likely > before.hours_likely
    await pass_time(env, hours=25)
    actions = [entry.action for entry in (await jobs.stored(job)).timeline]
    assert actions.count(Action.REQUEST_CLARIFICATION) == 1
    assert Action.EXPIRE_CLARIFICATION not in actions


def _shift(begins: datetime, hours: int) -> dict[str, Any]:
    """A shift of so many hours that begins at this minute, every day."""
    span = {"start": f"{begins:%H:%M}", "end": f"{begins + timedelta(hours=hours):%H:%M}"}
    return {"workingHours": {day: [span] for day in WEEKDAYS}, "timezone": "UTC"}


async def _off_shift(jobs: JobHarness, env: WorkflowEnvironment, **profile: Any) -> tuple[str, datetime]:
    """A worker whose shift of four hours begins in two hours; and the minute of that."""
    begins = (await env.get_current_time() + timedelta(hours=2)).replace(second=0, microsecond=0)
    return await jobs.add_worker(**_shift(begins, 4), **profile), begins


async def test_an_offer_to_a_worker_off_shift_is_accepted_in_the_next_shift(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    worker, begins = await _off_shift(jobs, env)
    job = await jobs.post(await jobs.add_client())
    await jobs.until_offered(job, to=worker)
    assert (await jobs.state(job)).deadline == begins + WINDOW
    offer = await jobs.database["offers"].find_one({"jobId": job.id, "number": 1})
    assert offer is not None
    assert offer["expiresAt"] == begins + WINDOW
    notice = await jobs.database["outbox"].find_one({"jobId": job.id, "template": "job.offer"})
    assert notice is not None
    assert str(begins + WINDOW)[:19] in str(notice["context"]["expires_at"]).replace("T", " ")
    await pass_time(env, hours=2, minutes=5)
    await jobs.accept(job, worker)
    assert (await jobs.stored(job)).worker_id == worker


async def test_an_offer_that_pauses_lapses_at_the_stored_instant(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    workers = {(await _off_shift(jobs, env))[0] for _ in range(2)}
    job = await jobs.post(await jobs.add_client())
    first = await jobs.until_offered(job)
    deadline = (await jobs.stored(job)).deadline
    assert deadline is not None
    left = deadline - await env.get_current_time()
    assert left > timedelta(hours=2)
    await pass_time(env, seconds=left.total_seconds() - 60)
    assert (await jobs.state(job)).offered_worker_id == first
    await pass_time(env, seconds=61)
    second = await jobs.until_offered(job, to=(workers - {first}).pop())
    expired = next(
        entry for entry in (await jobs.stored(job)).timeline if entry.action is Action.EXPIRE_OFFER
    )
    assert near(expired.at, deadline, timedelta(seconds=30))
    assert expired.at >= deadline
    # The second has the whole window of the same shift.
    assert near((await jobs.state(job)).deadline, expired.at + WINDOW, timedelta(seconds=30))
    await jobs.accept(job, second)


async def test_an_urgent_offer_does_not_pause(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    worker, _ = await _off_shift(jobs, env, optedInUrgent=True)
    job = await jobs.post(await jobs.add_client(), urgency=Urgency.HIGH)
    await jobs.until_offered(job, to=worker)
    offer = await jobs.database["offers"].find_one({"jobId": job.id, "number": 1})
    assert offer is not None
    assert offer["expiresAt"] - offer["madeAt"] == timedelta(minutes=5)
    await pass_time(env, minutes=6)
    expired = [entry.action for entry in (await jobs.stored(job)).timeline]
    assert Action.EXPIRE_OFFER in expired


async def test_a_rescue_reminds_and_tells_the_client_again_after_three_in_each_search(
    skipping_jobs: Skipping,
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(RESCUE)
    await scene._make_available(False)
    job, client = scene.job, scene.client
    assert await told(jobs, job, "job.rescue", client) == 1
    begun = (await jobs.stored(job)).timeline[-1].at
    await pass_time(env, hours=2, minutes=30)
    assert await told(jobs, job, "job.rescue_reminder", client) == 0
    await pass_time(env, hours=3)
    reminders = [entry.at for entry in await entries(scene, Action.REMIND_ADMINS)]
    assert hours_after(begun, reminders) == [1, 2, 3, 4, 5]
    assert await told(jobs, job, "job.rescue_reminder", client) == 1
    assert await told(jobs, job, "job.rescue_reminder") == 5
    assert (await jobs.stored(job)).needs_admin_reason == "no worker accepted; escalated"

    await scene.do(Action.RAISE_PRICE, Actor.CLIENT)  # and nobody is there for that either
    await jobs.until(job, RESCUE)
    assert (await jobs.stored(job)).needs_admin_reason == "no worker accepted"
    await pass_time(env, hours=2, minutes=30)
    assert await told(jobs, job, "job.rescue_reminder", client) == 1
    await pass_time(env, hours=1)
    assert await told(jobs, job, "job.rescue_reminder", client) == 2


async def test_a_worker_who_becomes_free_is_found_by_the_rescue(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(RESCUE)
    await scene._make_available(False)
    await pass_time(env, hours=2, minutes=30)
    await jobs.until(scene.job, RESCUE)
    free = await jobs.add_worker()
    await pass_time(env, minutes=35)
    await jobs.until_offered(scene.job, to=free)
    stored = await jobs.stored(scene.job)
    assert not stored.needs_admin
    assert len(await entries(scene, Action.REMIND_ADMINS)) == 2
    await jobs.accept(scene.job, free)
    assert (await jobs.stored(scene.job)).worker_id == free


async def test_a_price_that_is_raised_is_held_and_everybody_is_asked_again(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(OFFERING)
    await pass_time(env, minutes=16)
    await jobs.until(scene.job, RESCUE)
    before = await jobs.stored(scene.job)
    assert before.pricing is not None
    await scene.do(Action.RAISE_PRICE, Actor.CLIENT)
    await jobs.until_offered(scene.job, to=scene.worker)
    stored = await jobs.stored(scene.job)
    assert stored.pricing is not None
    assert stored.pricing.credits == before.pricing.credits + 100 == stored.held_credits
    assert (await jobs.resources.credits.balance(scene.client)).held == stored.held_credits
    assert len(stored.holds) == 2
    assert stored.pay_usd_cents > before.pay_usd_cents
    assert not stored.needs_admin
    notices = await jobs.database["outbox"].find({"jobId": scene.job.id, "template": "job.offer"}).to_list()
    assert {notice["context"]["pay_usd_cents"] for notice in notices} == {
        before.pay_usd_cents,
        stored.pay_usd_cents,
    }


@pytest.mark.parametrize("answer", [None, Action.DECLINE_PRICE])
async def test_a_price_without_a_yes_leads_back_to_the_rescue(
    skipping_jobs: Skipping, answer: Action | None
) -> None:
    jobs, env = skipping_jobs
    scene = await Scene(jobs).reach(REPRICING)
    await scene._make_available(False)
    proposed = await jobs.stored(scene.job)
    assert proposed.proposal is not None
    assert not proposed.needs_admin
    assert await told(jobs, scene.job, "job.price_proposed", scene.client) == 1
    await pass_time(env, hours=47, minutes=55)
    await jobs.until(scene.job, REPRICING)
    if answer:
        await scene.do(answer, Actor.CLIENT)
    else:
        await pass_time(env, minutes=10)
    await jobs.until(scene.job, RESCUE)
    stored = await jobs.stored(scene.job)
    assert stored.proposal is None
    assert stored.needs_admin
    assert (stored.pricing, stored.held_credits) == (proposed.pricing, proposed.held_credits)
    assert stored.timeline[-1].action is (answer or Action.EXPIRE_PRICE)
    await pass_time(env, hours=1, minutes=5)
    assert (await jobs.stored(scene.job)).timeline[-1].action is Action.REMIND_ADMINS
