"""What a client gets back by policy: a pure function of one payment. Amounts are USD cents and hundredths of a credit.

Within the window, whatever a payment bought that is neither spent nor held for a job is given back, as a share of
what was paid, rounded down. More, or later, is an admin's exception, with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.subscriptions.entitlements import part_of


class Ground(StrEnum):
    """Why the allowance is what it is."""

    UNUSED = "unused"  # all of it
    PARTLY_USED = "partly_used"
    USED = "used"
    TOO_LATE = "too_late"
    DISPUTED = "disputed"  # the bank decides; money must not go back twice
    REFUNDED = "refunded"  # all of it, before
    NOTHING_BOUGHT = "nothing_bought"  # the payment brought no credits


@dataclass(frozen=True, slots=True)
class Paid:
    """One payment and what it bought. `unused` credits are in the client's account; `unsettled_cents` of what went
    back are not taken out of it yet."""

    at: datetime
    cents: int
    refunded_cents: int
    disputed: bool
    credits: int
    unused: int
    unsettled_cents: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may go back by policy, and what may go back at all."""

    cents: int
    at_most_cents: int
    ground: Ground


def allowance(paid: Paid, *, now: datetime, window_days: int) -> Allowance:
    """What may go back of one payment now."""
    left = max(0, paid.cents - paid.refunded_cents)
    if paid.disputed:
        return Allowance(0, 0, Ground.DISPUTED)
    if not left:
        return Allowance(0, 0, Ground.REFUNDED)
    if paid.credits <= 0:
        return Allowance(0, left, Ground.NOTHING_BOUGHT)
    if now >= paid.at + timedelta(days=window_days):
        return Allowance(0, left, Ground.TOO_LATE)
    unused = max(0, paid.unused - part_of(paid.credits, paid.unsettled_cents, paid.cents))
    share = min(left, paid.cents * unused // paid.credits)
    if not share:
        return Allowance(0, left, Ground.USED)
    return Allowance(share, left, Ground.UNUSED if share == left else Ground.PARTLY_USED)
