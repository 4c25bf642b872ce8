"""Any interleaving of acts, repeats, crashes and restarts against a model that counts single credits.

The model knows nothing of the journal's arithmetic: a credit is a token with the expiry and the number of its lot,
and holding, posting, releasing, refunding, lapsing and taking back move tokens in burn order from list to list.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from app.database import connect
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.errors import CorrectionExceeded, IdempotencyKeyReused, NegativeBalance
from app.money.journal import Journal
from app.money.keys import accrue_key, reversal_key, transfer_key, transfer_reversal_key
from app.money.verify import open_holds, verify
from app.settings import Settings
from devstack.stack import Stack
from tests.money.support import BreakAt, CrashError, hooked_journal

T = TypeVar("T")

PAST, SOON, LATER, NEVER = (
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
    datetime(2200, 1, 1, tzinfo=UTC),
    None,
)
CLIENTS, WORKERS = ("c1", "c2"), ("w1", "w2")
_END = datetime.max.replace(tzinfo=UTC)


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


@dataclass
class Client:
    available: list[Token] = field(default_factory=list)
    held: dict[str, list[Token]] = field(default_factory=dict)
    spent: dict[str, list[Token]] = field(default_factory=dict)  # and not given back
    grants: dict[str, Grant] = field(default_factory=dict)
    debt: int = 0

    @property
    def alive(self) -> list[Token]:
        return sorted(token for token in self.available if token.alive)

    @property
    def expired(self) -> list[Token]:
        return [token for token in self.available if not token.alive]

    def receive(self, tokens: list[Token]) -> None:
        """Credits come in: the first of them pay what is owed."""
        paid = min(self.debt, len(tokens))
        self.debt -= paid
        self.available += sorted(tokens)[paid:]

    def lose(self, tokens: list[Token]) -> None:
        for token in tokens:
            self.available.remove(token)


@dataclass
class Worker:
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


@dataclass(frozen=True)
class Act:
    """A call of a facade that can be made again, and the answer it got at first."""

    facade: str
    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Any = None


class Books(RuleBasedStateMachine):
    """Set `environment` on a subclass before it runs."""

    environment: Settings
    acts = Bundle("acts")
    resolved = Bundle("resolved")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self.mongo = self.run(self._connect())
        self.database = self.mongo[f"test_{uuid.uuid4().hex[:12]}"]
        self.journals = [Journal(self.database), Journal(self.database)]
        self.clients = {name: Client() for name in CLIENTS}
        self.workers = {name: Worker() for name in WORKERS}
        self.number = 0

    async def _connect(self) -> Any:
        return connect(self.environment)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def call(self, act: Act, journal: Journal) -> Any:
        facade = (Credits if act.facade == "credits" else Earnings)(self.database, journal=journal)
        return self.run(getattr(facade, act.method)(*act.args, **act.kwargs))

    def do(self, act: Act, who: int, crash: int | None) -> Act:
        """The act by one of two processes; with `crash`, one dies at that point and the other repeats it."""
        if crash is not None:
            with contextlib.suppress(CrashError):
                self.call(act, hooked_journal(self.database, BreakAt(crash)))
        answer = self.call(act, self.journals[who])
        return Act(act.facade, act.method, act.args, act.kwargs, answer)

    def key(self, name: str) -> str:
        self.number += 1
        return f"{name}:{self.number}"

    who = st.integers(0, 1)
    crash = st.none() | st.integers(0, 12)
    small = st.integers(1, 12)

    @initialize()
    def begin(self) -> None:
        """Both processes have seen an empty store."""

    @rule(
        target=acts,
        name=st.sampled_from(CLIENTS),
        amount=st.integers(1, 30),
        expiry=st.sampled_from([PAST, SOON, LATER, NEVER]),
        who=who,
        crash=crash,
    )
    def grant(self, name: str, amount: int, expiry: datetime | None, who: int, crash: int | None) -> Act:
        key = self.key("grant")
        kwargs = {"key": key, "source": "test", "expires_at": expiry}
        act = self.do(Act("credits", "grant", (name, amount), kwargs), who, crash)
        client = self.clients[name]
        client.grants[key] = Grant(self.number, amount)
        client.receive([Token(expiry or _END, self.number)] * amount)
        assert (act.answer.available, act.answer.debt) == (len(client.alive), client.debt)
        return act

    @rule(target=acts, name=st.sampled_from(CLIENTS), amount=st.integers(1, 25), who=who, crash=crash)
    def hold(self, name: str, amount: int, who: int, crash: int | None) -> Any:
        key, client = self.key("hold"), self.clients[name]
        act = self.do(Act("credits", "hold", (name, "job", amount), {"key": key}), who, crash)
        alive = client.alive
        if client.debt:
            assert (act.answer.outcome, act.answer.debt) == ("in_debt", client.debt)
            return multiple()
        if len(alive) < amount:
            assert (act.answer.outcome, act.answer.available) == ("insufficient", len(alive))
            return multiple()  # a refusal is not kept: its repeat may succeed later
        client.held[key] = alive[:amount]
        client.lose(alive[:amount])
        assert (act.answer.outcome, act.answer.available) == ("held", len(client.alive))
        return act

    @rule(targets=(acts, resolved), data=st.data(), name=st.sampled_from(CLIENTS), who=who, crash=crash)
    def resolve(self, data: st.DataObject, name: str, who: int, crash: int | None) -> Any:
        client = self.clients[name]
        if not client.held:
            return multiple()
        hold = data.draw(st.sampled_from(sorted(client.held)), label="hold")
        tokens = client.held.pop(hold)
        post = data.draw(st.integers(0, len(tokens)), label="post")
        release = data.draw(
            st.integers(0 if post else 1, len(tokens) - post) if post < len(tokens) else st.just(0)
        )
        again = len(tokens) - post - release
        key = self.key("resolve")
        kwargs = {"post": post, "release": release, "hold_again": again, "key": key}
        act = self.do(Act("credits", "resolve", (name, hold), kwargs), who, crash)
        if again:
            client.held[key] = tokens[post : post + again]
        if post:
            client.spent[key] = tokens[:post]
        client.receive(tokens[post + again :])
        spent = Counter(token.lot for token in tokens[:post])
        assert sorted(lot.amount for lot in act.answer.consumed) == sorted(spent.values())
        assert not act.answer.already_resolved
        return act

    @rule(act=resolved, who=who, post=st.integers(1, 9))
    def resolve_again(self, act: Act, who: int, post: int) -> None:
        """Another act that would resolve the same hold gets the first resolution."""
        kwargs = {"post": post, "release": 0, "key": self.key("again")}
        answer = self.call(Act("credits", "resolve", act.args, kwargs), self.journals[who])
        same = {"replayed": False, "already_resolved": True}
        assert answer == act.answer.model_copy(update=same)

    @rule(
        targets=(acts, resolved),
        data=st.data(),
        name=st.sampled_from(CLIENTS),
        how=st.sampled_from(["void", "expire_hold"]),
        who=who,
        crash=crash,
    )
    def end_hold(self, data: st.DataObject, name: str, how: str, who: int, crash: int | None) -> Any:
        client = self.clients[name]
        if not client.held:
            return multiple()
        hold = data.draw(st.sampled_from(sorted(client.held)), label="hold")
        tokens = client.held.pop(hold)
        act = self.do(Act("credits", how, (name, hold), {"key": self.key(how)}), who, crash)
        client.receive(tokens)
        assert (act.answer.released, act.answer.ending) == (len(tokens), how.partition("_")[0])
        assert not act.answer.already_resolved
        return act

    @rule(
        target=acts,
        data=st.data(),
        name=st.sampled_from(CLIENTS),
        amount=st.integers(1, 25),
        who=who,
        crash=crash,
    )
    def refund(self, data: st.DataObject, name: str, amount: int, who: int, crash: int | None) -> Any:
        client = self.clients[name]
        if not client.spent:
            return multiple()
        spent_key = data.draw(st.sampled_from(sorted(client.spent)), label="spend")
        left = client.spent[spent_key]
        kwargs = {"key": self.key("refund"), "reason": "test"}
        act = Act("credits", "refund", (name, spent_key, amount), kwargs)
        if amount > len(left):
            with pytest.raises(CorrectionExceeded) as refusal:
                self.do(act, who, None)
            assert refusal.value.remaining == len(left)
            return multiple()
        act = self.do(act, who, crash)
        client.spent[spent_key], back = left[:-amount], left[-amount:]
        client.receive(back)
        assert (act.answer.amount, act.answer.available) == (amount, len(client.alive))
        return act

    @rule(
        target=acts,
        data=st.data(),
        name=st.sampled_from(CLIENTS),
        amount=st.integers(1, 30),
        who=who,
        crash=crash,
    )
    def claw_back(self, data: st.DataObject, name: str, amount: int, who: int, crash: int | None) -> Any:
        client = self.clients[name]
        if not client.grants:
            return multiple()
        grant_key = data.draw(st.sampled_from(sorted(client.grants)), label="grant")
        grant = client.grants[grant_key]
        kwargs = {"key": self.key("clawback"), "reason": "test"}
        act = self.do(Act("credits", "claw_back", (name, grant_key, amount), kwargs), who, crash)
        amount = min(amount, grant.left)
        own = sorted(token for token in client.available if token.lot == grant.lot)[:amount]
        client.lose(own)
        client.debt += amount - len(own)
        grant.left -= amount
        assert (act.answer.taken, act.answer.debt_incurred) == (len(own), amount - len(own))
        assert (act.answer.available, act.answer.debt) == (len(client.alive), client.debt)
        return act if amount else multiple()

    @rule(name=st.sampled_from(CLIENTS), who=who, crash=crash)
    def expire(self, name: str, who: int, crash: int | None) -> None:
        """Repeated after a crash it books what is left, and a third time nothing."""
        client, act = self.clients[name], Act("credits", "expire", (name,), {})
        expired = client.expired
        answer = self.do(act, who, crash).answer
        if crash is None:
            assert sum(outcome.amount for outcome in answer) == len(expired)
        assert self.do(act, 1 - who, None).answer == ()
        client.lose(expired)
        for grant in client.grants.values():
            grant.left = max(0, grant.left - sum(token.lot == grant.lot for token in expired))

    @rule(target=acts, name=st.sampled_from(WORKERS), amount=small, who=who, crash=crash)
    def accrue(self, name: str, amount: int, who: int, crash: int | None) -> Act:
        job = f"{name}-{self.number}"
        self.number += 1
        worker = self.workers[name]
        worker.earned[job] = amount
        worker.receive(amount)
        return self.do(Act("earnings", "accrue", (name, job, amount), {"key": accrue_key(job)}), who, crash)

    @rule(target=acts, name=st.sampled_from(WORKERS), amount=small, who=who, crash=crash)
    def transfer(self, name: str, amount: int, who: int, crash: int | None) -> Any:
        job = f"{name}-{self.number}"
        self.number += 1
        kwargs = {"key": transfer_key(job), "stripe_transfer_id": f"tr_{self.number}"}
        act, worker = Act("earnings", "record_transfer", (name, job, amount), kwargs), self.workers[name]
        if worker.payable < amount:
            with pytest.raises(NegativeBalance):
                self.do(act, who, None)
            return multiple()
        worker.payable -= amount
        worker.paid += amount
        worker.sent[job] = amount
        return self.do(act, who, crash)

    @rule(target=acts, data=st.data(), name=st.sampled_from(WORKERS), amount=small, who=who, crash=crash)
    def reverse(self, data: st.DataObject, name: str, amount: int, who: int, crash: int | None) -> Any:
        worker = self.workers[name]
        if not worker.earned:
            return multiple()
        job = data.draw(st.sampled_from(sorted(worker.earned)), label="job")
        kwargs = {"key": reversal_key(job, self.key("act")), "reason": "test"}
        act = Act("earnings", "reverse", (name, job, amount), kwargs)
        if amount > worker.earned[job]:
            with pytest.raises(CorrectionExceeded):
                self.do(act, who, None)
            return multiple()
        worker.earned[job] -= amount
        taken = min(worker.payable, amount)
        worker.payable -= taken
        worker.debt += amount - taken
        return self.do(act, who, crash)

    @rule(target=acts, data=st.data(), name=st.sampled_from(WORKERS), amount=small, who=who, crash=crash)
    def reverse_transfer(
        self, data: st.DataObject, name: str, amount: int, who: int, crash: int | None
    ) -> Any:
        worker = self.workers[name]
        if not worker.sent:
            return multiple()
        job = data.draw(st.sampled_from(sorted(worker.sent)), label="job")
        reversal = self.key("trr").replace(":", "_")
        kwargs = {"key": transfer_reversal_key(reversal), "stripe_reversal_id": reversal}
        act = Act("earnings", "record_transfer_reversal", (name, job, amount), kwargs)
        if amount > worker.sent[job]:
            with pytest.raises(CorrectionExceeded):
                self.do(act, who, None)
            return multiple()
        worker.sent[job] -= amount
        worker.paid -= amount
        worker.receive(amount)
        return self.do(act, who, crash)

    @rule(act=acts, who=who)
    def repeat(self, act: Act, who: int) -> None:
        """The same key and body, however late, gets the first answer."""
        again = self.call(act, self.journals[who])
        assert again == act.answer.model_copy(update={"replayed": True})

    @rule(act=acts, who=who)
    def reuse_a_key(self, act: Act, who: int) -> None:
        other = Act("credits", "grant", (CLIENTS[0], 7), {"key": act.kwargs["key"], "source": "another"})
        with pytest.raises(IdempotencyKeyReused):
            self.call(other, self.journals[who])

    @rule(who=who)
    def restart(self, who: int) -> None:
        self.journals[who] = Journal(self.database)

    @invariant()
    def balances_are_the_models(self) -> None:
        for name, client in self.clients.items():
            balance = self.run(Credits(self.database, journal=self.journals[0]).balance(name))
            alive = client.alive
            assert balance.available == len(alive)
            assert balance.expired == len(client.expired)
            assert balance.debt == client.debt
            assert balance.held == sum(len(tokens) for tokens in client.held.values())
            lots = [(lot.expires_at or _END, lot.amount) for lot in balance.lots]
            counts = sorted(Counter(alive).items())
            assert lots == [(token.expires_at, count) for token, count in counts]
        for name, worker in self.workers.items():
            earned = self.run(Earnings(self.database, journal=self.journals[1]).balance(name))
            assert (earned.payable, earned.paid, earned.debt) == (worker.payable, worker.paid, worker.debt)

    @invariant()
    def every_account_sums_to_zero_and_every_chain_holds(self) -> None:
        assert self.run(verify(self.database)) == []

    def teardown(self) -> None:
        try:
            held = {hold.hold_key: hold.amount for hold in self.run(open_holds(self.database))}
            model = {
                key: len(tokens) for client in self.clients.values() for key, tokens in client.held.items()
            }
            assert held == model
        finally:
            self.run(self.mongo.drop_database(self.database.name))
            self.run(self.mongo.close())
            self.runner.close()


def test_any_interleaving_leaves_the_books_as_the_model_says(stack: Stack, settings: Settings) -> None:
    stack.require("mongodb")
    machine = type("RunningBooks", (Books,), {"environment": settings})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=15,
            stateful_step_count=40,
            deadline=None,
            # Shrinking on a live store takes longer than a test may; the failing steps are printed as they were.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
