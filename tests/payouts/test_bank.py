"""A balance goes to the bank once in a period, whatever fails; what the bank sends back is told and sent again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.gateways.payments import GatewayUnavailable, Payout
from app.gateways.stripe import StripeGateway
from app.payouts.bank import BankPayouts
from app.payouts.models import BankPayout, BankPayoutStatus
from app.settings import Settings
from tests.conftest import Database
from tests.payouts.conftest import Payer
from tests.workflows.followers_support import insert_worker

DAY = "2026-11-23"
BALANCE = 4_500
CLOSED_BANK = "000111111113"


@pytest.fixture
def bank(database: Database, payer: Payer) -> BankPayouts:
    return BankPayouts(database, payer.gateway, Settings(environment="test"))


async def funded(
    database: Database, payer: Payer, cents: int = BALANCE, *, account_number: str | None = None
) -> tuple[str, str]:
    """A worker with money on the connected account; the worker's id and the account's."""
    worker_id = await insert_worker(database, country="KH")
    account = await payer.give(database, worker_id, account_number=account_number)
    await payer.send(account, cents)
    return worker_id, account


async def told(database: Database, worker_id: str) -> list[str]:
    rows = await database["outbox"].find({"userId": worker_id}).to_list()
    return sorted(row["template"] for row in rows)


async def patiently(bank: BankPayouts, worker_id: str, period: str = DAY) -> BankPayout | None:
    """As the workflow does: again and again until there is a definite answer."""
    for _ in range(50):
        try:
            return await bank.pay_out(worker_id, period)
        except (GatewayUnavailable, RuntimeError):
            await asyncio.sleep(0.05)
    raise AssertionError("no definite answer")


async def sent_by_stripe(payer: Payer, account: str) -> list[int]:
    pages = await payer.gateway._stripe.v1.payouts.list_async({"limit": 100}, {"stripe_account": account})
    return [payout.amount for payout in pages.data]


async def test_a_balance_is_paid_out_recorded_and_told(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer)
    payout = await bank.pay_out(worker_id, DAY)
    assert payout is not None
    assert (payout.amount_usd_cents, payout.status.is_open) == (BALANCE, True)
    assert await payer.gateway.available_cents(account) == 0
    assert await told(database, worker_id) == ["payout.bank_sent"]
    await payer.control.advance_clock(0)
    assert payout.stripe_payout_id is not None
    settled = await bank.follow(account, payout.stripe_payout_id)
    assert settled is not None
    assert settled.status is BankPayoutStatus.PAID
    assert settled.settled_at is not None
    await payer.send(account, BALANCE)
    again = await bank.pay_out(worker_id, DAY)  # a period's payout is one, however much came since
    assert again is not None
    assert again.stripe_payout_id == payout.stripe_payout_id
    assert await sent_by_stripe(payer, account) == [BALANCE]
    assert await told(database, worker_id) == ["payout.bank_sent"]


async def test_less_than_the_countrys_minimum_waits_and_adds_up(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer, 2_999)
    assert await bank.pay_out(worker_id, DAY) is None
    assert await told(database, worker_id) == []
    await payer.send(account, 1)
    payout = await bank.pay_out(worker_id, "2026-11-30")
    assert payout is not None
    assert payout.amount_usd_cents == 3_000
    assert await bank.pay_out(await insert_worker(database), DAY) is None  # has no account at all


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "after"},
        {"drop": "before"},
        {"status": 500},
        {"status": 500, "remembered": True},
        {"status": 429},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
async def test_an_outage_is_sat_out_and_nothing_is_sent_twice(
    database: Database, payer: Payer, bank: BankPayouts, fault: dict[str, Any]
) -> None:
    worker_id, account = await funded(database, payer)
    await payer.control.add_fault(method="POST", path="/v1/payouts", **fault)
    payout = await patiently(bank, worker_id)
    assert payout is not None
    assert payout.stripe_payout_id is not None
    assert await sent_by_stripe(payer, account) == [BALANCE]
    assert await told(database, worker_id) == ["payout.bank_sent"]


class _DiesAfterPayout(StripeGateway):
    """The process ends after Stripe has sent the money, and is back when Stripe has forgotten the key."""

    deaths = 1
    payer: Payer

    async def create_payout(self, *args: Any, **kwargs: Any) -> Payout:
        payout = await super().create_payout(*args, **kwargs)
        if self.deaths:
            self.deaths -= 1
            await self.payer.control.advance_clock(25 * 3600)
            raise RuntimeError("died after the payout")
        return payout


async def test_a_crash_after_stripe_moved_the_money_finds_it_days_later(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer)
    dying = _DiesAfterPayout(payer.api_key, api_base=payer.base_url)
    dying.payer = payer
    with pytest.raises(RuntimeError):
        await BankPayouts(database, dying, bank.settings).pay_out(worker_id, DAY)
    await dying.close()
    await payer.send(account, BALANCE)  # more came meanwhile; the payout of that day stays what it was
    await bank.follow_open()
    payout = await bank.pay_out(worker_id, DAY)
    assert payout is not None
    assert (payout.amount_usd_cents, payout.status) == (BALANCE, BankPayoutStatus.PAID)
    assert await sent_by_stripe(payer, account) == [BALANCE]


async def test_racing_runs_pay_once_in_a_period_and_never_more_than_there_is(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer)
    await asyncio.gather(*(patiently(bank, worker_id) for _ in range(5)))
    assert await sent_by_stripe(payer, account) == [BALANCE]
    other, second = await funded(database, payer)
    found = await asyncio.gather(*(patiently(bank, other, f"run-{number}") for number in range(5)))
    assert await sent_by_stripe(payer, second) == [BALANCE]
    assert await told(database, other) == ["payout.bank_sent"]  # whoever came late is no news
    assert len([payout for payout in found if payout and payout.stripe_payout_id]) == 1


async def test_what_the_bank_sends_back_is_told_and_goes_out_with_the_next_payout(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer, account_number=CLOSED_BANK)
    payout = await bank.pay_out(worker_id, DAY)
    assert payout is not None
    await payer.control.advance_clock(0)
    await bank.follow_open()  # no webhook came
    failed = await bank.pay_out(worker_id, DAY)
    assert failed is not None
    assert (failed.status, failed.failure_code) == (BankPayoutStatus.FAILED, "account_closed")
    assert await payer.gateway.available_cents(account) == BALANCE
    assert await told(database, worker_id) == ["payout.bank_failed", "payout.bank_sent"]
    await payer.control.complete_onboarding(account, account_number="000123456789")
    again = await bank.pay_out(worker_id, "2026-11-30")
    assert again is not None
    assert again.amount_usd_cents == BALANCE
    assert failed.stripe_payout_id is not None
    late = await bank.follow(account, failed.stripe_payout_id)  # a late, doubled event changes nothing
    assert late is not None
    assert late.settled_at == failed.settled_at


async def test_an_account_that_stripe_has_stopped_is_told_and_left_for_the_next_time(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer)
    await payer.control.require(account, "individual.id_number")
    payout = await bank.pay_out(worker_id, DAY)
    assert payout is not None
    assert (payout.status, payout.failure_code) == (BankPayoutStatus.REFUSED, "payouts_not_allowed")
    assert await told(database, worker_id) == ["payout.bank_failed"]
    await payer.control.complete_onboarding(account)
    again = await bank.pay_out(worker_id, "2026-11-30")
    assert again is not None
    assert again.stripe_payout_id is not None


async def test_a_payout_of_somebody_else_is_none_of_ours(
    database: Database, payer: Payer, bank: BankPayouts
) -> None:
    worker_id, account = await funded(database, payer)
    by_hand = await payer.gateway.create_payout(account, BALANCE, idempotency_key="by-hand")
    assert await bank.follow(account, by_hand.id) is None
    assert await bank.pay_out(worker_id, DAY) is None  # nothing is left
