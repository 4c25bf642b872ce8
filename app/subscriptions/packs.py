"""Packs of credits that a subscriber can buy besides the tier's own: dearer by the credit, and they last longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.subscriptions.tiers import add_months


class PackName(StrEnum):
    """What a subscriber can buy."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Pack:
    """Money in USD cents, credits in hundredths; its lot can be spent for so many calendar months."""

    name: PackName
    price_cents: int
    credits: int
    lifetime_months: int = 12

    def expires_at(self, bought_at: datetime) -> datetime:
        """When the credits bought at that instant expire."""
        return add_months(bought_at, self.lifetime_months)


PACKS: dict[PackName, Pack] = {
    pack.name: pack
    for pack in (
        Pack(PackName.SMALL, price_cents=14_900, credits=500),
        Pack(PackName.MEDIUM, price_cents=54_900, credits=2_000),
        Pack(PackName.LARGE, price_cents=129_900, credits=5_000),
    )
}
