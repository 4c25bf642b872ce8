"""What one job costs, counted on the real services. A figure that grows has to be changed here, and explained."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.settings import Settings
from bench.counts import Counts, count
from bench.report import MAX_EVENTS
from devstack.stack import Stack


@pytest_asyncio.fixture(scope="module")
async def counts(stack: Stack, settings: Settings) -> AsyncIterator[Counts]:
    """One job on the happy path with one offer, without a key for the model."""
    stack.require("mongodb", "redis", "temporal", "s3", "stripe", "mail")
    yield await count(settings)


def test_the_history_stays_short(counts: Counts) -> None:
    assert MAX_EVENTS == 60
    assert counts.event_count <= MAX_EVENTS, counts.events
    assert counts.events["WorkflowExecutionCompleted"] == 1


def test_the_process_asks_for_no_more_than_it_needs(counts: Counts) -> None:
    job = counts.job
    # Two regular activities: the accept and the approval have rivals, and are in the history before they have effects.
    # Three timers: the offer, the work's due time, the client's time to review.
    assert (job.updates, job.timers, job.signals, job.activities) == (4, 3, 0, 2)
    assert (job.local_activities, job.local_batches) == (6, 3)
    assert (job.upserts, job.children, job.workflow_tasks) == (5, 2, 8)
    assert sum(job.actions().values()) == 20
    # The upsert is of a patch: what is sent is what the worker's book says, also for payouts begun before that.
    assert (counts.payout.activities, counts.payout.timers, counts.payout.upserts) == (2, 0, 1)
    assert counts.payout.local_activities == 1


@pytest.mark.parametrize("act", ["offer/accept", "start", "submit", "approve"])
def test_an_act_is_one_request_and_two_reads(counts: Counts, act: str) -> None:
    """Who asks, and the job that is meant. The session is vouched for by Redis; the process writes all the rest."""
    call = counts.calls[f"POST /jobs/{{id}}/{act}"]
    assert call.temporal == {"update_workflow_execution": 1}
    assert call.mongodb == {"users.find": 1, "jobs.find": 1}


def test_a_post_is_one_request(counts: Counts) -> None:
    call = counts.calls["POST /jobs"]
    assert call.temporal == {"start_workflow_execution": 1}
    # The policy is read once in five seconds by a process.
    assert {name: times for name, times in call.mongodb.items() if name != "policies.find"} == {
        "users.find": 1,
        "subscriptions.find": 1,
        "idempotency_keys.insert": 1,
        "jobs.insert": 1,
        "idempotency_keys.update": 1,
    }


def test_a_webhook_is_one_request_and_its_row(counts: Counts) -> None:
    """Kept, handed to the client's subscription, and noted as handed; nothing is asked of Stripe while it waits."""
    call = counts.calls["POST /payments/webhooks/stripe"]
    assert call.temporal == {"signal_with_start_workflow_execution": 1}
    assert call.mongodb == {
        "webhook_events.insert": 1,
        "billing_customers.find": 1,
        "webhook_events.update": 1,
    }


def test_an_activity_writes_each_thing_once(counts: Counts) -> None:
    expected = {
        "parse_brief_with_rules": {"jobs.find": 1},
        "hold_credits": {"transactions.insert": 1},
        "rank_workers": {"users.find": 1, "work_history.find": 1, "rankings.insert": 1},
        # the worker's hours say until when the offer stands
        "make_offer": {
            "users.find": 1,
            "jobs.update": 1,
            "offers.update": 1,
            "users.update": 1,
            "outbox.insert": 1,
        },
        # two changes: started, submitted; tracked time ends with the second
        "record_change": {"jobs.update": 2, "outbox.insert": 2, "running_timers.find": 1},
        "assign_worker": {"users.update": 2, "jobs.update": 1, "offers.update": 1, "outbox.insert": 1},
        "settle_job": {
            "transactions.insert": 2,
            "users.update": 1,
            "work_history.update": 1,
            "jobs.update": 1,
            "outbox.insert": 1,
            # the estimate beside the time that was tracked
            "jobs.find": 1,
            "time_entries.find": 1,
            "running_timers.find": 1,
            "estimates.update": 1,
        },
        # a disputed job's pay is not sent: looked at before each try, and before each request
        "payout_due": {"jobs.find": 1},
        "send_transfer": {"jobs.find": 1, "users.find": 1},
        "record_payout_sent": {"transactions.insert": 1, "jobs.update": 1, "outbox.insert": 1},
    }
    found = {name: dict(tally.mongodb) for name, tally in counts.activities.items()}
    # A worker's book is new to this process when another worker was offered the job: it is then looked up first.
    for tally in found.values():
        tally.pop("books.find", None)
        tally.pop("transactions.find", None)
    assert found == expected


def test_the_notices_of_a_job_share_their_operations(counts: Counts) -> None:
    """All ten are read, claimed, written and taken out together; receipts are written as the mails go out."""
    assert counts.notices == 10
    found = dict(counts.dispatch.mongodb)
    assert 1 <= found.pop("mail_deliveries.insert") <= counts.notices
    assert found == {
        "outbox.find": 2,  # the second finds nothing
        "outbox.update": 1,
        "users.find": 1,
        "jobs.find": 1,
        "notifications.insert": 1,
        "outbox.delete": 1,
    }
