"""The payout: a worker's pay for one job, sent once, or held in the open until it can be sent.

Its id, `payout-<jobId>`, is also the idempotency key of the transfer. Stripe saves a refusal under its key, so each
try after a definite no has a key of its own; the activity looks for a transfer before every try.

What is sent is what the worker's book says is due at that moment. While the job is disputed nothing is sent. A ruling
that takes pay back is carried out here as long as this workflow lives, since nobody else knows whether the money is on
its way; after that the dispute's own workflow does it.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.payouts import PayoutActivities
    from app.jobs.payouts import SETTLED, HoldReason, PayoutStatus
    from app.money.text import dollars_text
    from workflows import job_options
    from workflows.contracts import (
        NEEDS_ADMIN,
        PAYOUT_WORKFLOW,
        STATE_QUERY,
        WORKER_ID,
        PayoutInput,
        archive_workflow_id,
        payout_workflow_id,
    )
    from workflows.followers import (
        ACCOUNT_UPDATED_SIGNAL,
        DISPUTE_CLOSED_SIGNAL,
        PAYOUT_SETTLED_SIGNAL,
        DisputeClosed,
        PayoutView,
        RecordPayout,
        SendTransfer,
        TakeBack,
        TransferOutcome,
    )
    from workflows.runs import is_long
    from workflows.text import moment_text

# Three requests to Stripe at most, each with a time-out of its own below this.
_START_TO_CLOSE = timedelta(seconds=90)
# An outage ends some day: keep trying, at a bounded distance, in the sight of the Temporal UI.
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5))
# What the book will refuse as often as it is asked.
_BOOK_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    maximum_interval=timedelta(minutes=1),
    non_retryable_error_types=["IdempotencyKeyReused", "NegativeBalance", "InvalidDraft", "LedgerCorrupted"],
)
_RECHECK_ACCOUNT = timedelta(days=1)  # the signal comes first, unless a webhook was lost
_RECHECK_PLATFORM = timedelta(hours=1)  # nothing tells us that the platform's balance was filled

# An admin must look at these first: nothing is taken from what may have been sent, and no other amount is tried.
_MAY_BE_SENT = (HoldReason.TRANSFER_DIFFERS, HoldReason.BOOK_REFUSES)
_BY_BOOK = "payout-by-book"  # payouts from before it send the amount of the accrual

_WORDS = {
    HoldReason.NO_ACCOUNT: "the worker has no payout account yet",
    HoldReason.ACCOUNT_CANNOT_RECEIVE: "the worker's payout account cannot receive money yet",
    HoldReason.PLATFORM_BALANCE: "the platform's balance is too low",
    HoldReason.REFUSED: "the payment provider refused the transfer",
    HoldReason.TRANSFER_DIFFERS: "a transfer of another amount, or one taken back, was found",
    HoldReason.BOOK_REFUSES: "the money was sent, but the worker's book refuses the entry",
    HoldReason.DISPUTED: "the job is disputed",
    HoldReason.NOTHING_LEFT: "a debt or a ruling took all of it",
}


@workflow.defn(name=PAYOUT_WORKFLOW)
class PayoutWorkflow:
    """One job's pay. It ends when the money is sent and written down, and not before."""

    @workflow.init
    def __init__(self, payout: PayoutInput) -> None:
        """Make the state before a signal can arrive."""
        self._input = payout
        self._nudges = 0
        self._take_backs: list[TakeBack] = []
        self._reason = HoldReason(payout.held_reason) if payout.held_reason else None
        self._view = PayoutView(
            job_id=payout.job_id,
            worker_id=payout.worker_id,
            amount_usd_cents=payout.amount_usd_cents,
            status=PayoutStatus.SENDING,
            tries=payout.tries,
        )
        self._publish()

    @workflow.run
    async def run(self, payout: PayoutInput) -> PayoutView:
        """Send, record, and tell; or hold, wait, and try again."""
        if payout.amount_usd_cents <= 0:
            await self._record(PayoutStatus.NOT_DUE, None)
            return self._view
        while True:
            nudges = self._nudges
            if self._reason not in _MAY_BE_SENT:
                await self._take_back()
            outcome = await self._try()
            if outcome is None:
                await self._record(PayoutStatus.NOT_DUE, HoldReason.NOTHING_LEFT)
                break
            if outcome.stripe_transfer_id:
                reason = await self._record_sent(outcome.stripe_transfer_id)
                if reason is None:
                    break
            else:
                reason = outcome.reason or HoldReason.REFUSED
                self._view.tries += outcome.key_spent
            if not outcome.replayed:
                await self._hold(reason, nudges)
        if self._reason is not None:
            await self._released()
        await self._take_back()
        return self._view

    @workflow.signal(name=ACCOUNT_UPDATED_SIGNAL)
    def account_updated(self) -> None:
        """Whatever held the payout may be mended: try now."""
        self._nudges += 1

    @workflow.signal(name=DISPUTE_CLOSED_SIGNAL)
    def dispute_closed(self, closed: DisputeClosed) -> None:
        """The job is not disputed any more: go on with what is left, once a ruling's part is taken."""
        if closed.take_back:
            self._take_backs.append(closed.take_back)
        self._nudges += 1

    @workflow.query(name=STATE_QUERY)
    def state(self) -> PayoutView:
        """Where the pay is, and why."""
        return self._view

    async def _take_back(self) -> None:
        """Carry out what rulings took, at a moment when no transfer is on its way."""
        while self._take_backs:
            await workflow.execute_activity_method(
                PayoutActivities.take_back,
                self._take_backs[0],
                start_to_close_timeout=_START_TO_CLOSE,
                heartbeat_timeout=job_options.HEARTBEAT,
                retry_policy=_RETRY,
                summary=f"Take back {dollars_text(self._take_backs[0].amount_usd_cents)}",
            )
            self._take_backs.pop(0)

    async def _try(self) -> TransferOutcome | None:
        """Send what is due now; None when nothing is."""
        if self._reason not in _MAY_BE_SENT and workflow.patched(_BY_BOOK):
            due = await workflow.execute_local_activity_method(
                PayoutActivities.payout_due,
                self._input,
                **job_options.STORE,
                summary="Read what is due from the worker's book",
            )
            if due.disputed:
                return TransferOutcome(reason=HoldReason.DISPUTED)
            self._view.amount_usd_cents = due.usd_cents
            if not due.usd_cents:
                return None
        return await self._send()

    async def _send(self) -> TransferOutcome:
        number = self._view.tries + 1
        payout_id = payout_workflow_id(self._input.job_id, self._input.number)
        return await workflow.execute_activity_method(
            PayoutActivities.send_transfer,
            SendTransfer(
                job_id=self._input.job_id,
                worker_id=self._input.worker_id,
                amount_usd_cents=self._view.amount_usd_cents,
                payout_id=payout_id,
                idempotency_key=payout_id if number == 1 else f"{payout_id}-{number}",
                number=self._input.number,
            ),
            start_to_close_timeout=_START_TO_CLOSE,
            heartbeat_timeout=job_options.HEARTBEAT,
            retry_policy=_RETRY,
            summary=f"Transfer {dollars_text(self._view.amount_usd_cents)}, try {number}",
        )

    async def _record_sent(self, stripe_transfer_id: str) -> HoldReason | None:
        """Write it down; the reason when the book refuses what Stripe has done."""
        self._view.stripe_transfer_id = stripe_transfer_id
        try:
            await workflow.execute_activity_method(
                PayoutActivities.record_payout_sent,
                self._record_of(PayoutStatus.SENT, None),
                start_to_close_timeout=timedelta(seconds=30),
                retry_policy=_BOOK_RETRY,
                summary=f"Record {dollars_text(self._view.amount_usd_cents)} as sent",
            )
        except ActivityError:
            workflow.logger.exception("The worker's book refuses a transfer that was made")
            return HoldReason.BOOK_REFUSES
        self._view.status, self._view.reason, self._view.next_try_at = PayoutStatus.SENT, None, None
        self._publish()
        return None

    async def _hold(self, reason: HoldReason, nudges: int) -> None:
        """Say why it waits, once for each reason; then wait for a signal or the time to look again."""
        status = PayoutStatus.UNRECORDED if reason is HoldReason.BOOK_REFUSES else PayoutStatus.HELD
        delay = _RECHECK_PLATFORM if reason.needs_admin else _RECHECK_ACCOUNT
        self._view.next_try_at = workflow.now() + delay
        if reason is not self._reason:
            self._reason = reason
            workflow.upsert_search_attributes(
                [
                    NEEDS_ADMIN.value_set(reason.needs_admin),
                    WORKER_ID.value_set(self._input.worker_id),
                ]
            )
            await self._record(status, reason)
        self._view.status, self._view.reason = status, reason
        self._publish()
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._nudges != nudges, timeout=delay, timeout_summary="Try the payout again"
            )
        if is_long(self._input.history_limit) and not self._take_backs:
            workflow.continue_as_new(
                self._input.model_copy(update={"tries": self._view.tries, "held_reason": reason.value})
            )

    async def _released(self) -> None:
        """After a hold: the flag is lowered, and an archive that waits for the money is told."""
        workflow.upsert_search_attributes([NEEDS_ADMIN.value_set(value=False)])
        archive = workflow.get_external_workflow_handle(archive_workflow_id(self._input.job_id))
        try:
            await archive.signal(PAYOUT_SETTLED_SIGNAL)
        except FailureError:
            workflow.logger.info("No archive waits for this payout")

    async def _record(self, status: PayoutStatus, reason: HoldReason | None) -> None:
        self._view.status, self._view.reason = status, reason
        self._publish()
        await workflow.execute_local_activity_method(
            PayoutActivities.record_payout,
            self._record_of(status, reason),
            **job_options.STORE,
            summary=f"Record that the payout is {status.value.replace('_', ' ')}",
        )

    def _record_of(self, status: PayoutStatus, reason: HoldReason | None) -> RecordPayout:
        return RecordPayout(
            job_id=self._input.job_id,
            worker_id=self._input.worker_id,
            amount_usd_cents=self._view.amount_usd_cents,
            status=status,
            at=workflow.now(),
            stripe_transfer_id=self._view.stripe_transfer_id,
            reason=reason,
            number=self._input.number,
            was_held=self._reason is not None,
            correlation_id=self._input.correlation_id,
        )

    def _publish(self) -> None:
        workflow.set_current_details(render(self._view))


def render(view: PayoutView) -> str:
    """The payout as a status report in Markdown: ids and money, no personal data."""
    lines = [
        f"### Payout · {view.status.value.replace('_', ' ')}",
        "",
        f"- {dollars_text(view.amount_usd_cents)} to worker `{view.worker_id}` for job `{view.job_id}`",
    ]
    if view.reason and view.status is PayoutStatus.NOT_DUE:
        lines.append(f"- Not due: {_WORDS[view.reason]}")
    elif view.reason:
        who = (
            "the worker"
            if view.reason.is_the_workers
            else "an admin"
            if view.reason.needs_admin
            else "a ruling"
        )
        lines.append(f"- Waits for {who}: {_WORDS[view.reason]}")
    if view.next_try_at and view.status not in SETTLED:
        lines.append(
            f"- Transfers refused: {view.tries}; the next try at {moment_text(view.next_try_at)}, or at a signal"
        )
    if view.stripe_transfer_id:
        lines.append(f"- Transfer `{view.stripe_transfer_id}`")
    return "\n".join(lines)
