"""Every cell of the lifecycle table on the real server: allowed acts move the job, others are refused.

A refusal by state leaves no event in the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.jobs.policy import JobPolicy
from app.lifecycle import (
    ARCHIVED,
    AWAITING_APPROVAL,
    CANCELLED,
    OFFERING,
    PARSING,
    POSTED,
    QUOTING,
    RANKING,
    RATING,
    READY,
    RESCUE,
    REVISION_REQUESTED,
    TABLE,
    WORKING,
    Action,
    Actor,
    Cell,
    State,
)
from tests.support.jobs import JobHarness, RefusedError
from workflows.contracts import Act, Assign, DeclineOffer, RequestRevision, Submit, Update

# Passed through inside one workflow task, so no caller ever meets them; or after the job's workflow has ended.
TRANSIENT = {POSTED, PARSING, RANKING}
AFTERWARDS = {RATING, ARCHIVED, CANCELLED}
STATES = [state for state in TABLE if state not in TRANSIENT | AFTERWARDS]
ACTS = {
    (Action.APPROVE_QUOTE, Actor.CLIENT): Update.APPROVE_QUOTE,
    (Action.DECLINE_QUOTE, Actor.CLIENT): Update.DECLINE_QUOTE,
    (Action.ACCEPT_OFFER, Actor.WORKER): Update.ACCEPT_OFFER,
    (Action.DECLINE_OFFER, Actor.WORKER): Update.DECLINE_OFFER,
    (Action.ASSIGN, Actor.ADMIN): Update.ASSIGN,
    (Action.START, Actor.WORKER): Update.START,
    (Action.SUBMIT, Actor.WORKER): Update.SUBMIT,
    (Action.APPROVE, Actor.CLIENT): Update.APPROVE,
    (Action.REQUEST_REVISION, Actor.CLIENT): Update.REQUEST_REVISION,
}


class Scene:
    """One job brought to a state, with its people."""

    def __init__(self, jobs: JobHarness) -> None:
        self.jobs = jobs
        self.client = self.worker = ""

    async def reach(self, state: State) -> Scene:
        """Bring a new job to the state by the acts that lead there."""
        self.client = await self.jobs.add_client()
        self.worker = await self.jobs.add_worker()
        if state == RESCUE:
            await self._withdraw_everybody()
        self.job = await self.jobs.post(
            self.client,
            max_credits=1 if state == QUOTING else None,
            policy=JobPolicy(candidates_per_round=1, rounds=1),
        )
        if state == RESCUE:
            await self.jobs.until(self.job, RESCUE)
            await self._withdraw_everybody(back=True)
            return self
        if state == QUOTING:
            await self.jobs.until(self.job, QUOTING)
            return self
        offered = await self.jobs.until_offered(self.job)
        self.worker = offered
        for target, act in self._road():
            if state == OFFERING:
                break
            await act()
            if target == state:
                break
        return self

    def _road(self) -> list[tuple[State, Callable[[], Awaitable[object]]]]:
        jobs, job, worker = self.jobs, self.job, self.worker
        return [
            (READY, lambda: jobs.accept(job, worker)),
            (WORKING, lambda: jobs.start(job, worker)),
            (AWAITING_APPROVAL, lambda: jobs.submit(job, worker)),
            (REVISION_REQUESTED, lambda: jobs.request_revision(job)),
        ]

    async def _withdraw_everybody(self, *, back: bool = False) -> None:
        await self.jobs.database["users"].update_many(
            {"role": "worker"}, {"$set": {"workerProfile.available": back}}
        )

    async def do(self, action: Action, actor: Actor) -> None:
        """The act, by the right person of its kind."""
        update = ACTS[(action, actor)]
        actor_id = {Actor.CLIENT: self.client, Actor.WORKER: self.worker, Actor.ADMIN: "a" * 24}[actor]
        base = {"actor": actor, "actor_id": actor_id}
        arguments: dict[Update, Act] = {
            Update.DECLINE_OFFER: DeclineOffer(**base, reason="busy"),
            Update.ASSIGN: Assign(**base, worker_id=self.worker),
            Update.SUBMIT: Submit(**base, file_ids=["f" * 24]),
            Update.REQUEST_REVISION: RequestRevision(**base, reason="again"),
        }
        await self.jobs.update(self.job, update, arguments.get(update, Act(**base)))


def _allowed() -> list[tuple[State, Cell]]:
    return [(state, cell) for state in STATES for cell in TABLE[state] if cell.actor is not Actor.SYSTEM]


@pytest.mark.parametrize(
    ("state", "cell"), _allowed(), ids=lambda value: getattr(value, "action", str(value))
)
async def test_an_allowed_act_moves_the_job_along_its_cell(
    jobs: JobHarness, state: State, cell: Cell
) -> None:
    scene = await Scene(jobs).reach(state)
    held_before = (await jobs.resources.credits.balance(scene.client)).held
    await scene.do(cell.action, cell.actor)
    entry = next(
        entry for entry in reversed((await jobs.stored(scene.job)).timeline) if entry.action is cell.action
    )
    assert (State(entry.status, entry.phase), entry.actor) == (cell.to, cell.actor)
    stored = await jobs.stored(scene.job)
    held_after = (await jobs.resources.credits.balance(scene.client)).held
    assert stored.pricing is not None
    expected = {"none": held_before, "hold": stored.pricing.credits, "post": 0, "release": 0}[cell.hold]
    assert held_after == expected
    if cell.pay == "accrue":
        payable = (await jobs.resources.earnings.balance(scene.worker)).payable
        assert payable >= stored.pricing.pay_usd_cents > 0


@pytest.mark.parametrize("state", STATES, ids=str)
async def test_every_other_act_is_refused_and_leaves_no_event(jobs: JobHarness, state: State) -> None:
    scene = await Scene(jobs).reach(state)
    allowed = {(cell.action, cell.actor) for cell in TABLE[state]}
    handle = jobs.handle(scene.job)
    await asyncio.sleep(0.1)  # the task of the last act is done
    before = (await handle.describe()).history_length
    projection = (await jobs.stored(scene.job)).model_dump()
    codes = {}
    for action, actor in ACTS:
        if (action, actor) in allowed or _is_repeated_yes(action, state):
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


def _is_repeated_yes(action: Action, state: State) -> bool:
    """The holder's accept is not refused: it gets the same yes again (see test_job_races)."""
    return action is Action.ACCEPT_OFFER and state in {READY, WORKING, AWAITING_APPROVAL, REVISION_REQUESTED}


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


async def test_revisions_end_at_the_policys_limit(jobs: JobHarness) -> None:
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
    with pytest.raises(RefusedError) as refused:
        await jobs.request_revision(job)
    assert refused.value.code == "revision-limit-reached"
    await jobs.approve(job)
    await jobs.until(job, RATING)


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
