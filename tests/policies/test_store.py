"""Versions of the policy in MongoDB: append-only, one winner, seen everywhere within the cache's time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import InvalidFieldError, NotFoundError
from app.ids import new_id
from app.jobs.posting import policy_of
from app.policies.errors import StalePolicyError
from app.policies.models import PolicyVersion
from app.policies.store import PolicyEdit, PolicyStore
from app.settings import Settings
from tests.conftest import Database


def an_edit(based_on: int, *, request_id: str | None = None, **changes: Any) -> PolicyEdit:
    return PolicyEdit(
        based_on=based_on,
        changes=changes,
        reason="For the test",
        changed_by=new_id(),
        request_id=request_id or new_id(),
    )


def numbers(versions: list[PolicyVersion]) -> list[int]:
    return [version.id for version in versions]


async def test_without_a_row_the_settings_decide(fresh_database: Database, settings: Settings) -> None:
    short = settings.model_copy(update={"offer_window_seconds": 7, "auto_approve_seconds": 11})
    policies = PolicyStore(fresh_database, short)
    policy = await policies.current()
    assert policy == policy_of(short)
    assert (policy.version, policy.offer_window_seconds, policy.auto_approve_seconds) == (1, 7, 11)
    assert numbers(await policies.history(limit=5)) == [1]
    assert (await policies.version(1)).policy == policy
    with pytest.raises(NotFoundError):
        await policies.version(2)
    assert await fresh_database["policies"].count_documents({}) == 0


async def test_a_change_is_a_new_row_and_the_first_policy_is_not_forgotten(
    fresh_database: Database, settings: Settings
) -> None:
    policies = PolicyStore(fresh_database, settings)
    edit = an_edit(1, rounds=4)
    made = await policies.change(edit)
    assert (made.id, made.policy.version, made.policy.rounds) == (2, 2, 4)
    assert [change.model_dump() for change in made.diff] == [{"field": "rounds", "before": 2, "after": 4}]
    assert (made.changed_by, made.reason) == (edit.changed_by, edit.reason)
    assert await policies.current() == made.policy
    await policies.change(an_edit(2, revision_limit=5))

    other = settings.model_copy(update={"offer_window_seconds": 7})
    later = PolicyStore(fresh_database, other)
    assert (await later.current()).rounds == 4
    assert (await later.current()).revision_limit == 5
    assert (await later.version(1)).policy == policy_of(settings), "what the settings gave at that time"
    assert numbers(await later.history(limit=2)) == [3, 2]
    assert numbers(await later.history(below=2, limit=2)) == [1]
    assert (await later.version(2)).model_dump() == made.model_dump()


async def test_of_many_at_once_one_wins_and_the_others_are_told(
    fresh_database: Database, settings: Settings
) -> None:
    stores = [PolicyStore(fresh_database, settings) for _ in range(3)]
    edits = [an_edit(1, rounds=3 + number) for number in range(12)]
    answers = await asyncio.gather(
        *(stores[number % 3].change(edit) for number, edit in enumerate(edits)), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, PolicyVersion)]
    lost = [answer for answer in answers if isinstance(answer, StalePolicyError)]
    assert (len(won), len(lost)) == (1, 11)
    assert all(error.fields == {"currentVersion": 2} for error in lost)
    assert await fresh_database["policies"].count_documents({}) == 1
    for store in stores:
        assert (await store.latest()).policy == won[0].policy


async def test_a_repeat_finds_what_it_made_before(fresh_database: Database, settings: Settings) -> None:
    policies = PolicyStore(fresh_database, settings)
    edit = an_edit(1, rounds=3)
    first = await policies.change(edit)
    await policies.change(an_edit(2, rounds=4))
    again = await PolicyStore(fresh_database, settings).change(edit)
    assert again.model_dump() == first.model_dump()
    for based_on in (1, 2, 4):
        with pytest.raises(StalePolicyError):
            await policies.change(an_edit(based_on, rounds=9))
    with pytest.raises(InvalidFieldError, match="changes nothing"):
        await policies.change(an_edit(3, rounds=4))


async def test_another_processs_change_is_seen_when_the_cache_ends(
    fresh_database: Database, settings: Settings
) -> None:
    ours = PolicyStore(fresh_database, settings, cache_seconds=0.3)
    assert (await ours.current()).version == 1
    theirs = PolicyStore(fresh_database, settings)
    for version in (1, 2, 3):
        await theirs.change(an_edit(version, rounds=version + 2))
    assert (await ours.current()).version == 1, "posting does not ask MongoDB each time"
    await asyncio.sleep(0.35)
    assert (await ours.current()).version == 4
