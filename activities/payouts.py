"""Paying a worker: the transfer by Stripe (one regular activity), then its records (another)."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from activities.heartbeat import beating
from app.gateways.payments import (
    AccountCannotReceive,
    GatewayUnavailable,
    InsufficientBalance,
    PaymentError,
    PaymentGateway,
    Transfer,
    TransferReversal,
)
from app.jobs import payouts
from app.jobs.payouts import HoldReason
from app.money.earnings import Earnings
from app.money.keys import reversal_key, transfer_key, transfer_reversal_key
from workflows.contracts import PayoutInput, payout_workflow_id
from workflows.followers import (
    FollowerActivity,
    PayoutDue,
    RecordPayout,
    SendTransfer,
    TakeBack,
    TakenBack,
    TransferOutcome,
)


class PayoutActivities:
    """Every attempt may follow one whose answer was lost, so each looks before it moves money."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], gateway: PaymentGateway, earnings: Earnings
    ) -> None:
        """Share one gateway and one journal among all payouts of the process."""
        self._database, self._gateway, self._earnings = database, gateway, earnings

    @activity.defn(name=FollowerActivity.PAYOUT_DUE)
    async def payout_due(self, payout: PayoutInput) -> PayoutDue:
        """What the book says is to be sent: debts and what was taken back are off it. What was sent stays as it is."""
        sent = await self._earnings.transferred(payout.job_id, number=payout.number)
        due = sent or await self._earnings.transferable(payout.worker_id, payout.job_id, number=payout.number)
        disputed = not sent and await payouts.is_disputed(self._database, payout.job_id, payout.number)
        return PayoutDue(usd_cents=due, disputed=disputed)

    @activity.defn(name=FollowerActivity.SEND_TRANSFER)
    @beating
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
        if await payouts.is_disputed(self._database, request.job_id, request.number):
            # An earlier attempt may still be under way, so the next try has a key of its own.
            return TransferOutcome(reason=HoldReason.DISPUTED, key_spent=True)
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

    @activity.defn(name=FollowerActivity.TAKE_BACK)
    @beating
    async def take_back(self, request: TakeBack) -> TakenBack:
        """Take pay back after a ruling: from the transfer if there is one, in the worker's book in any case.

        What Stripe refuses to give back, since the worker's account does not hold it any more, is a debt. Not while
        the payout may be sending: then the payout's own workflow calls it.

        Raises:
            GatewayUnavailable: no definite answer; repeat.
            app.money.errors.MoneyError: the book does not know of the pay.
        """
        reversal = await self._reverse_transfer(request)
        if reversal:
            await self._earnings.record_transfer_reversal(
                request.worker_id,
                request.job_id,
                reversal.amount_cents,
                key=transfer_reversal_key(reversal.id),
                stripe_reversal_id=reversal.id,
                reason=request.reason,
                number=request.number,
            )
        taken = await self._earnings.reverse(
            request.worker_id,
            request.job_id,
            request.amount_usd_cents,
            key=reversal_key(request.job_id, f"{request.act}:{request.number}"),
            reason=request.reason,
            number=request.number,
        )
        return TakenBack(
            reversed_usd_cents=reversal.amount_cents if reversal else 0, debt_usd_cents=taken.debt_incurred
        )

    async def _reverse_transfer(self, request: TakeBack) -> TransferReversal | None:
        """The reversal of the transfer, found or made; None when nothing was sent, or Stripe refuses for good."""
        payout_id = payout_workflow_id(request.job_id, request.number)
        transfer = await self._gateway.find_transfer(request.job_id, metadata={"payout_id": payout_id})
        if transfer is None:
            return None
        act = {"act": f"{request.act}:{request.number}"}
        found = await self._gateway.find_reversal(transfer.id, act)
        amount = min(request.amount_usd_cents, transfer.amount_cents - transfer.reversed_cents)
        if found or amount <= 0:
            return found
        await self._earnings.record_transfer(
            request.worker_id,
            request.job_id,
            transfer.amount_cents,
            key=transfer_key(request.job_id, request.number),
            stripe_transfer_id=transfer.id,
        )
        try:
            return await self._gateway.reverse_transfer(
                transfer.id,
                amount,
                idempotency_key=reversal_key(request.job_id, f"{request.act}:{request.number}"),
                metadata=act,
            )
        except GatewayUnavailable as error:
            # A saved failure is given again under the key for a day, and then the transfer is reversed after all.
            activity.logger.warning("no definite answer to a reversal", extra={"code": error.code})
            raise
        except PaymentError as error:
            activity.logger.warning(
                "reversal refused", extra={"code": error.code, "stripe_request_id": error.request_id}
            )
            # The refusal may be of a repeat, after the answer to the first was lost.
            return await self._gateway.find_reversal(transfer.id, act)

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
            was_held=request.was_held,
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
