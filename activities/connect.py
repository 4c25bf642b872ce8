"""Workers' connected accounts: what Stripe says of them, and payouts from them to the banks."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity
from temporalio.client import Client

from activities.heartbeat import beating
from app.gateways.payments import PaymentGateway
from app.payouts.accounts import handle_account_updated
from app.payouts.bank import BankPayouts
from app.settings import Settings
from workflows.followers import (
    AccountRead,
    FollowerActivity,
    FollowPayout,
    ListPayees,
    PaidOut,
    PayOut,
    ReadAccount,
)
from workflows.nudges import payout_nudger


class ConnectActivities:
    """Each may run again: accounts are re-read, and a payout is decided once and looked for before it is sent."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        gateway: PaymentGateway,
        client: Client,
        settings: Settings,
    ) -> None:
        """Share one gateway among all of the process."""
        self._database, self._gateway, self._client = database, gateway, client
        self._bank = BankPayouts(database, gateway, settings)

    @activity.defn(name=FollowerActivity.READ_ACCOUNT)
    async def read_account(self, request: ReadAccount) -> AccountRead:
        """What `account.updated` and `account.application.deauthorized` mean.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; repeat.
        """
        update = await handle_account_updated(
            self._database, self._gateway, request.account_id, nudge=payout_nudger(self._client)
        )
        return AccountRead(
            worker_id=update.worker_id, transfers_active=update.transfers_active, nudged=update.nudged
        )

    @activity.defn(name=FollowerActivity.FOLLOW_PAYOUT)
    async def follow_payout(self, request: FollowPayout) -> PaidOut:
        """What `payout.paid`, `.failed`, `.canceled` and `.updated` of a connected account mean.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer, or does not know it.
        """
        payout = await self._bank.follow(request.account_id, request.stripe_payout_id)
        if payout is None:
            return PaidOut()
        return PaidOut(status=payout.status, amount_usd_cents=payout.amount_usd_cents)

    @activity.defn(name=FollowerActivity.LIST_PAYEES)
    async def list_payees(self, request: ListPayees) -> list[str]:
        """The next workers who have an account; empty after the last."""
        return await self._bank.payees(after=request.after, limit=request.limit)

    @activity.defn(name=FollowerActivity.PAY_OUT)
    @beating
    async def pay_out(self, request: PayOut) -> PaidOut:
        """Pay out a worker's balance, if it is enough.

        Raises:
            app.gateways.payments.GatewayUnavailable: no definite answer; repeat.
        """
        payout = await self._bank.pay_out(request.worker_id, request.period)
        if payout is None:
            return PaidOut()
        return PaidOut(status=payout.status, amount_usd_cents=payout.amount_usd_cents)

    @activity.defn(name=FollowerActivity.FOLLOW_PAYOUTS)
    @beating
    async def follow_payouts(self) -> int:
        """Look again at every payout that is not settled; how many there were."""
        return await self._bank.follow_open()
