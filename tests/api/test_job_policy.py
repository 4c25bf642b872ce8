"""An admin moves a running job to another version of the policy, in sight of everybody."""

from __future__ import annotations

from typing import Any

import httpx2

from app.lifecycle import Action
from app.settings import Settings
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People
from tests.support.jobs import JobHarness


async def test_a_running_job_is_moved_to_another_policy(
    jobs: JobHarness, door: httpx2.AsyncClient, database: Database, api_settings: Settings
) -> None:
    people = People(door, database, api_settings)
    admin, owner = await people.someone(Role.ADMIN), await people.someone(Role.CLIENT)
    door.cookies.clear()
    await jobs.resources.credits.grant(owner.id, 100_000, key=f"seed:{owner.id}", source="seed")
    worker = await jobs.add_worker()
    job = await jobs.post(owner.id)
    await jobs.until_offered(job, to=worker)
    change = {"basedOn": 1, "changes": {"revisionLimit": 5}, "reason": "More patience"}
    made = await door.post("/admin/policies", json=change, headers=admin.headers)
    assert made.status_code == 201, made.text
    version = made.json()["version"]

    async def move(to: int) -> httpx2.Response:
        body: dict[str, Any] = {"version": to, "reason": "As the client was promised"}
        return await door.post(f"/admin/jobs/{job.id}/policy", json=body, headers=admin.headers)

    unknown = await move(version + 40)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")
    moved = await move(version)
    assert (moved.status_code, moved.json()["phase"]) == (200, "offering"), moved.text
    stored = await jobs.stored(job)
    assert (stored.policy.version, stored.policy.revision_limit) == (version, 5)
    last = stored.timeline[-1]
    assert (last.action, last.actor_id, last.reason) == (
        Action.CHANGE_POLICY,
        admin.id,
        "As the client was promised",
    )
    assert last.details == {"from": 1, "to": version}
    shown = (await door.get(f"/jobs/{job.id}", headers=owner.headers)).json()
    assert shown["revisionLimit"] == 5
    assert shown["timeline"][-1]["action"] == "change_policy"

    await move(version)
    assert [entry.action for entry in (await jobs.stored(job)).timeline].count(Action.CHANGE_POLICY) == 1
