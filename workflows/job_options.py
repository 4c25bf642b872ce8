"""How a job's workflow calls its activities: time-outs and retries, each with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy

from app.parsing.errors import PERMANENT_ERROR_NAMES


class ActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_activity_method`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class LocalActivityOptions(TypedDict):
    """Keyword arguments of `workflow.execute_local_activity_method`."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy
    local_retry_threshold: timedelta


# Short writes to MongoDB. They are repeatable and must happen, so they are tried until they do, even past a
# defect of ours: a deployed correction then finds the job where it stood. Past the
# threshold the wait becomes a timer of the server instead of holding the workflow task open. Each such try is some six
# events, and the server ends a workflow at 51,200: at one try in two minutes that leaves more than a week for the
# correction, at one in ten seconds it would be a day.
STORE: LocalActivityOptions = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=50),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=2),
    ),
    "local_retry_threshold": timedelta(seconds=5),
}

# The same writes, for an act that has a rival: an accept and the expiry, a revision and the approval. A local
# activity writes before the act is in the history, so a crash could leave the records of an act that the process
# then decides the other way. A regular one starts once the act is in the history, and costs five events more.
# It is given up sooner than a caller who waits for the act, so that one whose worker died is done by another in time.
DECIDED: ActivityOptions = {
    "start_to_close_timeout": timedelta(seconds=6),
    "retry_policy": STORE["retry_policy"],
}

# How long an activity that waits for Stripe may be silent, so that one whose worker died is begun again in seconds.
# Its start-to-close time-out leaves room for the slowest answer of every request, which is minutes.
HEARTBEAT = timedelta(seconds=15)

# One reading by the model costs a few seconds; after three failures the rules read the brief instead.
OPENAI_START_TO_CLOSE = timedelta(seconds=30)
OPENAI_SCHEDULE_TO_CLOSE = timedelta(seconds=120)
OPENAI_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_attempts=3,
    non_retryable_error_types=list(PERMANENT_ERROR_NAMES),
)
