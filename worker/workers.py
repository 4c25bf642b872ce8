"""The Temporal workers of one process: one for each task queue, so that a slow model never delays money."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.archive import ArchiveActivities
from activities.billing import BillingActivities
from activities.connect import ConnectActivities
from activities.disputes import DisputeActivities
from activities.jobs import JobActivities
from activities.ledger import LedgerActivities
from activities.parsing import ParsingActivities
from activities.payouts import PayoutActivities
from activities.ratings import RatingActivities
from activities.reconciliation import ReconciliationActivities
from activities.sweep import SweepActivities
from activities.timetracking import TimeTrackingActivities
from activities.webhooks import WebhookActivities
from app.settings import Settings
from worker.resources import Resources
from worker.sandbox import QuietSandbox
from workflows.archive import ArchiveWorkflow
from workflows.bank_payout import BankPayoutsWorkflow
from workflows.contracts import TaskQueue, task_queue
from workflows.dispute import DisputeWorkflow
from workflows.job import JobWorkflow
from workflows.ledger import LedgerNightWorkflow
from workflows.payout import PayoutWorkflow
from workflows.ratings import RatingsWorkflow
from workflows.repeats import RepeatedUpdates
from workflows.subscription import StripeEventWorkflow, SubscriptionWorkflow
from workflows.sweep import SweepWorkflow
from workflows.webhooks import WebhookSweepWorkflow

# Time for running activities to end when the process is told to stop; shorter than a container's grace of 30 s.
GRACEFUL_SHUTDOWN = timedelta(seconds=20)

# How long a job's next step waits for the worker that has the job in its cache, before any worker may have it. After a
# crash every act waits for so long once, so it is well within the time that a caller waits for an answer
# (`update_timeout_seconds`); the SDK's own ten seconds are not.
STICKY = timedelta(seconds=4)

WORKFLOWS: dict[TaskQueue, Sequence[type]] = {
    TaskQueue.JOBS: (JobWorkflow, DisputeWorkflow, RatingsWorkflow, ArchiveWorkflow),
    TaskQueue.BILLING: (PayoutWorkflow, BankPayoutsWorkflow, SubscriptionWorkflow, StripeEventWorkflow),
    TaskQueue.AI: (),
    TaskQueue.NOTIFY: (SweepWorkflow, LedgerNightWorkflow, WebhookSweepWorkflow),
}

# Jobs, ratings and payouts live for weeks, subscriptions for years: they move to the current build, and
# `workflow.patched` guards what differs.
# Sweeps are over in seconds and the ledger's night in minutes, so they end on the build that they began on.
VERSIONING: dict[TaskQueue, VersioningBehavior] = {
    TaskQueue.JOBS: VersioningBehavior.AUTO_UPGRADE,
    TaskQueue.BILLING: VersioningBehavior.AUTO_UPGRADE,
    TaskQueue.AI: VersioningBehavior.AUTO_UPGRADE,
    TaskQueue.NOTIFY: VersioningBehavior.PINNED,
}


def activities_of(resources: Resources) -> dict[TaskQueue, Sequence[Callable[..., Any]]]:
    """Every activity, under the queue that runs it."""
    jobs = JobActivities(resources.database, resources.credits, resources.earnings)
    parsing = ParsingActivities(resources.database, resources.reader)
    payouts = PayoutActivities(resources.database, resources.payments, resources.earnings)
    connect = ConnectActivities(resources.database, resources.payments, resources.client, resources.settings)
    billing = BillingActivities(
        resources.database,
        resources.billing,
        resources.payments,
        resources.credits,
        client=resources.client,
        settings=resources.settings,
    )
    ratings = RatingActivities(resources.database)
    disputes = DisputeActivities(resources.database, resources.credits, resources.earnings)
    archive = ArchiveActivities(
        resources.database, resources.storage, bucket=resources.settings.s3_bucket_archive
    )
    sweep = SweepActivities(resources.database, resources.client, resources.settings)
    timetracking = TimeTrackingActivities(resources.database)
    ledger = LedgerActivities(
        resources.database,
        resources.credits,
        resources.storage,
        bucket=resources.settings.s3_bucket_archive,
    )
    webhooks = WebhookActivities(
        resources.database, resources.billing, client=resources.client, settings=resources.settings
    )
    reconciliation = ReconciliationActivities(
        resources.database, resources.payments, resources.settings, resources.billing
    )
    return {
        TaskQueue.JOBS: (
            jobs.record_change,
            jobs.hold_credits,
            jobs.rank_workers,
            jobs.assign_worker,
            jobs.make_offer,
            jobs.tracked_time,
            jobs.settle_job,
            parsing.parse_brief_with_rules,
            disputes.open_dispute,
            disputes.note_dispute,
            disputes.plan_ruling,
            disputes.settle_ruling,
            ratings.store_rating,
            ratings.reveal_ratings,
            archive.write_archive,
            archive.mark_archived,
        ),
        TaskQueue.BILLING: (
            payouts.payout_due,
            payouts.send_transfer,
            payouts.record_payout_sent,
            payouts.record_payout,
            payouts.take_back,
            connect.list_payees,
            connect.pay_out,
            connect.follow_payouts,
            connect.read_account,
            connect.follow_payout,
            billing.settle_billing,
            billing.record_dunning,
            billing.suspend_subscription,
            billing.route_event,
        ),
        TaskQueue.AI: (parsing.parse_brief_with_openai,),
        TaskQueue.NOTIFY: (
            sweep.start_orphans,
            sweep.purge_expired,
            timetracking.stop_idle_timers,
            ledger.expire_credits,
            ledger.audit_ledger,
            reconciliation.reconcile,
            webhooks.retry_events,
            webhooks.pull_events,
            webhooks.pull_accounts,
            webhooks.tell_of_webhooks,
            webhooks.purge_events,
        ),
    }


def build_workers(
    resources: Resources, queues: Iterable[TaskQueue] = TaskQueue, *, max_cached_workflows: int = 1000
) -> list[Worker]:
    """Workers for these queues, not yet running."""
    activities = activities_of(resources)
    prefix = resources.settings.task_queue_prefix
    return [
        Worker(
            resources.client,
            task_queue=task_queue(name, prefix),
            workflows=WORKFLOWS[name],
            activities=activities[name],
            workflow_runner=QuietSandbox(),
            max_cached_workflows=max_cached_workflows,
            interceptors=[RepeatedUpdates()],
            graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
            deployment_config=deployment_of(resources.settings, name),
            sticky_queue_schedule_to_start_timeout=STICKY,
        )
        for name in queues
    ]


def deployment_of(settings: Settings, name: TaskQueue) -> WorkerDeploymentConfig | None:
    """Which build this process is, or None when its workers are not versioned."""
    if not (settings.worker_deployment_name and settings.worker_build_id):
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.worker_deployment_name, settings.worker_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VERSIONING[name],
    )
