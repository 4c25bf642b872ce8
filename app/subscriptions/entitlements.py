"""What a paid invoice gives: a pure function of the invoice and of what its prices promise, so repeats agree."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.gateways.billing import Invoice, InvoiceLine, Price
from app.subscriptions.tiers import TIERS, TierName

CURRENCY = "usd"


@dataclass(frozen=True)
class Entitlement:
    """Credits in hundredths: more than zero are granted, fewer are taken back. `tier` is the one moved to or kept."""

    credits: int
    tier: TierName
    expires_at: datetime
    period_start: datetime
    period_end: datetime


class UnexpectedInvoiceError(Exception):
    """A paid invoice that does not fit what we sell; an admin must look at it. Nothing is granted for it."""


def entitlement(
    invoice: Invoice, prices: Mapping[str, Price], *, if_paid: bool = False
) -> Entitlement | None:
    """What a paid invoice of a subscription gives; None if it is not paid or says nothing of a tier.

    With `if_paid`, what an invoice that is not paid would give.

    A whole period gives the tier's credits. A change in mid-period gives, of each price, the share of its credits
    that the line is of its amount: what is credited counts against what is charged.

    Raises:
        UnexpectedInvoiceError: another currency, several of a tier, an amount that the price does not explain.
    """
    if invoice.status != "paid" and not if_paid:
        return None
    lines = [(line, prices.get(line.price_id or "")) for line in invoice.lines]
    sold = [(line, price) for line, price in lines if price and price.tier in set(TierName) and price.credits]
    if not sold:
        return None
    if invoice.currency != CURRENCY:
        raise UnexpectedInvoiceError(f"paid in {invoice.currency}")
    shares = sum(_share(line, price) for line, price in sold)
    # The tier that holds from now on: that of the last line which charges.
    line, price = max(sold, key=lambda each: (each[0].amount >= 0, each[0].period_end, each[0].amount))
    tier = TierName(str(price.tier))
    return Entitlement(
        credits=shares,
        tier=tier,
        expires_at=rolled_over(line.period_start, line.period_end, TIERS[tier].rollover_periods),
        period_start=line.period_start,
        period_end=line.period_end,
    )


def _share(line: InvoiceLine, price: Price) -> int:
    if line.quantity != 1:
        raise UnexpectedInvoiceError(f"{line.quantity} of a tier")
    if abs(line.amount) > price.unit_cents or (not line.proration and line.amount != price.unit_cents):
        raise UnexpectedInvoiceError(f"{line.amount} where the price is {price.unit_cents}")
    # towards zero for a charge, away from zero for a credit: never more credits than were paid for
    return line.amount * price.credits // price.unit_cents


def rolled_over(start: datetime, end: datetime, periods: int) -> datetime:
    """The end of a period so many months later; the 31st comes back after a short month."""
    year, month = divmod(end.year * 12 + end.month - 1 + periods, 12)
    month += 1
    day = min(max(start.day, end.day), calendar.monthrange(year, month)[1])
    return end if periods == 0 else end.replace(year=year, month=month, day=day)


def part_of(credits_: int, part_cents: int, whole_cents: int) -> int:
    """The credits that a part of a payment bought, rounded up: money given back leaves none of its credits."""
    if whole_cents <= 0:
        return credits_
    return min(credits_, -(-credits_ * part_cents // whole_cents))
