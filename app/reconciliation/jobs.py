"""Compares holds, jobs and payouts to banks with what their ends should have left in the books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from app.jobs.payouts import SETTLED, HoldReason, PayoutStatus, payout_of
from app.lifecycle import Status
from app.money.audit import OpenHold
from app.money.journal import ledger_collection
from app.money.keys import accrue_key
from app.money.models import Kind
from app.money.text import dollars_text
from app.payouts.models import COLLECTION as BANK_PAYOUTS
from app.payouts.models import BankPayoutStatus
from app.reconciliation.findings import Findings, Row
from app.reconciliation.models import DifferenceKind, Repair, RepairKind

STUCK_AFTER = timedelta(hours=24)
_STUCK_BANK = timedelta(days=10)  # from Stripe's word to the bank's takes a week at most
_ENDED = frozenset({Status.COMPLETED.value, Status.CANCELLED.value})


@dataclass(frozen=True, slots=True)
class JobComparison:
    """Open holds, jobs that have ended, and payouts that nobody hears of."""

    findings: Findings

    async def run(self) -> None:
        """Compare all of them. Memory grows with the holds that are open."""
        for hold in await self._open_holds():
            await self._compare_hold(hold)
        await self._compare_jobs()
        await self._compare_bank_payouts()

    async def _open_holds(self) -> list[OpenHold]:
        """Every hold that nothing has resolved: within a book, a hold comes before its resolution."""
        fields = {"key": 1, "clientId": 1, "hold": 1, "resolvesHold": 1}
        query = {"kind": {"$in": [Kind.CREDIT_HOLD.value, Kind.HOLD_RESOLUTION.value]}}
        found: dict[str, OpenHold] = {}
        async for row in ledger_collection(self.findings.database).find(query, fields).sort("_id", 1):
            await self.findings.step()
            self.findings.rows += 1
            found.pop(row.get("resolvesHold") or "", None)
            if hold := row.get("hold"):
                found[row["key"]] = OpenHold(
                    row["key"], row["clientId"], hold["jobId"], hold["amount"], row["_id"]
                )
        return list(found.values())

    async def _compare_hold(self, hold: OpenHold) -> None:
        await self.findings.step()
        job = await self.findings.database["jobs"].find_one(
            {"_id": hold.job_id}, {"status": 1, "updatedAt": 1}
        )
        if job is not None and (job["status"] not in _ENDED or not self.findings.is_ripe(job["updatedAt"])):
            return
        if await ledger_collection(self.findings.database).find_one({"resolvesHold": hold.hold_key}):
            return
        state = "does not exist" if job is None else f"is {job['status']}"
        self.findings.add(
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
        query = {"status": {"$in": sorted(_ENDED)}, "updatedAt": {"$gte": self.findings.since}}
        async for job in self.findings.database["jobs"].find(query, fields):
            await self.findings.step()
            self.findings.jobs += 1
            if not self.findings.is_ripe(job["updatedAt"]):
                continue
            for accrual in job.get("accruals") or _earned(job):
                if accrual["usdCents"] > 0:
                    await self._compare_accrual(job, accrual)

    async def _compare_accrual(self, job: Row, accrual: Row) -> None:
        job_id, number, worker_id = job["_id"], accrual["number"], accrual["workerId"]
        fields = {"workerId": worker_id, "jobId": job_id, "number": number, "cents": accrual["usdCents"]}
        if (
            await ledger_collection(self.findings.database).find_one({"key": accrue_key(job_id, number)})
            is None
        ):
            self.findings.add(
                DifferenceKind.JOB_WITHOUT_ACCRUAL,
                f"Worker {worker_id} earned {dollars_text(accrual['usdCents'])} by job {job_id}; no book says so",
                Repair(
                    kind=RepairKind.ACCRUE,
                    proposal=f"Owe the worker {dollars_text(accrual['usdCents'])}, and pay it.",
                    fields=fields,
                ),
                job_id=job_id,
                worker_id=worker_id,
            )
            return
        payout = payout_of(job, number)
        if payout.get("status") in SETTLED or _waits_for_someone(payout):
            return
        since = payout.get("at") or job.get("completedAt") or job["updatedAt"]
        if self.findings.at - since < STUCK_AFTER:
            return
        self.findings.add(
            DifferenceKind.PAYOUT_STUCK,
            f"Payout {number} of job {job_id} is {payout.get('status') or 'not begun'} since {since:%Y-%m-%d %H:%M}",
            Repair(
                kind=RepairKind.TRY_PAYOUT,
                proposal="Have the payout tried now.",
                fields=fields,
            ),
            job_id=job_id,
            worker_id=worker_id,
        )

    async def _compare_bank_payouts(self) -> None:
        """Payouts to banks that nobody has heard of for too long."""
        statuses = [status.value for status in BankPayoutStatus if status.is_open]
        async for payout in self.findings.database[BANK_PAYOUTS].find({"status": {"$in": statuses}}):
            await self.findings.step()
            unsent = payout["status"] == BankPayoutStatus.SENDING.value
            if self.findings.at - payout["updatedAt"] < (STUCK_AFTER if unsent else _STUCK_BANK):
                continue
            self.findings.add(
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
