"""What happens next to a job if nobody acts: each pending timer with its instant, in a plain sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from app.jobs.models import Job
from app.lifecycle import (
    CLOSED_TO_JOB_WORKFLOW,
    COMPLETION_DISPUTED,
    DISPUTED,
    RATING,
    TABLE,
    WORK_IS_DUE,
    Action,
    Actor,
    State,
    Status,
)
from app.support.models import Coming, Live, Waiting

_AT_DEADLINE = {
    Action.EXPIRE_CLARIFICATION: "The job goes on with the best reading of its brief",
    Action.EXPIRE_QUOTE: "The job ends without charge",
    Action.EXPIRE_OFFER: "The offer lapses, and the job is offered to the next worker",
    Action.EXPIRE_PRICE: "The proposed price lapses, and the admins go on looking for a worker",
    Action.EXPIRE_REVISION_QUOTE: "There is no further revision, and the client looks at the work again",
    Action.REMIND_ADMINS: "The admins are reminded that the job waits for them",
    Action.AUTO_APPROVE: "The work is approved for the client: the credits are spent and the pay is earned",
    Action.CLOSE_EVIDENCE: "No more evidence is taken, and the admins are asked to rule",
}


def coming(job: Job, live: Live, *, now: datetime) -> list[Coming]:
    """Every timer that is pending, the earliest first; from the live processes, else from the record."""
    state = State(job.status, job.phase)
    waiting = live.dispute if state == COMPLETION_DISPUTED else live.job
    found = [
        *_of_wait(state, waiting or recorded(job)),
        *_payouts(live),
        *_after_completion(job, live, now=now),
    ]
    return sorted(found, key=lambda item: item.at)


def recorded(job: Job) -> Waiting:
    """What the record says the job waits for: the action of its deadline is the one that its state has."""
    state = State(job.status, job.phase)
    ends = (
        cell.action for cell in TABLE[state] if cell.actor is Actor.SYSTEM and cell.action in _AT_DEADLINE
    )
    action = next(ends, None)
    if state in {*DISPUTED, COMPLETION_DISPUTED} and job.dispute:
        is_evidence = job.deadline is not None and job.deadline <= job.dispute.evidence_until
        action = Action.CLOSE_EVIDENCE if is_evidence else Action.REMIND_ADMINS
    return Waiting(
        deadline=job.deadline,
        deadline_action=action,
        reminders=job.reminders,
        due_at=job.due_at if state in WORK_IS_DUE else None,
    )


def _of_wait(state: State, waiting: Waiting) -> Iterator[Coming]:
    if waiting.deadline:
        action = waiting.deadline_action
        text = _AT_DEADLINE.get(action, "The process goes on by itself") if action else "The deadline ends"
        yield Coming(at=waiting.deadline, what=action.value if action else "deadline", text=text)
    for moment in waiting.reminders:
        yield Coming(
            at=moment,
            what=Action.REMIND_CLIENT.value,
            text="The client is reminded that the work waits for an answer",
        )
    if waiting.due_at:
        yield Coming(at=waiting.due_at, what="due", text="The work is due")
    if waiting.next_alarm_at and state in WORK_IS_DUE:
        late = waiting.due_at is not None and waiting.next_alarm_at >= waiting.due_at
        yield Coming(
            at=waiting.next_alarm_at,
            what=(Action.MARK_OVERDUE if late else Action.REMIND_WORKER).value,
            text="The admins are told that the work is late"
            if late
            else "The worker is reminded that the work is due soon",
        )


def _payouts(live: Live) -> Iterator[Coming]:
    for payout in live.payouts:
        why = f" (it is held: {payout.reason.replace('_', ' ')})" if payout.reason else ""
        yield Coming(
            at=payout.next_try_at,
            what="try_payout",
            text=f"Payout {payout.number} is tried again, unless its hold is mended before{why}",
        )


def _after_completion(job: Job, live: Live, *, now: datetime) -> Iterator[Coming]:
    """The windows after completion. None of them is a matter of the job's own process."""
    state = State(job.status, job.phase)
    if job.status is not Status.COMPLETED or job.completed_at is None or state not in CLOSED_TO_JOB_WORKFLOW:
        return
    disputable_until = job.completed_at + timedelta(seconds=job.policy.dispute_window_seconds)
    ratings_close = live.ratings_close_at or job.completed_at + timedelta(
        seconds=job.policy.rating_window_seconds
    )
    revealed = job.ratings.revealed_at if job.ratings else None
    if state == RATING and disputable_until > now:
        yield Coming(
            at=disputable_until, what="dispute_window_ends", text="From then on the job cannot be disputed"
        )
    if revealed is None and job.archived_at is None:
        yield Coming(
            at=ratings_close,
            what="rating_window_ends",
            text="The time to rate ends, and what was given is shown to both sides",
        )
    if job.archived_at is None:
        ready = max(disputable_until, revealed or ratings_close)
        text = "The job's record is archived"
        if state == COMPLETION_DISPUTED:
            text += ", once the dispute is closed"
        yield Coming(at=ready, what=Action.ARCHIVE.value, text=text)
