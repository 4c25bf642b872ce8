"""Each timer of the job's process, on the time-skipping server.

That server forgets refused updates ("update … not found"), so refusals are tested on the real one.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import AWAITING_APPROVAL, CANCELLED, OFFERING, QUOTING, RATING, RESCUE, Action
from tests.support.jobs import JobHarness

Skipping = tuple[JobHarness, WorkflowEnvironment]


async def _settled(env: WorkflowEnvironment) -> None:
    """Let what a fired timer started come to rest."""
    await env.sleep(timedelta(milliseconds=50))


async def test_an_unanswered_offer_goes_to_the_next_worker_after_15_minutes(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    workers = {await jobs.add_worker() for _ in range(3)}
    job = await jobs.post(client)
    first = await jobs.until_offered(job)
    before = await env.get_current_time()
    deadline = (await jobs.state(job)).deadline
    assert deadline is not None
    assert timedelta(minutes=14) < deadline - before <= timedelta(minutes=15)

    await env.sleep(timedelta(minutes=14, seconds=30))
    assert (await jobs.state(job)).offered_worker_id == first
    await env.sleep(timedelta(seconds=31))
    second = await jobs.until_offered(job)
    assert second != first
    assert {first, second} <= workers
    stored = await jobs.stored(job)
    assert [entry.action for entry in stored.timeline][-2:] == [Action.EXPIRE_OFFER, Action.MAKE_OFFER]


async def test_high_urgency_shortens_the_window(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    for _ in range(2):
        await jobs.add_worker()
    job = await jobs.post(client, urgency=Urgency.HIGH)
    first = await jobs.until_offered(job)
    await env.sleep(timedelta(minutes=5, seconds=1))
    assert await jobs.until_offered(job) != first


async def test_nobody_accepting_ends_with_the_admins_who_are_reminded(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    for _ in range(4):
        await jobs.add_worker()
    job = await jobs.post(client)
    await jobs.until_offered(job)
    await env.sleep(timedelta(minutes=15 * 4 + 1))
    await jobs.until(job, RESCUE)
    stored = await jobs.stored(job)
    assert stored.needs_admin
    assert stored.offer_number == 4  # three in the first round, the one left in the second, wider one
    assert stored.round == 2
    offers = await jobs.database["offers"].find({"jobId": job.id}).to_list()
    assert {offer["status"] for offer in offers} == {"expired"}
    assert len({offer["workerId"] for offer in offers}) == 4

    await env.sleep(timedelta(hours=2, minutes=1))
    await _settled(env)
    reminders = [entry for entry in (await jobs.stored(job)).timeline if entry.action is Action.REMIND_ADMINS]
    assert len(reminders) == 2
    assert (await jobs.resources.credits.balance(client)).held == stored.held_credits > 0

    helper = await jobs.add_worker()
    await jobs.assign(job, helper)
    assert (await jobs.stored(job)).worker_id == helper
    assert not (await jobs.stored(job)).needs_admin


async def test_a_silent_client_approves_after_72_hours(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    worker = await jobs.add_worker()
    job = await jobs.post(client)
    await jobs.until_offered(job, to=worker)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await env.sleep(timedelta(hours=71, minutes=59))
    assert (await jobs.until(job, AWAITING_APPROVAL)).deadline_action is Action.AUTO_APPROVE
    await env.sleep(timedelta(minutes=2))
    await jobs.until(job, RATING)
    stored = await jobs.stored(job)
    assert stored.timeline[-1].action is Action.AUTO_APPROVE
    assert stored.spent_credits > 0
    balance = await jobs.resources.credits.balance(client)
    assert (balance.held, balance.available) == (0, 100_000 - stored.spent_credits)
    assert (await jobs.resources.earnings.balance(worker)).payable == stored.earned_usd_cents > 0


async def test_each_delivery_restarts_the_clients_time(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    worker = await jobs.add_worker()
    job = await jobs.post(client)
    await jobs.until_offered(job, to=worker)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await env.sleep(timedelta(hours=71))
    await jobs.request_revision(job)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await env.sleep(timedelta(hours=71))
    await jobs.until(job, AWAITING_APPROVAL)
    await jobs.approve(job)
    await jobs.until(job, RATING)


async def test_an_unanswered_quote_ends_without_charge(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    await jobs.add_worker()
    job = await jobs.post(client, max_credits=1)
    await jobs.until(job, QUOTING)
    await env.sleep(timedelta(seconds=JobPolicy().quote_consent_seconds + 1))
    await jobs.until(job, CANCELLED)
    balance = await jobs.resources.credits.balance(client)
    assert (balance.available, balance.held) == (100_000, 0)
    assert await jobs.database["offers"].count_documents({"jobId": job.id}) == 0


async def test_an_answer_in_time_leaves_no_timer_behind(skipping_jobs: Skipping) -> None:
    jobs, env = skipping_jobs
    client = await jobs.add_client()
    worker = await jobs.add_worker()
    job = await jobs.post(client)
    await jobs.until(job, OFFERING)
    await jobs.accept(job, worker)
    await env.sleep(timedelta(days=30))
    stored = await jobs.stored(job)
    assert stored.worker_id == worker
    actions = [entry.action for entry in stored.timeline]
    assert Action.EXPIRE_OFFER not in actions
    assert actions[actions.index(Action.ACCEPT_OFFER) + 1 :][:3] == [
        Action.REMIND_WORKER,
        Action.REMIND_WORKER,
        Action.MARK_OVERDUE,
    ]
