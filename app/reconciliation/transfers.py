"""Compares the transfers and reversals that Stripe has with the rows by which workers' books say so."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.gateways.payments import InvalidPaymentRequest, PaymentGateway, Transfer
from app.money.journal import ledger_collection
from app.money.keys import accrue_key, transfer_key, transfer_reversal_key
from app.money.models import Kind
from app.money.text import dollars_text
from app.reconciliation.findings import Findings, Row
from app.reconciliation.models import DifferenceKind, Repair, RepairKind

_PAYOUT_ID = re.compile(r"payout-([0-9a-zA-Z]+)(?:-(\d+))?")


@dataclass(slots=True)
class _Sent:
    """A row by which a worker's book says that money was sent, and what came back since."""

    row: Row
    reversed_cents: int = 0


@dataclass(frozen=True, slots=True)
class TransferComparison:
    """The transfers of the time, each looked for in the books, and the other way round."""

    findings: Findings
    gateway: PaymentGateway

    async def run(self) -> None:
        """Compare each transfer of the time with its row, and each row with its transfer.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; begin again.
        """
        sent = await self._sent_rows()
        async for transfer in self.gateway.transfers_since(self.findings.since):
            await self.findings.step()
            self.findings.transfers += 1
            known = sent.pop(transfer.id, None)
            if known is None:
                await self._unknown_transfer(transfer)
            else:
                await self._compare_transfer(transfer, known)
        for known in sent.values():
            if self.findings.is_ripe(known.row["createdAt"]):
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
        query = {"kind": kinds, "createdAt": {"$gte": self.findings.since}}
        found: dict[str, _Sent] = {}
        async for row in ledger_collection(self.findings.database).find(query, fields).sort("_id", 1):
            await self.findings.step()
            self.findings.rows += 1
            transfer_id = row.get("stripeTransferId") or ""
            if row["kind"] == Kind.WORKER_TRANSFER.value:
                found[transfer_id] = _Sent(row)
            elif transfer_id in found:
                found[transfer_id].reversed_cents += row["amount"]
        return found

    async def _unknown_transfer(self, transfer: Transfer) -> None:
        """A transfer that no row of the time names; it may be older than the time, or not be for a job at all."""
        payout = _PAYOUT_ID.fullmatch(transfer.metadata.get("payout_id", ""))
        if payout is None or not self.findings.is_ripe(transfer.created_at):
            return
        job_id, number = payout[1], int(payout[2] or 1)
        row = await ledger_collection(self.findings.database).find_one({"key": transfer_key(job_id, number)})
        if row is not None and row.get("stripeTransferId") == transfer.id:
            return
        accrual = await ledger_collection(self.findings.database).find_one(
            {"key": accrue_key(job_id, number)}
        )
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
        self.findings.add(
            DifferenceKind.TRANSFER_WITHOUT_ROW, detail, repair, job_id=job_id, worker_id=worker_id
        )

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
            self.findings.add(DifferenceKind.AMOUNT_DIFFERS, detail, repair, **who)
            return
        if transfer.reversed_cents != known.reversed_cents:
            await self._compare_reversals(transfer, row)

    async def _compare_reversals(self, transfer: Transfer, row: Row) -> None:
        """Each reversal at Stripe has a row under its own key, and there are no other rows."""
        who = {"job_id": row["jobId"], "worker_id": row["workerId"]}
        reversals = await self.gateway.reversals_of(transfer.id)
        for reversal in reversals:
            key = transfer_reversal_key(reversal.id)
            if not self.findings.is_ripe(reversal.created_at) or await self._has(key):
                continue
            self.findings.add(
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
            self.findings.add(
                DifferenceKind.AMOUNT_DIFFERS,
                f"The book says that {dollars_text(in_book)} of {transfer.id} came back; "
                f"Stripe says {dollars_text(at_stripe)}",
                Repair(kind=RepairKind.BY_HAND, proposal="Look for the reversal that the book names."),
                **who,
            )

    async def _has(self, key: str) -> bool:
        return await ledger_collection(self.findings.database).find_one({"key": key}) is not None

    async def _reversed_now(self, row: Row) -> int:
        rows = ledger_collection(self.findings.database).find({"corrects": row["_id"]}, {"amount": 1})
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
        self.findings.add(
            DifferenceKind.ROW_WITHOUT_TRANSFER,
            detail,
            repair,
            job_id=row["jobId"],
            worker_id=row["workerId"],
        )


def _reversal(row: Row, cents: int, name: str) -> Row:
    return {
        "workerId": row["workerId"],
        "jobId": row["jobId"],
        "number": int(row["key"].split(":")[2]) if row["key"].count(":") == 2 else 1,
        "cents": cents,
        "reversalId": name,
    }
