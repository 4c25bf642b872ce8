"""Cursors and number types."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pymongo.asynchronous.database import AsyncDatabase

from api.pagination import InvalidCursorError, PageRequest, fetch_page
from api.types import CreditsIn, CreditsOut
from app.documents import utcnow
from app.ids import new_id
from app.settings import Settings

Database = AsyncDatabase[dict[str, Any]]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_show_everything_once_in_order(
    database: Database,
    settings: Settings,
    limit: int,
    descending: bool,  # parametrized
) -> None:
    things = database[f"things-{limit}-{descending}"]
    now = utcnow()
    # many share a time, so that the id has to decide
    [now + timedelta(milliseconds=n // 4) for n in range(20)]
    stored = [
        {"_id": new_id(), "createdAt": now + timedelta(milliseconds=n // 4), "mine": n % 5 > 0}
        for n in range(20)
    ]
    await things.insert_many(stored)
    wanted = sorted(
        (thing for thing in stored if thing["mine"]),
        key=lambda thing: (thing["createdAt"], thing["_id"]),
        reverse=descending,
    )
    seen: list[Any] = []
    cursor: str | None = None
    for _ in range(30):
        page = PageRequest(limit=limit, cursor=cursor, settings=settings)
        found, cursor = await fetch_page(things, {"mine": True}, page, scope="things", descending=descending)
        assert len(found) <= limit
        seen += found
        if cursor is None:
            break
    assert [thing["_id"] for thing in seen] == [thing["_id"] for thing in wanted]


def test_cursors_hold_against_tampering(settings: Settings) -> None:
    def position(cursor: str, *, scope: str = "jobs:me", with_: Settings = settings) -> Any:
        return PageRequest(limit=5, cursor=cursor, settings=with_).position(scope)

    now = utcnow()
    good = PageRequest(limit=5, cursor=None, settings=settings).cursor_after("jobs:me", now, "an-id")
    assert position(good) == (now, "an-id")
    assert "an-id" not in good
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    for number in range(len(raw)):
        changed = raw[:number] + bytes([raw[number] ^ 1]) + raw[number + 1 :]
        with pytest.raises(InvalidCursorError):
            position(base64.urlsafe_b64encode(changed).decode())
    other = settings.model_copy(update={"jwt_secret": type(settings.jwt_secret)("another secret " * 4)})
    for bad, scope, with_ in (
        (good, "jobs:other", settings),
        (good, "jobs:me", other),
        (good[:-3], "jobs:me", settings),
        ("x", "jobs:me", settings),
        ("é", "jobs:me", settings),
        ('{"$ne":null}', "jobs:me", settings),
    ):
        with pytest.raises(InvalidCursorError):
            position(bad, scope=scope, with_=with_)


@pytest.mark.parametrize(
    ("given", "hundredths"),
    [(0, 0), (1, 100), (12.5, 1250), (0.01, 1), (0.29, 29), (1.1, 110), (10_000_000, 10**9)],
)
def test_credits_in_and_out(given: float, hundredths: int) -> None:
    assert TypeAdapter(CreditsIn).validate_python(given) == hundredths
    assert float(TypeAdapter(CreditsOut).dump_json(hundredths)) == given


@pytest.mark.parametrize(
    "given",
    [
        -0.01,
        0.001,
        1.005,
        float("nan"),
        float("inf"),
        10_000_000.01,
        1e300,
        "5",
        True,
        None,
        {"$ne": None},
        [1],
    ],
)
def test_what_is_no_number_of_credits(given: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(CreditsIn).validate_python(given)


def test_every_hundredth_survives_the_way_out_and_back() -> None:
    out, back = TypeAdapter(CreditsOut), TypeAdapter(CreditsIn)
    for hundredths in (*range(5000), 999_999_99, 10**9):
        assert back.validate_json(out.dump_json(hundredths)) == hundredths
