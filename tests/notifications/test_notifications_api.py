"""Notifications through the front door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.ids import new_id
from app.notifications.dispatcher import Dispatcher
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.users.models import Role
from tests.api.conftest import api_settings, app, client, people  # noqa: F401  # fixtures
from tests.api.people import People, Person
from tests.notifications.people import PORTAL
from tests.notifications.smtp import mail_server

Database = AsyncDatabase[dict[str, Any]]


async def tell(database: Database, person: Person, count: int) -> list[str]:
    """Deliver `count` notices by the real dispatcher; their ids, newest first. Pairs share their time."""
    start, job = utcnow() - timedelta(hours=1), new_id()
    entries = [
        OutboxEntry.of(
            Notice(type="job.offer", user_id=person.id, job_id=job),
            key=f"{job}:{n:03}:0",
            created_at=start + timedelta(seconds=n // 2),
        )
        for n in range(count)
    ]
    await enqueue(database, entries)
    async with mail_server() as inbox:
        dispatcher = Dispatcher(database, inbox.gateway(), portal_url=PORTAL)
        while await dispatcher.deliver_due():
            pass
    return [entry.key for entry in reversed(entries)]


async def test_pages_in_order_without_gaps_or_repeats(
    client: httpx2.AsyncClient,  # noqa: F811
    people: People,  # noqa: F811
    database: Database,
) -> None:
    worker, other = await people.someone(Role.WORKER), await people.someone(Role.WORKER)
    keys = await tell(database, worker, 11)
    await tell(database, other, 2)
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 3}
    while True:
        page = (await client.get("/notifications", params=params, headers=worker.headers)).json()
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        params["cursor"] = page["nextCursor"]
    assert seen == keys
    foreign = await client.get("/notifications", params=params, headers=other.headers)
    assert (foreign.status_code, foreign.json()["code"]) == (422, "invalid-cursor")


async def test_reading_one_and_all(
    client: httpx2.AsyncClient,  # noqa: F811
    people: People,  # noqa: F811
    database: Database,
) -> None:
    worker, other = await people.someone(Role.WORKER), await people.someone(Role.WORKER)
    keys = await tell(database, worker, 3)
    [theirs] = await tell(database, other, 1)

    async def ids(**params: Any) -> list[str]:
        answer = await client.get("/notifications", params=params, headers=worker.headers)
        return [item["id"] for item in answer.json()["items"]]

    assert await ids(unread=True) == keys
    first = await client.post(f"/notifications/{keys[1]}/read", headers=worker.headers)
    assert first.status_code == 200
    assert first.json()["read"] is True
    again = await client.post(f"/notifications/{keys[1]}/read", headers=worker.headers)
    assert again.json() == first.json(), "the first reading counts"
    assert await ids(unread=True) == [keys[0], keys[2]]
    assert await ids(unread=False) == [keys[1]]
    foreign = await client.post(f"/notifications/{theirs}/read", headers=worker.headers)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not-found")
    marked = await client.post("/notifications/read-all", headers=worker.headers)
    assert marked.json() == {"marked": 2}
    assert await ids(unread=True) == []
    untouched = (await client.get("/notifications?unread=true", headers=other.headers)).json()["items"]
    assert [item["id"] for item in untouched] == [theirs]


async def test_bad_queries_are_refused(client: httpx2.AsyncClient, people: People) -> None:  # noqa: F811
    worker = await people.someone(Role.WORKER)
    for path in ("?unread=maybe", "?limit=0", "?limit=101", "?limit=x", "?cursor=%24ne"):
        answer = await client.get(f"/notifications{path}", headers=worker.headers)
        assert answer.status_code == 422, path
    odd = await client.post("/notifications/%7B%22%24ne%22%3A1%7D/read", headers=worker.headers)
    assert odd.status_code == 422
