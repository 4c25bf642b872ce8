"""One timer a worker, whatever races; what it counts, and what stops it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.errors import NotFoundError
from app.ids import new_id
from app.lifecycle import AWAITING_APPROVAL, READY, REVISION_REQUESTED, WORKING
from app.timetracking.errors import NotWorkedOnError, TimerAlreadyRunningError, TimerNotRunningError
from app.timetracking.models import RunningTimer
from app.timetracking.rules import counted_seconds, end_of, seconds_between
from app.timetracking.service import stop_for_job, stop_idle, tracked_seconds
from app.timetracking.store import TimerStore
from tests.timetracking.conftest import IDLE, Desk


async def test_a_timer_becomes_an_entry(desk: Desk) -> None:
    job_id = await desk.job()
    timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    entry = await desk.tracking.stop(job_id, desk.worker_id, desk.after(90.9), note="two pages")
    assert (entry.id, entry.job_id, entry.worker_id) == (timer.timer_id, job_id, desk.worker_id)
    assert (entry.seconds, entry.stopped_by, entry.note) == (90, "worker", "two pages")
    assert await desk.timers() == []
    [stored] = await desk.entries()
    assert (stored["_id"], stored["seconds"], stored["startedAt"]) == (timer.timer_id, 90, desk.now)
    assert await desk.notices() == []


@pytest.mark.parametrize("jobs", [1, 20], ids=["same-job", "a-job-each"])
async def test_of_twenty_starts_at_once_one_timer_runs(desk: Desk, jobs: int) -> None:
    job_ids = [await desk.job() for _ in range(jobs)] * (20 // jobs)
    outcomes = await asyncio.gather(
        *(desk.tracking.start(job_id, desk.worker_id, desk.now) for job_id in job_ids),
        return_exceptions=True,
    )
    [running] = await desk.timers()
    started = [outcome for outcome in outcomes if isinstance(outcome, RunningTimer)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, TimerAlreadyRunningError)]
    assert len(started) + len(refused) == 20, outcomes
    assert {timer.timer_id for timer in started} == {running["timerId"]}
    assert len(started) == (20 if jobs == 1 else 1)
    assert {error.fields["jobId"] for error in refused} <= {running["jobId"]}
    assert await desk.entries() == []


async def test_twenty_stops_at_once_make_one_entry(desk: Desk) -> None:
    job_id = await desk.job()
    timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    entries = await asyncio.gather(
        *(
            desk.tracking.stop(job_id, desk.worker_id, desk.after(60 + late), timer_id=timer.timer_id)
            for late in range(18)
        )
    )
    assert len({(entry.id, entry.seconds) for entry in entries}) == 1
    [stored] = await desk.entries()
    assert stored["seconds"] == entries[0].seconds
    assert await desk.timers() == []


async def test_a_stop_races_the_sweep_and_the_process(desk: Desk) -> None:
    job_id, late = await desk.job(), desk.after(IDLE + 5)
    for _ in range(5):
        timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
        entry, *_ = await asyncio.gather(
            desk.tracking.stop(job_id, desk.worker_id, late, timer_id=timer.timer_id),
            stop_idle(desk.database, late),
            stop_for_job(desk.database, job_id, desk.worker_id, late),
        )
        assert (entry.id, entry.seconds, entry.stopped_by) == (timer.timer_id, 0, "idle")
        assert await desk.timers() == []
    assert len(await desk.entries()) == len(await desk.notices()) == 5


async def test_starting_again_gets_the_same_timer_and_another_job_does_not(desk: Desk) -> None:
    here, there = await desk.job(), await desk.job()
    first = await desk.tracking.start(here, desk.worker_id, desk.now)
    again = await desk.tracking.start(here, desk.worker_id, desk.after(30))
    assert (again.timer_id, again.started_at) == (first.timer_id, first.started_at)
    assert again.seen_at == desk.after(30)
    with pytest.raises(TimerAlreadyRunningError) as refused:
        await desk.tracking.start(there, desk.worker_id, desk.after(40))
    assert refused.value.fields == {"jobId": here, "startedAt": desk.now.isoformat()}
    with pytest.raises(TimerNotRunningError):
        await desk.tracking.stop(there, desk.worker_id, desk.after(50))
    await desk.tracking.stop(here, desk.worker_id, desk.after(60))
    moved = await desk.tracking.start(there, desk.worker_id, desk.after(60))
    assert moved.timer_id != first.timer_id


async def test_repeating_a_stop_by_its_timer_gets_the_same_entry(desk: Desk) -> None:
    job_id, other = await desk.job(), await desk.job()
    first = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    entry = await desk.tracking.stop(job_id, desk.worker_id, desk.after(60), timer_id=first.timer_id)
    second = await desk.tracking.start(job_id, desk.worker_id, desk.after(70))
    again = await desk.tracking.stop(job_id, desk.worker_id, desk.after(80), timer_id=first.timer_id)
    assert again == entry
    assert [timer["timerId"] for timer in await desk.timers()] == [second.timer_id]
    for job, timer_id in ((job_id, new_id()), (other, first.timer_id), (other, second.timer_id)):
        with pytest.raises(TimerNotRunningError):
            await desk.tracking.stop(job, desk.worker_id, desk.after(80), timer_id=timer_id)
    await desk.move(job_id, AWAITING_APPROVAL)
    done = await desk.tracking.stop(job_id, desk.worker_id, desk.after(90), timer_id=first.timer_id)
    assert done == entry
    assert len(await desk.entries()) == 1


async def test_only_the_worker_and_only_at_work(desk: Desk) -> None:
    stranger, tracking = new_id(), desk.tracking
    job_id = await desk.job()
    for act in (tracking.start, tracking.heartbeat, tracking.stop):
        for job, worker in ((job_id, stranger), (new_id(), desk.worker_id)):
            with pytest.raises(NotFoundError):
                await act(job, worker, desk.now)
    for state in (READY, AWAITING_APPROVAL, REVISION_REQUESTED):
        await desk.move(job_id, state)
        for act in (tracking.start, tracking.heartbeat, tracking.stop):
            with pytest.raises(NotWorkedOnError) as refused:
                await act(job_id, desk.worker_id, desk.now)
            assert refused.value.fields == {"status": state.status.value, "phase": state.phase.value}
    await desk.move(job_id, WORKING)
    for act in (tracking.heartbeat, tracking.stop):
        with pytest.raises(TimerNotRunningError):
            await act(job_id, desk.worker_id, desk.now)
    assert await desk.timers() == await desk.entries() == []


# --- silence


async def test_heartbeats_keep_a_timer_and_silence_stops_it_at_the_last(desk: Desk) -> None:
    job_id = await desk.job()
    timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    for second in range(60, 3601, 60):
        beaten = await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(second))
        assert (beaten.timer_id, beaten.seen_at) == (timer.timer_id, desk.after(second))
    before = await stop_idle(desk.database, desk.after(3600 + IDLE - 1))
    assert (before.idle, await desk.entries()) == (0, [])
    swept = await stop_idle(desk.database, desk.after(3600 + IDLE))
    assert (swept.idle, swept.left, swept.failed) == (1, 0, 0)
    [entry] = await desk.entries()
    assert (entry["seconds"], entry["stoppedBy"], entry["stoppedAt"]) == (3600, "idle", desk.after(3600))
    [notice] = await desk.notices()
    assert (notice["template"], notice["jobId"]) == ("time.idle_stopped", job_id)
    assert notice["context"] == {"stopped_at": desk.after(3600)}
    assert (await stop_idle(desk.database, desk.after(9999))).idle == 0
    assert len(await desk.notices()) == 1


async def test_a_late_sign_of_life_does_not_bridge_the_silence(desk: Desk) -> None:
    job_id, late = await desk.job(), desk.after(IDLE + 60)
    await desk.tracking.start(job_id, desk.worker_id, desk.now)
    await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(60))
    with pytest.raises(TimerNotRunningError) as refused:
        await desk.tracking.heartbeat(job_id, desk.worker_id, late)
    assert refused.value.fields == {"stoppedBy": "idle"}
    assert [entry["seconds"] for entry in await desk.entries()] == [60]
    assert len(await desk.notices()) == 1


@pytest.mark.parametrize("same", [True, False], ids=["same-job", "another-job"])
async def test_an_idle_timer_does_not_stand_in_the_way(desk: Desk, same: bool) -> None:
    job_id = await desk.job()
    old = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    other = job_id if same else await desk.job()
    new = await desk.tracking.start(other, desk.worker_id, desk.after(IDLE))
    assert (new.job_id, new.started_at) == (other, desk.after(IDLE))
    [entry] = await desk.entries()
    assert (entry["_id"], entry["seconds"], entry["stoppedBy"]) == (old.timer_id, 0, "idle")


async def test_a_heartbeat_beats_a_sweep_that_read_before_it(desk: Desk) -> None:
    job_id = await desk.job()
    await desk.tracking.start(job_id, desk.worker_id, desk.now)
    read = RunningTimer.model_validate((await desk.timers())[0])
    stop = end_of(read, desk.after(IDLE), working=True)
    assert stop is not None
    await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(IDLE - 1))
    assert await desk.tracking._store.settle(read, stop) is None
    assert (len(await desk.timers()), await desk.entries()) == (1, [])


# --- the job moves on


async def test_the_process_stops_the_timer_on_its_job_alone(desk: Desk) -> None:
    here, there = await desk.job(), await desk.job()
    await desk.tracking.start(here, desk.worker_id, desk.now)
    await stop_for_job(desk.database, there, desk.worker_id, desk.after(30))
    await stop_for_job(desk.database, here, new_id(), desk.after(30))
    assert await desk.entries() == []
    for late in (0, 10):
        await stop_for_job(desk.database, here, desk.worker_id, desk.after(30 + late))
    [entry] = await desk.entries()
    assert (entry["seconds"], entry["stoppedBy"], await desk.timers()) == (30, "process", [])
    assert await desk.notices() == []
    await desk.tracking.start(here, desk.worker_id, desk.after(100))
    await stop_for_job(desk.database, here, desk.worker_id, desk.after(30))
    assert len(await desk.timers()) == 1, "a late repeat stopped the next timer"


async def test_a_timer_left_behind_counts_to_its_last_sign_of_life(desk: Desk) -> None:
    job_id = await desk.job()
    timer = await desk.tracking.start(job_id, desk.worker_id, desk.now)
    await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(60))
    await desk.move(job_id, AWAITING_APPROVAL)
    with pytest.raises(NotWorkedOnError):
        await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(120))
    swept = await stop_idle(desk.database, desk.after(130))
    assert (swept.idle, swept.left) == (0, 1)
    [entry] = await desk.entries()
    assert (entry["_id"], entry["seconds"], entry["stoppedBy"]) == (timer.timer_id, 60, "process")


async def test_a_timer_left_on_a_job_of_anothers_is_no_obstacle(desk: Desk) -> None:
    taken, own = await desk.job(), await desk.job()
    await desk.tracking.start(taken, desk.worker_id, desk.now)
    await desk.move(taken, WORKING, workerId=new_id())
    timer = await desk.tracking.start(own, desk.worker_id, desk.after(10))
    assert timer.job_id == own
    assert [entry["stoppedBy"] for entry in await desk.entries()] == ["process"]


async def test_a_start_that_loses_to_the_end_of_work_leaves_no_timer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, begin = await desk.job(), TimerStore.begin

    async def begin_too_late(store: TimerStore, timer: RunningTimer) -> bool:
        await desk.move(job_id, AWAITING_APPROVAL)
        return await begin(store, timer)

    monkeypatch.setattr(TimerStore, "begin", begin_too_late)
    with pytest.raises(NotWorkedOnError):
        await desk.tracking.start(job_id, desk.worker_id, desk.now)
    assert await desk.timers() == []
    assert [entry["seconds"] for entry in await desk.entries()] == [0]


async def test_one_unreadable_timer_does_not_keep_the_others(desk: Desk) -> None:
    job_id, broken = await desk.job(), new_id()
    await desk.tracking.start(job_id, desk.worker_id, desk.now)
    await desk.database["running_timers"].insert_one({"_id": broken, "timerId": new_id()})
    swept = await stop_idle(desk.database, desk.after(IDLE))
    await desk.database["running_timers"].delete_one({"_id": broken})
    assert (swept.idle, swept.failed) == (1, 1)


# --- what is counted


async def test_tracked_seconds_are_what_a_stop_at_that_moment_would_leave(desk: Desk) -> None:
    job_id = await desk.job()
    assert await tracked_seconds(desk.database, job_id, desk.worker_id, desk.now) == 0
    await desk.tracking.start(job_id, desk.worker_id, desk.now)
    await desk.tracking.stop(job_id, desk.worker_id, desk.after(100))
    await desk.tracking.start(job_id, desk.worker_id, desk.after(200))
    await desk.tracking.heartbeat(job_id, desk.worker_id, desk.after(260))
    for second, expected in ((100, 100), (230, 130), (260 + IDLE - 1, 159 + IDLE), (260 + IDLE, 160)):
        at = desk.after(second)
        assert await tracked_seconds(desk.database, job_id, desk.worker_id, at) == expected, second
    assert await tracked_seconds(desk.database, job_id, new_id(), desk.after(230)) == 0
    assert await tracked_seconds(desk.database, await desk.job(), desk.worker_id, desk.after(230)) == 0
    await stop_for_job(desk.database, job_id, desk.worker_id, desk.after(300.7))
    assert await tracked_seconds(desk.database, job_id, desk.worker_id, desk.after(9999)) == 200


def test_seconds_are_whole_and_never_negative(desk: Desk) -> None:
    assert seconds_between(desk.now, desk.now + timedelta(milliseconds=1999)) == 1
    assert seconds_between(desk.now, desk.now - timedelta(seconds=5)) == 0
    timer = RunningTimer(
        id=desk.worker_id,
        timer_id=new_id(),
        job_id=new_id(),
        started_at=desk.now,
        seen_at=desk.now,
        idle_seconds=IDLE,
    )
    assert counted_seconds(timer, desk.after(-5)) == 0
    assert end_of(timer, desk.after(IDLE - 1), working=True) is None
