"""A subscription by its clock, in skipped time: dunning to its end, the looks that nobody asked for, and every way
that each of them can end. Stripe is a script here; `test_subscription_lives` has the real parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from app.settings import Settings
from app.subscriptions.dunning import Dunning
from tests.support.scripted_billing import OWED, PAID, ScriptedBilling, scripted_billing
from tests.support.timers import pass_time
from workflows.billing import DunningNews

DAY = timedelta(days=1)
SOON = timedelta(minutes=5)  # what a busy machine may take


@pytest_asyncio.fixture
async def script(time_skipping: WorkflowEnvironment, settings: Settings) -> AsyncIterator[ScriptedBilling]:
    async with scripted_billing(time_skipping, settings) as scripted:
        yield scripted


def told(script: ScriptedBilling, since: datetime) -> list[tuple[str, int, int]]:
    """What the client was told: the news, the reminder's number, on which day."""
    return [
        (one.news.value, one.number, round((at - since) / DAY))
        for one, at in zip(script.told, script.told_at, strict=True)
    ]


async def test_silence_is_told_once_reminded_of_and_ends_the_subscription(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    script.fields |= OWED
    begun = await time_skipping.get_current_time()
    handle = await script.start()
    view = await handle.result()
    assert told(script, begun) == [
        ("failed", 0, 0),
        ("reminder", 1, 3),
        ("reminder", 2, 8),
        ("reminder", 3, 14),
    ]
    first = script.told[0]
    assert (first.invoice_id, first.owed_cents) == ("in_1", 9_900)
    assert abs(first.since - begun) < SOON
    assert {one.since for one in script.told} == {first.since}
    assert {one.grace_until - one.since for one in script.told} == {timedelta(days=21)}
    (end,) = script.suspensions
    assert (end.client_id, end.subscription_id, end.invoice_id) == (script.client_id, "sub_1", "in_1")
    assert script.days(begun) == [*range(22), 21], "once a day while it owes, and once more after its end"
    assert (view.billing.status, view.dunning) == ("canceled", None)


async def test_the_schedule_is_that_of_the_settings(
    time_skipping: WorkflowEnvironment, settings: Settings
) -> None:
    own = settings.model_copy(
        update={
            "dunning_reminder_seconds": [86_400, 5 * 86_400, 9 * 86_400],
            "dunning_grace_seconds": 5 * 86_400,
        }
    )
    async with scripted_billing(time_skipping, own) as script:
        script.fields |= OWED
        begun = await time_skipping.get_current_time()
        await (await script.start()).result()
        assert told(script, begun) == [("failed", 0, 0), ("reminder", 1, 1)], (
            "none when the grace period is over"
        )
        assert script.days(begun)[-1] == 5


async def test_after_an_outage_only_the_last_reminder_that_is_due_is_sent(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    script.fields |= OWED
    begun = await time_skipping.get_current_time()
    missed = Dunning(invoice_id="in_1", since=begun - 10 * DAY)
    await (await script.start(dunning=missed)).result()
    assert told(script, begun) == [("reminder", 2, 0), ("reminder", 3, 4)]
    assert script.days(begun)[-1] == 11


async def test_a_payment_ends_the_dunning_and_the_next_missing_one_begins_anew(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    script.fields |= OWED
    begun = await time_skipping.get_current_time()
    await script.start()
    await script.looked(1)
    await pass_time(time_skipping, days=4)
    assert (await script.view()).dunning is not None
    script.fields |= PAID
    await script.hear("evt_paid")
    await script.looked(6)
    assert (await script.view()).dunning is None
    await pass_time(time_skipping, days=20)
    assert len(script.told) == 2, "a reminder of what is paid"
    script.fields |= OWED | {"owed_invoice_id": "in_2", "owed_cents": 24_900}
    await script.hear("evt_failed")
    await script.looked(len(script.looks) + 1)
    last = script.told[-1]
    assert (last.news, last.invoice_id, last.number) == (DunningNews.FAILED, "in_2", 0)
    assert round((last.since - begun) / DAY) == 24
    assert script.suspensions == []


async def test_another_invoice_owed_at_once_is_a_dunning_of_its_own(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    script.fields |= OWED
    begun = await time_skipping.get_current_time()
    await script.start()
    await script.looked(1)
    await pass_time(time_skipping, days=10)
    script.fields |= {"owed_invoice_id": "in_2"}
    await script.hear("evt_paid_one_owes_another")
    await script.handle.result()
    assert told(script, begun) == [
        *[("failed", 0, 0), ("reminder", 1, 3), ("reminder", 2, 8)],
        *[("failed", 0, 10), ("reminder", 1, 13), ("reminder", 2, 18), ("reminder", 3, 24)],
    ]
    assert [one.invoice_id for one in script.suspensions] == ["in_2"]
    assert script.days(begun)[-1] == 31


async def test_paid_at_the_last_moment_goes_on(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    """The look before the end still found it owing; Stripe, asked to end it, did not."""
    script.fields |= OWED
    script.ends_on_suspension = False

    async def pay() -> None:
        if round((await time_skipping.get_current_time() - begun) / DAY) == 21:
            script.fields |= PAID

    begun = await time_skipping.get_current_time()
    script.before_answer = pay
    await script.start()
    await script.looked(1)
    await pass_time(time_skipping, days=21, minutes=5)
    view = await script.looked(22)
    assert len(script.suspensions) == 1
    assert (view.billing.status, view.dunning) == ("active", None)
    assert view.next_look_at is not None
    assert view.next_look_at - await time_skipping.get_current_time() > timedelta(days=6)


async def test_a_payment_heard_of_just_before_the_end_needs_no_ending(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    script.fields |= OWED
    await script.start()
    await script.looked(1)
    await pass_time(time_skipping, days=20, hours=23)
    script.fields |= PAID
    await pass_time(time_skipping, hours=2)
    assert ((await script.view()).dunning, script.suspensions) == (None, [])


async def test_it_looks_once_a_week_and_after_each_renewal(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    begun = await time_skipping.get_current_time()
    script.fields["period_end"] = begun + timedelta(days=10)
    await script.start()
    view = await script.looked(1)
    assert view.next_look_at is not None
    assert abs(view.next_look_at - begun - timedelta(days=7)) < SOON
    await pass_time(time_skipping, days=8)
    view = await script.looked(2)
    assert view.next_look_at == begun + timedelta(days=10, hours=2), (
        "a renewal's invoice is a draft for an hour"
    )
    await pass_time(time_skipping, days=3)
    view = await script.looked(3)
    assert script.looks[-1][0] - begun - timedelta(days=10, hours=2) < SOON
    assert view.next_look_at is not None
    assert view.next_look_at - script.looks[-1][0] > timedelta(days=6), (
        "the period's end is past: once a week"
    )
    await pass_time(time_skipping, days=22)
    assert len(script.looks) == 6


async def test_a_renewal_of_the_same_moment_is_not_looked_for_again_and_again(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    """Stripe is late with its new period: the old period's end stays where it was."""
    script.fields["period_end"] = await time_skipping.get_current_time() + timedelta(hours=1)
    await script.start()
    await script.looked(1)
    await pass_time(time_skipping, days=6)
    assert len(script.looks) == 2


async def test_an_end_that_is_set_is_undone_and_set_again(
    script: ScriptedBilling, time_skipping: WorkflowEnvironment
) -> None:
    begun = await time_skipping.get_current_time()
    script.fields |= {"period_end": begun + timedelta(days=5), "cancel_at_period_end": True}
    await script.start()
    assert (await script.looked(1)).billing.cancel_at_period_end
    script.fields["cancel_at_period_end"] = False
    await script.hear()
    assert not (await script.looked(2)).billing.cancel_at_period_end
    script.fields["cancel_at_period_end"] = True
    await script.hear()
    await script.looked(3)
    script.fields["status"] = "canceled"  # with the period, and the event of it is lost
    await pass_time(time_skipping, days=5, hours=3)
    assert (await script.handle.result()).billing.status == "canceled"
    assert script.told == []


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired", None])
async def test_it_ends_with_the_subscription(script: ScriptedBilling, status: str | None) -> None:
    await script.start()
    await script.looked(1)
    script.fields["status"] = status
    await script.hear("evt_deleted")
    ended = await script.handle.result()
    assert (ended.billing.status, ended.settled_events, ended.runs) == (status, 1, 1)


async def test_what_comes_while_it_looks_is_for_the_next_look(script: ScriptedBilling) -> None:
    looking, answer = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        looking.set()
        await answer.wait()

    script.before_answer = hold
    await script.start(events=["evt_0"])
    await looking.wait()
    for event_id in ("evt_1", "evt_2", "evt_1", None):
        await script.hear(event_id)
    script.before_answer = None
    answer.set()
    view = await script.looked(2)
    assert [events for _, events in script.looks] == [["evt_0"], ["evt_1", "evt_2"]]
    assert view.settled_events == 3
    await script.hear()
    await script.looked(3)
    assert script.looks[2][1] == [], "an act at the door names no event"


async def test_a_payment_that_comes_in_while_the_client_is_told_of_a_missing_one_is_looked_at_at_once(
    script: ScriptedBilling,
) -> None:
    script.fields |= OWED

    async def pay_during_the_second_look() -> None:
        if len(script.looks) == 1:
            await script.hear("evt_paid")
            script.fields |= PAID

    script.before_answer = pay_during_the_second_look
    await script.start()
    view = await script.looked(2)
    assert (len(script.told), view.dunning, script.settled) == (1, None, ["evt_paid"])


async def test_many_events_are_settled_fifty_at_a_time(script: ScriptedBilling) -> None:
    events = [f"evt_{number}" for number in range(120)]
    await script.start(events=events)
    view = await script.looked(3)
    assert [len(each) for _, each in script.looks] == [50, 50, 20]
    assert script.settled == events
    assert view.settled_events == 120


async def test_faults_ask_for_an_admin_until_they_are_mended(script: ScriptedBilling) -> None:
    script.fields["faults"] = ["sub_2: a second subscription of the same client"]
    await script.start()
    await script.looked(1)
    assert await script.needs_admin() is True
    await script.hear()
    await script.looked(2)
    assert await script.needs_admin() is True
    script.fields["faults"] = []
    await script.hear()
    await script.looked(3)
    assert await script.needs_admin() is False
