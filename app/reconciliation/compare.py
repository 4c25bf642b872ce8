"""Compares ledger, Stripe and jobs. It writes nothing but its report.

What is younger than the grace may be under way, so it is left for the next night. Everything that looks wrong is
looked at again by itself before it is reported.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.gateways.payments import InvalidPaymentRequest, PaymentGateway, Transfer
from app.jobs.payouts import SETTLED, HoldReason, PayoutStatus, payout_of
from app.lifecycle import Status
from app.money.audit import OpenHold
from app.money.journal import ledger_collection
from app.money.keys import accrue_key, transfer_key, transfer_reversal_key
from app.money.models import Kind
from app.money.text import dollars_text
from app.payouts.models import COLLECTION as BANK_PAYOUTS
from app.payouts.models import BankPayoutStatus
from app.reconciliation.models import (
    Difference,
    DifferenceKind,
    Reconciliation,
    Repair,
    RepairKind,
)

Database = AsyncDatabase[dict[str, Any]]
Row = dict[str, Any]

GRACE = timedelta(hours=1)
STUCK_AFTER = timedelta(hours=24)
_STUCK_BANK = timedelta(days=10)  # from Stripe's word to the bank's takes a week at most
_MOST = 1_000
_BREATH = 200
_PAYOUT_ID = re.compile(r"payout-([0-9a-zA-Z]+)(?:-(\d+))?")
_ENDED = frozenset({Status.COMPLETED.value, Status.CANCELLED.value})


@dataclass(slots=True)
class _Sent:
    """A row by which a worker's book says that money was sent, and what came back since."""

    row: Row
    reversed_cents: int = 0


@dataclass
class Comparison:
    """One night's comparison over what happened since `since`."""

    database: Database
    gateway: PaymentGateway
    at: datetime
    since: datetime
    progress: Callable[[], None] = lambda: None
    found: list[Difference] = field(default_factory=list)
    _transfers: int = 0
    _rows: int = 0
    _jobs: int = 0
    _steps: int = 0

    async def run(self, report_id: str) -> Reconciliation:
        """Compare everything. Memory grows with the holds that are open and the transfers of the time, no more.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; begin again.
        """
        await self._compare_transfers()
        for hold in await self._open_holds():
            await self._compare_hold(hold)
        await self._compare_jobs()
        await self._compare_bank_payouts()
        return Reconciliation(
            id=report_id,
            at=self.at,
            since=self.since,
            transfers=self._transfers,
            rows=self._rows,
            jobs=self._jobs,
            differences=self.found[:_MOST],
            left_out=max(0, len(self.found) - _MOST),
        )

    # --- transfers and the rows of them

    async def _compare_transfers(self) -> None:
        sent = await self._sent_rows()
        async for transfer in self.gateway.transfers_since(self.since):
            await self._step()
            self._transfers += 1
            known = sent.pop(transfer.id, None)
            if known is None:
                await self._unknown_transfer(transfer)
            else:
                await self._compare_transfer(transfer, known)
        for known in sent.values():
            if self._is_ripe(known.row["createdAt"]):
                await self._unseen_row(known)

    async def _sent_rows(self) -> dict[str, _Sent]:
        """By Stripe's id of the transfer: what the books say was sent since, less what came back."""
        fields = {
            "kind": 1,
            "amount": 1,
            "workerId": 1,
            "jobId": 1,
            "key": 1,
            "stripeTransferId": 1,
            "createdAt": 1,
        }
        kinds = {"$in": [Kind.WORKER_TRANSFER.value, Kind.TRANSFER_REVERSAL.value]}
        query = {"kind": kinds, "createdAt": {"$gte": self.since}}
        found: dict[str, _Sent] = {}
        async for row in ledger_collection(self.database).find(query, fields).sort("_id", 1):
            await self._step()
            self._rows += 1
            transfer_id = row.get("stripeTransferId") or ""
            if row["kind"] == Kind.WORKER_TRANSFER.value:
                found[transfer_id] = _Sent(row)
            elif transfer_id in found:
                found[transfer_id].reversed_cents += row["amount"]
        return found

    async def _unknown_transfer(self, transfer: Transfer) -> None:
        """A transfer that no row of the time names; it may be older than the time, or not be for a job at all."""
        payout = _PAYOUT_ID.fullmatch(transfer.metadata.get("payout_id", ""))
        if payout is None or not self._is_ripe(transfer.created_at):
            return
        job_id, number = payout[1], int(payout[2] or 1)
        row = await ledger_collection(self.database).find_one({"key": transfer_key(job_id, number)})
        if row is not None and row.get("stripeTransferId") == transfer.id:
            return
        accrual = await ledger_collection(self.database).find_one({"key": accrue_key(job_id, number)})
        worker_id = accrual["workerId"] if accrual else None
        detail = f"{transfer.id} sent {dollars_text(transfer.amount_cents)} for job {job_id}"
        if row is not None or worker_id is None or transfer.reversed_cents:
            why = (
                "the book names another transfer of it" if row else "no worker's book knows of the job's pay"
            )
            if transfer.reversed_cents:
                why = "it was taken back, in part or whole"
            repair = Repair(kind=RepairKind.BY_HAND, proposal=f"Look at it in Stripe's dashboard: {why}.")
        else:
            repair = Repair(
                kind=RepairKind.RECORD_TRANSFER,
                proposal=f"Record the transfer in the book of worker {worker_id}.",
                fields={
                    "workerId": worker_id,
                    "jobId": job_id,
                    "number": number,
                    "cents": transfer.amount_cents,
                    "transferId": transfer.id,
                },
            )
        self._add(DifferenceKind.TRANSFER_WITHOUT_ROW, detail, repair, job_id=job_id, worker_id=worker_id)

    async def _compare_transfer(self, transfer: Transfer, known: _Sent) -> None:
        row = known.row
        who = {"job_id": row["jobId"], "worker_id": row["workerId"]}
        if transfer.amount_cents != row["amount"]:
            detail = (
                f"{transfer.id} sent {dollars_text(transfer.amount_cents)}, "
                f"and {row['_id']} says {dollars_text(row['amount'])}"
            )
            repair = Repair(
                kind=RepairKind.BY_HAND,
                proposal="Settle the rest with the worker, by a transfer or a reversal.",
            )
            self._add(DifferenceKind.AMOUNT_DIFFERS, detail, repair, **who)
            return
        if transfer.reversed_cents != known.reversed_cents:
            await self._compare_reversals(transfer, row)

    async def _compare_reversals(self, transfer: Transfer, row: Row) -> None:
        """Each reversal at Stripe has a row under its own key, and there are no other rows."""
        who = {"job_id": row["jobId"], "worker_id": row["workerId"]}
        reversals = await self.gateway.reversals_of(transfer.id)
        for reversal in reversals:
            key = transfer_reversal_key(reversal.id)
            if not self._is_ripe(reversal.created_at) or await self._has(key):
                continue
            self._add(
                DifferenceKind.REVERSAL_WITHOUT_ROW,
                f"{reversal.id} took {dollars_text(reversal.amount_cents)} of {transfer.id} back; no row says so",
                Repair(
                    kind=RepairKind.RECORD_REVERSAL,
                    proposal=f"Record that {dollars_text(reversal.amount_cents)} came back.",
                    fields=_reversal(row, reversal.amount_cents, reversal.id),
                ),
                **who,
            )
        at_stripe = sum(reversal.amount_cents for reversal in reversals)
        in_book = await self._reversed_now(row)
        if in_book > at_stripe:
            self._add(
                DifferenceKind.AMOUNT_DIFFERS,
                f"The book says that {dollars_text(in_book)} of {transfer.id} came back; "
                f"Stripe says {dollars_text(at_stripe)}",
                Repair(kind=RepairKind.BY_HAND, proposal="Look for the reversal that the book names."),
                **who,
            )

    async def _has(self, key: str) -> bool:
        return await ledger_collection(self.database).find_one({"key": key}) is not None

    async def _reversed_now(self, row: Row) -> int:
        rows = ledger_collection(self.database).find({"corrects": row["_id"]}, {"amount": 1})
        return sum([int(found["amount"]) async for found in rows])

    async def _unseen_row(self, known: _Sent) -> None:
        """A row whose transfer was not in Stripe's list: ask for it by name, since it may be older than the list."""
        row, transfer_id = known.row, known.row.get("stripeTransferId") or ""
        try:
            transfer = await self.gateway.retrieve_transfer(transfer_id) if transfer_id else None
        except InvalidPaymentRequest:
            transfer = None
        if transfer is not None:
            await self._compare_transfer(transfer, known)
            return
        left = row["amount"] - await self._reversed_now(row)
        if left <= 0:
            return
        detail = f"{row['_id']} says that {transfer_id} sent {dollars_text(row['amount'])}; Stripe has none"
        repair = Repair(
            kind=RepairKind.MAKE_PAYABLE,
            proposal=f"Owe the worker the {dollars_text(left)} again; then send it by hand.",
            fields=_reversal(row, left, f"missing-{transfer_id or row['_id'].rpartition(':')[2]}"),
        )
        self._add(
            DifferenceKind.ROW_WITHOUT_TRANSFER,
            detail,
            repair,
            job_id=row["jobId"],
            worker_id=row["workerId"],
        )

    # --- holds and jobs

    async def _open_holds(self) -> list[OpenHold]:
        """Every hold that nothing has resolved: within a book, a hold comes before its resolution."""
        fields = {"key": 1, "clientId": 1, "hold": 1, "resolvesHold": 1}
        query = {"kind": {"$in": [Kind.CREDIT_HOLD.value, Kind.HOLD_RESOLUTION.value]}}
        found: dict[str, OpenHold] = {}
        async for row in ledger_collection(self.database).find(query, fields).sort("_id", 1):
            await self._step()
            self._rows += 1
            found.pop(row.get("resolvesHold") or "", None)
            if hold := row.get("hold"):
                found[row["key"]] = OpenHold(
                    row["key"], row["clientId"], hold["jobId"], hold["amount"], row["_id"]
                )
        return list(found.values())

    async def _compare_hold(self, hold: OpenHold) -> None:
        await self._step()
        job = await self.database["jobs"].find_one({"_id": hold.job_id}, {"status": 1, "updatedAt": 1})
        if job is not None and (job["status"] not in _ENDED or not self._is_ripe(job["updatedAt"])):
            return
        if await ledger_collection(self.database).find_one({"resolvesHold": hold.hold_key}):
            return
        state = "does not exist" if job is None else f"is {job['status']}"
        self._add(
            DifferenceKind.HOLD_OF_ENDED_JOB,
            f"{hold.hold_key} holds {hold.amount / 100:.2f} credits, and job {hold.job_id} {state}",
            Repair(
                kind=RepairKind.RELEASE_HOLD,
                proposal=f"Give the credits back to client {hold.client_id}.",
                fields={"clientId": hold.client_id, "holdKey": hold.hold_key},
            ),
            job_id=hold.job_id,
            client_id=hold.client_id,
        )

    async def _compare_jobs(self) -> None:
        """Jobs at which a worker earned: the books know of it, and the pay has not been on its way for long."""
        fields = {
            "accruals": 1,
            "status": 1,
            "workerId": 1,
            "earnedUsdCents": 1,
            "payout": 1,
            "furtherPayouts": 1,
            "updatedAt": 1,
            "completedAt": 1,
            "phase": 1,
        }
        query = {"status": {"$in": sorted(_ENDED)}, "updatedAt": {"$gte": self.since}}
        async for job in self.database["jobs"].find(query, fields):
            await self._step()
            self._jobs += 1
            if not self._is_ripe(job["updatedAt"]):
                continue
            for accrual in job.get("accruals") or _earned(job):
                if accrual["usdCents"] > 0:
                    await self._compare_accrual(job, accrual)

    async def _compare_accrual(self, job: Row, accrual: Row) -> None:
        job_id, number, worker_id = job["_id"], accrual["number"], accrual["workerId"]
        if await ledger_collection(self.database).find_one({"key": accrue_key(job_id, number)}) is None:
            self._add(
                DifferenceKind.JOB_WITHOUT_ACCRUAL,
                f"Worker {worker_id} earned {dollars_text(accrual['usdCents'])} by job {job_id}; no book says so",
                Repair(
                    kind=RepairKind.ACCRUE,
                    proposal=f"Owe the worker {dollars_text(accrual['usdCents'])}, and pay it.",
                    fields={
                        "workerId": worker_id,
                        "jobId": job_id,
                        "number": number,
                        "cents": accrual["usdCents"],
                    },
                ),
                job_id=job_id,
                worker_id=worker_id,
            )
            return
        payout = payout_of(job, number)
        if payout.get("status") in SETTLED or _waits_for_someone(payout):
            return
        since = payout.get("at") or job.get("completedAt") or job["updatedAt"]
        if self.at - since < STUCK_AFTER:
            return
        self._add(
            DifferenceKind.PAYOUT_STUCK,
            f"Payout {number} of job {job_id} is {payout.get('status') or 'not begun'} since {since:%Y-%m-%d %H:%M}",
            Repair(
                kind=RepairKind.TRY_PAYOUT,
                proposal="Have the payout tried now.",
                fields={
                    "workerId": worker_id,
                    "jobId": job_id,
                    "number": number,
                    "cents": accrual["usdCents"],
                },
            ),
            job_id=job_id,
            worker_id=worker_id,
        )

    async def _compare_bank_payouts(self) -> None:
        """Payouts to banks that nobody has heard of for too long."""
        statuses = [status.value for status in BankPayoutStatus if status.is_open]
        async for payout in self.database[BANK_PAYOUTS].find({"status": {"$in": statuses}}):
            await self._step()
            unsent = payout["status"] == BankPayoutStatus.SENDING.value
            if self.at - payout["updatedAt"] < (STUCK_AFTER if unsent else _STUCK_BANK):
                continue
            self._add(
                DifferenceKind.BANK_PAYOUT_STUCK,
                f"Payout {payout['_id']} to the bank is {payout['status']} "
                f"since {payout['updatedAt']:%Y-%m-%d %H:%M}",
                Repair(
                    kind=RepairKind.FOLLOW_BANK_PAYOUT,
                    proposal="Ask Stripe what became of it.",
                    fields={"payoutId": payout["_id"]},
                ),
                worker_id=payout["workerId"],
            )

    # --- inside

    def _add(self, kind: DifferenceKind, detail: str, repair: Repair, **who: str | None) -> None:
        number = len(self.found) + 1
        self.found.append(Difference(number=number, kind=kind, detail=detail, repair=repair, **who))

    def _is_ripe(self, moment: datetime) -> bool:
        return self.at - moment >= GRACE

    async def _step(self) -> None:
        """Others get their turn now and then."""
        self._steps += 1
        if self._steps % _BREATH == 0:
            await asyncio.sleep(0)
            self.progress()


def _waits_for_someone(payout: Row) -> bool:
    """Whether a held payout waits for the worker or a ruling, who know of it."""
    if payout.get("status") != PayoutStatus.HELD.value or not payout.get("reason"):
        return False
    return not HoldReason(payout["reason"]).needs_admin


def _earned(job: Row) -> list[Row]:
    """What a job says was earned by it, when it names no accrual."""
    if not job.get("workerId") or job["status"] != Status.COMPLETED.value:
        return []
    return [{"number": 1, "workerId": job["workerId"], "usdCents": job.get("earnedUsdCents") or 0}]


def _reversal(row: Row, cents: int, name: str) -> Row:
    return {
        "workerId": row["workerId"],
        "jobId": row["jobId"],
        "number": int(row["key"].split(":")[2]) if row["key"].count(":") == 2 else 1,
        "cents": cents,
        "reversalId": name,
    }
