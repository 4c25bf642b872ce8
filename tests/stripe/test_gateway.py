"""The gateway against the sandbox process, through the real SDK."""

from __future__ import annotations

import asyncio
import logging

import pytest
from pydantic import SecretStr

from app.gateways.payments import (
    AccountCannotReceive,
    GatewayMisconfigured,
    GatewayUnavailable,
    InsufficientBalance,
    InvalidPaymentRequest,
    PaymentError,
    PaymentGateway,
)
from app.gateways.stripe import StripeGateway
from app.settings import Settings
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe.processes import Service, free_port


async def test_a_recipient_account_can_receive_only_after_its_onboarding(
    gateway: StripeGateway, control: SandboxControl, api_key: str
) -> None:
    await control.fund_platform(api_key, 10_000)
    account = await gateway.create_recipient_account("user-7", "w@example.com", idempotency_key="account-7")
    assert (account.country, account.user_id) == ("KH", "user-7")
    assert not account.transfers_active
    assert not account.payouts_enabled
    assert "external_account" in account.requirements_due
    with pytest.raises(AccountCannotReceive) as refused:
        await gateway.create_transfer(account.id, 500, "job-1", idempotency_key="pay-1")
    assert refused.value.code == "insufficient_capabilities_for_transfer"

    await control.complete_onboarding(account.id)

    mended = await gateway.retrieve_account(account.id)
    assert mended.transfers_active
    assert mended.payouts_enabled
    assert mended.requirements_due == ()
    with pytest.raises(AccountCannotReceive) as again:
        await gateway.create_transfer(account.id, 500, "job-1", idempotency_key="pay-1")
    assert again.value.replayed, "a refusal that was executed stays with its key"
    transfer = await gateway.create_transfer(account.id, 500, "job-1", idempotency_key="pay-1:2")
    assert transfer.amount_cents == 500


async def test_a_transfer_moves_exactly_its_amount_and_is_found_by_its_job(
    gateway: StripeGateway, worker: str
) -> None:
    made = await gateway.create_transfer(
        worker, 4_250, "job-1", idempotency_key="pay-1", metadata={"payout_id": "p-1"}
    )
    assert await gateway.available_cents() == 100_000 - 4_250
    assert await gateway.available_cents(worker) == 4_250
    assert (made.destination, made.transfer_group, made.job_id) == (worker, "job_job-1", "job-1")
    assert await gateway.find_transfer("job-1") == made
    assert await gateway.find_transfer("job-1", metadata={"payout_id": "p-1"}) == made
    assert await gateway.find_transfer("job-1", metadata={"payout_id": "p-2"}) is None
    assert await gateway.find_transfer("job-2") is None
    assert await gateway.find_transfer("job-1", transfer_group="other") is None
    assert await gateway.retrieve_transfer(made.id) == made


async def test_the_first_of_many_transfers_is_found_beyond_one_page(
    gateway: StripeGateway, worker: str
) -> None:
    first = await gateway.create_transfer(worker, 1, "job-1", idempotency_key="pay-0")
    for number in range(1, 105):
        await gateway.create_transfer(
            worker, 1, "job-1", idempotency_key=f"pay-{number}", metadata={"n": str(number)}
        )
    assert await gateway.find_transfer("job-1") == first


async def test_too_little_money_moves_none(gateway: StripeGateway, worker: str) -> None:
    with pytest.raises(InsufficientBalance) as refused:
        await gateway.create_transfer(worker, 100_001, "job-1", idempotency_key="pay-1")
    assert refused.value.code == "balance_insufficient"
    assert not refused.value.replayed
    assert await gateway.available_cents() == 100_000
    assert await gateway.available_cents(worker) == 0
    assert await gateway.find_transfer("job-1") is None


async def test_a_payout_reaches_the_bank_once_and_is_found(gateway: StripeGateway, worker: str) -> None:
    await gateway.create_transfer(worker, 5_000, "job-1", idempotency_key="pay-1")
    made = await gateway.create_payout(worker, 3_000, idempotency_key="out-1", metadata={"batch": "2026-47"})
    assert (made.status, made.account_id) == ("pending", worker)
    again = await gateway.create_payout(worker, 3_000, idempotency_key="out-1", metadata={"batch": "2026-47"})
    assert again.id == made.id
    assert (await gateway.retrieve_payout(worker, made.id)).status == "paid"
    assert await gateway.available_cents(worker) == 2_000
    found = await gateway.find_payout(worker, {"batch": "2026-47"})
    assert found is not None
    assert found.id == made.id
    assert await gateway.find_payout(worker, {"batch": "2026-48"}) is None


async def test_a_payout_above_the_balance_or_below_the_minimum_is_refused(
    gateway: StripeGateway, worker: str
) -> None:
    await gateway.create_transfer(worker, 5_000, "job-1", idempotency_key="pay-1")
    with pytest.raises(InsufficientBalance):
        await gateway.create_payout(worker, 5_001, idempotency_key="out-1")
    with pytest.raises(InvalidPaymentRequest) as small:
        await gateway.create_payout(worker, 2_999, idempotency_key="out-2")
    assert small.value.code == "amount_too_small"
    assert await gateway.available_cents(worker) == 5_000


async def test_a_payout_that_the_bank_returns_puts_the_money_back(
    gateway: StripeGateway, control: SandboxControl, api_key: str
) -> None:
    await control.fund_platform(api_key, 10_000)
    account = await gateway.create_recipient_account("user-8", "w@example.com", idempotency_key="account-8")
    await control.complete_onboarding(account.id, account_number="000111111113")
    await gateway.create_transfer(account.id, 4_000, "job-1", idempotency_key="pay-1")
    payout = await gateway.create_payout(account.id, 4_000, idempotency_key="out-1")
    failed = await gateway.retrieve_payout(account.id, payout.id)
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert await gateway.available_cents(account.id) == 4_000


async def test_an_account_of_another_platform_cannot_receive(
    stripe_sandbox: Service, control: SandboxControl, worker: str
) -> None:
    key = "sk_test_another_platform"
    await control.fund_platform(key, 1_000)
    other = StripeGateway(key, api_base=stripe_sandbox.base_url)
    with pytest.raises(AccountCannotReceive) as unknown:
        await other.create_transfer(worker, 100, "job-1", idempotency_key="foreign-1")
    assert unknown.value.code == "resource_missing"
    with pytest.raises(AccountCannotReceive) as hidden:
        await other.retrieve_account(worker)
    assert hidden.value.code == "account_invalid"
    await other.close()


@pytest.mark.parametrize("amount", [0, -5])
async def test_an_amount_that_is_no_amount_is_refused(
    gateway: StripeGateway, worker: str, amount: int
) -> None:
    with pytest.raises(InvalidPaymentRequest) as refused:
        await gateway.create_transfer(worker, amount, "job-1", idempotency_key=f"pay{amount}")
    assert refused.value.code == "parameter_invalid_integer"
    assert await gateway.available_cents() == 100_000


@pytest.mark.parametrize("status", [409, 429, 500, 503])
async def test_what_may_pass_is_unavailable_and_a_repeat_with_the_same_key_succeeds(
    gateway: StripeGateway, control: SandboxControl, worker: str, status: int
) -> None:
    await control.add_fault(method="POST", path="/v1/transfers", status=status)
    with pytest.raises(GatewayUnavailable) as failed:
        await gateway.create_transfer(worker, 100, "job-1", idempotency_key="pay-1")
    assert type(failed.value) is GatewayUnavailable
    await gateway.create_transfer(worker, 100, "job-1", idempotency_key="pay-1")
    assert await gateway.available_cents(worker) == 100


async def test_a_stripe_that_is_not_there_is_unavailable() -> None:
    gateway = StripeGateway("sk_test_x", api_base=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(GatewayUnavailable):
        await gateway.ping()
    await gateway.close()


async def test_a_stripe_that_is_silent_is_unavailable_after_the_read_timeout(
    stripe_sandbox: Service, control: SandboxControl
) -> None:
    await control.add_fault(method="GET", path="/v1/balance", delay_seconds=5)
    gateway = StripeGateway("sk_test_x", api_base=stripe_sandbox.base_url, read_timeout_seconds=0.3)
    async with asyncio.timeout(2):
        with pytest.raises(GatewayUnavailable):
            await gateway.ping()
    await gateway.close()


async def test_a_wrong_key_is_a_configuration_fault_and_is_never_shown(
    stripe_sandbox: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "sk_wrong_0123456789abcdef"
    gateway = StripeGateway(secret, api_base=stripe_sandbox.base_url)
    with pytest.raises(GatewayMisconfigured) as refused:
        await gateway.create_recipient_account("user-1", "w@example.com", idempotency_key="a-1")
    chain: BaseException | None = refused.value
    shown = [repr(gateway), caplog.text]
    while chain is not None:
        shown += [repr(chain), str(chain)]
        chain = chain.__cause__
    assert secret not in "".join(shown)
    assert "api.stripe.com" not in repr(gateway)
    await gateway.close()


async def test_the_key_is_not_logged_when_a_call_succeeds(
    gateway: StripeGateway, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="stripe")  # which our own logging keeps silent
    await gateway.ping()
    assert "balance" in caplog.text, "the SDK logs its requests, so this test would see a key"
    assert api_key not in caplog.text


async def test_it_is_made_from_settings_and_fits_the_protocol(stripe_sandbox: Service, api_key: str) -> None:
    settings = Settings(stripe_api_key=SecretStr(api_key), stripe_api_base=stripe_sandbox.base_url)
    gateway: PaymentGateway = StripeGateway.from_settings(settings)
    await gateway.ping()
    await gateway.close()


async def test_an_onboarding_link_leads_to_a_page_that_completes_the_account(
    gateway: StripeGateway, control: SandboxControl
) -> None:
    account = await gateway.create_recipient_account("user-9", "w@example.com", idempotency_key="account-9")
    url = await gateway.create_onboarding_link(
        account.id, refresh_url="https://nimmit.example/again", return_url="https://nimmit.example/done"
    )
    page = await control.browse(url)
    assert account.id in page.text
    done = await control.browse(url, form={"account_number": "000123456789"})
    assert (done.status_code, done.headers["location"]) == (303, "https://nimmit.example/done")
    assert (await gateway.retrieve_account(account.id)).transfers_active
    await control.advance_clock(301)
    late = await control.browse(url)
    assert (late.status_code, late.headers["location"]) == (303, "https://nimmit.example/again")


def test_errors_carry_what_a_workflow_decides_by() -> None:
    error = PaymentError("no", code="c", request_id="req_1", replayed=True)
    assert (error.code, error.request_id, error.replayed) == ("c", "req_1", True)
    for final in (InvalidPaymentRequest, AccountCannotReceive, InsufficientBalance):
        assert not issubclass(final, GatewayUnavailable)


async def test_a_transfer_is_reversed_in_part_and_found_and_not_beyond_what_the_account_holds(
    gateway: StripeGateway, worker: str
) -> None:
    made = await gateway.create_transfer(worker, 5_000, "job-1", idempotency_key="pay-1")
    part = await gateway.reverse_transfer(
        made.id, 2_000, idempotency_key="back-1", metadata={"act": "ruling:1:1"}
    )
    again = await gateway.reverse_transfer(
        made.id, 2_000, idempotency_key="back-1", metadata={"act": "ruling:1:1"}
    )
    assert (part.amount_cents, again.id) == (2_000, part.id)
    assert await gateway.find_reversal(made.id, {"act": "ruling:1:1"}) == part
    assert await gateway.find_reversal(made.id, {"act": "ruling:2:1"}) is None
    assert (await gateway.retrieve_transfer(made.id)).reversed_cents == 2_000
    assert await gateway.available_cents() == 100_000 - 3_000
    with pytest.raises(InvalidPaymentRequest):
        await gateway.reverse_transfer(made.id, 3_001, idempotency_key="back-2")
    await gateway.create_payout(worker, 3_000, idempotency_key="out-1")
    with pytest.raises(InsufficientBalance):
        await gateway.reverse_transfer(made.id, 1, idempotency_key="back-3")
