"""A model of the books that counts single credits, and knows nothing of the journal's arithmetic.

A credit is a token with the expiry and the number of its lot; holding, posting, releasing, refunding, lapsing and
taking back move tokens in burn order from list to list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

PAST, SOON, LATER, NEVER = (
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
    None,
)
END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Token:
    """One hundredth of a credit."""

    expires_at: datetime
    lot: int  # rises with each grant

    @property
    def alive(self) -> bool:
        return self.expires_at != PAST


@dataclass
class Grant:
    """A grant's lot, and how many of its credits can still be taken back."""

    lot: int
    left: int
    expires_at: datetime | None


@dataclass
class Client:
    """What a client has. Each act answers as the book must."""

    available: list[Token] = field(default_factory=list)
    held: dict[str, list[Token]] = field(default_factory=dict)
    spent: dict[str, list[Token]] = field(default_factory=dict)  # and not given back
    grants: dict[str, Grant] = field(default_factory=dict)
    debt: int = 0
    lots: int = 0

    @property
    def alive(self) -> list[Token]:
        return sorted(token for token in self.available if token.alive)

    @property
    def expired(self) -> list[Token]:
        return [token for token in self.available if not token.alive]

    def grant(self, key: str, amount: int, expires_at: datetime | None) -> None:
        self.lots += 1
        self.grants[key] = Grant(self.lots, amount, expires_at)
        self._receive([Token(expires_at or END, self.lots)] * amount)

    def hold(self, key: str, amount: int) -> str:
        """The outcome."""
        alive = self.alive
        if self.debt:
            return "in_debt"
        if len(alive) < amount:
            return "insufficient"
        self.held[key] = alive[:amount]
        self._lose(alive[:amount])
        return "held"

    def resolve(self, hold: str, key: str, *, post: int, again: int) -> list[Token]:
        """What was spent: first the tokens that expire first, then those held again, and the rest returns."""
        tokens = self.held.pop(hold)
        if again:
            self.held[key] = tokens[post : post + again]
        if post:
            self.spent[key] = tokens[:post]
        self._receive(tokens[post + again :])
        return tokens[:post]

    def refund(self, spent_key: str, amount: int) -> bool:
        """Whether so much was left to give back."""
        left = self.spent[spent_key]
        if amount > len(left):
            return False
        self.spent[spent_key], back = left[:-amount], left[-amount:]
        self._receive(back)
        return True

    def claw_back(self, grant_key: str, amount: int) -> tuple[int, int]:
        """How much was there to take, and how much became a debt."""
        grant = self.grants[grant_key]
        amount = min(amount, grant.left)
        own = sorted(token for token in self.available if token.lot == grant.lot)[:amount]
        self._lose(own)
        self.debt += amount - len(own)
        grant.left -= amount
        return len(own), amount - len(own)

    def lapse(self) -> int:
        """How many had expired."""
        expired = self.expired
        self._lose(expired)
        for grant in self.grants.values():
            grant.left = max(0, grant.left - sum(token.lot == grant.lot for token in expired))
        return len(expired)

    def _receive(self, tokens: list[Token]) -> None:
        """Credits come in: the first of them pay what is owed."""
        paid = min(self.debt, len(tokens))
        self.debt -= paid
        self.available += sorted(tokens)[paid:]

    def _lose(self, tokens: list[Token]) -> None:
        for token in tokens:
            self.available.remove(token)


@dataclass
class Worker:
    """What a worker has, in cents."""

    payable: int = 0
    paid: int = 0
    debt: int = 0
    earned: dict[str, int] = field(default_factory=dict)  # by job, and not taken back
    sent: dict[str, int] = field(default_factory=dict)  # by job, and not given back

    def receive(self, amount: int) -> None:
        """Money becomes payable: the first of it pays what is owed."""
        paid = min(self.debt, amount)
        self.debt -= paid
        self.payable += amount - paid
