"""The arithmetic of the benchmark, on histories and figures made for it."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    ActivityTaskStartedEventAttributes,
    HistoryEvent,
    MarkerRecordedEventAttributes,
)

from bench.__main__ import arguments_of, part_of
from bench.histories import event_counts, work_of
from bench.rates import Batch, Spread, Throughput, percentile
from bench.report import Results, as_json


def _event(kind: EventType.ValueType) -> HistoryEvent:
    return HistoryEvent(event_type=kind)


def _marker(task: int, name: str = "core_local_activity") -> HistoryEvent:
    return HistoryEvent(
        event_type=EventType.EVENT_TYPE_MARKER_RECORDED,
        marker_recorded_event_attributes=MarkerRecordedEventAttributes(
            marker_name=name, workflow_task_completed_event_id=task
        ),
    )


def test_local_activities_of_one_workflow_task_are_one_action() -> None:
    work = work_of([_marker(4), _marker(4), _marker(9), _marker(9, "core_patch")])
    assert (work.local_activities, work.local_batches) == (3, 2)
    assert work.actions()["local activities (per workflow task)"] == 2


def test_each_attempt_of_an_activity_is_an_action() -> None:
    started = HistoryEvent(
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        activity_task_started_event_attributes=ActivityTaskStartedEventAttributes(attempt=3),
    )
    assert work_of([started]).actions()["activities"] == 3


def test_what_is_asked_of_the_server_is_counted_once() -> None:
    kinds = [
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_TIMER_CANCELED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
    ]
    events = [_event(kind) for kind in kinds]
    assert sum(work_of(events).actions().values()) == 6
    assert event_counts(events)["TimerStarted"] == 1


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(number) for number in range(1, 21)]
    assert (percentile(values, 50), percentile(values, 95), percentile([7.0], 95)) == (10.0, 19.0, 7.0)


def test_ratios_are_taken_round_by_round() -> None:
    def batch(seconds: float) -> Batch:
        return Batch(jobs=10, seconds=seconds, settled_seconds=2 * seconds, processor={})

    found = Throughput([batch(2.0), batch(4.0)], [batch(1.0), batch(4.0)], concurrency=1)
    assert found.ratio == Spread(low=0.5, median=0.75, high=1.0)


@pytest.mark.parametrize("wrong", [["--jobs", "0"], ["--concurrency", "65"], ["--rounds", "many"]])
def test_a_run_is_bounded(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments_of(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_a_part_that_fails_is_said_and_the_others_go_on() -> None:
    results, done = Results(), []
    for name in ("webhooks", "ledger", "night"):
        with part_of(name, {"webhooks", "ledger"}, results, name) as wanted:
            if wanted and name == "webhooks":
                raise LookupError("no such customer")
            done.append((name, wanted))
    assert done == [("ledger", True), ("night", False)]
    assert results.failed == ["webhooks failed: LookupError('no such customer')"]
    assert as_json(results)["failed"] == results.failed
