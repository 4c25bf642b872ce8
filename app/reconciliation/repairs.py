"""Applies what a report proposes. Each repair is an ordinary act under its own key: done twice, it is done once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, assert_never

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.errors import DependencyUnavailableError
from app.gateways.payments import GatewayUnavailable, PaymentError, PaymentGateway
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.errors import LedgerContention, MoneyError
from app.money.keys import accrue_key, repaired_hold_key, transfer_key, transfer_reversal_key
from app.payouts.bank import BankPayouts
from app.payouts.models import COLLECTION as BANK_PAYOUTS
from app.reconciliation.errors import RepairRefusedError
from app.reconciliation.models import Difference, Repair, RepairKind
from app.reconciliation.store import get_difference, mark_applied
from app.settings import Settings
from app.subscriptions.store import refresh_credits_cache

TryPayout = Callable[[str, str, int, int], Awaitable[None]]
"""Has a payout tried now: its job, worker, number, and pay in USD cents."""

SettleBilling = Callable[[str], Awaitable[None]]
"""Has a client's billing read from Stripe and settled, by the process that does so."""

_REASON = "reconciliation"


@dataclass(frozen=True, slots=True)
class Repairs:
    """What repairs need. `try_payout` and `settle_billing` reach the processes that do it."""

    database: AsyncDatabase[dict[str, Any]]
    gateway: PaymentGateway
    settings: Settings
    credits: Credits
    earnings: Earnings
    try_payout: TryPayout
    settle_billing: SettleBilling

    async def apply(self, report_id: str, number: int, *, admin_id: str) -> Difference:
        """Do what is proposed, then note who did it. A repair that was applied is not applied again.

        Raises:
            NotFoundError: there is no such report, or no such difference in it.
            RepairRefusedError: the books or Stripe do not take it.
            DependencyUnavailableError, LedgerContention: try again.
        """
        difference = await get_difference(self.database, report_id, number)
        if difference.applied_at is not None:
            return difference
        try:
            await self._do(difference.repair)
        except LedgerContention:
            raise
        except MoneyError as error:
            raise RepairRefusedError(error.code) from error
        except GatewayUnavailable as error:
            raise DependencyUnavailableError("stripe") from error
        except PaymentError as error:
            raise RepairRefusedError(error.code or "refused") from error
        return await mark_applied(self.database, report_id, number, admin_id=admin_id, at=utcnow())

    async def _do(self, repair: Repair) -> None:
        fields = repair.fields
        match repair.kind:
            case RepairKind.RECORD_TRANSFER:
                await self.earnings.record_transfer(
                    fields["workerId"],
                    fields["jobId"],
                    fields["cents"],
                    key=transfer_key(fields["jobId"], fields["number"]),
                    stripe_transfer_id=fields["transferId"],
                )
                await self._try(fields)
            case RepairKind.RECORD_REVERSAL | RepairKind.MAKE_PAYABLE:
                await self.earnings.record_transfer_reversal(
                    fields["workerId"],
                    fields["jobId"],
                    fields["cents"],
                    key=transfer_reversal_key(fields["reversalId"]),
                    stripe_reversal_id=fields["reversalId"],
                    reason=_REASON,
                    number=fields["number"],
                )
            case RepairKind.RELEASE_HOLD:
                key = repaired_hold_key(fields["holdKey"])
                await self.credits.void(fields["clientId"], fields["holdKey"], key=key)
                await refresh_credits_cache(self.credits, fields["clientId"])
            case RepairKind.ACCRUE:
                key = accrue_key(fields["jobId"], fields["number"])
                await self.earnings.accrue(fields["workerId"], fields["jobId"], fields["cents"], key=key)
                await self._try(fields)
            case RepairKind.TRY_PAYOUT:
                await self._try(fields)
            case RepairKind.FOLLOW_BANK_PAYOUT:
                await self._follow(fields["payoutId"])
            case RepairKind.SETTLE_BILLING:
                await self.settle_billing(fields["clientId"])
            case RepairKind.BY_HAND:  # the admin says that it is done
                return
            case _:
                assert_never(repair.kind)

    async def _try(self, fields: dict[str, Any]) -> None:
        await self.try_payout(fields["jobId"], fields["workerId"], fields["number"], fields["cents"])

    async def _follow(self, payout_id: str) -> None:
        payout = await self.database[BANK_PAYOUTS].find_one({"_id": payout_id})
        if payout is None:
            raise RepairRefusedError("unknown-payout")
        bank = BankPayouts(self.database, self.gateway, self.settings)
        if payout["stripePayoutId"]:
            await bank.follow(payout["accountId"], payout["stripePayoutId"])
        else:
            await bank.pay_out(payout["workerId"], payout["period"])
