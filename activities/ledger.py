"""The ledger's night: book what has lapsed, audit every book, keep the heads outside the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from app.money.audit import Check
from app.money.credits import Credits
from app.money.errors import MoneyError
from app.money.heads import HeadStorage, last_heads, store_heads
from app.money.verify import audit, compare_with_jobs
from app.subscriptions.store import refresh_credits_cache
from app.users.models import Role
from workflows.followers import CreditsExpired, FollowerActivity, LedgerAudited

_PAGE = 500
_TOLD = 20  # discrepancies in the answer; all of them are in the log


class LedgerActivities:
    """Both may run again: what is booked is gone, and the day's first heads stand."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], credits_: Credits, storage: HeadStorage, *, bucket: str
    ) -> None:
        """Keep heads in the bucket `settings.s3_bucket_archive`."""
        self._database, self._credits = database, credits_
        self._storage, self._bucket = storage, bucket

    @activity.defn(name=FollowerActivity.EXPIRE_CREDITS)
    async def expire_credits(self) -> CreditsExpired:
        """Book the expired lots of every client. A client whose book refuses does not keep the others waiting."""
        result = CreditsExpired()
        async for client_id in self._clients():
            activity.heartbeat()
            try:
                lots = await self._credits.expire(client_id)
                if lots:
                    await refresh_credits_cache(self._credits, client_id)
            except MoneyError as error:
                activity.logger.exception(
                    "credits not expired", extra={"client_id": client_id, "code": error.code}
                )
                result.failed += 1
                continue
            result.clients += bool(lots)
            result.lots += len(lots)
            result.amount += sum(lot.amount for lot in lots)
        return result

    @activity.defn(name=FollowerActivity.AUDIT_LEDGER)
    async def audit_ledger(self, at: datetime) -> LedgerAudited:
        """Audit the journal against itself, the heads last stored and the jobs; then store the heads of that day.

        Raises:
            app.gateways.storage.StorageUnavailableError: try again.
        """
        last = await last_heads(self._storage, self._bucket, at=at)
        found = await audit(self._database, heads=last.hints if last else None, progress=activity.heartbeat)
        discrepancies = found.discrepancies + await compare_with_jobs(self._database, found.open_holds)
        for entry in discrepancies:
            activity.logger.error(
                "the ledger disagrees",
                extra={
                    "check": entry.check.value,
                    "book": entry.book,
                    "transaction_id": entry.transaction_id,
                    "detail": entry.detail,
                },
            )
        distrusted = {entry.book for entry in discrepancies if entry.check is Check.HEAD}
        key = await store_heads(
            self._storage, self._bucket, found.heads, at=at, last=last, distrusted=distrusted
        )
        return LedgerAudited(
            transactions=found.transactions,
            books=found.books,
            open_holds=len(found.open_holds),
            discrepancies=len(discrepancies),
            first=[f"{entry.check} {entry.transaction_id or entry.book}" for entry in discrepancies[:_TOLD]],
            heads_key=key,
        )

    async def _clients(self) -> AsyncIterator[str]:
        last = ""
        while True:
            query = {"role": Role.CLIENT.value, "_id": {"$gt": last}}
            page = await self._database["users"].find(query, {"_id": 1}).sort("_id", 1).limit(_PAGE).to_list()
            for user in page:
                yield str(user["_id"])
            if len(page) < _PAGE:
                return
            last = str(page[-1]["_id"])
