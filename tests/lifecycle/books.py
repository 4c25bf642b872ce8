"""The books of a job without a store: the journal's own rules over rows kept in memory, cheap to fork."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from app.jobs.change import Accrual
from app.jobs.holds import PlannedResolution
from app.money.books import CREDITS_SPENT, WORKER_COST
from app.money.drafts import AccrueEarnings, Draft, GrantCredits, HoldCredits, ResolveHold
from app.money.effects import Correctable
from app.money.keys import accrue_key
from app.money.models import Transaction
from app.money.rules import next_transaction

GRANTED = 1_000_000  # hundredths of a credit
_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Books:
    """Every row so far, by its key; each book's last row; and which holds are resolved."""

    client_id: str
    rows: dict[str, Transaction] = field(default_factory=dict)
    heads: dict[str, Transaction] = field(default_factory=dict)
    resolved: frozenset[str] = frozenset()

    @classmethod
    def opened(cls, client_id: str) -> Books:
        """The client has credits, and nothing else has happened."""
        return cls(client_id).post(
            GrantCredits(key=f"seed:{client_id}", client_id=client_id, amount=GRANTED, source="seed")
        )

    def post(self, draft: Draft) -> Books:
        """The books after one more transaction; a key is used once, a hold is resolved once."""
        assert draft.key not in self.rows, f"{draft.key} is used twice"
        hold = None
        resolved = self.resolved
        if isinstance(draft, ResolveHold):
            assert draft.hold_key not in resolved, f"{draft.hold_key} is resolved twice"
            hold, resolved = self.rows[draft.hold_key].hold, resolved | {draft.hold_key}
        head = self.heads.get(draft.book.name)
        corrected = self.correctable(draft.corrects.value) if draft.corrects else None
        row = next_transaction(head, draft, at=_AT, hold=hold, correctable=corrected)
        return replace(
            self,
            rows=self.rows | {draft.key: row},
            heads=self.heads | {draft.book.name: row},
            resolved=resolved,
        )

    def correctable(self, key: str) -> Correctable:
        """A transaction by its key, with what its corrections took of it so far."""
        original = self.rows[key]
        corrections = [row for row in self.rows.values() if row.corrects == original.id]
        return Correctable(original, len(corrections), sum(row.amount for row in corrections))

    def hold(self, job_id: str, credits_: int, key: str) -> Books:
        """Credits are set aside."""
        return self.post(HoldCredits(key=key, client_id=self.client_id, job_id=job_id, amount=credits_))

    def settle(self, job_id: str, resolutions: list[PlannedResolution], accrual: Accrual | None) -> Books:
        """Holds are resolved and pay is earned, as `app.jobs.settlement` does it."""
        books = self
        for planned in resolutions:
            draft = ResolveHold(
                key=planned.key,
                client_id=self.client_id,
                hold_key=planned.hold_key,
                post=planned.post,
                release=planned.release,
                hold_again=planned.hold_again,
            )
            books = books.post(draft)
        if accrual:
            draft_of_pay = AccrueEarnings(
                key=accrue_key(job_id, accrual.number),
                worker_id=accrual.worker_id,
                job_id=job_id,
                amount=accrual.usd_cents,
            )
            books = books.post(draft_of_pay)
        return books

    @property
    def sums(self) -> Sums:
        """What is where."""
        accounts: Counter[str] = Counter()
        for row in self.rows.values():
            for leg in row.legs:
                accounts[leg.account] += leg.amount
        book = f"client:{self.client_id}"
        return Sums(
            available=accounts[f"{book}:available"],
            held=accounts[f"{book}:held"],
            spent=accounts[CREDITS_SPENT],
            payable=_of_workers(accounts, "payable"),
            paid=_of_workers(accounts, "paid"),
            debt=_of_workers(accounts, "debt"),
            cost=accounts[WORKER_COST],
        )


def _of_workers(accounts: Counter[str], name: str) -> int:
    return sum(
        amount
        for account, amount in accounts.items()
        if account.startswith("worker:") and account.endswith(f":{name}")
    )


@dataclass(frozen=True)
class Sums:
    """Hundredths of a credit, and USD cents; `cost` falls as workers earn."""

    available: int
    held: int
    spent: int
    payable: int
    paid: int
    debt: int
    cost: int
