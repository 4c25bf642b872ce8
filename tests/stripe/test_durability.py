"""kill -9: what the sandbox has acknowledged is there after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.gateways.payments import GatewayUnavailable
from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe.processes import free_port, sandbox

KEY = "sk_test_durability"


async def test_an_acknowledged_transfer_survives_kill_minus_nine_and_its_key_replays(tmp_path: Path) -> None:
    port = free_port()
    service = sandbox(tmp_path, "--automatic-onboarding", "--starting-balance", "50000", port=port)
    service.start()
    gateway = StripeGateway(KEY, api_base=service.base_url)
    try:
        account = await gateway.create_recipient_account("user-1", "w@example.com", idempotency_key="a")
        made = [
            await gateway.create_transfer(account.id, 100 + n, f"job-{n}", idempotency_key=f"k-{n}")
            for n in range(25)
        ]
        await asyncio.to_thread(service.kill)
        with pytest.raises(GatewayUnavailable):
            await gateway.ping()
        await asyncio.to_thread(service.start)

        total = sum(transfer.amount_cents for transfer in made)
        assert await gateway.available_cents() == 50_000 - total
        for n, transfer in enumerate(made):
            assert await gateway.find_transfer(f"job-{n}") == transfer
            again = await gateway.create_transfer(account.id, 100 + n, f"job-{n}", idempotency_key=f"k-{n}")
            assert again == transfer
        assert await gateway.available_cents() == 50_000 - total
    finally:
        await gateway.close()
        await asyncio.to_thread(service.stop)


async def test_killed_in_the_middle_of_racing_creates_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    port = free_port()
    service = sandbox(tmp_path, "--automatic-onboarding", "--starting-balance", "5000000", port=port)
    service.start()
    gateway = StripeGateway(KEY, api_base=service.base_url)
    acknowledged: dict[int, str] = {}
    enough = asyncio.Event()

    async def create(account: str, n: int) -> None:
        transfer = await gateway.create_transfer(account, 100, f"job-{n}", idempotency_key=f"k-{n}")
        acknowledged[n] = transfer.id
        if len(acknowledged) == 20:
            enough.set()

    try:
        account = await gateway.create_recipient_account("user-1", "w@example.com", idempotency_key="a")
        calls = [asyncio.create_task(create(account.id, n)) for n in range(200)]
        await enough.wait()
        service.kill()
        await asyncio.gather(*calls, return_exceptions=True)
        survived = dict(acknowledged)
        assert 20 <= len(survived) < 200, "the kill must fall in the middle"
        await asyncio.to_thread(service.start)
        # Everyone repeats with the same key: those acknowledged get the same transfer, the others one each.
        await asyncio.gather(*(create(account.id, n) for n in range(200)))
        assert {n: acknowledged[n] for n in survived} == survived
        assert len(set(acknowledged.values())) == 200
        assert await gateway.available_cents(account.id) == 200 * 100
    finally:
        await gateway.close()
        await asyncio.to_thread(service.stop)


async def test_the_clock_and_what_is_due_survive_a_restart(tmp_path: Path) -> None:
    port = free_port()
    service = sandbox(tmp_path, "--payout-seconds", "86400", port=port)
    service.start()
    gateway = StripeGateway(KEY, api_base=service.base_url)
    try:
        async with SandboxControl(service.base_url) as control:
            account = await gateway.create_recipient_account("user-1", "w@example.com", idempotency_key="a")
            await control.complete_onboarding(account.id)
            await control.fund_platform(KEY, 5_000)
            await gateway.create_transfer(account.id, 4_000, "job-1", idempotency_key="k")
            payout = await gateway.create_payout(account.id, 4_000, idempotency_key="p")
            await control.advance_clock(80_000)
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
            assert (await gateway.retrieve_payout(account.id, payout.id)).status == "pending"
            await control.advance_clock(6_401)
            assert (await gateway.retrieve_payout(account.id, payout.id)).status == "paid"
    finally:
        await gateway.close()
        await asyncio.to_thread(service.stop)
