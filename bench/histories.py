"""Reads a workflow's history: its events by type, what the workflow asked for, and what Temporal Cloud would bill.

Actions are counted as https://docs.temporal.io/cloud/actions says (read in 2026): one for a workflow's start (of a
child too), for each update, timer, signal and query, each activity task started or retried, and each upsert of search
attributes, however many it sets. All local activities of one workflow task count as one. Search attributes given at
the start, markers, memos, summaries and current details are free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_LOCAL_ACTIVITY_MARKER = "core_local_activity"


@dataclass(frozen=True, slots=True)
class Work:
    """What one workflow asked of the server. `local_batches`: workflow tasks with at least one local activity."""

    updates: int
    signals: int
    timers: int
    activities: int
    local_activities: int
    local_batches: int
    upserts: int
    children: int
    workflow_tasks: int

    def actions(self) -> dict[str, int]:
        """Billable actions by kind. The children's own actions are in their own histories."""
        return {
            "workflow start": 1,
            "updates": self.updates,
            "signals": self.signals,
            "timers": self.timers,
            "activities": self.activities,
            "local activities (per workflow task)": self.local_batches,
            "search attribute upserts": self.upserts,
            "child workflow starts": self.children,
        }


def event_counts(events: Sequence[HistoryEvent]) -> dict[str, int]:
    """How many events of each type, the most frequent first."""
    names = Counter(_name(event) for event in events)
    return dict(names.most_common())


def work_of(events: Sequence[HistoryEvent]) -> Work:
    """Count the commands and messages of a history."""
    names = Counter(_name(event) for event in events)
    markers = [
        event.marker_recorded_event_attributes
        for event in events
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED
    ]
    local = [marker for marker in markers if marker.marker_name == _LOCAL_ACTIVITY_MARKER]
    return Work(
        updates=names["WorkflowExecutionUpdateAccepted"],
        signals=names["WorkflowExecutionSignaled"],
        timers=names["TimerStarted"],
        activities=sum(_attempts(event) for event in events),
        local_activities=len(local),
        local_batches=len({marker.workflow_task_completed_event_id for marker in local}),
        upserts=names["UpsertWorkflowSearchAttributes"],
        children=names["ChildWorkflowExecutionStarted"],
        workflow_tasks=names["WorkflowTaskCompleted"],
    )


def _attempts(event: HistoryEvent) -> int:
    """A history has the start of an activity's last attempt only, with its number."""
    if event.event_type != EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        return 0
    return max(1, event.activity_task_started_event_attributes.attempt)


def _name(event: HistoryEvent) -> str:
    words = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)
