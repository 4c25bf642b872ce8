"""`POST /admin/payouts/run`: started once for a key, for everybody or for one worker."""

from __future__ import annotations

import httpx2
import pytest_asyncio
from temporalio.client import Client

from app.ids import new_id
from app.users.models import Role
from tests.api.people import People, Person

PATH = "/admin/payouts/run"


@pytest_asyncio.fixture
async def admin(people: People) -> Person:
    return await people.someone(Role.ADMIN)


async def test_a_run_is_started_once_for_a_key(
    client: httpx2.AsyncClient, people: People, admin: Person, temporal: Client
) -> None:
    worker_id, _ = await people.account(Role.WORKER)
    headers = admin.headers | {"Idempotency-Key": new_id()}
    first = await client.post(PATH, json={"workerId": worker_id}, headers=headers)
    again = await client.post(PATH, json={"workerId": worker_id}, headers=headers)
    assert (first.status_code, again.json()) == (202, first.json()), first.text
    handle = temporal.get_workflow_handle(first.json()["workflowId"])
    assert (await handle.describe()).workflow_type == "BankPayouts"
    await handle.terminate()  # no worker runs here


async def test_only_workers_are_paid_out(client: httpx2.AsyncClient, people: People, admin: Person) -> None:
    for user_id in (new_id(), (await people.account(Role.CLIENT))[0]):
        answer = await client.post(PATH, json={"workerId": user_id}, headers=admin.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/workerId")
    answer = await client.post(PATH, json={"worker_id": new_id()}, headers=admin.headers)
    assert answer.status_code == 422
