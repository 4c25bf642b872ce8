"""The lifecycle of a job: every state, who may do what in it, and what that does to price, hold and pay.

This table is the one source for the workflow (which acts move a job), the API (what a caller may do next, and
why an act is refused) and the documentation (`docs/lifecycle.md` is generated from it). Statuses are the drawn
ones; phases are the finer truth inside them. Nothing here does I/O, so workflow code may import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What everybody sees."""

    PENDING = "pending"
    MATCHING = "matching"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"
    REVISION = "revision"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Phase(StrEnum):
    """Where inside its status a job is."""

    POSTED = "posted"
    PARSING = "parsing"
    CLARIFYING = "clarifying"
    QUOTING = "quoting"
    RANKING = "ranking"
    OFFERING = "offering"
    RESCUE = "rescue"
    REPRICING = "repricing"
    READY = "ready"
    WORKING = "working"
    AWAITING_APPROVAL = "awaiting_approval"
    QUOTING_REVISION = "quoting_revision"
    REVISION_REQUESTED = "revision_requested"
    DISPUTED = "disputed"
    RATING = "rating"
    ARCHIVED = "archived"
    CLOSED = "closed"


class Actor(StrEnum):
    """Who acts. `system` is the job's own process: its timers and its activities."""

    CLIENT = "client"
    WORKER = "worker"
    ADMIN = "admin"
    SYSTEM = "system"


class Action(StrEnum):
    """What is done. Acts of people are verbs of theirs; acts of the system are what its process does."""

    START_PARSING = "start_parsing"
    REQUEST_CLARIFICATION = "request_clarification"
    CLARIFY = "clarify"
    EXPIRE_CLARIFICATION = "expire_clarification"
    REQUEST_CONSENT = "request_consent"
    HOLD_CREDITS = "hold_credits"
    APPROVE_QUOTE = "approve_quote"
    DECLINE_QUOTE = "decline_quote"
    EXPIRE_QUOTE = "expire_quote"
    MAKE_OFFER = "make_offer"
    ACCEPT_OFFER = "accept_offer"
    DECLINE_OFFER = "decline_offer"
    EXPIRE_OFFER = "expire_offer"
    ESCALATE = "escalate"
    REMIND_ADMINS = "remind_admins"
    RAISE_PRICE = "raise_price"
    PROPOSE_PRICE = "propose_price"
    APPROVE_PRICE = "approve_price"
    DECLINE_PRICE = "decline_price"
    EXPIRE_PRICE = "expire_price"
    ASSIGN = "assign"
    REASSIGN = "reassign"
    START = "start"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    REMIND_WORKER = "remind_worker"
    MARK_OVERDUE = "mark_overdue"
    REMIND_CLIENT = "remind_client"
    EXTEND_REVIEW = "extend_review"
    EXTEND_DEADLINE = "extend_deadline"
    APPROVE = "approve"
    AUTO_APPROVE = "auto_approve"
    REQUEST_REVISION = "request_revision"
    REQUEST_EXTRA_REVISION = "request_extra_revision"
    QUOTE_REVISION = "quote_revision"
    APPROVE_REVISION_QUOTE = "approve_revision_quote"
    DECLINE_REVISION_QUOTE = "decline_revision_quote"
    EXPIRE_REVISION_QUOTE = "expire_revision_quote"
    CANCEL = "cancel"
    CHANGE_POLICY = "change_policy"
    OPEN_DISPUTE = "open_dispute"
    CLOSE_EVIDENCE = "close_evidence"
    WITHDRAW_DISPUTE = "withdraw_dispute"
    DISMISS_DISPUTE = "dismiss_dispute"
    RULE = "rule"
    RULE_REFUND = "rule_refund"
    REVIEW = "review"
    ARCHIVE = "archive"


class PriceEffect(StrEnum):
    """What a cell does to the price that the client pays, in credits."""

    NONE = "none"
    QUOTE = "quote"  # likely hours × tier rate × urgency
    PROPOSE = "propose"  # a higher price is named; it counts only once the client agrees
    RAISE = "raise"  # the higher price that the client named or agreed to


class HoldEffect(StrEnum):
    """What a cell does to the client's held credits."""

    NONE = "none"
    HOLD = "hold"  # the whole price
    HOLD_MORE = "hold_more"  # what the price was raised by, as a further hold
    POST = "post"  # all that is held is spent
    RELEASE = "release"  # all that is held returns to the client
    SPLIT = "split"  # a part is spent, the rest returns to the client
    HOLD_AGAIN = "hold_again"  # a part is spent, the rest stays held for the next worker
    REFUND = "refund"  # a part of what was spent is granted back


class PayEffect(StrEnum):
    """What a cell does to the worker's pay, in USD."""

    NONE = "none"
    AGREE = "agree"  # the amount shown in the offer is now owed on completion
    RAISE = "raise"  # the pay that goes with a higher price is added
    ACCRUE = "accrue"  # the whole amount is earned and payable
    ACCRUE_PART = "accrue_part"  # a part is earned and payable; nothing, where the part is none
    REVERSE = "reverse"  # a part of what was earned is taken back, or owed where it was sent


@dataclass(frozen=True, slots=True, order=True)
class State:
    """A key of the table."""

    status: Status
    phase: Phase

    def __str__(self) -> str:
        return f"{self.status}/{self.phase}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One act that is allowed in a state: who does it, where it leads, and its effects on money."""

    action: Action
    actor: Actor
    to: State
    price: PriceEffect = PriceEffect.NONE
    hold: HoldEffect = HoldEffect.NONE
    pay: PayEffect = PayEffect.NONE


POSTED = State(Status.PENDING, Phase.POSTED)
PARSING = State(Status.MATCHING, Phase.PARSING)
CLARIFYING = State(Status.MATCHING, Phase.CLARIFYING)
QUOTING = State(Status.MATCHING, Phase.QUOTING)
RANKING = State(Status.MATCHING, Phase.RANKING)
OFFERING = State(Status.MATCHING, Phase.OFFERING)
RESCUE = State(Status.MATCHING, Phase.RESCUE)
REPRICING = State(Status.MATCHING, Phase.REPRICING)
READY = State(Status.ASSIGNED, Phase.READY)
WORKING = State(Status.IN_PROGRESS, Phase.WORKING)
WORK_DISPUTED = State(Status.IN_PROGRESS, Phase.DISPUTED)
AWAITING_APPROVAL = State(Status.REVIEW, Phase.AWAITING_APPROVAL)
QUOTING_REVISION = State(Status.REVIEW, Phase.QUOTING_REVISION)
REVIEW_DISPUTED = State(Status.REVIEW, Phase.DISPUTED)
REVISION_REQUESTED = State(Status.REVISION, Phase.REVISION_REQUESTED)
REVISION_DISPUTED = State(Status.REVISION, Phase.DISPUTED)
RATING = State(Status.COMPLETED, Phase.RATING)
COMPLETION_DISPUTED = State(Status.COMPLETED, Phase.DISPUTED)
ARCHIVED = State(Status.COMPLETED, Phase.ARCHIVED)
CANCELLED = State(Status.CANCELLED, Phase.CLOSED)

INITIAL = POSTED
ENDS = frozenset({ARCHIVED, CANCELLED})
# In these the job's own workflow has ended; what is left belongs to workflows that outlive it.
CLOSED_TO_JOB_WORKFLOW = frozenset({RATING, COMPLETION_DISPUTED, ARCHIVED, CANCELLED})
# The process leaves these by itself; in every other state of its own it waits, and what the system does there is done
# by a clock.
AT_ONCE = frozenset({POSTED, PARSING, RANKING})
# A worker holds the job and owes work by its due time.
WORK_IS_DUE = frozenset({READY, WORKING, REVISION_REQUESTED})
DISPUTED = frozenset({WORK_DISPUTED, REVIEW_DISPUTED, REVISION_DISPUTED})

_A, _R, _P, _H, _Y = Action, Actor, PriceEffect, HoldEffect, PayEffect


def _extend(state: State) -> tuple[Cell, ...]:
    """An admin moves the deadline of a state that has one."""
    return (Cell(_A.EXTEND_DEADLINE, _R.ADMIN, state), _policy(state))


def _policy(state: State) -> Cell:
    """An admin moves a running job to another policy, in sight of everybody."""
    return Cell(_A.CHANGE_POLICY, _R.ADMIN, state)


def _cancel_free(hold: HoldEffect = HoldEffect.NONE) -> tuple[Cell, ...]:
    """Nobody has worked for it yet: a job ends without cost, and what is held returns."""
    return tuple(Cell(_A.CANCEL, actor, CANCELLED, hold=hold) for actor in (_R.CLIENT, _R.ADMIN))


def _leave(state: State) -> tuple[Cell, ...]:
    """How a job that a worker holds loses its worker, or ends; the price of each is in `app.jobs.terms`."""
    return (
        Cell(_A.WITHDRAW, _R.WORKER, RANKING, hold=_H.HOLD_AGAIN, pay=_Y.ACCRUE_PART),
        Cell(_A.REASSIGN, _R.ADMIN, RANKING, hold=_H.HOLD_AGAIN, pay=_Y.ACCRUE_PART),
        Cell(_A.CANCEL, _R.CLIENT, CANCELLED, hold=_H.SPLIT, pay=_Y.ACCRUE_PART),
        Cell(_A.CANCEL, _R.ADMIN, CANCELLED, hold=_H.RELEASE, pay=_Y.ACCRUE_PART),
        *_extend(state),
    )


def _due(state: State) -> tuple[Cell, ...]:
    """Work is due: the worker is reminded, and the admins hear when the time has passed."""
    return Cell(_A.REMIND_WORKER, _R.SYSTEM, state), Cell(_A.MARK_OVERDUE, _R.SYSTEM, state)


def _dispute(to: State) -> tuple[Cell, ...]:
    return tuple(Cell(_A.OPEN_DISPUTE, actor, to) for actor in (_R.CLIENT, _R.WORKER))


def _disputed(state: State, back: State) -> tuple[Cell, ...]:
    """All stands still until an admin rules, or the one who opened the dispute takes it back."""
    return (
        Cell(_A.CLOSE_EVIDENCE, _R.SYSTEM, state),
        Cell(_A.REMIND_ADMINS, _R.SYSTEM, state),
        Cell(_A.WITHDRAW_DISPUTE, _R.CLIENT, back),
        Cell(_A.WITHDRAW_DISPUTE, _R.WORKER, back),
        Cell(_A.DISMISS_DISPUTE, _R.ADMIN, back),
        Cell(_A.EXTEND_DEADLINE, _R.ADMIN, state),
    )


def _ruled() -> tuple[Cell, ...]:
    """A ruling on open work ends the job: with a split, or with all of it back to the client."""
    return (
        Cell(_A.RULE, _R.ADMIN, RATING, hold=_H.SPLIT, pay=_Y.ACCRUE_PART),
        Cell(_A.RULE_REFUND, _R.ADMIN, CANCELLED, hold=_H.RELEASE),
    )


TABLE: dict[State, tuple[Cell, ...]] = {
    POSTED: (Cell(_A.START_PARSING, _R.SYSTEM, PARSING), *_cancel_free()),
    PARSING: (
        Cell(_A.HOLD_CREDITS, _R.SYSTEM, RANKING, price=_P.QUOTE, hold=_H.HOLD),
        Cell(_A.REQUEST_CONSENT, _R.SYSTEM, QUOTING, price=_P.QUOTE),
        Cell(_A.REQUEST_CLARIFICATION, _R.SYSTEM, CLARIFYING),
        *_cancel_free(),
    ),
    CLARIFYING: (
        Cell(_A.CLARIFY, _R.CLIENT, PARSING),
        Cell(_A.EXPIRE_CLARIFICATION, _R.SYSTEM, PARSING),
        *_cancel_free(),
        *_extend(CLARIFYING),
    ),
    QUOTING: (
        Cell(_A.APPROVE_QUOTE, _R.CLIENT, RANKING, hold=_H.HOLD),
        Cell(_A.DECLINE_QUOTE, _R.CLIENT, CANCELLED),
        Cell(_A.EXPIRE_QUOTE, _R.SYSTEM, CANCELLED),
        *_cancel_free(),
        *_extend(QUOTING),
    ),
    RANKING: (
        Cell(_A.MAKE_OFFER, _R.SYSTEM, OFFERING),
        Cell(_A.ESCALATE, _R.SYSTEM, RESCUE),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
        *_cancel_free(_H.RELEASE),
        _policy(RANKING),
    ),
    OFFERING: (
        Cell(_A.ACCEPT_OFFER, _R.WORKER, READY, pay=_Y.AGREE),
        Cell(_A.DECLINE_OFFER, _R.WORKER, RANKING),
        Cell(_A.EXPIRE_OFFER, _R.SYSTEM, RANKING),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
        *_cancel_free(_H.RELEASE),
        *_extend(OFFERING),
    ),
    RESCUE: (
        Cell(_A.REMIND_ADMINS, _R.SYSTEM, RESCUE),
        Cell(_A.MAKE_OFFER, _R.SYSTEM, OFFERING),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
        Cell(_A.RAISE_PRICE, _R.CLIENT, RANKING, price=_P.RAISE, hold=_H.HOLD_MORE, pay=_Y.RAISE),
        Cell(_A.PROPOSE_PRICE, _R.ADMIN, REPRICING, price=_P.PROPOSE),
        *_cancel_free(_H.RELEASE),
        *_extend(RESCUE),
    ),
    REPRICING: (
        Cell(_A.APPROVE_PRICE, _R.CLIENT, RANKING, price=_P.RAISE, hold=_H.HOLD_MORE, pay=_Y.RAISE),
        Cell(_A.DECLINE_PRICE, _R.CLIENT, RESCUE),
        Cell(_A.EXPIRE_PRICE, _R.SYSTEM, RESCUE),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
        *_cancel_free(_H.RELEASE),
        *_extend(REPRICING),
    ),
    READY: (Cell(_A.START, _R.WORKER, WORKING), *_due(READY), *_leave(READY)),
    WORKING: (
        Cell(_A.SUBMIT, _R.WORKER, AWAITING_APPROVAL),
        *_due(WORKING),
        *_leave(WORKING),
        *_dispute(WORK_DISPUTED),
    ),
    WORK_DISPUTED: (*_disputed(WORK_DISPUTED, WORKING), *_ruled()),
    AWAITING_APPROVAL: (
        Cell(_A.APPROVE, _R.CLIENT, RATING, hold=_H.POST, pay=_Y.ACCRUE),
        Cell(_A.AUTO_APPROVE, _R.SYSTEM, RATING, hold=_H.POST, pay=_Y.ACCRUE),
        Cell(_A.REQUEST_REVISION, _R.CLIENT, REVISION_REQUESTED),
        Cell(_A.REQUEST_EXTRA_REVISION, _R.CLIENT, QUOTING_REVISION, price=_P.PROPOSE),
        Cell(_A.REMIND_CLIENT, _R.SYSTEM, AWAITING_APPROVAL),
        Cell(_A.EXTEND_REVIEW, _R.CLIENT, AWAITING_APPROVAL),
        *_leave(AWAITING_APPROVAL),
        *_dispute(REVIEW_DISPUTED),
    ),
    QUOTING_REVISION: (
        Cell(_A.QUOTE_REVISION, _R.WORKER, QUOTING_REVISION, price=_P.PROPOSE),
        Cell(
            _A.APPROVE_REVISION_QUOTE,
            _R.CLIENT,
            REVISION_REQUESTED,
            price=_P.RAISE,
            hold=_H.HOLD_MORE,
            pay=_Y.RAISE,
        ),
        Cell(_A.DECLINE_REVISION_QUOTE, _R.CLIENT, AWAITING_APPROVAL),
        Cell(_A.EXPIRE_REVISION_QUOTE, _R.SYSTEM, AWAITING_APPROVAL),
        Cell(_A.APPROVE, _R.CLIENT, RATING, hold=_H.POST, pay=_Y.ACCRUE),
        *_leave(QUOTING_REVISION),
        *_dispute(REVIEW_DISPUTED),
    ),
    REVIEW_DISPUTED: (*_disputed(REVIEW_DISPUTED, AWAITING_APPROVAL), *_ruled()),
    REVISION_REQUESTED: (
        Cell(_A.START, _R.WORKER, WORKING),
        *_due(REVISION_REQUESTED),
        *_leave(REVISION_REQUESTED),
        *_dispute(REVISION_DISPUTED),
    ),
    REVISION_DISPUTED: (*_disputed(REVISION_DISPUTED, REVISION_REQUESTED), *_ruled()),
    RATING: (
        Cell(_A.REVIEW, _R.CLIENT, RATING),
        Cell(_A.REVIEW, _R.WORKER, RATING),
        *_dispute(COMPLETION_DISPUTED),
        Cell(_A.ARCHIVE, _R.SYSTEM, ARCHIVED),
    ),
    COMPLETION_DISPUTED: (
        *_disputed(COMPLETION_DISPUTED, RATING),
        Cell(_A.RULE, _R.ADMIN, RATING, hold=_H.REFUND, pay=_Y.REVERSE),
        Cell(_A.REVIEW, _R.CLIENT, COMPLETION_DISPUTED),
        Cell(_A.REVIEW, _R.WORKER, COMPLETION_DISPUTED),
    ),
    ARCHIVED: (),
    CANCELLED: (),
}


# What may be done, but is not what the job waits for.
OPTIONAL = frozenset(
    {
        Action.CANCEL,
        Action.CHANGE_POLICY,
        Action.EXTEND_DEADLINE,
        Action.EXTEND_REVIEW,
        Action.OPEN_DISPUTE,
        Action.PROPOSE_PRICE,
        Action.QUOTE_REVISION,
        Action.RAISE_PRICE,
        Action.REASSIGN,
        Action.WITHDRAW,
        Action.WITHDRAW_DISPUTE,
    }
)


class ActNotAllowedError(Exception):
    """The act is not in the state's row for this actor."""

    def __init__(self, state: State, action: Action, actor: Actor) -> None:
        self.state, self.action, self.actor = state, action, actor
        allowed = sorted(allowed_actions(state, actor))
        hint = (
            f"what {actor} may do now: {', '.join(allowed)}"
            if allowed
            else f"nothing is open to the {actor} now"
        )
        super().__init__(f"{action} is not possible while the job is {state.status} ({state.phase}); {hint}")


def cell_for(state: State, action: Action, actor: Actor) -> Cell:
    """The cell of an act.

    Raises:
        ActNotAllowedError: the table has no such cell.
    """
    for cell in TABLE[state]:
        if cell.action is action and cell.actor is actor:
            return cell
    raise ActNotAllowedError(state, action, actor)


def allowed_actions(state: State, actor: Actor) -> frozenset[Action]:
    """What an actor may do in a state."""
    return frozenset(cell.action for cell in TABLE[state] if cell.actor is actor)


def timers(state: State) -> tuple[Action, ...]:
    """What clocks do in a state if nobody acts; nothing where the process does not wait."""
    if state in AT_ONCE:
        return ()
    return tuple(cell.action for cell in TABLE[state] if cell.actor is Actor.SYSTEM)


def awaited_actions(state: State, actor: Actor) -> frozenset[Action]:
    """What a state waits for from an actor: of what they may do, that which moves the job on."""
    return allowed_actions(state, actor) - OPTIONAL
