"""On what terms a worker's money goes to the bank: the country's minimum, the fee, the exchange, the days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.settings import Settings

# Counted from 1 January 1970, a Thursday: the first Monday, in the morning of Phnom Penh.
_FIRST_RUN = timedelta(days=4, hours=2)
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class PayoutTerms:
    """Amounts in USD cents. The bank's currency is bought at Stripe's rate of the day less the exchange share."""

    country: str
    minimum_usd_cents: int
    fee_usd_cents: int
    exchange_basis_points: int
    every_days: int


def terms_of(settings: Settings, country: str) -> PayoutTerms:
    """The terms for an account in a country (ISO 3166 code)."""
    return PayoutTerms(
        country=country,
        minimum_usd_cents=settings.payout_minimum_usd_cents.get(
            country, settings.payout_other_minimum_usd_cents
        ),
        fee_usd_cents=settings.payout_fee_usd_cents,
        exchange_basis_points=settings.payout_exchange_basis_points,
        every_days=settings.payout_every_days,
    )


def run_offset(every_days: int) -> timedelta:
    """By how much the runs are shifted within their interval, counted from 1970."""
    return _FIRST_RUN % timedelta(days=every_days)


def next_run(now: datetime, every_days: int) -> datetime:
    """The first run after `now`."""
    every = timedelta(days=every_days)
    first = _EPOCH + run_offset(every_days)
    return first + ((now - first) // every + 1) * every
