"""The run over all workers' balances: on time, on demand, and without one worker keeping the others waiting."""

from __future__ import annotations

import uuid
from typing import Any

from temporalio.client import Client, ScheduleOverlapPolicy

from activities.connect import ConnectActivities
from app.ids import new_id
from app.payouts.terms import next_run, run_offset
from app.settings import Settings
from tests.conftest import Database
from tests.payouts.conftest import Payer
from tests.payouts.test_bank import BALANCE, funded, sent_by_stripe
from tests.workflows.followers_support import insert_worker, unique_queue, worker
from workflows.bank_payout import BankPayoutsWorkflow, bank_payouts_schedule_id, ensure_bank_payouts
from workflows.contracts import BANK_PAYOUTS_WORKFLOW, BankPayoutsInput, BankPayoutsResult
from workflows.followers import FollowPayout, ReadAccount


def activities(client: Client, database: Database, payer: Payer) -> list[Any]:
    own = ConnectActivities(database, payer.gateway, client, Settings(environment="test"))
    return [own.list_payees, own.pay_out, own.follow_payouts]


async def run(client: Client, queue: str, given: BankPayoutsInput) -> BankPayoutsResult:
    result: BankPayoutsResult = await client.execute_workflow(
        BANK_PAYOUTS_WORKFLOW,
        given,
        id=f"bank-payouts-{uuid.uuid4().hex}",
        task_queue=queue,
        result_type=BankPayoutsResult,
    )
    return result


async def test_everyone_with_enough_is_paid_and_a_second_run_of_the_day_pays_nobody(
    temporal: Client, fresh_database: Database, payer: Payer
) -> None:
    database = fresh_database
    rich = [await funded(database, payer) for _ in range(3)]
    poor = [await funded(database, payer, 100)]
    stopped, account = await funded(database, payer)
    await payer.control.require(account, "individual.id_number")
    await insert_worker(database)  # without an account
    queue = unique_queue("billing")
    async with worker(temporal, queue, [BankPayoutsWorkflow], activities(temporal, database, payer)):
        first = await run(temporal, queue, BankPayoutsInput(period="2026-11-23"))
        second = await run(temporal, queue, BankPayoutsInput(period="2026-11-23"))
        one = await run(temporal, queue, BankPayoutsInput(worker_ids=[stopped], period="later"))
    assert (first.paid, first.usd_cents) == (3, 3 * BALANCE)
    assert (first.below_minimum, first.refused, first.failed) == (len(poor), 1, 0)
    assert (second.paid, second.refused) == (3, 1)  # as they were
    assert one.refused == 1
    for _, account in rich:
        assert await sent_by_stripe(payer, account) == [BALANCE]


async def test_what_stripe_tells_of_accounts_and_payouts_is_an_activity_away(
    temporal: Client, fresh_database: Database, payer: Payer
) -> None:
    own = ConnectActivities(fresh_database, payer.gateway, temporal, Settings(environment="test"))
    worker_id, account = await funded(fresh_database, payer)
    read = await own.read_account(ReadAccount(account_id=account))
    assert (read.worker_id, read.transfers_active) == (worker_id, True)
    payout = await payer.gateway.create_payout(account, BALANCE, idempotency_key=new_id())
    followed = await own.follow_payout(FollowPayout(account_id=account, stripe_payout_id=payout.id))
    assert followed.status is None  # made by hand: none of ours


async def test_the_schedule_is_weekly_and_stays_as_an_operator_left_it(temporal: Client) -> None:
    settings = Settings(environment="test", task_queue_prefix=f"t{uuid.uuid4().hex[:8]}-")
    handle = temporal.get_schedule_handle(bank_payouts_schedule_id(settings.task_queue_prefix))
    try:
        await ensure_bank_payouts(temporal, settings)
        await handle.pause(note="an operator looks into it")
        await ensure_bank_payouts(temporal, settings)
        described = await handle.describe()
        assert described.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert described.schedule.state.paused
        await handle.unpause()
        planned = (await handle.describe()).info.next_action_times
        assert planned[0].weekday() == 0
        assert planned[0] == next_run(planned[0].replace(hour=0), settings.payout_every_days)
        assert (planned[1] - planned[0]).days == 7
    finally:
        await handle.delete()
    assert run_offset(1).total_seconds() == 2 * 3600


async def test_a_run_over_many_goes_on_in_the_next_where_it_was(
    temporal: Client, fresh_database: Database, payer: Payer
) -> None:
    """The limit of a history lowered: the second run begins after the last one of the first, and counts on."""
    for cents in (BALANCE, 100):
        await funded(fresh_database, payer, cents)
    queue = unique_queue("billing")
    given = BankPayoutsInput(period="2026-11-23", history_limit=10)
    async with worker(temporal, queue, [BankPayoutsWorkflow], activities(temporal, fresh_database, payer)):
        handle = await temporal.start_workflow(
            BANK_PAYOUTS_WORKFLOW,
            given,
            id=f"bank-payouts-{uuid.uuid4().hex}",
            task_queue=queue,
            result_type=BankPayoutsResult,
        )
        result = await handle.result()
    assert (result.paid, result.usd_cents, result.below_minimum) == (1, BALANCE, 1)
    last = temporal.get_workflow_handle(handle.id)
    assert (await last.describe()).run_id != handle.first_execution_run_id
    names = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in (await last.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert names == ["list_payees"], (
        "what was on its way was followed, and who was paid was paid, in the first"
    )
