"""The story of one job that its first worker left, that was disputed, and that was completed by the second."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx2

from app.ids import new_id
from app.lifecycle import AWAITING_APPROVAL, Actor
from app.settings import Settings
from app.timetracking.models import StoppedBy, TimeEntry
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People
from tests.api.scenes import insert
from tests.support.completed import ADMIN
from tests.support.http import until
from tests.support.jobs import JobHarness
from workflows.contracts import Act, Reasoned, Update

Json = dict[str, Any]


def of_kind(story: Json, kind: str) -> list[Json]:
    return [entry for entry in story["entries"] if entry["kind"] == kind]


def coming(story: Json) -> dict[str, datetime]:
    return {item["what"]: datetime.fromisoformat(item["at"]) for item in story["next"]}


async def test_a_job_that_was_left_disputed_and_completed(
    jobs: JobHarness, door: httpx2.AsyncClient, database: Database, api_settings: Settings
) -> None:
    people = People(door, database, api_settings)
    admin, owner = await people.someone(Role.ADMIN), await people.someone(Role.CLIENT)
    door.cookies.clear()
    await jobs.resources.credits.grant(owner.id, 100_000, key=f"seed:{owner.id}", source="seed")
    first = await jobs.add_worker()
    job = await jobs.post(owner.id)

    async def story() -> Json:
        answer = await door.get(f"/admin/jobs/{job.id}/timeline", headers=admin.headers)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        moments = [entry["at"] for entry in told["entries"]]
        assert moments == sorted(moments)
        return told

    await jobs.until_offered(job, to=first)
    offered = await story()
    assert offered["live"]
    assert set(coming(offered)) == {"expire_offer"}
    await jobs.accept(job, first)
    await jobs.start(job, first)
    working = await story()
    stored = await jobs.stored(job)
    assert stored.due_at is not None
    assert set(coming(working)) == {"due", "remind_worker"}
    assert abs(coming(working)["due"] - stored.due_at) < timedelta(milliseconds=1)
    await insert(database, _hours(job.id, first, stored.started_at))
    await jobs.submit(job, first)
    second = await jobs.add_worker()
    await jobs.update(job, Update.WITHDRAW, _reasoned(Actor.WORKER, first, "I am ill"))
    await jobs.until_offered(job, to=second)
    await jobs.accept(job, second)
    await jobs.start(job, second)
    await jobs.submit(job, second)
    reviewed = await story()
    assert set(coming(reviewed)) == {"remind_client", "auto_approve", "try_payout"}

    await jobs.update(job, Update.OPEN_DISPUTE, _reasoned(Actor.CLIENT, owner.id, "The charts are wrong"))
    said = await door.post(
        f"/jobs/{job.id}/dispute/evidence", json={"text": "See page 3"}, headers=owner.headers
    )
    assert said.status_code == 201, said.text
    disputed = await story()
    assert set(coming(disputed)) == {"close_evidence", "try_payout"}
    held = await jobs.stored(job)
    (former,) = held.former_workers
    assert former.client_paid
    foretold = await door.get(f"/admin/jobs/{job.id}/dispute/ruling-preview", headers=admin.headers)
    assert foretold.json() == {
        "clientPays": held.held_credits / 100,
        "clientGetsBack": 0,
        "workerEarnsUsdCents": held.pay_usd_cents,
        "workerLosesUsdCents": 0,
        "standing": [
            {
                "workerId": first,
                "assignment": 1,
                "clientPaid": former.client_paid / 100,
                "workerEarnedUsdCents": held.accruals[0].usd_cents,
            }
        ],
    }
    await jobs.update(job, Update.DISMISS_DISPUTE, _reasoned(Actor.ADMIN, ADMIN, "They are right"))
    await jobs.until(job, AWAITING_APPROVAL)
    await jobs.update(job, Update.APPROVE, Act(actor=Actor.CLIENT, actor_id=owner.id))
    await jobs.handle(job).result()

    done = await until(story, lambda told: "try_payout" in coming(told), "both payouts are held")
    acts = [entry["what"] for entry in of_kind(done, "act")]
    for act in ("accept_offer", "withdraw", "open_dispute", "dismiss_dispute", "approve"):
        assert act in acts
    numbered = [entry["seq"] for entry in done["entries"] if entry["seq"]]
    assert numbered == list(range(1, len(numbered) + 1))
    money = [entry["what"] for entry in of_kind(done, "money")]
    assert sorted(money) == sorted(
        ["credit_hold", "hold_resolution", "worker_accrual", "hold_resolution", "worker_accrual"]
    )
    assert sum(entry["credits"] for entry in of_kind(done, "money") if entry["what"] == "credit_hold") > 0
    assert len(of_kind(done, "reading")) == 1
    assert len(of_kind(done, "ranking")) == (await jobs.stored(job)).round
    assert [entry["what"] for entry in of_kind(done, "offer")].count("offer_accepted") == 2
    assert [entry["what"] for entry in of_kind(done, "time")] == ["time_tracked"]
    (evidence,) = of_kind(done, "evidence")
    assert (evidence["actor"], evidence["details"]["text"]) == ("client", "See page 3")
    notices = {entry["what"] for entry in of_kind(done, "notice")}
    assert {"job.offer", "job.dispute_opened", "job.completed", "payout.held"} <= notices
    next_ = coming(done)
    assert set(next_) == {"try_payout", "dispute_window_ends", "rating_window_ends", "archive"}
    assert next_["archive"] == max(next_["dispute_window_ends"], next_["rating_window_ends"])

    def all_seen(told: Json) -> bool:
        return [run["kind"] for run in told["processes"]].count("Payout") == 2

    seen = await until(story, all_seen, "visibility knows every process")
    states = {(run["kind"], run["executionStatus"]) for run in seen["processes"]}
    assert states == {("Job", "completed"), ("Payout", "running"), ("Ratings", "running")}


def _reasoned(actor: Actor, actor_id: str, reason: str) -> Reasoned:
    return Reasoned(actor=actor, actor_id=actor_id, reason=reason)


def _hours(job_id: str, worker_id: str, at: datetime | None) -> TimeEntry:
    assert at is not None
    return TimeEntry(
        id=new_id(),
        job_id=job_id,
        worker_id=worker_id,
        started_at=at,
        stopped_at=at,
        seconds=3 * 3600,
        stopped_by=StoppedBy.WORKER,
    )
