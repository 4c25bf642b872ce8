"""A subscription's life of many runs, the limit of a history lowered: nothing is lost at a seam, whatever arrives
there; and one that has ended begins again. On the real server, whose refusal of a stale end is part of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from app.settings import Settings
from app.subscriptions.dunning import Dunning
from devstack.stack import Stack
from tests.support.scripted_billing import OWED, PAID, ScriptedBilling, scripted_billing
from tests.workflows.followers_support import until
from tests.workflows.test_replay import replayer
from worker.search_attributes import register_search_attributes
from workflows.billing import hand_to_client
from workflows.contracts import CLIENT_ID

LIMIT = 12  # events of one run: two looks
FAULT = {"faults": ["sub_2: a second subscription of the same client"]}


@pytest_asyncio.fixture(params=[True, False], ids=["cached", "uncached"])
async def script(
    request: pytest.FixtureRequest, stack: Stack, temporal: Client, settings: Settings
) -> AsyncIterator[ScriptedBilling]:
    """Workers that keep workflows in memory, and workers that replay each task from the run's beginning."""
    await register_search_attributes(temporal)
    async with scripted_billing(temporal, settings, cached=request.param) as scripted:
        yield scripted


async def first_run(script: ScriptedBilling) -> str:
    """The id of the first run."""
    described = await script.handle.describe()
    return described.raw_description.workflow_execution_info.first_run_id


async def test_each_run_carries_what_the_next_must_know(script: ScriptedBilling) -> None:
    """Events, the dunning, what was found and counted, and the admins' flag."""
    script.fields |= OWED | FAULT
    await script.start(history_limit=LIMIT)
    await script.looked(1)
    for number in range(3):
        await script.hear(f"evt_{number}")
        await script.looked(len(script.looks) + 1)
    view = await script.view()
    assert view.runs >= 3
    assert (view.settled_events, script.settled) == (3, ["evt_0", "evt_1", "evt_2"])
    assert view.dunning == Dunning(invoice_id="in_1", since=script.told[0].since)
    assert len(script.told) == 1, "what an earlier run has told"
    assert await script.needs_admin() is True
    described = await script.handle.describe()
    assert described.typed_search_attributes.get(CLIENT_ID) == script.client_id
    assert script.started is not None
    assert described.run_id != script.started.first_execution_run_id


async def test_a_fault_that_is_mended_at_a_seam_asks_for_nobody(script: ScriptedBilling) -> None:
    """The run that asked for an admin is over; the next one, which finds nothing, takes the flag down."""

    async def mend_after_the_last_look_of_the_run() -> None:
        if len(script.looks) == 2:
            script.fields["faults"] = []

    script.fields |= FAULT
    script.before_answer = mend_after_the_last_look_of_the_run
    await script.start(history_limit=LIMIT)
    await script.looked(1)
    assert await script.needs_admin() is True
    await script.hear()
    view = await script.looked(3)
    assert (view.runs, view.billing.faults) == (2, [])
    assert await script.needs_admin() is False


async def test_what_was_found_last_is_there_before_the_next_run_has_looked(script: ScriptedBilling) -> None:
    seam, answer = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        if len(script.looks) == 3:
            seam.set()
            await answer.wait()

    script.before_answer = hold
    await script.start(history_limit=LIMIT, events=["evt_0"])
    await script.looked(1)
    await script.hear("evt_1")
    await asyncio.wait_for(seam.wait(), 20)
    view = await script.view()
    answer.set()
    assert (view.runs, view.billing.status, view.settled_events) == (2, "active", 2)


async def test_events_that_meet_a_seam_are_each_settled_once(script: ScriptedBilling) -> None:
    """Each look is answered while an event is on its way, a little earlier or later each time."""
    sent: list[str] = []
    sending: set[asyncio.Task[None]] = set()

    async def send(event_id: str, delay: float) -> None:
        await asyncio.sleep(delay)
        await script.hear(event_id)

    async def meet() -> None:
        if len(sent) < 16:
            event_id = f"evt_{len(sent)}"
            sent.append(event_id)
            sending.add(asyncio.create_task(send(event_id, len(sent) % 8 * 0.002)))

    script.before_answer = meet
    await script.start(history_limit=2 * LIMIT)

    async def all_settled() -> bool:
        return len(sent) == 16 and set(script.settled) == set(sent)

    await until(all_settled, seconds=60)
    await asyncio.gather(*sending)
    view = await script.looked(len(script.looks))
    assert sorted(script.settled) == sorted(sent)
    assert view.settled_events == len(sent)
    assert view.runs > 2


async def test_events_without_a_pause_do_not_keep_a_run_from_its_end(script: ScriptedBilling) -> None:
    """Hundreds are due: after each fifty the history is too long, and the rest is carried on."""
    events = [f"evt_{number}" for number in range(320)]
    await script.start(history_limit=LIMIT, events=events)
    view = await script.looked(7)
    assert script.settled == events
    assert view.settled_events == 320
    assert view.runs >= 4


async def test_one_that_has_ended_begins_again_with_the_next_event(script: ScriptedBilling) -> None:
    script.fields["status"] = "canceled"
    await script.start(events=["evt_0"])
    await script.handle.result()
    script.fields |= PAID
    script.started = None
    for event_id in ("evt_1", "evt_1", "evt_2", None):
        await hand_to_client(script.client, script.settings, script.client_id, event_id)

    async def all_settled() -> bool:
        return set(script.settled) == {"evt_0", "evt_1", "evt_2"}

    await until(all_settled)
    view = await script.looked(2)
    assert (view.billing.status, view.runs) == ("active", 1)
    assert script.settled.count("evt_2") == 1
    assert await script.needs_admin() is False


async def test_an_event_that_meets_the_end_begins_again(script: ScriptedBilling) -> None:
    """A last look finds nothing alive while an event comes in: heard by this run or by one of its own, never lost."""
    sending: set[asyncio.Task[None]] = set()

    async def send(event_id: str, delay: float) -> None:
        await asyncio.sleep(delay)
        await hand_to_client(script.client, script.settings, script.client_id, event_id)

    async def meet() -> None:
        if len(sending) < 12:
            number = len(sending)
            sending.add(asyncio.create_task(send(f"evt_{number}", number % 6 * 0.003)))

    script.fields["status"] = "canceled"
    script.before_answer = meet
    await hand_to_client(script.client, script.settings, script.client_id, None)

    async def all_settled() -> bool:
        return set(script.settled) == {f"evt_{number}" for number in range(12)}

    await until(all_settled, seconds=60)
    await asyncio.gather(*sending)
    assert len(script.settled) == 12


async def test_the_runs_replay(script: ScriptedBilling) -> None:
    script.fields |= OWED | FAULT
    await script.start(history_limit=LIMIT)
    for number in range(6):
        await script.hear(f"evt_{number}")
        await script.looked(len(script.looks))
    assert (await script.view()).runs > 1
    first = script.client.get_workflow_handle(script.handle.id, run_id=await first_run(script))
    for handle in (first, script.client.get_workflow_handle(script.handle.id)):
        result = await replayer().replay_workflow(await handle.fetch_history(), raise_on_replay_failure=False)
        assert result.replay_failure is None
