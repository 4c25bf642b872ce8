"""Every stored history replays with the production converter and sandbox; a reordered command is found out."""

from __future__ import annotations

import copy
import json
import re

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from app.settings import Settings
from devstack.stack import Stack
from tests.support.histories import HISTORIES, load, stored
from tests.support.jobs import Database, run_harness
from worker.sandbox import QuietSandbox
from worker.workers import WORKFLOWS
from workflows.job import JobWorkflow
from workflows.repeats import RepeatedUpdates

ALL_WORKFLOWS = [each for classes in WORKFLOWS.values() for each in classes]
# The branches that must be there; a name missing here is a branch that nobody guards.
BRANCHES = {
    "archive-cancelled",
    "archive-completed",
    "archive-continued-first-run",
    "archive-continued-last-run",
    "bank-payouts",
    "bank-payouts-continued-first-run",
    "bank-payouts-continued-last-run",
    "bank-payouts-given-up",
    "dispute-continued-first-run",
    "dispute-continued-last-run",
    "dispute-dismissed",
    "dispute-ruled-after-pay",
    "dispute-ruled-before-pay",
    "dispute-withdrawn",
    "job-approved",
    "job-assigned-while-offered",
    "job-auto-approved",
    "job-cancelled-awaiting-approval-admin",
    "job-cancelled-awaiting-approval-client",
    "job-cancelled-clarifying-admin",
    "job-cancelled-clarifying-client",
    "job-cancelled-offering-admin",
    "job-cancelled-offering-client",
    "job-cancelled-quoting-admin",
    "job-cancelled-quoting-client",
    "job-cancelled-quoting-revision-admin",
    "job-cancelled-quoting-revision-client",
    "job-cancelled-ready-admin",
    "job-cancelled-ready-client",
    "job-cancelled-repricing-admin",
    "job-cancelled-repricing-client",
    "job-cancelled-rescue-admin",
    "job-cancelled-rescue-client",
    "job-cancelled-revision-requested-admin",
    "job-cancelled-revision-requested-client",
    "job-cancelled-working-admin",
    "job-cancelled-working-client",
    "job-clarification-lapsed",
    "job-clarified",
    "job-continued-first-run",
    "job-continued-last-run",
    "job-declined-lapsed-full-accepted",
    "job-dispute-dismissed",
    "job-dispute-refused-at-the-end",
    "job-dispute-ruled-refund",
    "job-dispute-ruled-share",
    "job-dispute-withdrawn",
    "job-extra-revision-agreed",
    "job-extra-revision-declined",
    "job-extra-revision-lapsed",
    "job-model-refused",
    "job-overdue",
    "job-policy-changed",
    "job-price-approved",
    "job-price-declined",
    "job-price-lapsed",
    "job-price-raised",
    "job-quote-approved",
    "job-quote-declined",
    "job-quote-lapsed",
    "job-read-by-model",
    "job-reassigned",
    "job-reminded-auto-approved",
    "job-rescued",
    "job-review-extended",
    "job-revised",
    "job-short-of-credits",
    "job-withdrawn-after-delivery",
    "job-withdrawn-before-start",
    "ledger-night",
    "ledger-night-that-disagrees",
    "payout-book-refuses",
    "payout-continued-first-run",
    "payout-continued-last-run",
    "payout-differs",
    "payout-disputed-then-sent",
    "payout-held-then-sent",
    "payout-nothing-earned",
    "payout-sent",
    "payout-taken-back-on-its-way",
    "payout-taken-by-a-debt",
    "ratings-both",
    "ratings-window-ended",
    "stripe-event-of-a-client",
    "stripe-event-of-an-account",
    "stripe-event-of-nobody",
    "subscription-continued-first-run",
    "subscription-continued-last-run",
    "subscription-ended",
    "subscription-looked-by-itself",
    "subscription-many-events",
    "subscription-needed-an-admin",
    "subscription-paid-at-the-last-moment",
    "subscription-recovered",
    "subscription-reminded-after-an-outage",
    "subscription-started",
    "subscription-suspended",
    "sweep-with-purge",
    "sweep-without-purge",
    "webhook-sweep",
}


def replayer(workflows: list[type] | None = None) -> Replayer:
    """As production runs them: the same converter, the same sandbox."""
    return Replayer(
        workflows=workflows or ALL_WORKFLOWS,
        data_converter=pydantic_data_converter,
        interceptors=[RepeatedUpdates()],
        workflow_runner=QuietSandbox(),
    )


def test_every_branch_has_a_stored_history() -> None:
    assert set(stored()) >= BRANCHES


def test_every_workflow_that_is_registered_has_a_stored_history() -> None:
    """One that has none could be changed under its running processes, and nothing would say so."""
    registered = {str(workflow._Definition.must_from_class(each).name) for each in ALL_WORKFLOWS}
    assert registered - {_type_of(name) for name in stored()} == set()


def _type_of(name: str) -> str:
    started = load(name).events[0].workflow_execution_started_event_attributes
    return str(started.workflow_type.name)


@pytest.mark.parametrize("name", stored())
async def test_a_stored_history_replays(name: str) -> None:
    result = await replayer().replay_workflow(load(name), raise_on_replay_failure=False)
    assert result.replay_failure is None, f"{name}: {result.replay_failure}"


@pytest.mark.parametrize("name", stored())
def test_a_stored_history_says_nothing_of_the_machine(name: str) -> None:
    text = (HISTORIES / f"{name}.json").read_text()
    assert not re.search(r"/(work|root|home|tmp|usr)/", text)
    assert not re.search(r'"\d+@', text), "the process and the host of a worker"
    identities = set(re.findall(r'"(?:identity|lastWorkerIdentity)": "([^"]*)"', text))
    assert identities <= {"scrubbed"}


def _swap_first_two_local_activities(history: WorkflowHistory) -> WorkflowHistory:
    """The history of a workflow whose code made two commands in the other order."""
    document = copy.deepcopy(history.to_json_dict())
    markers = [event for event in document["events"] if "markerRecordedEventAttributes" in event]
    first, second = markers[0], markers[1]
    key = "markerRecordedEventAttributes"
    first[key], second[key] = second[key], first[key]
    return WorkflowHistory.from_json(history.workflow_id, json.dumps(document))


async def test_replay_fails_when_a_command_is_reordered() -> None:
    reordered = _swap_first_two_local_activities(load("job-approved"))
    result = await replayer().replay_workflow(reordered, raise_on_replay_failure=False)
    assert isinstance(result.replay_failure, workflow.NondeterminismError)


async def test_a_job_runs_without_any_cache(
    temporal: Client, database: Database, settings: Settings, stack: Stack
) -> None:
    """Each workflow task replays the whole history, so a job that depends on memory would not get far.

    Without a cache the SDK may cancel a local activity in flight and run it again once the task has timed out
    (10 s): slow, and a test of repeatability as well.
    """
    stack.require("mongodb", "s3", "stripe")
    async with run_harness(temporal, database, settings, max_cached_workflows=0) as jobs:
        worker = await jobs.add_worker(capacity=10)
        client = await jobs.add_client()

        job = await jobs.post(client)
        await jobs.until_offered(job, to=worker)
        await jobs.accept(job, worker)
        await jobs.start(job, worker)
        await jobs.submit(job, worker)
        await jobs.request_revision(job)
        await jobs.start(job, worker)
        await jobs.submit(job, worker)
        await jobs.approve(job)
        assert (await jobs.handle(job).result())["status"] == "completed"


def test_the_job_workflow_is_sandboxed() -> None:
    """Nobody switched the sandbox off for the workflow that holds the money."""
    definition = workflow._Definition.must_from_class(JobWorkflow)
    assert definition.sandboxed
