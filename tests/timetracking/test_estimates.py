"""The estimate of a job is kept beside what was tracked on it."""

from __future__ import annotations

from app.ids import new_id
from app.lifecycle import WORKING
from app.timetracking.service import note_actual, stop_for_job
from tests.timetracking.conftest import Desk

READING = {
    "requiredSkills": ["excel", "data-analysis"],
    "category": "data",
    "complexity": "moderate",
    "hoursLow": 2.0,
    "hoursLikely": 3.5,
    "hoursHigh": 6.0,
    "parser": "rules",
}


async def test_all_workers_of_a_job_are_counted(desk: Desk) -> None:
    job_id = await desk.job(parsed=READING, category="data", requiredSkills=READING["requiredSkills"])
    await desk.tracking.start(job_id, desk.worker_id, desk.now)
    await stop_for_job(desk.database, job_id, desk.worker_id, desk.after(600))
    second = Desk(desk.database, now=desk.now)
    await desk.move(job_id, WORKING, workerId=second.worker_id)
    for start in (700, 900):
        await second.tracking.start(job_id, second.worker_id, desk.after(start))
        await second.tracking.stop(job_id, second.worker_id, desk.after(start + 100))
    await note_actual(desk.database, job_id)
    noted = await desk.database["estimates"].find_one({"_id": job_id})
    assert noted is not None
    wanted = READING | {
        "_id": job_id,
        "trackedSeconds": 800,
        "workers": sorted(
            [
                {"workerId": desk.worker_id, "seconds": 600},
                {"workerId": second.worker_id, "seconds": 200},
            ],
            key=lambda found: str(found["workerId"]),
        ),
    }
    assert {name: noted[name] for name in wanted} == wanted
    assert set(noted) == {*wanted, "at"}
    await second.tracking.start(job_id, second.worker_id, desk.after(2000))
    await second.tracking.stop(job_id, second.worker_id, desk.after(2010))
    await note_actual(desk.database, job_id)
    again = await desk.database["estimates"].find_one({"_id": job_id})
    assert again is not None
    assert (again["trackedSeconds"], again["at"] >= noted["at"]) == (810, True)


async def test_nothing_tracked_is_noted_as_nothing(desk: Desk) -> None:
    job_id = await desk.job(parsed=READING)
    await note_actual(desk.database, job_id)
    noted = await desk.database["estimates"].find_one({"_id": job_id})
    assert noted is not None
    assert (noted["trackedSeconds"], noted["workers"]) == (0, [])
    assert (noted["category"], noted["requiredSkills"]) == ("data", READING["requiredSkills"])


async def test_a_job_that_was_not_read_has_nothing_to_compare(desk: Desk) -> None:
    for job_id in (await desk.job(), new_id()):
        await note_actual(desk.database, job_id)
        assert await desk.database["estimates"].find_one({"_id": job_id}) is None
