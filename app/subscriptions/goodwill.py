"""Credits that an admin gives a client, with a reason. The journal keeps who gave them and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.ids import made_at
from app.money.credits import Credits, GrantOutcome
from app.money.keys import goodwill_key
from app.subscriptions.store import refresh_credits_cache

MAX_GOODWILL = 100_000  # hundredths of a credit: more than that in one act is a slip of the pen
MAX_GOODWILL_DAYS = 731
DEFAULT_GOODWILL_DAYS = 90


@dataclass(frozen=True, slots=True)
class Goodwill:
    """One act of an admin. `act_id` names it: the same id gives once. `amount` in hundredths of a credit."""

    act_id: str
    client_id: str
    admin_id: str
    amount: int
    reason: str
    days: int = DEFAULT_GOODWILL_DAYS

    @property
    def expires_at(self) -> datetime:
        """So many days after the act's id was made, so that a repeat asks for the same lot."""
        return made_at(self.act_id) + timedelta(days=self.days)


async def give(credits_: Credits, goodwill: Goodwill) -> GrantOutcome:
    """Grant the credits, once; a debt is paid first.

    Raises:
        app.money.errors.IdempotencyKeyReused: the id stands for another act.
        app.money.errors.LedgerContention: nothing was written; repeat.
    """
    outcome = await credits_.grant(
        goodwill.client_id,
        goodwill.amount,
        key=goodwill_key(goodwill.act_id),
        source="goodwill",
        expires_at=goodwill.expires_at,
        reason=goodwill.reason,
        actor_id=goodwill.admin_id,
    )
    await refresh_credits_cache(credits_, goodwill.client_id)
    return outcome
