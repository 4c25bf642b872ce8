"""A dispute over a completed job through the door: opened, fed with evidence, put off and ruled on."""

from __future__ import annotations

from datetime import timedelta

import httpx2

from app.documents import utcnow
from app.settings import Settings
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People
from tests.support.completed import completed_job
from tests.support.jobs import JobHarness


async def test_a_completed_job_is_disputed_and_ruled_on(
    jobs: JobHarness, door: httpx2.AsyncClient, database: Database, api_settings: Settings
) -> None:
    people = People(door, database, api_settings)
    owner, other, admin = [await people.someone(role) for role in (Role.CLIENT, Role.CLIENT, Role.ADMIN)]
    door.cookies.clear()
    await jobs.resources.credits.grant(owner.id, 100_000, key=f"seed:{owner.id}", source="seed")
    scene = await completed_job(jobs, client=owner.id)
    path, ours = f"/jobs/{scene.job.id}/dispute", f"/admin/jobs/{scene.job.id}"

    reason = {"reason": "The charts are wrong"}
    stranger = await door.post(path, json=reason, headers=other.headers)
    assert (stranger.status_code, stranger.json()["code"]) == (404, "not-found")
    opened = await door.post(path, json=reason, headers=owner.headers)
    assert (opened.status_code, opened.json()["phase"]) == (200, "disputed"), opened.text
    told = await door.post(f"{path}/evidence", json={"text": "See page 3"}, headers=owner.headers)
    assert told.status_code == 201, told.text

    until = "2099-01-01T00:00:00Z"
    moved = await door.post(f"{ours}/extend-deadline", json={"to": until, **reason}, headers=admin.headers)
    assert (moved.status_code, moved.json()["deadline"]) == (200, until), moved.text
    shown = (await door.get(path, headers=owner.headers)).json()
    assert (shown["status"], shown["evidenceUntil"], len(shown["evidence"])) == ("open", until, 1)

    over = {"dispute.evidenceUntil": utcnow() - timedelta(seconds=1)}
    await database["jobs"].update_one({"_id": scene.job.id}, {"$set": over})
    late = await door.post(f"{path}/evidence", json={"text": "And page 4"}, headers=owner.headers)
    assert (late.status_code, late.json()["code"]) == (409, "evidence-closed")

    stored = await scene.stored()
    spent, earned = stored.spent_credits, stored.earned_usd_cents
    preview = f"{ours}/dispute/ruling-preview"
    refused = await door.get(preview, params={"workerShareBasisPoints": 10_001}, headers=admin.headers)
    assert refused.status_code == 422
    foretold = await door.get(preview, params={"workerShareBasisPoints": 5_000}, headers=admin.headers)
    assert foretold.json() == {
        "clientPays": spent // 2 / 100,
        "clientGetsBack": (spent - spent // 2) / 100,
        "workerEarnsUsdCents": earned // 2,
        "workerLosesUsdCents": earned - earned // 2,
        "standing": [],
    }
    body = {"workerShareBasisPoints": 5_000, **reason}
    ruled = await door.post(f"{ours}/dispute/rule", json=body, headers=admin.headers)
    assert (ruled.status_code, ruled.json()["phase"]) == (200, "rating"), ruled.text
    assert ruled.json()["standing"] == []
    after = await scene.stored()
    assert (after.spent_credits, after.earned_usd_cents) == (spent // 2, earned // 2)
    shown = (await door.get(path, headers=owner.headers)).json()
    assert (shown["status"], shown["workerShareBasisPoints"]) == ("ruled", 5_000)
    again = await door.post(f"{path}/withdraw", json={}, headers=owner.headers)
    assert (again.status_code, again.json()["code"]) == (409, "wrong-state")

    past = utcnow() - timedelta(days=8)
    await database["jobs"].update_one({"_id": scene.job.id}, {"$set": {"completedAt": past}})
    late = await door.post(path, json=reason, headers=owner.headers)
    assert (late.status_code, late.json()["code"]) == (409, "dispute-window-closed")
