"""Admins give money back, by policy or beyond it, and answer clients' banks: once each, with who and why kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest_asyncio
from temporalio.client import Client

from api.routers.admin_chargebacks import EvidenceView
from app.ids import new_id
from app.money.keys import complete_key, hold_key
from app.money.verify import verify
from app.settings import Settings
from app.subscriptions.evidence import EVIDENCE_FIELDS
from app.users.models import Role
from devstack.stack import Stack
from tests.api.people import People, Person
from tests.billing.buyers import CARD
from tests.billing.house import House, open_house
from tests.conftest import Database
from tests.support.http import until

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[House]:
    stack.require("mongodb", "redis", "s3", "stripe", "temporal")
    async with open_house(temporal, database, settings, login_attempts_per_minute=1000) as made:
        yield made


@pytest_asyncio.fixture(scope="module")
async def admin(house: House) -> Person:
    return await People(house.http, house.database, house.settings).someone(Role.ADMIN)


async def post(
    house: House, person: Person, path: str, body: Json, key: str | None = None
) -> httpx2.Response:
    headers = person.headers | {"Idempotency-Key": key or new_id()}
    return await house.http.post(path, json=body, headers=headers)


async def get(house: House, person: Person, path: str) -> Json:
    answer = await house.http.get(path, headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def subscriber(house: House, tier: str = "growth", **card: str) -> Person:
    """Who has paid on the page, and has the credits."""
    person = await People(house.http, house.database, house.settings).someone(Role.CLIENT)
    page = await post(house, person, "/subscriptions", {"tier": tier})
    assert (await house.shop.control.browse(page.json()["url"], CARD | card)).status_code == 303
    await house.shop.settlement.settle(person.id)
    return person


async def payment_of(house: House, admin: Person, client: Person) -> Json:
    (found,) = (await get(house, admin, f"/admin/clients/{client.id}/payments"))["items"]
    assert isinstance(found, dict)
    return found


async def spend(house: House, client: Person, credits_: int) -> str:
    job_id = new_id()
    own = house.shop.credits
    await own.hold(client.id, job_id, credits_, key=hold_key(job_id))
    await own.resolve(client.id, hold_key(job_id), post=credits_, release=0, key=complete_key(job_id))
    return job_id


async def balances(house: House, client: Person) -> tuple[float, float]:
    found = (await get(house, client, "/users/me"))["client"]["credits"]
    return found["available"], found["debt"]


async def test_unused_credits_are_refunded_by_policy_once(house: House, admin: Person) -> None:
    client = await subscriber(house)
    await spend(house, client, 760)
    seen = await payment_of(house, admin, client)
    assert (seen["creditsBought"], seen["creditsUnused"]) == (30.0, 22.4)
    assert (seen["refundableUsdCents"], seen["atMostUsdCents"], seen["ground"]) == (
        52_192,
        69_900,
        "partly_used",
    )
    path, key = f"/admin/clients/{client.id}/refunds", new_id()
    body = {"paymentId": seen["paymentId"], "reason": "Changed their mind"}
    first = await post(house, admin, path, body, key)
    assert first.status_code == 201, first.text
    given = first.json()
    assert (given["amountUsdCents"], given["outcome"], given["adminId"]) == (52_192, "done", admin.id)
    again = await post(house, admin, path, body, key)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (given, "true")
    more = await post(house, admin, path, body)
    assert (more.status_code, more.json()["code"]) == (409, "refund-beyond-policy")
    await until(lambda: balances(house, client), lambda found: found == (0, 0), "the credits taken back")
    kept = await payment_of(house, admin, client)
    assert [(one["id"], one["amountUsdCents"]) for one in kept["refunds"]] == [(given["stripeId"], 52_192)]
    assert [(act["reason"], act["beyondPolicy"]) for act in kept["acts"]] == [("Changed their mind", False)]
    assert (kept["refundableUsdCents"], kept["ground"]) == (0, "used")
    receipts = (await get(house, client, "/subscriptions/receipts"))["items"]
    assert [(one["amountUsdCents"], one["refundedUsdCents"]) for one in receipts] == [(69_900, 52_192)]
    assert (await house.shop.control.browse(receipts[0]["url"])).status_code == 200


async def test_two_admins_at_once_give_no_more_than_the_policy(house: House, admin: Person) -> None:
    client = await subscriber(house)
    await spend(house, client, 1_500)
    payment_id = (await payment_of(house, admin, client))["paymentId"]
    body = {"paymentId": payment_id, "reason": "Both of us think so"}
    path = f"/admin/clients/{client.id}/refunds"
    answers = await asyncio.gather(*(post(house, admin, path, body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert (await payment_of(house, admin, client))["refundedUsdCents"] == 34_950


async def test_beyond_the_policy_takes_an_exception_and_leaves_a_debt(house: House, admin: Person) -> None:
    client = await subscriber(house, "starter")
    await spend(house, client, 1_000)
    payment_id = (await payment_of(house, admin, client))["paymentId"]
    path = f"/admin/clients/{client.id}/refunds"
    body: Json = {"paymentId": payment_id, "reason": "It was our fault", "amountUsdCents": 12_450}
    refused = await post(house, admin, path, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "refund-beyond-policy")
    assert (refused.json()["allowedUsdCents"], refused.json()["ground"]) == (0, "used")
    too_much = await post(house, admin, path, body | {"beyondPolicy": True, "amountUsdCents": 24_901})
    assert (too_much.status_code, too_much.json()["atMostUsdCents"]) == (409, 24_900)
    given = await post(house, admin, path, body | {"beyondPolicy": True})
    assert (given.status_code, given.json()["beyondPolicy"]) == (201, True), given.text
    await until(lambda: balances(house, client), lambda found: found == (0, 5), "the debt")


async def test_a_lost_answer_is_found_again_at_stripe(house: House, admin: Person) -> None:
    client = await subscriber(house, "starter")
    payment_id = (await payment_of(house, admin, client))["paymentId"]
    path, key = f"/admin/clients/{client.id}/refunds", new_id()
    body: Json = {"paymentId": payment_id, "reason": "Asked for", "amountUsdCents": 1_000}
    await house.shop.control.add_fault(method="POST", path="/v1/refunds", drop="after")
    lost = await post(house, admin, path, body, key)
    assert (lost.status_code, lost.json()["code"]) == (503, "outcome-unknown")
    await house.shop.control.add_fault(
        method="POST", path="/v1/refunds", status=400
    )  # if it were asked again
    found = await post(house, admin, path, body, key)
    await house.shop.control.clear_faults()
    assert (found.status_code, found.json()["outcome"]) == (201, "done"), found.text
    assert (await payment_of(house, admin, client))["refundedUsdCents"] == 1_000


async def test_a_failure_that_stripe_has_saved_is_passed_by(house: House, admin: Person) -> None:
    client = await subscriber(house, "starter")
    payment_id = (await payment_of(house, admin, client))["paymentId"]
    path, key = f"/admin/clients/{client.id}/refunds", new_id()
    body: Json = {"paymentId": payment_id, "reason": "Asked for", "amountUsdCents": 1_000}
    await house.shop.control.add_fault(method="POST", path="/v1/refunds", status=500, remembered=True)
    failed = await post(house, admin, path, body, key)
    assert (failed.status_code, failed.json()["code"]) == (503, "outcome-unknown")
    meanwhile = await post(house, admin, path, body | {"amountUsdCents": 24_900})
    assert meanwhile.json()["allowedUsdCents"] == 23_900, "what was asked for may still be given"
    assert (await post(house, admin, path, body, key)).status_code == 201
    assert (await payment_of(house, admin, client))["refundedUsdCents"] == 1_000


async def test_a_refund_that_fails_can_be_given_again(house: House, admin: Person) -> None:
    client = await subscriber(house, "starter", cardNumber="4000000000005126")
    seen = await payment_of(house, admin, client)
    path = f"/admin/clients/{client.id}/refunds"
    body = {"paymentId": seen["paymentId"], "reason": "Asked for"}
    assert (await post(house, admin, path, body)).status_code == 201
    await house.shop.control.advance_clock(0)  # the client's bank sends it back
    await house.shop.settlement.settle(client.id)
    assert await balances(house, client) == (10, 0)
    again = await payment_of(house, admin, client)
    assert (again["refundableUsdCents"], again["creditsUnused"], again["ground"]) == (24_900, 10, "unused")
    assert [one["status"] for one in again["refunds"]] == ["failed"]


async def test_refunds_that_make_no_sense_are_refused_and_move_nothing(house: House, admin: Person) -> None:
    client, other = await subscriber(house, "starter"), await subscriber(house, "starter")
    mine, theirs = [(await payment_of(house, admin, one))["paymentId"] for one in (client, other)]
    path = f"/admin/clients/{client.id}/refunds"
    good: Json = {"paymentId": mine, "reason": "Asked for"}
    for wrong in (0, -1, 1.5, "5", True, 10**9):
        answer = await post(house, admin, path, good | {"amountUsdCents": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), wrong
    for body in (
        {"paymentId": mine},
        good | {"paymentId": "x"},
        good | {"reason": " "},
        good | {"currency": "eur"},
    ):
        assert (await post(house, admin, path, body)).status_code == 422, body
    for body in (good | {"paymentId": theirs}, good | {"paymentId": "pi_none"}):
        assert (await post(house, admin, path, body)).json()["code"] == "not-found", body
    nobody = await post(house, admin, f"/admin/clients/{new_id()}/refunds", good)
    assert nobody.json()["code"] == "not-found"
    assert (await payment_of(house, admin, client))["refundedUsdCents"] == 0


async def test_a_dispute_is_shown_answered_once_and_won(house: House, admin: Person) -> None:
    client = await subscriber(house)
    job_id = await spend(house, client, 500)
    payment_id = (await payment_of(house, admin, client))["paymentId"]
    dispute = await house.shop.control.open_dispute(payment_id)
    await house.shop.settlement.settle(client.id)
    listed = (await get(house, admin, "/admin/payments/disputes?limit=1"))["items"]
    assert [(one["id"], one["clientId"], one["status"]) for one in listed] == [
        (dispute, client.id, "needs_response")
    ]
    assert listed[0]["answerBy"] is not None
    told = await house.database["outbox"].find_one({"_id": f"payment-disputed:{dispute}"})
    assert told is not None
    assert (told["template"], told["context"]["amount_usd_cents"]) == ("billing.disputed", 69_900)
    seen = await get(house, admin, f"/admin/payments/disputes/{dispute}")
    assert seen["proposed"]["customerEmailAddress"] == (await get(house, client, "/users/me"))["email"]
    assert job_id in seen["proposed"]["accessActivityLog"]
    refused = await post(
        house,
        admin,
        f"/admin/clients/{client.id}/refunds",
        {"paymentId": payment_id, "reason": "Not now", "beyondPolicy": True, "amountUsdCents": 1},
    )
    assert (refused.status_code, refused.json()["ground"]) == (409, "disputed"), refused.text
    path = f"/admin/payments/disputes/{dispute}/evidence"
    draft = await post(
        house,
        admin,
        path,
        {"evidence": {"productDescription": "30 credits"}, "submit": False, "reason": "To begin with"},
    )
    assert (draft.status_code, draft.json()["status"]) == (200, "needs_response"), draft.text
    key = new_id()
    body = {"evidence": {"uncategorizedText": "winning_evidence"}, "submit": True, "reason": "They used it"}
    sent_in = await post(house, admin, path, body, key)
    assert (sent_in.status_code, sent_in.json()["submissions"]) == (200, 1), sent_in.text
    assert sent_in.json()["evidence"]["productDescription"] == "30 credits", "what was kept goes with it"
    assert (await post(house, admin, path, body, key)).json() == sent_in.json()
    late = await post(house, admin, path, body)
    assert (late.status_code, late.json()["code"]) == (409, "dispute-closed")
    await house.shop.control.advance_clock(0)
    await house.shop.settlement.settle(client.id)
    assert await balances(house, client) == (25.0, 0)
    done = await get(house, admin, f"/admin/payments/disputes/{dispute}")
    assert (done["status"], done["answerBy"]) == ("won", None)
    assert [(act["kind"], act["fields"]) for act in done["acts"]] == [
        ("evidence", ["product_description"]),
        ("evidence", ["uncategorized_text"]),
    ]


async def test_a_dispute_is_conceded_for_good(house: House, admin: Person) -> None:
    client = await subscriber(house, "starter")
    await spend(house, client, 400)
    payment_id = (await payment_of(house, admin, client))["paymentId"]
    dispute = await house.shop.control.open_dispute(payment_id, reason="duplicate")
    path = f"/admin/payments/disputes/{dispute}"
    given_up = await post(house, admin, f"{path}/concede", {"reason": "Charged twice by us"})
    assert (given_up.status_code, given_up.json()["status"]) == (200, "lost"), given_up.text
    await until(lambda: balances(house, client), lambda found: found == (0, 4), "the debt")
    again = await post(house, admin, f"{path}/concede", {"reason": "Again"})
    assert again.json()["code"] == "dispute-closed"
    empty = await post(house, admin, f"{path}/evidence", {"submit": False, "reason": "Nothing"})
    assert (empty.status_code, empty.json()["errors"][0]["pointer"]) == (422, "#/evidence")
    none = await house.http.get("/admin/payments/disputes/du_none", headers=admin.headers)
    assert (none.status_code, none.json()["code"]) == (404, "not-found")


async def test_the_list_of_disputes_has_pages(house: House, admin: Person) -> None:
    first = await get(house, admin, "/admin/payments/disputes?limit=1")
    rest = await get(house, admin, f"/admin/payments/disputes?limit=50&cursor={first['nextCursor']}")
    ids = [one["id"] for one in first["items"] + rest["items"]]
    assert len(ids) == len(set(ids)) >= 2
    assert rest["nextCursor"] is None


async def test_after_all_of_that_the_books_are_sound(house: House) -> None:
    assert await verify(house.database) == []


def test_the_door_takes_the_evidence_that_is_proposed() -> None:
    assert set(EvidenceView.model_fields) == set(EVIDENCE_FIELDS)
