"""One's own transactions, payouts and months; nobody else's."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import httpx2

from app.documents import utcnow
from app.ids import new_id
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.payouts.models import BankPayout, BankPayoutStatus, bank_payout_id
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People, Person


async def pages(client: httpx2.AsyncClient, person: Person, path: str) -> list[list[str]]:
    """The ids (or periods) of every page of two."""
    found, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = await client.get(path, params=params, headers=person.headers)
        assert answer.status_code == 200, answer.text
        found.append([item.get("id") or item["period"] for item in answer.json()["items"]])
        cursor = answer.json()["nextCursor"]
        if cursor is None:
            return found


async def test_a_client_sees_credits_and_a_worker_earnings(
    client: httpx2.AsyncClient, database: Database, people: People
) -> None:
    owner, worker, job = await people.someone(Role.CLIENT), await people.someone(Role.WORKER), new_id()
    credits_ = Credits(database)
    await credits_.grant(owner.id, 500, key=f"g:{owner.id}", source="plan")
    await credits_.hold(owner.id, job, 200, key=f"hold:{job}:1")
    await credits_.resolve(owner.id, f"hold:{job}:1", post=150, release=50, key=f"complete:{job}")
    await Earnings(database).accrue(worker.id, job, 900, key=f"accrue:{job}")
    mine = (await client.get("/payments/transactions", headers=owner.headers)).json()["items"]
    assert [item["kind"] for item in mine] == ["hold_resolution", "credit_hold", "credit_grant"]
    assert mine[0]["credits"] == {
        "availableChange": 0.5,
        "heldChange": -2.0,
        "available": 3.5,
        "held": 0,
        "debt": 0,
    }
    assert await pages(client, owner, "/payments/transactions") == [
        [mine[0]["id"], mine[1]["id"]],
        [mine[2]["id"]],
    ]
    theirs = (await client.get("/payments/transactions", headers=worker.headers)).json()["items"]
    assert [(item["jobId"], item["earnings"]["payableUsdCents"]) for item in theirs] == [(job, 900)]


async def test_a_cursor_of_one_book_opens_no_other(
    client: httpx2.AsyncClient, database: Database, people: People
) -> None:
    one, other = await people.someone(Role.CLIENT), await people.someone(Role.CLIENT)
    for number in range(3):
        await Credits(database).grant(one.id, 100, key=f"g:{one.id}:{number}", source="plan")
    first = await client.get("/payments/transactions", params={"limit": 1}, headers=one.headers)
    cursor = first.json()["nextCursor"]
    answer = await client.get("/payments/transactions", params={"cursor": cursor}, headers=other.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def test_a_worker_sees_their_payouts_latest_first(
    client: httpx2.AsyncClient, database: Database, people: People
) -> None:
    worker, other = await people.someone(Role.WORKER), await people.someone(Role.WORKER)
    now = utcnow()
    for person, periods in ((worker, ("2026-11-09", "2026-11-16", "2026-11-23")), (other, ("2026-11-23",))):
        for period in periods:
            payout = BankPayout(
                id=bank_payout_id(person.id, period),
                worker_id=person.id,
                account_id="acct_1",
                period=period,
                amount_usd_cents=4_500,
                status=BankPayoutStatus.PAID,
                created_at=now - timedelta(days=1),
                updated_at=now,
            )
            await database["payouts"].insert_one(payout.model_dump(by_alias=True))
    assert await pages(client, worker, "/payments/payouts") == [["2026-11-23", "2026-11-16"], ["2026-11-09"]]
    shown = (await client.get("/payments/payouts", headers=other.headers)).text
    assert "acct_1" not in shown


async def test_a_month_is_a_file_of_ones_own(
    client: httpx2.AsyncClient, database: Database, people: People
) -> None:
    worker, job = await people.someone(Role.WORKER), new_id()
    await database["jobs"].insert_one({"_id": job, "seq": 1, "title": '=HYPERLINK("http://x.example")'})
    await Earnings(database).accrue(worker.id, job, 900, key=f"accrue:{job}")
    path = f"/payments/statements/{utcnow():%Y-%m}.csv"
    answer = await client.get(path, headers=worker.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    header, row = csv.reader(io.StringIO(answer.text))
    assert dict(zip(header, row, strict=True))["title"] == '\'=HYPERLINK("http://x.example")'
    assert dict(zip(header, row, strict=True))["balance"] == "9.00"
    other = await people.someone(Role.WORKER)
    assert len((await client.get(path, headers=other.headers)).text.splitlines()) == 1
    for month in ("2026-13", "x", "2026-11-01"):
        answer = await client.get(f"/payments/statements/{month}.csv", headers=worker.headers)
        assert answer.status_code == 422, answer.text
