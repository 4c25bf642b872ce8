"""The door to subscriptions: pages to pay on, changes, leaving and staying, and what each is refused for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest_asyncio
from temporalio.client import Client

from app.ids import new_id
from app.settings import Settings
from app.subscriptions.packs import PACKS
from app.subscriptions.tiers import TIERS
from app.users.models import Role
from devstack.stack import Stack
from tests.api.people import People, Person
from tests.billing.buyers import CARD
from tests.billing.house import House, open_house
from tests.conftest import Database
from tests.support.http import until


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[House]:
    stack.require("mongodb", "redis", "s3", "stripe", "temporal")
    async with open_house(temporal, database, settings, login_attempts_per_minute=1000) as made:
        yield made


async def someone(house: House) -> Person:
    return await People(house.http, house.database, house.settings).someone(Role.CLIENT)


async def post(
    house: House, person: Person, path: str, body: dict[str, str] | None = None, key: str | None = None
) -> httpx2.Response:
    headers = person.headers | {"Idempotency-Key": key or new_id()}
    return await house.http.post(path, json=body, headers=headers)


async def subscribed(house: House, tier: str = "starter") -> Person:
    """A client who has paid on the page, and whose books have followed."""
    person = await someone(house)
    answer = await post(house, person, "/subscriptions", {"tier": tier})
    assert answer.status_code == 201, answer.text
    assert (await house.shop.control.browse(answer.json()["url"], CARD)).status_code == 303
    await house.shop.settlement.settle(person.id)
    return person


async def me(house: House, person: Person) -> dict[str, object]:
    answer = await house.http.get("/subscriptions/me", headers=person.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_what_is_sold_is_told_to_everyone(house: House) -> None:
    sold = (await house.http.get("/subscriptions/tiers")).json()
    assert {tier["name"]: tier["priceUsdCents"] for tier in sold["tiers"]} == {
        tier.name: tier.price_cents for tier in TIERS.values()
    }
    assert [pack["credits"] for pack in sold["packs"]] == [pack.credits / 100 for pack in PACKS.values()]


async def test_a_client_subscribes_on_stripes_page_and_sees_what_happens_next(house: House) -> None:
    person = await subscribed(house, "growth")
    found = await me(house, person)
    assert (found["tier"], found["status"], found["next"]) == ("growth", "active", "renews")
    assert (found["available"], found["nextAt"]) == (30.0, found["currentPeriodEnd"])
    again = await post(house, person, "/subscriptions", {"tier": "scale"})
    assert (again.status_code, again.json()["code"]) == (409, "already-subscribed")
    invoices = (await house.http.get("/subscriptions/invoices", headers=person.headers)).json()["items"]
    assert [(one["status"], one["paidUsdCents"]) for one in invoices] == [("paid", 69_900)]


async def test_the_drawn_path_does_the_same_and_a_repeat_is_the_same_page(house: House) -> None:
    person, key = await someone(house), new_id()
    first = await post(house, person, "/subs", {"tier": "starter"}, key)
    again = await post(house, person, "/subs", {"tier": "starter"}, key)
    assert (first.status_code, again.json()) == (201, first.json())
    other = await post(house, person, "/subs", {"tier": "growth"})
    session = await house.shop.sdk.v1.checkout.sessions.retrieve_async(first.json()["sessionId"])
    assert session.status == "expired", "two open pages could both be paid"
    assert (await house.shop.control.browse(other.json()["url"], CARD)).status_code == 303
    late = await post(house, person, "/subs", {"tier": "starter"})
    assert late.json()["code"] == "already-subscribed", "Stripe knows it before the books do"


async def test_change_cancel_and_resume(house: House) -> None:
    person = await subscribed(house)
    changed = await post(house, person, "/subscriptions/me/change", {"tier": "growth"})
    assert (changed.status_code, changed.json()["tier"]) == (200, "growth"), changed.text
    await until(lambda: me(house, person), lambda found: found["tier"] == "growth", "the change")
    cancelled = await post(house, person, "/subscriptions/me/cancel")
    assert cancelled.json()["cancelAtPeriodEnd"] is True
    await until(lambda: me(house, person), lambda found: found["next"] == "ends", "the end")
    kept = await post(house, person, "/subscriptions/me/resume")
    assert kept.json()["cancelAtPeriodEnd"] is False
    await until(lambda: me(house, person), lambda found: found["next"] == "renews", "the undoing")
    portal = await post(house, person, "/subscriptions/me/portal")
    assert (await house.shop.control.browse(portal.json()["url"])).status_code == 200


async def test_a_downgrade_below_what_is_spent_is_refused_and_changes_nothing(house: House) -> None:
    person = await subscribed(house, "scale")
    credits_ = house.harness.resources.credits
    held = await credits_.hold(person.id, new_id(), 7_900, key=f"hold:{person.id}")
    assert held.outcome == "held"
    refused = await post(house, person, "/subscriptions/me/change", {"tier": "starter"})
    assert (refused.status_code, refused.json()["code"]) == (409, "downgrade-below-held")
    assert refused.json()["available"] == 1.0
    assert (await me(house, person))["tier"] == "scale"


async def test_bad_requests_and_nobodys_subscription(house: House) -> None:
    person = await someone(house)
    for body in ({"tier": "platinum"}, {"tier": ""}, {}, {"tier": "starter", "price": "1"}):
        answer = await post(house, person, "/subscriptions", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    for path, body in (("me/change", {"tier": "platinum"}), ("top-ups", {"pack": "huge"})):
        answer = await post(house, person, f"/subscriptions/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    for path, more in (("change", {"tier": "growth"}), ("cancel", None), ("resume", None), ("portal", None)):
        answer = await post(house, person, f"/subscriptions/me/{path}", more)
        assert (answer.status_code, answer.json()["code"]) == (404, "subscription-not-found"), path
    refused = await post(house, person, "/subscriptions/top-ups", {"pack": "small"})
    assert refused.json()["code"] == "subscription-not-found"
    empty = await house.http.get("/subscriptions/invoices", headers=person.headers)
    assert empty.json() == {"items": []}


async def test_a_pack_is_bought_by_subscribers(house: House) -> None:
    person = await subscribed(house)
    answer = await post(house, person, "/subscriptions/top-ups", {"pack": "medium"})
    assert (await house.shop.control.browse(answer.json()["url"], CARD)).status_code == 303
    await house.shop.settlement.settle(person.id)
    assert (await me(house, person))["available"] == 30.0
