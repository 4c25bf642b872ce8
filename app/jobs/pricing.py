"""What a job costs the client and pays the worker. Integers throughout; no float takes part."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from pydantic import ConfigDict

from app.camel import CamelModel
from app.jobs.policy import BASIS, JobPolicy, Urgency


class Quote(CamelModel):
    """A price in hundredths of a credit, and the pay that goes with it in USD cents."""

    model_config = ConfigDict(frozen=True)

    credits: int
    pay_usd_cents: int
    hours_likely: float
    rate: int  # hundredths of a credit for an hour, from the client's tier
    urgency_basis_points: int


def quote(*, hours_likely: float, rate: int, urgency: Urgency, policy: JobPolicy) -> Quote:
    """Price = likely hours × the tier's rate × urgency; pay = the policy's share of those hours at base.

    Args:
        hours_likely: a multiple of a quarter of an hour, so that it is exact as a decimal.
        rate: hundredths of a credit for one hour.

    The price is rounded half up and is at least one hundredth; pay is rounded down to the cent. Pay starts
    from one credit an hour, the rate before any tier's discount, so the tier does not change it.
    """
    hours = Decimal(str(hours_likely))
    multiplier = policy.urgency_basis_points[urgency]
    price = (hours * rate * multiplier / BASIS).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    worth = hours * policy.credit_value_usd_cents * multiplier / BASIS
    pay = int(worth * policy.worker_share_basis_points / BASIS)
    return Quote(
        credits=max(1, int(price)),
        pay_usd_cents=pay,
        hours_likely=hours_likely,
        rate=rate,
        urgency_basis_points=multiplier,
    )


def extra(pricing: Quote, credits_: int) -> int:
    """The pay in USD cents that goes with so many more hundredths of a credit: in the quote's own proportion."""
    return credits_ * pricing.pay_usd_cents // pricing.credits
