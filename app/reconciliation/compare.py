"""Compares ledger, Stripe and jobs. It writes nothing but its report.

What is younger than the grace may be under way, so it is left for the next night. Everything that looks wrong is
looked at again by itself before it is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.gateways.billing import BillingGateway
from app.gateways.payments import PaymentGateway
from app.reconciliation.billing import BillingComparison
from app.reconciliation.findings import Database, Findings
from app.reconciliation.jobs import JobComparison
from app.reconciliation.models import Reconciliation
from app.reconciliation.transfers import TransferComparison

_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """One night's comparison over what happened since `since`."""

    database: Database
    gateway: PaymentGateway
    at: datetime
    since: datetime
    progress: Callable[[], None] = lambda: None
    billing: BillingGateway | None = None  # without it what clients pay is not compared

    async def run(self, report_id: str) -> Reconciliation:
        """Compare everything. Memory grows with the holds that are open and the transfers of the time, no more.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; begin again.
        """
        findings = Findings(self.database, self.at, self.since, self.progress)
        await TransferComparison(findings, self.gateway).run()
        await JobComparison(findings).run()
        if self.billing is not None:
            await BillingComparison(findings, self.billing).run()
        return Reconciliation(
            id=report_id,
            at=self.at,
            since=self.since,
            transfers=findings.transfers,
            rows=findings.rows,
            jobs=findings.jobs,
            differences=findings.differences[:_MOST],
            left_out=max(0, len(findings.differences) - _MOST),
        )
