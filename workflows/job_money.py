"""What an act does to a job's own record of its money: price, holds and pay, by the effects of its cell.

Pure: the ledger is moved by the activities that these plans are handed to.
"""

from __future__ import annotations

from pydantic import BaseModel

from app.jobs.change import Accrual
from app.jobs.holds import OpenHold, PlannedResolution, post_all, release_all, split
from app.jobs.pricing import extra
from app.jobs.terms import Terms
from app.money.keys import accrue_key, hold_key
from workflows.job_state import JobState, Money


class Settlement(BaseModel):
    """What the ledger is to do: the holds to resolve, what a worker earned, and whose place is given back."""

    worker_id: str | None
    resolutions: list[PlannedResolution]
    accrual: Accrual | None
    completed: bool
    money: Money


def price_of(state: JobState) -> Money:
    """What the client pays in all, and the pay that goes with it."""
    pricing = state.projection.pricing
    return Money(credits=pricing.credits, usd_cents=pricing.pay_usd_cents) if pricing else Money()


def note_hold(state: JobState, credits_: int, number: int) -> None:
    """A hold was made on the client's book, the job's `number`-th."""
    projection = state.projection
    state.holds_made = max(state.holds_made, number)
    key = hold_key(state.input.job_id, number)
    projection.holds.append(OpenHold(key=key, credits=credits_))
    projection.ledger_keys.append(key)
    projection.held_credits += credits_


def raise_price(state: JobState, extra_credits: int, extra_pay_usd_cents: int) -> Money:
    """The client pays more, and the worker gets more."""
    projection = state.projection
    if projection.pricing is None:
        raise RuntimeError("a job that is raised in price has one")
    projection.pricing = projection.pricing.model_copy(
        update={
            "credits": projection.pricing.credits + extra_credits,
            "pay_usd_cents": projection.pricing.pay_usd_cents + extra_pay_usd_cents,
        }
    )
    projection.pay_usd_cents += extra_pay_usd_cents
    projection.proposal = None
    return Money(credits=extra_credits, usd_cents=extra_pay_usd_cents)


def pay_for(state: JobState, extra_credits: int) -> int:
    """The pay in USD cents that goes with so many more hundredths of a credit."""
    pricing = state.projection.pricing
    return extra(pricing, extra_credits) if pricing else 0


def end_in_full(state: JobState) -> Settlement:
    """The work is approved: all that is held is spent, and the worker earns what is left of the pay."""
    projection = state.projection
    resolutions = post_all(state.input.job_id, projection.holds)
    return _settlement(
        state, resolutions, [], projection.held_credits, projection.pay_usd_cents, completed=True
    )


def end_on_terms(state: JobState, terms: Terms, *, completed: bool = False) -> Settlement:
    """The job ends early: so much is spent and earned, and the rest returns."""
    job_id, holds = state.input.job_id, state.projection.holds
    if terms.client_pays:
        resolutions, _ = split(job_id, holds, terms.client_pays, number=state.resolutions)
        state.resolutions += len(resolutions)
    else:
        resolutions = release_all(job_id, holds)
    return _settlement(
        state, resolutions, [], terms.client_pays, terms.worker_earns_usd_cents, completed=completed
    )


def leave_on_terms(state: JobState, terms: Terms) -> Settlement:
    """The worker leaves with a part; the rest stays held for the next one."""
    resolutions: list[PlannedResolution] = []
    left = state.projection.holds
    if terms.client_pays:
        resolutions, left = split(
            state.input.job_id, left, terms.client_pays, number=state.resolutions, keep=True
        )
        state.resolutions += len(resolutions)
    return _settlement(
        state, resolutions, left, terms.client_pays, terms.worker_earns_usd_cents, completed=False
    )


def _settlement(
    state: JobState,
    resolutions: list[PlannedResolution],
    left: list[OpenHold],
    spent: int,
    pay_usd_cents: int,
    *,
    completed: bool,
) -> Settlement:
    projection = state.projection
    accrual = state.earn(pay_usd_cents)
    projection.holds = left
    projection.held_credits = sum(hold.credits for hold in left)
    projection.spent_credits += spent
    projection.ledger_keys += [planned.key for planned in resolutions]
    if accrual:
        projection.ledger_keys.append(accrue_key(state.input.job_id, accrual.number))
    return Settlement(
        worker_id=projection.worker_id,
        resolutions=resolutions,
        accrual=accrual,
        completed=completed,
        money=Money(credits=spent, usd_cents=pay_usd_cents),
    )
