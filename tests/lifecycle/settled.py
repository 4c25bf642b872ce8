"""What outlives a completed job's process, without a server: disputes, pay, ratings and archive, by their own code.

The workflows and activities are the product's; Temporal, Stripe and the store are stood in for. Every step begins with
a process made anew from what is kept of it, as after a replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.disputes import DisputeActivities
from activities.payouts import PayoutActivities
from app.gateways.payments import InsufficientBalance, Transfer, TransferReversal
from app.jobs.change import Accrual, Dispute
from app.jobs.closing import Note
from app.jobs.parts import Parts
from app.lifecycle import COMPLETION_DISPUTED, Action, Actor, State, cell_for
from app.money.drafts import RecordTransfer, RecordTransferReversal, RefundCredits, ReverseEarnings
from app.money.keys import accrue_key, transfer_key
from app.money.models import Kind
from tests.lifecycle.books import Books
from tests.lifecycle.process import Place
from workflows.archive import ArchiveWorkflow
from workflows.contracts import ArchiveInput, DisputeInput, RatingsInput
from workflows.dispute import DisputeWorkflow
from workflows.followers import ArchiveWritten, StoreRating
from workflows.ratings import RatingsWorkflow


@dataclass(frozen=True)
class Settled:
    """Where a completed job is: its record, its books, and its open dispute's process."""

    at: State
    now: datetime
    completed_at: datetime
    books: Books
    parts: Parts
    spent: int
    earned: int
    dispute: Dispute | None = None
    deadline: datetime | None = None
    deadline_action: Action | None = None
    reminders: int = 0
    rated: frozenset[Actor] = frozenset()

    @classmethod
    def of(cls, place: Place) -> Settled:
        """A job whose own process has just ended."""
        projection = place.state.projection
        parts = Parts(
            job_id=place.job.job_id,
            worker_id=projection.worker_id,
            ledger_keys=projection.ledger_keys,
            accruals=projection.accruals,
            former_workers=projection.former_workers,
        )
        return cls(
            at=place.at,
            now=place.now,
            completed_at=place.now,
            books=place.books,
            parts=parts,
            spent=projection.spent_credits,
            earned=projection.earned_usd_cents,
        )

    @property
    def sent(self) -> bool:
        """Whether the pay of the present worker went out."""
        return any(
            transfer_key(self.parts.job_id, item.number) in self.books.rows
            for item in self.parts.present_accruals
        )


DisputeStep = Callable[[DisputeWorkflow], Awaitable[Any]]


@dataclass
class Aftermath:
    """Runs one step from a place, and says where it leads; `notes` are what it added to the timeline."""

    place: Settled = field(init=False)
    emptied: bool = False  # the worker's account at Stripe: a reversal is refused
    notes: list[Note] = field(default_factory=list)

    # --- the steps

    async def of_dispute(
        self, place: Settled, step: DisputeStep, *, at: datetime, emptied: bool = False
    ) -> Settled:
        """An act on the dispute, or its clock; then every payout hears of its end."""
        self._begin(place, at, emptied=emptied)
        parts = place.parts
        process = DisputeWorkflow(
            DisputeInput(
                job_id=parts.job_id,
                client_id=place.books.client_id,
                worker_id=parts.worker_id or "",
                completed_at=place.completed_at,
                window_seconds=7 * 24 * 3600,
                evidence_seconds=3 * 24 * 3600,
                reminder_seconds=3600,
                payouts=[item.number for item in parts.present_accruals],
            )
        )
        process._dispute, process._reminders = place.dispute, place.reminders
        process._deadline, process._deadline_action = place.deadline, place.deadline_action
        await step(process)
        while process._closings:
            await process._hand_on(*process._closings.pop(0))
        return self._end(
            dispute=process._dispute,
            reminders=process._reminders,
            deadline=process._deadline,
            deadline_action=process._deadline_action,
        )

    async def rate(self, place: Settled, step: Callable[[RatingsWorkflow], Awaitable[Any]]) -> Settled:
        """One side rates the other."""
        self._begin(place, place.now)
        process = RatingsWorkflow(
            RatingsInput(
                job_id=place.parts.job_id,
                client_id=place.books.client_id,
                worker_id=place.parts.worker_id or "",
                window_seconds=14 * 24 * 3600,
                dispute_window_seconds=7 * 24 * 3600,
                completed_at=place.completed_at,
            )
        )
        process._view.given_by_client = Actor.CLIENT in place.rated
        process._view.given_by_worker = Actor.WORKER in place.rated
        await step(process)
        return self._end()

    async def archive(self, place: Settled) -> Settled:
        """The record is written when both windows are over."""
        ready = place.completed_at + timedelta(days=14)
        self._begin(place, max(place.now, ready))
        await ArchiveWorkflow(
            ArchiveInput(job_id=place.parts.job_id, client_id=place.books.client_id, not_before=ready)
        ).run(ArchiveInput(job_id=place.parts.job_id, client_id=place.books.client_id, not_before=ready))
        return self._end()

    def pay(self, place: Settled) -> Settled:
        """Whatever is payable and was not sent goes out."""
        self._begin(place, place.now)
        for item in place.parts.accruals:
            key = transfer_key(place.parts.job_id, item.number)
            left = self._reversible(item.number)
            if left and key not in self.place.books.rows:
                self._post(
                    RecordTransfer(
                        key=key,
                        worker_id=item.worker_id,
                        job_id=place.parts.job_id,
                        amount=left,
                        stripe_transfer_id=f"tr_{item.number}",
                    )
                )
        return self._end()

    def _begin(self, place: Settled, at: datetime, *, emptied: bool = False) -> None:
        self.place, self.emptied, self.notes = replace(place, now=at), emptied, []

    def _end(self, **fields: Any) -> Settled:
        return replace(self.place, **fields)

    # --- what the processes ask of Temporal

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in for the server, the store and Stripe."""
        disputes = DisputeActivities(None, self, self)  # type: ignore[arg-type]  # what they use is patched
        payouts = PayoutActivities(None, self, self)  # type: ignore[arg-type]
        self._activities = {
            **{each: getattr(disputes, each) for each in _DISPUTES},
            "take_back": payouts.take_back,
            "store_rating": self._store_rating,
            "reveal_ratings": _nothing,
            "write_archive": self._write_archive,
            "mark_archived": self._mark_archived,
        }
        for name in ("execute_activity_method", "execute_local_activity_method"):
            patch.setattr(f"temporalio.workflow.{name}", self._execute)
        for name in ("set_current_details", "upsert_search_attributes"):
            patch.setattr(f"temporalio.workflow.{name}", lambda _: None)
        patch.setattr("temporalio.workflow.now", lambda: self.place.now)
        patch.setattr("temporalio.workflow.info", lambda: SimpleNamespace(task_queue="jobs"))
        patch.setattr("temporalio.workflow.get_external_workflow_handle", self._payout)
        completed = "app.disputes.completed."
        patch.setattr(completed + "find_job", self._find_job)
        patch.setattr(completed + "append_note", self._append_note)
        for name in ("enqueue", "refresh_credits_cache", "_payout_needs"):
            patch.setattr(completed + name, _nothing)

    async def _execute(self, method: Callable[..., Any], arg: Any, **_: Any) -> Any:
        return await self._activities[method.__name__](arg)

    def _payout(self, _: str) -> SimpleNamespace:
        """The payout's process: while nothing is sent it runs, and takes back itself what it is told of."""

        async def signal(_: str, closed: Any) -> None:
            if self.place.sent:
                raise ApplicationError("the payout has ended")
            if closed.take_back:
                await self._activities["take_back"](closed.take_back)

        return SimpleNamespace(signal=signal)

    # --- the record

    async def _find_job(self, *_: Any) -> SimpleNamespace:
        place = self.place
        return SimpleNamespace(
            client_id=place.books.client_id,
            worker_id=place.parts.worker_id,
            dispute=place.dispute,
            parts=place.parts,
            accruals=place.parts.accruals,
            spent_credits=place.spent,
            earned_usd_cents=place.earned,
        )

    async def _append_note(self, _: Any, __: str, ___: str, note: Note, fields: dict[str, Any]) -> int:
        self._move(note)
        accruals = [Accrual.model_validate(item) for item in fields.get("accruals", [])]
        self.place = replace(
            self.place,
            spent=fields.get("spentCredits", self.place.spent),
            earned=fields.get("earnedUsdCents", self.place.earned),
            parts=self.place.parts.model_copy(update={"accruals": accruals} if accruals else {}),
        )
        return len(self.notes)

    def _move(self, note: Note) -> None:
        self.place = replace(self.place, at=cell_for(self.place.at, note.action, note.actor).to)
        self.notes.append(note)

    async def _store_rating(self, request: StoreRating) -> None:
        self._move(Note(at=request.at, actor=request.by, action=Action.REVIEW))
        self.place = replace(self.place, rated=self.place.rated | {request.by})

    async def _write_archive(self, _: Any) -> ArchiveWritten:
        assert self.place.at != COMPLETION_DISPUTED
        return ArchiveWritten(key="key", size=1, status=self.place.at.status, settled=True)

    async def _mark_archived(self, _: Any) -> None:
        self._move(Note(at=self.place.now, actor=Actor.SYSTEM, action=Action.ARCHIVE))

    # --- the books, as `Credits` and `Earnings` ask them

    def _post(self, draft: Any) -> SimpleNamespace:
        if draft.key not in self.place.books.rows:
            self.place = replace(self.place, books=self.place.books.post(draft))
        debt = self.place.books.rows[draft.key].debt
        return SimpleNamespace(debt_incurred=debt.incurred if debt else 0)

    async def refundable(self, key: str) -> int:
        """What is left of what was spent under a key."""
        found = self.place.books.correctable(key)
        return found.remaining if found.original.kind is Kind.HOLD_RESOLUTION else 0

    async def refund(
        self, client_id: str, spent_key: str, amount: int, *, key: str, reason: str, expires_at: datetime
    ) -> None:
        """Credits return."""
        self._post(
            RefundCredits(
                key=key,
                client_id=client_id,
                spent_key=spent_key,
                amount=amount,
                reason=reason,
                expires_at=expires_at,
            )
        )

    def _reversible(self, number: int) -> int:
        return self.place.books.correctable(accrue_key(self.place.parts.job_id, number)).remaining

    async def reversible(self, _: str, *, number: int) -> int:
        """What is left of what was earned."""
        return self._reversible(number)

    async def record_transfer(
        self, worker_id: str, job_id: str, cents: int, *, key: str, stripe_transfer_id: str
    ) -> None:
        """Pay was sent."""
        self._post(
            RecordTransfer(
                key=key,
                worker_id=worker_id,
                job_id=job_id,
                amount=cents,
                stripe_transfer_id=stripe_transfer_id,
            )
        )

    async def record_transfer_reversal(
        self,
        worker_id: str,
        job_id: str,
        cents: int,
        *,
        key: str,
        stripe_reversal_id: str,
        reason: str,
        number: int,
    ) -> None:
        """Stripe gave pay back."""
        self._post(
            RecordTransferReversal(
                key=key,
                worker_id=worker_id,
                job_id=job_id,
                transfer_key=transfer_key(job_id, number),
                amount=cents,
                stripe_reversal_id=stripe_reversal_id,
                reason=reason,
            )
        )

    async def reverse(
        self, worker_id: str, job_id: str, cents: int, *, key: str, reason: str, number: int
    ) -> SimpleNamespace:
        """Pay is taken back."""
        return self._post(
            ReverseEarnings(
                key=key,
                worker_id=worker_id,
                job_id=job_id,
                accrual_key=accrue_key(job_id, number),
                amount=cents,
                reason=reason,
            )
        )

    # --- Stripe

    async def find_transfer(self, job_id: str, *, metadata: dict[str, str]) -> Transfer | None:
        """The transfer of a payout, with what was reversed of it."""
        number = int((metadata["payout_id"].removeprefix(f"payout-{job_id}") or "-1").removeprefix("-"))
        key = transfer_key(job_id, number)
        if key not in self.place.books.rows:
            return None
        found = self.place.books.correctable(key)
        return Transfer(
            id=f"tr_{number}",
            destination="acct",
            amount_cents=found.original.amount,
            reversed_cents=found.total,
            job_id=job_id,
            transfer_group=None,
            created_at=self.place.now,
        )

    async def find_reversal(self, *_: Any) -> None:
        """None was made before."""

    async def reverse_transfer(self, transfer_id: str, cents: int, **_: Any) -> TransferReversal:
        """Give it back, unless the worker's account is empty."""
        if self.emptied:
            raise InsufficientBalance("the account is empty", code="insufficient_funds")
        number = len(self.place.books.rows)
        return TransferReversal(
            id=f"trr_{number}", transfer_id=transfer_id, amount_cents=cents, created_at=self.place.now
        )


_DISPUTES = ("open_dispute", "note_dispute", "plan_ruling", "settle_ruling")


async def _nothing(*_: Any, **__: Any) -> None:
    return None
