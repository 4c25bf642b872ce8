"""`/admin/reconciliations`: a report is read, and a repair applied once, with who did it."""

from __future__ import annotations

import httpx2

from app.documents import utcnow
from app.ids import new_id
from app.money.credits import Credits
from app.reconciliation.models import Difference, DifferenceKind, Reconciliation, Repair, RepairKind
from app.reconciliation.store import write_report
from app.users.models import Role
from tests.api.conftest import Database
from tests.api.people import People

PATH = "/admin/reconciliations"


async def test_a_report_is_listed_read_and_mended(
    client: httpx2.AsyncClient, database: Database, people: People
) -> None:
    admin, other = await people.someone(Role.ADMIN), await people.someone(Role.ADMIN)
    owner, job, credits_ = new_id(), new_id(), Credits(database)
    await credits_.grant(owner, 500, key=f"g:{owner}", source="plan")
    await credits_.hold(owner, job, 200, key=f"hold:{job}:1")
    repair = Repair(
        kind=RepairKind.RELEASE_HOLD,
        proposal="Give the credits back.",
        fields={"clientId": owner, "holdKey": f"hold:{job}:1"},
    )
    gone = repair.model_copy(update={"fields": {"clientId": owner, "holdKey": "hold:none:1"}})
    kind = DifferenceKind.HOLD_OF_ENDED_JOB
    report = Reconciliation(
        id=new_id(),
        at=utcnow(),
        since=utcnow(),
        transfers=0,
        rows=2,
        jobs=0,
        differences=[
            Difference(number=1, kind=kind, detail="held", client_id=owner, repair=repair),
            Difference(number=2, kind=kind, detail="gone", client_id=owner, repair=gone),
        ],
    )
    await write_report(database, report)
    listed = (await client.get(PATH, headers=admin.headers)).json()["items"]
    assert [(item["id"], item["differences"], item["open"]) for item in listed] == [(report.id, 2, 2)]
    apply = f"{PATH}/{report.id}/repairs/1/apply"
    first = await client.post(apply, headers=admin.headers)
    assert first.status_code == 200, first.text
    again = await client.post(apply, headers=other.headers)
    assert again.json() == first.json()
    assert first.json()["appliedBy"] == admin.id
    balance = await credits_.balance(owner)
    assert (balance.available, balance.held) == (500, 0)
    refused = await client.post(f"{PATH}/{report.id}/repairs/2/apply", headers=admin.headers)
    assert (refused.status_code, refused.json()["code"], refused.json()["reason"]) == (
        409,
        "repair-refused",
        "unknown-hold",
    )
    shown = (await client.get(f"{PATH}/{report.id}", headers=admin.headers)).json()
    assert (shown["open"], shown["items"][0]["appliedBy"], shown["items"][1]["appliedBy"]) == (
        1,
        admin.id,
        None,
    )
    for wrong in (f"{new_id()}/repairs/1", f"{report.id}/repairs/3"):
        answer = await client.post(f"{PATH}/{wrong}/apply", headers=admin.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
