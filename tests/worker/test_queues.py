"""Which queues a worker process takes on, from its command line."""

from __future__ import annotations

import pytest

from worker.__main__ import queues_of
from workflows.contracts import TaskQueue


@pytest.mark.parametrize(
    ("given", "queues"),
    [
        ([], list(TaskQueue)),
        (["notify"], [TaskQueue.NOTIFY]),
        (["ai", "jobs", "billing", "jobs"], [TaskQueue.JOBS, TaskQueue.BILLING, TaskQueue.AI]),
    ],
)
def test_the_named_queues_each_once_or_all(given: list[str], queues: list[TaskQueue]) -> None:
    assert queues_of(given) == queues


def test_an_unknown_queue_ends_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        queues_of(["mail"])
    assert ended.value.code == 2
    assert "no such queue: mail" in capsys.readouterr().err
