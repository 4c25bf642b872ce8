"""Money from a worker's connected account to the bank: decided once for each period, sent once, followed to its end."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.gateways.payments import (
    AccountCannotReceive,
    GatewayUnavailable,
    InsufficientBalance,
    PaymentError,
    PaymentGateway,
    Payout,
)
from app.jobs.payouts import worker_account
from app.notifications.notices import Notice, NoticeType, OutboxEntry
from app.notifications.outbox import enqueue
from app.payouts.models import COLLECTION, BankPayout, BankPayoutStatus, bank_payout_id
from app.payouts.terms import terms_of
from app.settings import Settings

Database = AsyncDatabase[dict[str, Any]]

_log = logging.getLogger(__name__)

_METADATA = "bank_payout_id"


@dataclass(frozen=True, slots=True)
class BankPayouts:
    """Pays workers' balances out. Every step may follow one whose answer was lost, so each looks before it sends."""

    database: Database
    gateway: PaymentGateway
    settings: Settings

    async def pay_out(self, worker_id: str, period: str) -> BankPayout | None:
        """Pay out what the worker's account holds, if it is enough. None: no account, or below the minimum.

        The amount is written down before Stripe is asked. So a repeat asks for the same under the same key, and after
        Stripe has forgotten the key it finds what was sent.

        Raises:
            GatewayUnavailable: no definite answer; repeat.
        """
        payout = await self._find(bank_payout_id(worker_id, period)) or await self._decide(worker_id, period)
        if payout is None or payout.status is not BankPayoutStatus.SENDING:
            return payout
        return await self._send(payout)

    async def follow(self, account_id: str, stripe_payout_id: str) -> BankPayout | None:
        """Re-read a payout from Stripe, whatever told us of it, and write down what became of it. Repeatable.

        None: it is none of ours.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer, or does not know it.
        """
        found = await self.gateway.retrieve_payout(account_id, stripe_payout_id)
        payout = await self._find(found.metadata.get(_METADATA, ""))
        if payout is None or payout.account_id != account_id:
            return None
        return await self._record(payout, found)

    async def follow_open(self) -> int:
        """Look again at every payout that is not settled, for when a webhook is lost; how many were looked at."""
        query = {"status": {"$in": [status.value for status in BankPayoutStatus if status.is_open]}}
        found = [
            BankPayout.model_validate(row) for row in await self.database[COLLECTION].find(query).to_list()
        ]
        for payout in found:
            try:
                await self._look_again(payout)
            except PaymentError as error:  # one that Stripe says nothing of does not keep the others waiting
                _log.warning("payout not followed", extra={"payout": payout.id, "code": error.code})
        return len(found)

    async def payees(self, *, after: str = "", limit: int = 50) -> list[str]:
        """The next workers by id who have an account; empty after the last."""
        query = {"role": "worker", "_id": {"$gt": after}, "workerProfile.stripeAccountId": {"$gt": ""}}
        page = await self.database["users"].find(query, {"_id": 1}).sort("_id", 1).limit(limit).to_list()
        return [str(user["_id"]) for user in page]

    async def _look_again(self, payout: BankPayout) -> None:
        if payout.stripe_payout_id is None:
            await self._send(payout)
        else:
            await self.follow(payout.account_id, payout.stripe_payout_id)

    async def _decide(self, worker_id: str, period: str) -> BankPayout | None:
        account_id = await worker_account(self.database, worker_id)
        if account_id is None:
            return None
        try:
            amount = await self.gateway.available_cents(account_id)
        except AccountCannotReceive:  # it has left us
            return None
        if amount < await self._minimum(worker_id):
            return None
        now = utcnow()
        payout = BankPayout(
            id=bank_payout_id(worker_id, period),
            worker_id=worker_id,
            account_id=account_id,
            period=period,
            amount_usd_cents=amount,
            created_at=now,
            updated_at=now,
        )
        try:
            await self.database[COLLECTION].insert_one(payout.model_dump(by_alias=True))
        except DuplicateKeyError:  # another run decided it
            return await self._find(payout.id)
        return payout

    async def _minimum(self, worker_id: str) -> int:
        user = await self.database["users"].find_one({"_id": worker_id}, {"workerProfile.country": 1})
        country = ((user or {}).get("workerProfile") or {}).get("country") or ""
        return terms_of(self.settings, country).minimum_usd_cents

    async def _send(self, payout: BankPayout) -> BankPayout:
        metadata = {_METADATA: payout.id, "worker_id": payout.worker_id}
        found = await self.gateway.find_payout(payout.account_id, {_METADATA: payout.id})
        if found is None:
            try:
                found = await self.gateway.create_payout(
                    payout.account_id,
                    payout.amount_usd_cents,
                    idempotency_key=f"bank-payout-{payout.id}-{payout.tries}",
                    metadata=metadata,
                )
            except PaymentError as error:
                if isinstance(error, GatewayUnavailable):
                    if error.replayed:  # saved under the key for a day: the next try takes another
                        await self._set(payout.id, {}, {"$inc": {"tries": 1}}, tries=payout.tries)
                    raise
                # An earlier call may have gone through under the key, so look once more.
                found = await self.gateway.find_payout(payout.account_id, {_METADATA: payout.id})
                if found is None:
                    return await self._refuse(payout, error)
        return await self._record(payout, found)

    async def _refuse(self, payout: BankPayout, error: PaymentError) -> BankPayout:
        """Nothing moved. A balance that another payout took first is no news to the worker; the rest is."""
        now = utcnow()
        code = error.code or "refused"
        fields = {
            "status": BankPayoutStatus.REFUSED.value,
            "failureCode": code,
            "settledAt": now,
            "updatedAt": now,
        }
        await self._set(payout.id, fields, status=BankPayoutStatus.SENDING.value)
        if not isinstance(error, InsufficientBalance):
            await self._tell(payout, "payout.bank_failed", now)
        return await self._find(payout.id) or payout

    async def _record(self, payout: BankPayout, found: Payout) -> BankPayout:
        """Stripe's word, and the notice of it. A payout that was paid may still fail, and then stays failed."""
        now, status = utcnow(), BankPayoutStatus(found.status)
        fields: dict[str, Any] = {
            "status": status.value,
            "stripePayoutId": found.id,
            "failureCode": found.failure_code,
            "arrivesAt": found.arrives_at,
            "updatedAt": now,
        }
        if not status.is_open:
            fields["settledAt"] = payout.settled_at if payout.status is status else now
        over = [BankPayoutStatus.FAILED.value, BankPayoutStatus.CANCELED.value]
        if status.value not in over:
            await self._set(payout.id, fields, status={"$nin": over})
        else:
            await self._set(payout.id, fields)
        await self._tell(payout, "payout.bank_sent", now, arrives_at=found.arrives_at)
        if status.value in over:
            await self._tell(payout, "payout.bank_failed", now)
        return await self._find(payout.id) or payout

    async def _tell(self, payout: BankPayout, notice: NoticeType, at: datetime, **context: Any) -> None:
        """Once for each kind of news; the outbox and the receipts know the key."""
        told = Notice(
            type=notice,
            user_id=payout.worker_id,
            context={"amount_usd_cents": payout.amount_usd_cents, **context},
        )
        entry = OutboxEntry.of(told, key=f"bank-{payout.id}:{notice.rpartition('.')[2]}", created_at=at)
        await enqueue(self.database, [entry])

    async def _set(
        self, payout_id: str, fields: dict[str, Any], more: dict[str, Any] | None = None, **guard: Any
    ) -> None:
        changes = ({"$set": fields} if fields else {}) | (more or {})
        await self.database[COLLECTION].update_one({"_id": payout_id, **guard}, changes)

    async def _find(self, payout_id: str) -> BankPayout | None:
        document = await self.database[COLLECTION].find_one({"_id": payout_id})
        return None if document is None else BankPayout.model_validate(document)
