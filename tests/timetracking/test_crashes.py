"""A process that dies between any two of its writes: what is left is finished by whoever comes next, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.timetracking.errors import TimerNotRunningError
from app.timetracking.service import note_actual, stop_for_job, stop_idle, tracked_seconds
from tests.timetracking.conftest import IDLE, Desk, DiedError, Dying

Act = Callable[[Desk, str, str], Awaitable[Any]]
LATE = 60 + IDLE


async def _by_worker(desk: Desk, job_id: str, timer_id: str) -> None:
    await desk.tracking.stop(job_id, desk.worker_id, desk.after(80), timer_id=timer_id)


async def _by_process(desk: Desk, job_id: str, timer_id: str) -> None:
    await stop_for_job(desk.database, job_id, desk.worker_id, desk.after(80))


async def _by_sweep(desk: Desk, job_id: str, timer_id: str) -> None:
    await stop_idle(desk.database, desk.after(LATE))


async def _by_heartbeat(desk: Desk, job_id: str, timer_id: str) -> None:
    with pytest.raises(TimerNotRunningError):
        await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(LATE))


async def _by_next_start(desk: Desk, job_id: str, timer_id: str) -> None:
    await desk.tracking.start(job_id, desk.worker_id, desk.after(LATE))


# What stops it, what it counts then (the last sign of life is at 60), by whom it is stopped, and after how many writes.
ENDS: dict[str, tuple[Act, int, str, int]] = {
    "worker": (_by_worker, 80, "worker", 3),
    "process": (_by_process, 80, "process", 3),
    "sweep": (_by_sweep, 60, "idle", 4),
}
NEXT: dict[str, Act] = {
    "worker": _by_worker,
    "process": _by_process,
    "sweep": _by_sweep,
    "heartbeat": _by_heartbeat,
    "start": _by_next_start,
}


@pytest.mark.parametrize("finisher", NEXT)
@pytest.mark.parametrize(("end", "writes"), [(end, n + 1) for end in ENDS for n in range(ENDS[end][3])])
async def test_a_stop_that_dies_is_finished_once(
    desk: Desk, dying: Dying, end: str, writes: int, finisher: str
) -> None:
    act, seconds, stopped_by, _ = ENDS[end]
    job_id = await desk.job()
    timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(60))
    with dying(writes), pytest.raises(DiedError):
        await act(desk, job_id, timer.timer_id)
    assert await tracked_seconds(desk.database, job_id, desk.worker_id, desk.after(9999)) == seconds
    for _ in range(2):
        await NEXT[finisher](desk, job_id, timer.timer_id)
        assert await tracked_seconds(desk.database, job_id, desk.worker_id, desk.after(9999)) == seconds
    [entry] = await desk.entries()
    assert (entry["_id"], entry["seconds"], entry["stoppedBy"]) == (timer.timer_id, seconds, stopped_by)
    assert timer.timer_id not in [found["timerId"] for found in await desk.timers()]
    assert len(await desk.notices()) == (1 if stopped_by == "idle" else 0)


@pytest.mark.parametrize(("end", "writes"), [(end, ENDS[end][3] + 1) for end in ENDS])
async def test_a_stop_makes_no_more_writes_than_are_tried(
    desk: Desk, dying: Dying, end: str, writes: int
) -> None:
    job_id = await desk.job()
    timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    with dying(writes):
        await ENDS[end][0](desk, job_id, timer.timer_id)
    assert len(await desk.entries()) == 1


async def test_a_start_that_dies_is_found_by_its_repeat(desk: Desk, dying: Dying) -> None:
    job_id = await desk.job()
    with dying(1), pytest.raises(DiedError):
        await desk.tracking.start(job_id, desk.worker_id, desk.now)
    [left] = await desk.timers()
    again = await desk.tracking.start(job_id, desk.worker_id, desk.after(5))
    assert (again.timer_id, again.started_at) == (left["timerId"], desk.now)


@pytest.mark.parametrize("writes", [1, 2, 3, 4, 5])
async def test_a_start_that_dies_stopping_the_last_timer_is_repeated(
    desk: Desk, dying: Dying, writes: int
) -> None:
    job_id, late = await desk.job(), desk.after(IDLE)
    old = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    with dying(writes), pytest.raises(DiedError):
        await desk.tracking.start(job_id, desk.worker_id, late)
    new = await desk.tracking.start(job_id, desk.worker_id, late)
    assert new.timer_id != old.timer_id
    assert [entry["_id"] for entry in await desk.entries()] == [old.timer_id]
    assert len(await desk.notices()) == 1


async def test_a_note_that_dies_is_written_again(desk: Desk, dying: Dying) -> None:
    reading = {"hoursLow": 1.0, "hoursLikely": 2.0, "hoursHigh": 4.0, "complexity": "simple"}
    job_id = await desk.job(parsed=reading)
    with dying(1), pytest.raises(DiedError):
        await note_actual(desk.database, job_id)
    await note_actual(desk.database, job_id)
    assert await desk.database["estimates"].count_documents({"_id": job_id}) == 1
