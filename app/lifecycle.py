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
    QUOTING = "quoting"
    RANKING = "ranking"
    OFFERING = "offering"
    RESCUE = "rescue"
    READY = "ready"
    WORKING = "working"
    AWAITING_APPROVAL = "awaiting_approval"
    REVISION_REQUESTED = "revision_requested"
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
    ASSIGN = "assign"
    START = "start"
    SUBMIT = "submit"
    APPROVE = "approve"
    AUTO_APPROVE = "auto_approve"
    REQUEST_REVISION = "request_revision"
    REVIEW = "review"
    ARCHIVE = "archive"


class PriceEffect(StrEnum):
    """What a cell does to the price that the client pays, in credits."""

    NONE = "none"
    QUOTE = "quote"  # likely hours × tier rate × urgency


class HoldEffect(StrEnum):
    """What a cell does to the client's held credits."""

    NONE = "none"
    HOLD = "hold"  # the whole price
    POST = "post"  # the whole hold is spent
    RELEASE = "release"  # the whole hold returns to the client


class PayEffect(StrEnum):
    """What a cell does to the worker's pay, in USD."""

    NONE = "none"
    AGREE = "agree"  # the amount shown in the offer is now owed on completion
    ACCRUE = "accrue"  # the whole amount is earned and payable


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
QUOTING = State(Status.MATCHING, Phase.QUOTING)
RANKING = State(Status.MATCHING, Phase.RANKING)
OFFERING = State(Status.MATCHING, Phase.OFFERING)
RESCUE = State(Status.MATCHING, Phase.RESCUE)
READY = State(Status.ASSIGNED, Phase.READY)
WORKING = State(Status.IN_PROGRESS, Phase.WORKING)
AWAITING_APPROVAL = State(Status.REVIEW, Phase.AWAITING_APPROVAL)
REVISION_REQUESTED = State(Status.REVISION, Phase.REVISION_REQUESTED)
RATING = State(Status.COMPLETED, Phase.RATING)
ARCHIVED = State(Status.COMPLETED, Phase.ARCHIVED)
CANCELLED = State(Status.CANCELLED, Phase.CLOSED)

INITIAL = POSTED
ENDS = frozenset({ARCHIVED, CANCELLED})
# In these the job's own workflow has ended; what is left belongs to workflows that outlive it.
CLOSED_TO_JOB_WORKFLOW = frozenset({RATING, ARCHIVED, CANCELLED})

_A, _R, _P, _H, _Y = Action, Actor, PriceEffect, HoldEffect, PayEffect

TABLE: dict[State, tuple[Cell, ...]] = {
    POSTED: (Cell(_A.START_PARSING, _R.SYSTEM, PARSING),),
    PARSING: (
        Cell(_A.HOLD_CREDITS, _R.SYSTEM, RANKING, price=_P.QUOTE, hold=_H.HOLD),
        Cell(_A.REQUEST_CONSENT, _R.SYSTEM, QUOTING, price=_P.QUOTE),
    ),
    QUOTING: (
        Cell(_A.APPROVE_QUOTE, _R.CLIENT, RANKING, hold=_H.HOLD),
        Cell(_A.DECLINE_QUOTE, _R.CLIENT, CANCELLED),
        Cell(_A.EXPIRE_QUOTE, _R.SYSTEM, CANCELLED),
    ),
    RANKING: (
        Cell(_A.MAKE_OFFER, _R.SYSTEM, OFFERING),
        Cell(_A.ESCALATE, _R.SYSTEM, RESCUE),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
    ),
    OFFERING: (
        Cell(_A.ACCEPT_OFFER, _R.WORKER, READY, pay=_Y.AGREE),
        Cell(_A.DECLINE_OFFER, _R.WORKER, RANKING),
        Cell(_A.EXPIRE_OFFER, _R.SYSTEM, RANKING),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
    ),
    RESCUE: (
        Cell(_A.REMIND_ADMINS, _R.SYSTEM, RESCUE),
        Cell(_A.ASSIGN, _R.ADMIN, READY, pay=_Y.AGREE),
    ),
    READY: (Cell(_A.START, _R.WORKER, WORKING),),
    WORKING: (Cell(_A.SUBMIT, _R.WORKER, AWAITING_APPROVAL),),
    AWAITING_APPROVAL: (
        Cell(_A.APPROVE, _R.CLIENT, RATING, hold=_H.POST, pay=_Y.ACCRUE),
        Cell(_A.AUTO_APPROVE, _R.SYSTEM, RATING, hold=_H.POST, pay=_Y.ACCRUE),
        Cell(_A.REQUEST_REVISION, _R.CLIENT, REVISION_REQUESTED),
    ),
    REVISION_REQUESTED: (Cell(_A.START, _R.WORKER, WORKING),),
    RATING: (
        Cell(_A.REVIEW, _R.CLIENT, RATING),
        Cell(_A.REVIEW, _R.WORKER, RATING),
        Cell(_A.ARCHIVE, _R.SYSTEM, ARCHIVED),
    ),
    ARCHIVED: (),
    CANCELLED: (),
}


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
