"""The night's comparison of ledger, Stripe and jobs, written down, and told to the admins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from app.gateways.billing import BillingGateway
from app.gateways.payments import PaymentGateway
from app.reconciliation.compare import Comparison
from app.reconciliation.store import write_report
from app.settings import Settings
from workflows.followers import FollowerActivity, Reconcile, Reconciled


class ReconciliationActivities:
    """It may run again: a report is written once under its id."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        gateway: PaymentGateway,
        settings: Settings,
        billing: BillingGateway,
    ) -> None:
        """Compare the last `settings.reconcile_days`."""
        self._database, self._gateway, self._billing = database, gateway, billing
        self._window = timedelta(days=settings.reconcile_days)

    @activity.defn(name=FollowerActivity.RECONCILE)
    async def reconcile(self, request: Reconcile) -> Reconciled:
        """Compare, write the report, and tell the admins if anything disagrees.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; try again.
        """
        comparison = Comparison(
            self._database,
            self._gateway,
            at=request.at,
            since=request.at - self._window,
            progress=activity.heartbeat,
            billing=self._billing,
        )
        report = await comparison.run(request.report_id)
        for difference in report.differences:
            activity.logger.error(
                "ledger, Stripe and jobs disagree",
                extra={"difference": difference.kind.value, "detail": difference.detail},
            )
        await write_report(self._database, report, discrepancies=request.discrepancies)
        return Reconciled(report_id=report.id, differences=len(report.differences) + report.left_out)
