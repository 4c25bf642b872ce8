"""Paying a worker: the transfer by Stripe (one regular activity), then its records (another)."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from app.gateways.payments import (
    AccountCannotReceive,
    GatewayUnavailable,
    InsufficientBalance,
    PaymentError,
    PaymentGateway,
    Transfer,
)
from app.jobs import payouts
from app.jobs.payouts import HoldReason
from app.money.earnings import Earnings
from app.money.keys import transfer_key
from workflows.followers import FollowerActivity, RecordPayout, SendTransfer, TransferOutcome


class PayoutActivities:
    """Every attempt may follow one whose answer was lost, so each looks before it moves money."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], gateway: PaymentGateway, earnings: Earnings
    ) -> None:
        """Share one gateway and one journal among all payouts of the process."""
        self._database, self._gateway, self._earnings = database, gateway, earnings

    @activity.defn(name=FollowerActivity.SEND_TRANSFER)
    async def send_transfer(self, request: SendTransfer) -> TransferOutcome:
        """Move the pay, or find that it was moved, or say why it cannot be.

        The idempotency key keeps a transfer single for the 24 hours that Stripe remembers it; looking first keeps it
        single for ever, also over a new key, an outage of days, or a payout started again by hand.

        Raises:
            GatewayUnavailable: no definite answer, or our key is not taken; repeat.
        """
        found = await self._find(request)
        if found:
            return found
        account = await payouts.worker_account(self._database, request.worker_id)
        if account is None:
            return TransferOutcome(reason=HoldReason.NO_ACCOUNT)
        try:
            transfer = await self._gateway.create_transfer(
                account,
                request.amount_usd_cents,
                request.job_id,
                idempotency_key=request.idempotency_key,
                metadata={"payout_id": request.payout_id},
            )
        except PaymentError as error:
            if isinstance(error, GatewayUnavailable) and not error.replayed:
                raise
            return await self._refused(request, error)
        return TransferOutcome(stripe_transfer_id=transfer.id)

    @activity.defn(name=FollowerActivity.RECORD_PAYOUT_SENT)
    async def record_payout_sent(self, request: RecordPayout) -> None:
        """Write the transfer in the worker's book, then on the job. Each step is repeatable.

        Raises:
            app.money.errors.MoneyError: the book knows another transfer of this job, or owes less than was sent.
        """
        await self._earnings.record_transfer(
            request.worker_id,
            request.job_id,
            request.amount_usd_cents,
            key=transfer_key(request.job_id, request.number),
            stripe_transfer_id=request.stripe_transfer_id or "",
        )
        await self._record(request)

    @activity.defn(name=FollowerActivity.RECORD_PAYOUT)
    async def record_payout(self, request: RecordPayout) -> None:
        """Write on the job that its payout is held or not due."""
        await self._record(request)

    async def _record(self, request: RecordPayout) -> None:
        await payouts.record_payout(
            self._database,
            job_id=request.job_id,
            worker_id=request.worker_id,
            amount_usd_cents=request.amount_usd_cents,
            status=request.status,
            at=request.at,
            stripe_transfer_id=request.stripe_transfer_id,
            reason=request.reason,
            number=request.number,
            correlation_id=request.correlation_id,
        )

    async def _find(self, request: SendTransfer) -> TransferOutcome | None:
        transfer = await self._gateway.find_transfer(
            request.job_id, metadata={"payout_id": request.payout_id}
        )
        return None if transfer is None else _outcome(transfer, request)

    async def _refused(self, request: SendTransfer, error: PaymentError) -> TransferOutcome:
        """What a definite no means. An earlier call may have gone through under the key, so look once more."""
        found = await self._find(request)
        if found:
            return found
        if isinstance(error, AccountCannotReceive):
            reason = HoldReason.ACCOUNT_CANNOT_RECEIVE
        elif isinstance(error, InsufficientBalance):
            reason = HoldReason.PLATFORM_BALANCE
        else:
            reason = HoldReason.REFUSED
        activity.logger.warning(
            "transfer refused", extra={"code": error.code, "stripe_request_id": error.request_id}
        )
        return TransferOutcome(reason=reason, key_spent=True, replayed=error.replayed)


def _outcome(transfer: Transfer, request: SendTransfer) -> TransferOutcome:
    """A transfer that is there. One of another amount, or taken back by hand, is for an admin to judge."""
    if transfer.amount_cents != request.amount_usd_cents or transfer.reversed_cents:
        return TransferOutcome(reason=HoldReason.TRANSFER_DIFFERS)
    return TransferOutcome(stripe_transfer_id=transfer.id)
