"""A worker has one account at Stripe, known as it stands, whatever happens between Stripe's writes and ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.documents import utcnow
from app.gateways.payments import GatewayUnavailable, RecipientAccount
from app.gateways.stripe import StripeGateway
from app.ids import new_id
from app.jobs.change import Accrual
from app.payouts.accounts import handle_account_updated, open_account, read_account, unsettled_payouts
from app.users.models import User
from devstack.stripe_sandbox.control import SandboxControl
from tests.conftest import Database
from tests.payouts.conftest import Payer
from tests.workflows.followers_support import PAY, insert_client, insert_job, insert_worker

LINK = {"refresh_url": "https://x.example/r", "return_url": "https://x.example/b"}


class _Nudges:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    async def __call__(self, job_id: str, number: int) -> None:
        self.heard.append((job_id, number))


@pytest_asyncio.fixture
async def worker_id(database: Database) -> AsyncIterator[str]:
    yield await insert_worker(database, stripeAccountId=None)


async def profile(database: Database, worker_id: str) -> dict[str, Any]:
    user = await database["users"].find_one({"_id": worker_id})
    assert user is not None
    found: dict[str, Any] = user["workerProfile"]
    return found


async def open_for(database: Database, gateway: StripeGateway, worker_id: str) -> str:
    return await open_account(database, gateway, worker_id, email="w@example.com", country="KH")


async def accounts_of(gateway: StripeGateway) -> int:
    pages = await gateway._stripe.v1.accounts.list_async({"limit": 100})
    return len(pages.data)


async def test_racing_requests_open_one_account(database: Database, payer: Payer, worker_id: str) -> None:
    async def patiently() -> str:
        while True:
            try:
                return await open_for(database, payer.gateway, worker_id)
            except GatewayUnavailable:  # the key is in flight: the caller repeats
                await asyncio.sleep(0.05)

    found = await asyncio.gather(*(patiently() for _ in range(5)))
    assert len(set(found)) == 1
    assert await accounts_of(payer.gateway) == 1
    assert (await profile(database, worker_id))["stripeAccountId"] == found[0]


class _DiesAfterCreation(StripeGateway):
    async def create_recipient_account(self, *args: Any, **kwargs: Any) -> RecipientAccount:
        await super().create_recipient_account(*args, **kwargs)
        raise RuntimeError("died after the account was made")


async def test_an_account_whose_making_was_forgotten_is_found_again_days_later(
    database: Database, payer: Payer, worker_id: str
) -> None:
    dying = _DiesAfterCreation(payer.api_key, api_base=payer.base_url)
    try:
        await open_for(database, dying, worker_id)
    except RuntimeError:
        pass
    finally:
        await dying.close()
    await payer.control.advance_clock(25 * 3600)  # Stripe has forgotten the key
    asked = utcnow() - timedelta(hours=25)
    await database["users"].update_one(
        {"_id": worker_id}, {"$set": {"workerProfile.stripeAccountAskedAt": asked}}
    )
    account = await open_for(database, payer.gateway, worker_id)
    assert await accounts_of(payer.gateway) == 1
    assert (await profile(database, worker_id))["stripeAccountId"] == account


async def test_stripe_replays_a_saved_500_and_the_next_key_opens_the_account(
    database: Database, payer: Payer, worker_id: str
) -> None:
    """A failure that happened while executing is the answer to its key for a day."""
    await payer.control.add_fault(method="POST", path="/v1/accounts", status=500, remembered=True)
    with pytest.raises(GatewayUnavailable):
        await open_for(database, payer.gateway, worker_id)
    account = await open_for(database, payer.gateway, worker_id)
    assert await accounts_of(payer.gateway) == 1
    assert (await profile(database, worker_id))["stripeAccountId"] == account


async def test_what_stripe_says_is_remembered_and_a_stale_read_is_not(
    database: Database, payer: Payer, worker_id: str
) -> None:
    account = await open_for(database, payer.gateway, worker_id)
    first = await read_account(database, payer.gateway, worker_id, account)
    assert (first.transfers_active, first.details_submitted) == (False, False)
    assert first.requirements_due
    await payer.control.complete_onboarding(account)
    later = utcnow() + timedelta(minutes=1)
    await database["users"].update_one(
        {"_id": worker_id}, {"$set": {"workerProfile.payoutAccount.readAt": later}}
    )
    await read_account(database, payer.gateway, worker_id, account)  # began before the one that is stored
    assert (await profile(database, worker_id))["payoutAccount"]["transfersActive"] is False


async def test_an_update_nudges_every_payout_that_is_not_settled_and_no_other(
    database: Database, payer: Payer, worker_id: str
) -> None:
    client_id, other = await insert_client(database), await insert_worker(database)
    held, sent = {"status": "held", "at": utcnow()}, {"status": "sent", "at": utcnow()}
    first = await insert_job(database, client_id=client_id, worker_id=worker_id, payout=held)
    await insert_job(database, client_id=client_id, worker_id=worker_id, payout=sent)
    await insert_job(database, client_id=client_id, worker_id=other, payout=held)
    trying = await insert_job(database, client_id=client_id, worker_id=worker_id, payout=None)
    left = await insert_job(database, client_id=client_id, worker_id=other, payout=held)
    accruals = [
        Accrual(number=1, worker_id=other, usd_cents=PAY),
        Accrual(number=2, worker_id=worker_id, usd_cents=PAY),
    ]
    await database["jobs"].update_one(
        {"_id": left},
        {
            "$set": {
                "accruals": [accrual.model_dump(by_alias=True) for accrual in accruals],
                "furtherPayouts": {"2": held},
            }
        },
    )
    account, nudges = await open_for(database, payer.gateway, worker_id), _Nudges()
    update = await handle_account_updated(database, payer.gateway, account, nudge=nudges)
    assert (update.worker_id, update.transfers_active, nudges.heard) == (worker_id, False, [])
    await payer.control.complete_onboarding(account)
    update = await handle_account_updated(database, payer.gateway, account, nudge=nudges)
    assert (update.transfers_active, update.nudged) == (True, 3)
    assert sorted(nudges.heard) == sorted([(first, 1), (left, 2), (trying, 1)])
    assert await unsettled_payouts(database, other) != []
    user = User.model_validate(await _whole(database, worker_id))
    assert user.worker_profile is not None
    assert user.worker_profile.can_be_paid


async def _whole(database: Database, worker_id: str) -> dict[str, Any]:
    user = await database["users"].find_one({"_id": worker_id})
    return {"name": "W", "passwordHash": "", "createdAt": utcnow(), **(user or {})}


async def test_a_word_that_overtakes_our_own_write_is_not_lost(
    database: Database, payer: Payer, worker_id: str
) -> None:
    account = await payer.gateway.create_recipient_account(
        worker_id, "w@example.com", idempotency_key=f"account-{worker_id}"
    )
    update = await handle_account_updated(database, payer.gateway, account.id, nudge=_Nudges())
    assert update.worker_id == worker_id
    assert await open_for(database, payer.gateway, worker_id) == account.id


async def test_accounts_of_nobody_here_and_accounts_that_left_change_nothing_for_others(
    database: Database, payer: Payer, control: SandboxControl, worker_id: str
) -> None:
    stranger = await payer.gateway.create_recipient_account(
        new_id(), "x@example.com", idempotency_key="stranger"
    )
    update = await handle_account_updated(database, payer.gateway, stranger.id, nudge=_Nudges())
    assert update.worker_id is None
    unknown = await handle_account_updated(database, payer.gateway, "acct_unknown", nudge=_Nudges())
    assert unknown.worker_id is None
    account = await open_for(database, payer.gateway, worker_id)
    await control.complete_onboarding(account)
    await control.deauthorize(account)
    update = await handle_account_updated(database, payer.gateway, account, nudge=_Nudges())
    assert (update.worker_id, update.transfers_active) == (worker_id, False)
    assert (await profile(database, worker_id))["payoutAccount"]["payoutsEnabled"] is False
