"""Whether an act is allowed now, and the exact answer when it is not.

Pure checks over the state, used by the validators (a refusal leaves no event in the history) and again by the
handlers once they hold the lock. Every refusal is an `ApplicationError` whose type is a `JobErrorCode`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from app.jobs.change import OfferRecord, OfferStatus, PriceProposal
from app.jobs.errors import JobErrorCode
from app.lifecycle import CLOSED_TO_JOB_WORKFLOW, WORK_IS_DUE, Action, ActNotAllowedError, Actor, State
from app.money.text import credits_text
from workflows.contracts import Act, AgreePrice, ExtendDeadline, Rule
from workflows.job_state import JobState

_FREE_LOOKS, _PAUSE = 20, timedelta(minutes=5)


def refusal(code: JobErrorCode, message: str, **details: Any) -> ApplicationError:
    """An answer that will not change by trying again."""
    return ApplicationError(message, details, type=code.value, non_retryable=True)


def check(state: JobState, action: Action, act: Act) -> None:
    """The state allows the act, and the actor is the job's own client or worker (or an admin).

    Raises:
        ApplicationError: `not-a-party` or `wrong-state`.
    """
    party = state.party(act.actor)
    if act.actor is not Actor.ADMIN and party != act.actor_id:
        raise refusal(JobErrorCode.NOT_A_PARTY, f"You are not the {act.actor} of this job.")
    try:
        state.require(action, act.actor)
    except ActNotAllowedError as error:
        raise wrong_state(state.state, str(error)) from None


def check_process_goes_on(state: JobState) -> None:
    """The job's own process is not about to end: what the table allows afterwards is for those that outlive it.

    Raises:
        ApplicationError: `wrong-state`.
    """
    if state.state in CLOSED_TO_JOB_WORKFLOW:
        raise wrong_state(state.state, f"the job's own process ends, since the job is {state.state.status}")


def has_accepted(state: JobState, act: Act) -> bool:
    """Whether this worker has already accepted and holds the job: a repeat then gets the same yes."""
    offer = state.offer_of(act.actor_id)
    accepted = offer is not None and offer.status is OfferStatus.ACCEPTED
    return accepted and state.projection.worker_id == act.actor_id


def check_offer(
    state: JobState, act: Act, now: datetime, *, action: Action = Action.ACCEPT_OFFER
) -> OfferRecord:
    """The worker's offer is open at `now`, and may be answered.

    Late means that the workflow's clock is at or past the expiry, whichever event came first.

    Raises:
        ApplicationError: `offer-not-found`, `offer-expired`, `offer-declined`, `offer-withdrawn`, `job-taken`
            or `wrong-state`.
    """
    offer = state.offer_of(act.actor_id)
    if offer is None:
        raise refusal(JobErrorCode.OFFER_NOT_FOUND, "This job has not been offered to you.")
    if offer.status is OfferStatus.OPEN and now >= offer.expires_at:
        raise _expired(offer)
    match offer.status:
        case OfferStatus.EXPIRED:
            raise _expired(offer)
        case OfferStatus.DECLINED:
            raise refusal(
                JobErrorCode.OFFER_DECLINED, "You declined this offer; it cannot be answered again."
            )
        case OfferStatus.WITHDRAWN:
            raise refusal(
                JobErrorCode.OFFER_WITHDRAWN, "This offer was withdrawn; the job was given to another."
            )
        case OfferStatus.ACCEPTED:
            raise refusal(JobErrorCode.JOB_TAKEN, "This offer has been accepted already.")
        case OfferStatus.OPEN:
            pass
    try:
        state.require(action, Actor.WORKER)
    except ActNotAllowedError as error:
        raise wrong_state(state.state, str(error)) from None
    return offer


def check_patience(state: JobState, act: Act, now: datetime) -> None:
    """The actor has not been refused so often that the next look outside must wait.

    Only for validators. Each such look is a few events and one of the 2,000 updates that the server gives a workflow:
    somebody who asks in a loop must not use them up and leave the job deaf to everybody.

    Raises:
        ApplicationError: the last answer again.
    """
    last = state.refused.get(act.actor_id)
    if last is None or last.times < _FREE_LOOKS or now >= last.at + _PAUSE:
        return
    raise refusal(
        last.code,
        f"{last.message} This was so at {last.at:%H:%M:%S} UTC; ask again after {last.at + _PAUSE:%H:%M:%S} UTC.",
    )


def revisions_left(state: JobState) -> bool:
    """Whether a revision is still part of the price."""
    return state.projection.revision_count < state.input.policy.revision_limit


def check_price(state: JobState, action: Action, act: Act, credits_: int) -> None:
    """The price may be moved, and is moved up.

    Raises:
        ApplicationError: as `check`, or `price-not-higher`.
    """
    check(state, action, act)
    price = state.projection.pricing.credits if state.projection.pricing else 0
    if credits_ <= price:
        raise refusal(
            JobErrorCode.PRICE_NOT_HIGHER,
            f"The price is {credits_text(price)} already; name a higher one.",
            credits=price / 100,  # as the API counts
        )


def check_consent(state: JobState, action: Action, act: AgreePrice) -> PriceProposal:
    """The client agrees to the price that is proposed now; it may have been another when they looked.

    Raises:
        ApplicationError: as `check`, or `price-changed`.
    """
    check(state, action, act)
    proposal = state.projection.proposal
    if proposal is None:
        raise RuntimeError(f"a job in {state.state} has a proposal")
    if act.extra_credits not in (None, proposal.extra_credits):
        raise refusal(
            JobErrorCode.PRICE_CHANGED,
            f"The price has changed since you looked: it is {credits_text(proposal.extra_credits)} more now.",
            extra_credits=proposal.extra_credits / 100,
        )
    return proposal


def check_extension(state: JobState, act: ExtendDeadline, now: datetime) -> None:
    """There is a deadline, and it is moved to a later moment.

    Raises:
        ApplicationError: as `check`, or `deadline-not-later`.
    """
    check(state, Action.EXTEND_DEADLINE, act)
    current = state.projection.due_at if state.state in WORK_IS_DUE else state.projection.deadline
    if act.to <= now or (current is not None and act.to <= current):
        raise refusal(
            JobErrorCode.DEADLINE_NOT_LATER,
            "Name a moment after the present one and after the deadline that stands.",
            deadline=current.isoformat() if current else None,
        )


def check_review_extension(state: JobState, act: Act) -> None:
    """The client may take more time, once for each delivery.

    Raises:
        ApplicationError: as `check`, or `already-extended`.
    """
    check(state, Action.EXTEND_REVIEW, act)
    if state.projection.review_extended:
        raise refusal(
            JobErrorCode.ALREADY_EXTENDED,
            "The time to look at this delivery was extended once; approve it, ask for a revision, or write to support.",
        )


def check_opener(state: JobState, act: Act) -> None:
    """The actor opened the dispute.

    Raises:
        ApplicationError: as `check`, or `not-the-opener`.
    """
    check(state, Action.WITHDRAW_DISPUTE, act)
    dispute = state.projection.dispute
    if dispute is None or dispute.opened_by_id != act.actor_id:
        raise refusal(JobErrorCode.NOT_THE_OPENER, "Only the one who opened the dispute can take it back.")


def check_ruling(state: JobState, act: Rule) -> None:
    """An admin may rule now.

    Raises:
        ApplicationError: as `check`.
    """
    check(state, Action.RULE if act.worker_share_basis_points else Action.RULE_REFUND, act)


def _expired(offer: OfferRecord) -> ApplicationError:
    at = offer.expires_at
    return refusal(
        JobErrorCode.OFFER_EXPIRED,
        f"The offer expired at {at:%H:%M:%S} UTC.",
        expires_at=at.isoformat(),
    )


def wrong_state(state: State, message: str) -> ApplicationError:
    """The refusal of an act that the state does not allow; the message is made a sentence."""
    return refusal(
        JobErrorCode.WRONG_STATE,
        f"{message[0].upper()}{message[1:]}.",
        status=state.status.value,
        phase=state.phase.value,
    )
