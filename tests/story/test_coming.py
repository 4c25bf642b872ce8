"""What comes next, by the record alone and by what processes say; and what the story tells and leaves out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.jobs.change import Dispute
from app.jobs.models import Job, Ratings
from app.jobs.policy import JobPolicy, Urgency
from app.lifecycle import (
    ARCHIVED,
    AWAITING_APPROVAL,
    CANCELLED,
    CLARIFYING,
    CLOSED_TO_JOB_WORKFLOW,
    COMPLETION_DISPUTED,
    OFFERING,
    QUOTING,
    QUOTING_REVISION,
    RATING,
    REPRICING,
    RESCUE,
    TABLE,
    WORK_DISPUTED,
    WORKING,
    Action,
    Actor,
    State,
)
from app.support.coming import coming
from app.support.models import Live, PayoutWait, StoryKind, Waiting
from app.support.record import JobRecord
from app.support.story import TIMERS, tell

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def job_in(state: State, **fields: Any) -> Job:
    values: dict[str, Any] = {
        "id": "j" * 24,
        "client_id": "c" * 24,
        "title": "t",
        "description": "d",
        "urgency": Urgency.NORMAL,
        "status": state.status,
        "phase": state.phase,
        "rate": 100,
        "policy": JobPolicy(),
        "created_at": NOW,
        "updated_at": NOW,
    }
    made: Job = Job.model_construct(**values | fields)
    return made


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (CLARIFYING, Action.EXPIRE_CLARIFICATION),
        (QUOTING, Action.EXPIRE_QUOTE),
        (OFFERING, Action.EXPIRE_OFFER),
        (RESCUE, Action.REMIND_ADMINS),
        (REPRICING, Action.EXPIRE_PRICE),
        (AWAITING_APPROVAL, Action.AUTO_APPROVE),
        (QUOTING_REVISION, Action.EXPIRE_REVISION_QUOTE),
    ],
)
def test_the_record_tells_the_deadline_of_a_state_without_its_process(state: State, action: Action) -> None:
    job = job_in(state, deadline=NOW + DAY, reminders=[])
    (item,) = coming(job, Live(), now=NOW)
    assert (item.at, item.what) == (NOW + DAY, action.value)
    assert item.text


def test_what_the_process_says_goes_before_the_record() -> None:
    job = job_in(WORKING, deadline=None, reminders=[], due_at=NOW + DAY)
    assert [item.what for item in coming(job, Live(), now=NOW)] == ["due"]
    late = Waiting(due_at=NOW - DAY, next_alarm_at=NOW + DAY)
    assert [item.what for item in coming(job, Live(job=late), now=NOW)] == ["due", "mark_overdue"]
    early = Waiting(due_at=NOW + DAY, next_alarm_at=NOW)
    assert [item.what for item in coming(job, Live(job=early), now=NOW)] == ["remind_worker", "due"]


@pytest.mark.parametrize("state", [WORK_DISPUTED, COMPLETION_DISPUTED])
def test_a_dispute_closes_its_evidence_and_then_reminds(state: State) -> None:
    dispute = Dispute(
        number=1,
        opened_by=Actor.CLIENT,
        opened_by_id="c",
        reason="r",
        opened_at=NOW,
        evidence_until=NOW + DAY,
    )
    for deadline, what in ((NOW + DAY, "close_evidence"), (NOW + 2 * DAY, "remind_admins")):
        job = job_in(state, deadline=deadline, reminders=[], dispute=dispute)
        assert coming(job, Live(), now=NOW)[0].what == what


def test_after_completion_the_windows_end_and_the_record_is_archived() -> None:
    job = job_in(RATING, reminders=[], completed_at=NOW)
    payouts = [PayoutWait(number=1, reason="no_account", next_try_at=NOW + DAY)]
    items = coming(job, Live(payouts=payouts), now=NOW)
    assert [item.what for item in items] == [
        "try_payout",
        "dispute_window_ends",
        "rating_window_ends",
        "archive",
    ]
    assert "no account" in items[0].text
    rated = job_in(RATING, reminders=[], completed_at=NOW, ratings=Ratings(revealed_at=NOW))
    assert [item.what for item in coming(rated, Live(), now=NOW + 8 * DAY)] == ["archive"]


@pytest.mark.parametrize("state", [ARCHIVED, CANCELLED])
def test_nothing_comes_after_an_end(state: State) -> None:
    assert coming(job_in(state, reminders=[], completed_at=NOW, archived_at=NOW), Live(), now=NOW) == []


def test_every_wait_of_the_table_has_its_sentence() -> None:
    """A state in which the process acts at a deadline is told of with that act, and not as some deadline."""
    for state, cells in TABLE.items():
        clocked = {cell.action for cell in cells if cell.actor is Actor.SYSTEM} & TIMERS
        due = {Action.REMIND_WORKER, Action.MARK_OVERDUE}
        if state in CLOSED_TO_JOB_WORKFLOW or not clocked - due:
            continue
        (item,) = coming(job_in(state, deadline=NOW, reminders=[]), Live(), now=NOW)
        assert item.what in clocked, state


def test_the_story_hides_a_rating_until_it_is_shown_and_tells_which_mails_went_out() -> None:
    rating = {
        "by": "client",
        "authorId": "c",
        "givenAt": NOW,
        "rating": 1,
        "comment": "bad",
        "revealedAt": None,
    }
    told = {"type": "job.completed", "userId": "c", "createdAt": NOW}
    record = JobRecord(
        job={"_id": "j", "timeline": []},
        reviews=[rating],
        notifications=[{"_id": "n1", **told}, {"_id": "n2", **told}],
        mailed=[{"_id": "n1", "sentAt": NOW + DAY}],
        undelivered=[
            {"_id": "n2", "template": "job.completed", "userId": "c", "createdAt": NOW},
            {"_id": "n3", "template": "job.offer", "userId": None, "createdAt": NOW, "deadAt": NOW},
        ],
    )
    entries = tell(record)
    (hidden,) = [entry for entry in entries if entry.kind is StoryKind.RATING]
    assert hidden.details == {}
    notices = [entry for entry in entries if entry.kind is StoryKind.NOTICE]
    assert [entry.details.get("mailedAt") for entry in notices] == [NOW + DAY, None, None]
    assert "could not be told" in notices[-1].text
    (shown,) = tell(JobRecord(job={"_id": "j"}, reviews=[rating | {"revealedAt": NOW}]))
    assert shown.details["rating"] == 1
