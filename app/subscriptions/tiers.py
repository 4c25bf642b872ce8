"""The tiers: what a client pays each month and gets for it. Pure data and calendar arithmetic.

The numbers are the product's, not drawn anywhere: a credit is about one hour of work at the base rate, and
costs about 25 USD, less on the larger tiers, which also pay less for an hour and may keep unused credits longer.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TierName(StrEnum):
    """What a client can subscribe to."""

    STARTER = "starter"
    GROWTH = "growth"
    SCALE = "scale"


@dataclass(frozen=True, slots=True)
class Tier:
    """Money in USD cents, credits in hundredths.

    Attributes:
        price_cents: for one period of a calendar month.
        credits_per_period: granted at the start of each period, as one lot.
        rate: hundredths of a credit for one likely hour of work.
        rollover_periods: how many further periods a lot outlives the one it was granted for.
    """

    name: TierName
    price_cents: int
    credits_per_period: int
    rate: int
    rollover_periods: int


TIERS: dict[TierName, Tier] = {
    tier.name: tier
    for tier in (
        Tier(TierName.STARTER, price_cents=24_900, credits_per_period=1_000, rate=100, rollover_periods=0),
        Tier(TierName.GROWTH, price_cents=69_900, credits_per_period=3_000, rate=95, rollover_periods=1),
        Tier(TierName.SCALE, price_cents=179_900, credits_per_period=8_000, rate=90, rollover_periods=2),
    )
}


def add_months(instant: datetime, months: int) -> datetime:
    """The same time of day so many months later, on the month's last day where the day does not exist."""
    year, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    month += 1
    day = min(instant.day, calendar.monthrange(year, month)[1])
    return instant.replace(year=year, month=month, day=day)


def period_end(anchor: datetime, number: int = 1) -> datetime:
    """When the period of that number (1 is the first) of a subscription ends.

    Periods are counted from the anchor, so that the 31st comes back after a short month.
    """
    return add_months(anchor, number)


def lot_expiry(tier: Tier, anchor: datetime, number: int = 1) -> datetime:
    """When the credits granted for that period expire: at its end, or so many periods later as roll over."""
    return period_end(anchor, number + tier.rollover_periods)
