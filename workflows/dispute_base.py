"""What a dispute over a completed job knows, what may be done to it, and what is said of it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.disputes.rulings import RulingPlan
    from app.jobs.change import Dispute, DisputeStatus
    from app.jobs.closing import Note
    from app.jobs.errors import JobErrorCode
    from app.lifecycle import (
        COMPLETION_DISPUTED,
        RATING,
        Action,
        ActNotAllowedError,
        Actor,
        cell_for,
    )
    from app.notifications.notices import Notice, NoticeType
    from workflows.contracts import Act, ActResult, DisputeInput, ExtendDeadline, Reasoned
    from workflows.followers import CompletedDisputeView, NoteDispute, TakeBack
    from workflows.job_acts import refusal, wrong_state
    from workflows.runs import DisputeState
    from workflows.text import moment_text

_ANSWERS = 20  # kept for repeats in the next run


class DisputeBase:
    """The state of one dispute after another; moved under one lock."""

    def __init__(self, dispute: DisputeInput) -> None:
        """No dispute is open yet, or the state is taken over from the run before."""
        state = DisputeState.model_validate(dispute.carried or {})
        self._input = dispute.model_copy(update={"carried": None})
        self._lock = asyncio.Lock()
        self._asked = dispute.carried is not None
        self._runs, self._moves, self._reminders = state.runs, state.moves, state.reminders
        self._dispute, self._answers = state.dispute, state.answers
        self._deadline, self._deadline_action = state.deadline, state.deadline_action
        self._closings = state.closings
        self._publish()

    # --- many runs

    def carried(self) -> DisputeInput:
        """The input of the next run."""
        state = DisputeState(
            runs=self._runs + 1,
            moves=self._moves,
            reminders=self._reminders,
            dispute=self._dispute,
            deadline=self._deadline,
            deadline_action=self._deadline_action,
            closings=self._closings,
            answers=self._answers,
        )
        return self._input.model_copy(update={"carried": state.model_dump(mode="json")})

    def remember(self, update_id: str, answer: ActResult) -> None:
        """Keep an answer for a repeat in the next run; the last ones, since a repeat comes soon or never."""
        self._answers[update_id] = answer
        while len(self._answers) > _ANSWERS:
            del self._answers[next(iter(self._answers))]

    def first_answer(self, update_id: str) -> ActResult | None:
        """What an update was answered before, in this run or an earlier one."""
        return self._answers.get(update_id)

    # --- what is known

    def view(self) -> CompletedDisputeView:
        """The dispute, and what happens next if nobody acts."""
        return CompletedDisputeView(
            job_id=self._input.job_id,
            dispute=self._dispute,
            deadline=self._deadline,
            deadline_action=self._deadline_action,
            pay_to_settle=len(self._closings),
            runs=self._runs,
        )

    def _is_open(self) -> bool:
        return self._dispute is not None and self._dispute.status is DisputeStatus.OPEN

    def _is_over(self) -> bool:
        return self._asked and not self._is_open() and workflow.all_handlers_finished()

    def _closings_of(self, plan: RulingPlan | None, dispute: Dispute) -> list[tuple[int, TakeBack | None]]:
        taken = {item.number: item.usd_cents for item in plan.take_backs} if plan else {}
        return [
            (
                number,
                TakeBack(
                    job_id=self._input.job_id,
                    worker_id=self._input.worker_id,
                    number=number,
                    amount_usd_cents=taken[number],
                    act=f"ruling:{dispute.number}",
                    reason=dispute.ruling_reason or "ruling",
                    correlation_id=self._input.correlation_id,
                )
                if number in taken
                else None,
            )
            for number in sorted({*self._input.payouts, *taken})
        ]

    # --- checks

    def _check(self, action: Action, act: Act) -> Dispute:
        """The dispute that is open, if this actor may do that to it.

        Raises:
            ApplicationError: `not-a-party` or `wrong-state`.
        """
        self._check_party(act)
        state = COMPLETION_DISPUTED if self._is_open() else RATING
        try:
            cell_for(state, action, act.actor)
        except ActNotAllowedError as error:
            raise wrong_state(state, str(error)) from None
        if self._dispute is None:
            raise wrong_state(state, "There is no dispute about this job")
        return self._dispute

    def _check_party(self, act: Act) -> None:
        parties = {Actor.CLIENT: self._input.client_id, Actor.WORKER: self._input.worker_id}
        if act.actor is not Actor.ADMIN and parties.get(act.actor) != act.actor_id:
            raise refusal(JobErrorCode.NOT_A_PARTY, f"You are not the {act.actor} of this job.")

    def _check_opening(self, act: Reasoned) -> None:
        """The actor is a side of the job, none is open, and the window is, by the workflow's clock.

        Raises:
            ApplicationError: `not-a-party`, `wrong-state` or `dispute-window-closed`.
        """
        self._check_party(act)
        state = COMPLETION_DISPUTED if self._is_open() else RATING
        try:
            cell_for(state, Action.OPEN_DISPUTE, act.actor)
        except ActNotAllowedError as error:
            raise wrong_state(state, str(error)) from None
        closed_at = self._input.completed_at + timedelta(seconds=self._input.window_seconds)
        if workflow.now() >= closed_at:
            raise refusal(
                JobErrorCode.DISPUTE_WINDOW_CLOSED,
                f"The time to open a dispute about this job ended at {moment_text(closed_at)}.",
                closed_at=closed_at.isoformat(),
            )

    def _check_opener(self, act: Act) -> Dispute:
        dispute = self._check(Action.WITHDRAW_DISPUTE, act)
        if dispute.opened_by_id != act.actor_id:
            raise refusal(
                JobErrorCode.NOT_THE_OPENER, "Only the one who opened the dispute can take it back."
            )
        return dispute

    def _check_extension(self, act: ExtendDeadline) -> Dispute:
        dispute = self._check(Action.EXTEND_DEADLINE, act)
        if act.to <= workflow.now() or (self._deadline is not None and act.to <= self._deadline):
            raise refusal(
                JobErrorCode.DEADLINE_NOT_LATER,
                "Name a moment after the present one and after the deadline that stands.",
                deadline=self._deadline.isoformat() if self._deadline else None,
            )
        return dispute

    # --- words

    def _note_of(self, action: Action, act: Act, reason: str | None, *, at: datetime) -> NoteDispute:
        note = Note(
            at=at,
            actor=act.actor,
            actor_id=act.actor_id,
            action=action,
            reason=reason,
            correlation_id=act.correlation_id or self._input.correlation_id,
        )
        dispute = self._dispute
        if dispute is None:
            raise RuntimeError("what is noted is done to a dispute")
        return NoteDispute(job_id=self._input.job_id, act="", note=note, dispute=dispute)

    def _to_both(self, type_: NoticeType, **context: object) -> list[Notice]:
        return [
            Notice(type=type_, user_id=user_id, job_id=self._input.job_id, context=context)
            for user_id in (self._input.client_id, self._input.worker_id)
        ]

    def _answer(self, act: Act, seq: int) -> ActResult:
        state = COMPLETION_DISPUTED if self._is_open() else RATING
        return ActResult(
            job_id=self._input.job_id,
            status=state.status,
            phase=state.phase,
            seq=seq,
            body_hash=act.body_hash,
            deadline=self._deadline,
        )

    def _move(self) -> None:
        self._moves += 1
        self._publish()

    def _publish(self) -> None:
        workflow.set_current_details(render(self.view()))


def render(view: CompletedDisputeView) -> str:
    """The dispute as a status report in Markdown: ids and times, nothing that was said."""
    dispute = view.dispute
    if dispute is None:
        return f"### Dispute · none\n\n- Job `{view.job_id}`"
    lines = [
        f"### Dispute {dispute.number} · {dispute.status.value}",
        "",
        f"- Job `{view.job_id}`, opened by the {dispute.opened_by} at {moment_text(dispute.opened_at)}",
    ]
    if view.deadline and view.deadline_action:
        then = (
            "the evidence is closed"
            if view.deadline_action is Action.CLOSE_EVIDENCE
            else "admins are reminded"
        )
        lines.append(f"- If nobody acts, at {moment_text(view.deadline)}: {then}")
    if dispute.worker_share_basis_points is not None:
        lines.append(f"- The worker's share: {dispute.worker_share_basis_points / 100:g} %")
    if view.pay_to_settle:
        lines.append(f"- Payouts that are still to hear of it: {view.pay_to_settle}")
    return "\n".join(lines)
