"""Lots of credits: which are spent first, and how a hold's lots are divided. Pure arithmetic.

The burn order is fixed: earlier expiry first (never comes last), then earlier creation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from app.money.errors import InsufficientCredits
from app.money.models import Lot

Lots = tuple[Lot, ...]

_NEVER = datetime.max.replace(tzinfo=UTC)


def in_burn_order(lots: Iterable[Lot]) -> Lots:
    """The lots as they are spent, empty ones left out."""
    return tuple(
        sorted((lot for lot in lots if lot.amount), key=lambda lot: (lot.expires_at or _NEVER, lot.seq))
    )


def is_expired(lot: Lot, at: datetime) -> bool:
    """A lot is expired from its expiry instant on."""
    return lot.expires_at is not None and at >= lot.expires_at


def total(lots: Iterable[Lot]) -> int:
    """The sum of the lots, in hundredths of a credit."""
    return sum(lot.amount for lot in lots)


def spendable(lots: Iterable[Lot], at: datetime) -> int:
    """What a hold made at that instant could take, in hundredths of a credit."""
    return total(lot for lot in lots if not is_expired(lot, at))


def take(lots: Sequence[Lot], amount: int, at: datetime) -> tuple[Lots, Lots]:
    """Take an amount from the lots that are alive; returns (taken, left).

    Raises:
        InsufficientCredits: the living lots do not cover it.
    """
    alive = [lot for lot in lots if not is_expired(lot, at)]
    if total(alive) < amount:
        raise InsufficientCredits(available=total(alive), required=amount)
    taken, left = split(alive, amount)
    return taken, in_burn_order([*left, *(lot for lot in lots if is_expired(lot, at))])


def split(lots: Iterable[Lot], amount: int) -> tuple[Lots, Lots]:
    """Divide lots in burn order into the first `amount` of them and the rest; both keep their lots' names."""
    first: list[Lot] = []
    rest: list[Lot] = []
    for lot in in_burn_order(lots):
        part = min(lot.amount, amount)
        amount -= part
        first.append(lot.model_copy(update={"amount": part}))
        rest.append(lot.model_copy(update={"amount": lot.amount - part}))
    return in_burn_order(first), in_burn_order(rest)


def merge(lots: Iterable[Lot], returned: Iterable[Lot]) -> Lots:
    """Put released credits back into the lots they came from, used-up lots included."""
    merged: dict[str, Lot] = {}
    for lot in (*lots, *returned):
        known = merged.get(lot.lot_id)
        merged[lot.lot_id] = (
            lot if known is None else known.model_copy(update={"amount": known.amount + lot.amount})
        )
    return in_burn_order(merged.values())
