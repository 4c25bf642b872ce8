"""What a cancel would cost now, and the version that consent to it has to name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.jobs.models import Job
from app.jobs.terms import Stake, Terms, cancel_terms, leave_terms, stake_of
from app.lifecycle import Action, Actor, State, cell_for
from app.timetracking.service import tracked_seconds


async def cancel_preview(
    database: AsyncDatabase[dict[str, Any]], job: Job, actor: Actor, *, now: datetime
) -> tuple[Terms, str]:
    """The terms of a cancel by this actor now, and their version.

    Raises:
        ActNotAllowedError: the job cannot be cancelled by this actor in its state.
    """
    state = State(job.status, job.phase)
    cell_for(state, Action.CANCEL, actor)
    terms = cancel_terms(state, actor, await _stake(database, job, now), job.policy, now=now)
    return terms, terms.version(job.seq)


async def withdraw_preview(database: AsyncDatabase[dict[str, Any]], job: Job, *, now: datetime) -> Terms:
    """What the job's worker would get for leaving now.

    Raises:
        ActNotAllowedError: the job cannot be left in its state.
    """
    cell_for(State(job.status, job.phase), Action.WITHDRAW, Actor.WORKER)
    return leave_terms(await _stake(database, job, now), job.policy)


async def _stake(database: AsyncDatabase[dict[str, Any]], job: Job, now: datetime) -> Stake:
    tracked = await tracked_seconds(database, job.id, job.worker_id, now) if job.worker_id else 0
    return stake_of(job, tracked)
