"""Every cell of the lifecycle table on the real server: allowed acts move the job, others are refused.

A refusal by state leaves no event in the history.
"""

from __future__ import annotations

import asyncio

import pytest

from app.jobs.policy import JobPolicy
from app.lifecycle import (
    ARCHIVED,
    AWAITING_APPROVAL,
    CANCELLED,
    COMPLETION_DISPUTED,
    PARSING,
    POSTED,
    QUOTING,
    QUOTING_REVISION,
    RANKING,
    RATING,
    REVISION_REQUESTED,
    TABLE,
    Action,
    Actor,
    Cell,
    HoldEffect,
    PayEffect,
    State,
)
from tests.support.jobs import JobHarness, RefusedError
from tests.support.scenes import PEOPLE, Scene, update_of
from workflows.contracts import Act, RequestRevision, Update

# Passed through inside one workflow task, so no caller ever meets them; or after the job's workflow has ended.
TRANSIENT = {POSTED, PARSING, RANKING}
AFTERWARDS = {RATING, COMPLETION_DISPUTED, ARCHIVED, CANCELLED}
STATES = [state for state in TABLE if state not in TRANSIENT | AFTERWARDS]
ACTS = sorted(
    {
        (cell.action, cell.actor)
        for state in TABLE
        if state not in AFTERWARDS
        for cell in TABLE[state]
        if cell.actor in PEOPLE
    }
)


def _allowed() -> list[tuple[State, Cell]]:
    return [(state, cell) for state in STATES for cell in TABLE[state] if cell.actor in PEOPLE]


def _name(value: State | Cell) -> str:
    return str(value) if isinstance(value, State) else f"{value.action}-{value.actor}"


@pytest.mark.parametrize(("state", "cell"), _allowed(), ids=_name)
async def test_an_allowed_act_moves_the_job_along_its_cell(
    jobs: JobHarness, state: State, cell: Cell
) -> None:
    policy = {"revision_limit": 0} if cell.action is Action.REQUEST_EXTRA_REVISION else {}
    opener = Actor.WORKER if cell.actor is Actor.WORKER else Actor.CLIENT
    scene = await Scene(jobs, opener=opener).reach(state, **policy)
    held_before = (await jobs.resources.credits.balance(scene.client)).held
    payable_before = (await jobs.resources.earnings.balance(scene.worker)).payable
    await scene.do(cell.action, cell.actor)
    stored = await jobs.stored(scene.job)
    entry = next(entry for entry in reversed(stored.timeline) if entry.action is cell.action)
    assert (State(entry.status, entry.phase), entry.actor) == (cell.to, cell.actor)

    held = (await jobs.resources.credits.balance(scene.client)).held
    assert stored.held_credits == held
    assert stored.pricing is not None or state.phase == "clarifying"
    match cell.hold:
        case _ if cell.action is Action.CLARIFY:  # and the process goes on at once to hold the price
            pass
        case HoldEffect.NONE | HoldEffect.HOLD_AGAIN:  # nothing was delivered or tracked
            assert held == held_before
        case HoldEffect.HOLD:
            assert stored.pricing is not None
            assert held == stored.pricing.credits
        case HoldEffect.HOLD_MORE:
            assert held > held_before
        case _:
            assert held == 0
    earned = (await jobs.resources.earnings.balance(scene.worker)).payable - payable_before
    if cell.pay is PayEffect.ACCRUE:
        assert stored.pricing is not None
        assert stored.pricing.pay_usd_cents > 0
    elif cell.pay is not PayEffect.ACCRUE_PART:
        assert earned == 0


@pytest.mark.parametrize("state", STATES, ids=str)
async def test_every_other_act_is_refused_and_leaves_no_event(jobs: JobHarness, state: State) -> None:
    scene = await Scene(jobs).reach(state)
    allowed = {(update_of(cell.action), cell.actor) for cell in TABLE[state] if cell.actor in PEOPLE}
    handle = jobs.handle(scene.job)
    await asyncio.sleep(0.1)  # the task of the last act is done
    before = (await handle.describe()).history_length
    projection = (await jobs.stored(scene.job)).model_dump()
    codes = {}
    for action, actor in ACTS:
        if (update_of(action), actor) in allowed or await _is_repeated_yes(scene, action):
            continue
        with pytest.raises(RefusedError) as refused:
            await scene.do(action, actor)
        codes[action] = refused.value.code
    assert (await handle.describe()).history_length == before
    assert (await jobs.stored(scene.job)).model_dump() == projection
    expected = {
        Action.ACCEPT_OFFER: {"offer-not-found"},
        Action.DECLINE_OFFER: {"offer-not-found", "job-taken"},
    }
    for action, code in codes.items():
        assert code in expected.get(action, {"wrong-state", "not-a-party"}), (action, code)


async def _is_repeated_yes(scene: Scene, action: Action) -> bool:
    """The holder's accept is not refused: it gets the same yes again (see test_job_races)."""
    if action is not Action.ACCEPT_OFFER or not scene.worker:
        return False
    return (await scene.jobs.stored(scene.job)).worker_id == scene.worker


async def test_strangers_are_refused_in_every_state(jobs: JobHarness) -> None:
    scene = await Scene(jobs).reach(AWAITING_APPROVAL)
    stranger = await jobs.add_client()
    before = (await jobs.handle(scene.job).describe()).history_length
    for update in (Update.APPROVE, Update.REQUEST_REVISION):
        fields = {"actor": Actor.CLIENT, "actor_id": stranger}
        act = RequestRevision(**fields, reason="x") if update is Update.REQUEST_REVISION else Act(**fields)
        with pytest.raises(RefusedError) as refused:
            await jobs.update(scene.job, update, act)
        assert refused.value.code == "not-a-party"
    assert (await jobs.handle(scene.job).describe()).history_length == before


async def test_a_revision_beyond_the_limit_is_a_second_hold(jobs: JobHarness) -> None:
    client = await jobs.add_client()
    worker = await jobs.add_worker()
    job = await jobs.post(client, policy=JobPolicy(revision_limit=1))
    worker = await jobs.until_offered(job)
    await jobs.accept(job, worker)
    for _ in range(2):
        await jobs.start(job, worker)
        await jobs.submit(job, worker)
        if not (await jobs.stored(job)).revision_count:
            await jobs.request_revision(job)
    await jobs.request_revision(job)
    stored = await jobs.until_stored(job, lambda stored: stored.phase == QUOTING_REVISION.phase)
    assert stored.proposal is not None
    assert stored.pricing is not None
    assert stored.proposal.extra_credits == stored.pricing.credits // 4
    held = stored.held_credits
    await jobs.quote_answer(job, Update.APPROVE_REVISION_QUOTE)
    raised = await jobs.stored(job)
    assert raised.pricing is not None
    assert raised.held_credits == held + stored.proposal.extra_credits == raised.pricing.credits
    assert raised.pay_usd_cents == raised.pricing.pay_usd_cents > stored.pricing.pay_usd_cents
    assert State(raised.status, raised.phase) == REVISION_REQUESTED
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await jobs.approve(job)
    await jobs.until_stored(job, lambda stored: stored.phase == RATING.phase)
    balance = await jobs.resources.credits.balance(client)
    assert balance.held == 0
    assert (await jobs.resources.earnings.balance(worker)).payable >= 0


async def test_a_quote_that_the_credits_do_not_cover_can_be_approved_after_a_grant(jobs: JobHarness) -> None:
    client = await jobs.add_client(credits_=0)
    await jobs.add_worker()
    job = await jobs.post(client)
    await jobs.until(job, QUOTING)
    with pytest.raises(RefusedError) as refused:
        await jobs.quote_answer(job, Update.APPROVE_QUOTE)
    assert refused.value.code == "insufficient-credits"
    assert (await jobs.stored(job)).refusals == 1
    await jobs.resources.credits.grant(client, 50_000, key=f"later:{client}", source="goodwill")
    await jobs.quote_answer(job, Update.APPROVE_QUOTE)
    await jobs.until_offered(job)
