"""Idempotency keys, as Stripe keeps them: one effect, one answer, and what is not remembered."""

from __future__ import annotations

import asyncio

import pytest
import stripe

from app.gateways.payments import GatewayUnavailable, InvalidPaymentRequest, Transfer
from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl


async def transfers(sdk: stripe.StripeClient) -> list[stripe.Transfer]:
    return [transfer async for transfer in (await sdk.v1.transfers.list_async()).auto_paging_iter()]


async def create(sdk: stripe.StripeClient, destination: str, amount: int, key: str) -> stripe.Transfer:
    return await sdk.v1.transfers.create_async(
        {"amount": amount, "currency": "usd", "destination": destination}, {"idempotency_key": key}
    )


async def test_the_same_key_twice_is_one_transfer_and_one_answer(
    sdk: stripe.StripeClient, worker: str
) -> None:
    first = await create(sdk, worker, 100, "k")
    second = await create(sdk, worker, 100, "k")
    assert second.to_dict() == first.to_dict()
    assert first.last_response is not None
    assert second.last_response is not None
    assert "idempotent-replayed" not in first.last_response.headers
    assert second.last_response.headers["idempotent-replayed"] == "true"
    assert second.last_response.headers["original-request"] == first.last_response.headers["request-id"]
    assert len(await transfers(sdk)) == 1


async def test_the_same_key_with_other_parameters_is_an_error(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    await create(sdk, worker, 100, "k")
    with pytest.raises(stripe.IdempotencyError) as refused:
        await create(sdk, worker, 101, "k")
    assert refused.value.http_status == 400
    with pytest.raises(InvalidPaymentRequest):
        await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    assert len(await transfers(sdk)) == 1


async def test_the_same_key_on_another_endpoint_is_an_error(sdk: stripe.StripeClient, worker: str) -> None:
    await create(sdk, worker, 100, "k")
    with pytest.raises(stripe.IdempotencyError):
        await sdk.v1.topups.create_async({"amount": 100, "currency": "usd"}, {"idempotency_key": "k"})


async def test_keys_belong_to_an_account(sdk: stripe.StripeClient, worker: str) -> None:
    await create(sdk, worker, 5_000, "k")
    payout = await sdk.v1.payouts.create_async(
        {"amount": 3_000, "currency": "usd"}, {"idempotency_key": "k", "stripe_account": worker}
    )
    assert payout.object == "payout"


async def test_twenty_racing_creates_with_one_key_are_one_transfer(
    gateway: StripeGateway, sdk: stripe.StripeClient, worker: str
) -> None:
    results = await asyncio.gather(
        *(gateway.create_transfer(worker, 100, "job-1", idempotency_key="k") for _ in range(20)),
        return_exceptions=True,
    )
    made = {result.id for result in results if isinstance(result, Transfer)}
    others = [result for result in results if not isinstance(result, Transfer)]
    assert len(made) == 1
    assert all(isinstance(other, GatewayUnavailable) for other in others)
    assert len(await transfers(sdk)) == 1
    assert await gateway.available_cents(worker) == 100


async def test_a_key_in_flight_is_in_use(
    gateway: StripeGateway, control: SandboxControl, sdk: stripe.StripeClient, worker: str
) -> None:
    await control.add_fault(method="POST", path="/v1/transfers", delay_seconds=1)
    results = await asyncio.gather(
        *(gateway.create_transfer(worker, 100, "job-1", idempotency_key="k") for _ in range(20)),
        return_exceptions=True,
    )
    codes = [result.code for result in results if isinstance(result, GatewayUnavailable)]
    assert codes == ["idempotency_key_in_use"] * 19
    assert len(await transfers(sdk)) == 1


async def test_twenty_racing_creates_with_keys_of_their_own_are_twenty(
    gateway: StripeGateway, sdk: stripe.StripeClient, worker: str
) -> None:
    await asyncio.gather(
        *(gateway.create_transfer(worker, 100, "job-1", idempotency_key=f"k{n}") for n in range(20))
    )
    assert len(await transfers(sdk)) == 20
    assert await gateway.available_cents(worker) == 2_000


async def test_an_answer_lost_after_execution_then_repeated_is_one_transfer(
    gateway: StripeGateway, control: SandboxControl, sdk: stripe.StripeClient, worker: str
) -> None:
    await control.add_fault(method="POST", path="/v1/transfers", drop="after")
    with pytest.raises(GatewayUnavailable):
        await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    unheard = await gateway.find_transfer("job-1")
    repeated = await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    assert repeated == unheard
    assert len(await transfers(sdk)) == 1


async def test_a_call_lost_before_execution_has_no_effect_until_it_is_repeated(
    gateway: StripeGateway, control: SandboxControl, sdk: stripe.StripeClient, worker: str
) -> None:
    await control.add_fault(method="POST", path="/v1/transfers", drop="before", times=2)
    for _ in range(2):
        with pytest.raises(GatewayUnavailable):
            await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
        assert await gateway.find_transfer("job-1") is None
    await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    assert len(await transfers(sdk)) == 1


async def test_a_500_that_happened_while_executing_is_replayed(
    gateway: StripeGateway, control: SandboxControl, worker: str
) -> None:
    await control.add_fault(method="POST", path="/v1/transfers", status=500, remembered=True)
    with pytest.raises(GatewayUnavailable) as first:
        await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    with pytest.raises(GatewayUnavailable) as second:
        await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    assert (first.value.replayed, second.value.replayed) == (False, True)
    assert (await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k:2")).amount_cents == 100


async def test_a_validation_fault_is_not_remembered(sdk: stripe.StripeClient, worker: str) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await create(sdk, worker, 0, "k")
    assert (await create(sdk, worker, 100, "k")).amount == 100


async def test_after_a_day_a_key_is_forgotten_and_looking_first_prevents_a_second_transfer(
    gateway: StripeGateway, control: SandboxControl, sdk: stripe.StripeClient, worker: str
) -> None:
    made = await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    await control.advance_clock(24 * 3600 + 1)
    assert await gateway.find_transfer("job-1") == made
    await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k")
    assert len(await transfers(sdk)) == 2, (
        "Stripe promises no more than 24 hours: this is why one looks first"
    )
