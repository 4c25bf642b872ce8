"""The state machine of the money tests: acts, repeats, races, crashes and restarts on the real store and the model."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from app.database import connect
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.errors import CorrectionExceeded, IdempotencyKeyReused, NegativeBalance
from app.money.journal import Journal, ensure_indexes
from app.money.keys import accrue_key, reversal_key, transfer_key, transfer_reversal_key
from app.money.verify import open_holds, verify
from app.settings import Settings
from tests.money.model import END, LATER, NEVER, PAST, SOON, Client, Worker
from tests.money.racing import Act, Race, Racer
from tests.money.support import BreakAt, CrashError, hooked_journal

T = TypeVar("T")

CLIENTS, WORKERS = ("c1", "c2"), ("w1", "w2")
EXPIRIES = st.sampled_from([PAST, SOON, LATER, NEVER])


class Books(RuleBasedStateMachine):
    """Set `environment` and `ends` on a subclass before it runs; `ends` gets a digest of the books of each run."""

    environment: Settings
    ends: list[str]
    acts = Bundle("acts")
    resolved = Bundle("resolved")
    taken = Bundle("taken")

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
        return self.run(act.on(self.database, journal))

    def do(self, act: Act, who: int, crash: int | None) -> Act:
        """The act by one of two processes; with `crash`, one dies at that point and the other repeats it."""
        if crash is not None:
            with contextlib.suppress(CrashError):
                self.call(act, hooked_journal(self.database, BreakAt(crash)))
        return replace(act, answer=self.call(act, self.journals[who]))

    def key(self, name: str) -> str:
        self.number += 1
        return f"{name}:{self.number}"

    who = st.integers(0, 1)
    crash = st.none() | st.integers(0, 12)
    small = st.integers(1, 12)

    @initialize()
    def begin(self) -> None:
        """Both processes have seen an empty store."""
        self.run(ensure_indexes(self.database))

    @rule(
        target=acts,
        name=st.sampled_from(CLIENTS),
        amount=st.integers(1, 30),
        expiry=EXPIRIES,
        who=who,
        crash=crash,
    )
    def grant(self, name: str, amount: int, expiry: datetime | None, who: int, crash: int | None) -> Act:
        key = self.key("grant")
        kwargs = {"key": key, "source": "test", "expires_at": expiry}
        act = self.do(Act("credits", "grant", (name, amount), kwargs), who, crash)
        client = self.clients[name]
        client.grant(key, amount, expiry)
        assert (act.answer.available, act.answer.debt) == (len(client.alive), client.debt)
        return act

    @rule(target=acts, name=st.sampled_from(CLIENTS), amount=st.integers(1, 25), who=who, crash=crash)
    def hold(self, name: str, amount: int, who: int, crash: int | None) -> Any:
        key, client = self.key("hold"), self.clients[name]
        act = self.do(Act("credits", "hold", (name, "job", amount), {"key": key}), who, crash)
        outcome = client.hold(key, amount)
        assert act.answer.outcome == outcome
        if outcome == "in_debt":
            assert act.answer.debt == client.debt
        else:
            assert act.answer.available == len(client.alive)
        return act if outcome == "held" else multiple()  # a refusal is not kept: its repeat may succeed later

    @rule(targets=(acts, resolved), data=st.data(), name=st.sampled_from(CLIENTS), who=who, crash=crash)
    def resolve(self, data: st.DataObject, name: str, who: int, crash: int | None) -> Any:
        client = self.clients[name]
        if not client.held:
            return multiple()
        hold = data.draw(st.sampled_from(sorted(client.held)), label="hold")
        act = self.do(self.resolution(data, name, hold), who, crash)
        spent = client.resolve(hold, act.key, post=act.kwargs["post"], again=act.kwargs["hold_again"])
        lots = Counter(token.lot for token in spent)
        assert sorted(lot.amount for lot in act.answer.consumed) == sorted(lots.values())
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
        amount = len(client.held[hold])
        act = self.do(Act("credits", how, (name, hold), {"key": self.key(how)}), who, crash)
        client.resolve(hold, act.key, post=0, again=0)
        assert (act.answer.released, act.answer.ending) == (amount, how.partition("_")[0])
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
        kwargs = {"key": self.key("refund"), "reason": "test"}
        act = Act("credits", "refund", (name, spent_key, amount), kwargs)
        if not client.refund(spent_key, amount):
            with pytest.raises(CorrectionExceeded) as refusal:
                self.do(act, who, None)
            assert refusal.value.remaining == len(client.spent[spent_key])
            return multiple()
        act = self.do(act, who, crash)
        assert (act.answer.amount, act.answer.available) == (amount, len(client.alive))
        return act

    @rule(
        targets=(acts, taken),
        data=st.data(),
        name=st.sampled_from(CLIENTS),
        amount=st.integers(1, 30),
        who=who,
        crash=crash,
    )
    def claw_back(self, data: st.DataObject, name: str, amount: int, who: int, crash: int | None) -> Any:
        """A refund's or a dispute's. Money that went back is booked also when there are no credits left to take."""
        cents = data.draw(st.sampled_from([None, 500]), label="cents")
        client = self.clients[name]
        if not client.grants:
            return multiple()
        grant_key = data.draw(st.sampled_from(sorted(client.grants)), label="grant")
        kwargs = {"key": self.key("clawback"), "reason": "test", "returned_cents": cents}
        act = self.do(Act("credits", "claw_back", (name, grant_key, amount), kwargs), who, crash)
        taken, owed = client.claw_back(grant_key, amount)
        assert (act.answer.taken, act.answer.debt_incurred) == (taken, owed)
        assert (act.answer.available, act.answer.debt) == (len(client.alive), client.debt)
        assert (act.answer.transaction_id is not None) == bool(taken + owed or cents)
        return act if act.answer.transaction_id else multiple()

    @rule(target=acts, act=consumes(taken), who=who, crash=crash)
    def win_dispute(self, act: Act, who: int, crash: int | None) -> Any:
        """What was taken back comes again, as a lot of its own."""
        name, grant_key = act.args[:2]
        client, amount, key = self.clients[name], act.answer.amount, self.key("reinstated")
        if not amount:
            return multiple()
        expiry = client.grants[grant_key].expires_at
        kwargs = {"key": key, "source": "reinstated", "expires_at": expiry}
        won = self.do(Act("credits", "grant", (name, amount), kwargs), who, crash)
        client.grant(key, amount, expiry)
        assert (won.answer.available, won.answer.debt) == (len(client.alive), client.debt)
        return won

    @rule(
        target=acts,
        data=st.data(),
        name=st.sampled_from(CLIENTS),
        callers=st.integers(2, 4),
        order=st.lists(st.integers(0, 3), max_size=40),
        dies=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 12)),
    )
    def race(
        self,
        data: st.DataObject,
        name: str,
        callers: int,
        order: list[int],
        dies: tuple[int, int] | None,
    ) -> Any:
        """Several processes at once on one book, one step at a time in the order drawn; one of them may die."""
        racers = [self.racer(data, name) for _ in range(callers)]
        race = Race(self.database, name, self.clients[name], racers)
        return multiple(*self.run(race.run(order, dies)))

    def racer(self, data: st.DataObject, name: str) -> Racer:
        """An act that fits the books as they are before the race."""
        client = self.clients[name]
        kinds = ["grant", "hold", "hold"]
        kinds += ["resolve", "void", "expire_hold"] if client.held else []
        kinds += ["refund"] if client.spent else []
        kinds += ["claw_back"] if client.grants else []
        kind = data.draw(st.sampled_from(kinds), label="racer")
        amount, key = data.draw(st.integers(1, 20), label="amount"), self.key(f"race-{kind}")
        kwargs: dict[str, Any] = {"key": key}
        match kind:
            case "grant":
                kwargs |= {"source": "test", "expires_at": data.draw(EXPIRIES)}
                return Racer(Act("credits", kind, (name, amount), kwargs))
            case "hold":
                return Racer(Act("credits", kind, (name, "job", amount), kwargs))
            case "resolve":
                hold = data.draw(st.sampled_from(sorted(client.held)), label="hold")
                return Racer(self.resolution(data, name, hold))
            case "void" | "expire_hold":
                hold = data.draw(st.sampled_from(sorted(client.held)), label="hold")
                return Racer(Act("credits", kind, (name, hold), kwargs))
            case "refund":
                spent = data.draw(st.sampled_from(sorted(client.spent)), label="spend")
                return Racer(Act("credits", kind, (name, spent, amount), kwargs | {"reason": "test"}))
            case _:
                grant = data.draw(st.sampled_from(sorted(client.grants)), label="grant")
                return Racer(Act("credits", kind, (name, grant, amount), kwargs | {"reason": "test"}))

    def resolution(self, data: st.DataObject, name: str, hold: str) -> Act:
        """Some of a hold is spent, some is held again, the rest returns."""
        held = len(self.clients[name].held[hold])
        post = data.draw(st.integers(0, held), label="post")
        release = data.draw(st.integers(0 if post else 1, held - post) if post < held else st.just(0))
        again = held - post - release
        kwargs = {"post": post, "release": release, "hold_again": again, "key": self.key("resolve")}
        return Act("credits", "resolve", (name, hold), kwargs)

    @rule(name=st.sampled_from(CLIENTS), who=who, crash=crash)
    def expire(self, name: str, who: int, crash: int | None) -> None:
        """Repeated after a crash it books what is left, and a third time nothing."""
        client, act = self.clients[name], Act("credits", "expire", (name,), {})
        answer = self.do(act, who, crash).answer
        lapsed = client.lapse()
        if crash is None:
            assert sum(outcome.amount for outcome in answer) == lapsed
        assert self.do(act, 1 - who, None).answer == ()

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
            lots = [(lot.expires_at or END, lot.amount) for lot in balance.lots]
            counts = sorted(Counter(alive).items())
            assert lots == [(token.expires_at, count) for token, count in counts]
        for name, worker in self.workers.items():
            earned = self.run(Earnings(self.database, journal=self.journals[1]).balance(name))
            assert (earned.payable, earned.paid, earned.debt) == (worker.payable, worker.paid, worker.debt)

    @invariant()
    def every_account_sums_to_zero_and_every_chain_holds(self) -> None:
        assert self.run(verify(self.database)) == []

    async def _digest(self) -> str:
        """All that the journal says, without the time of day."""
        rows = await self.database["transactions"].find({}).sort("_id", 1).to_list()
        for row in rows:
            for name in ("createdAt", "previousHash", "hash"):
                del row[name]
        return hashlib.sha256(json.dumps(rows, default=str, sort_keys=True).encode()).hexdigest()

    def teardown(self) -> None:
        try:
            held = {hold.hold_key: hold.amount for hold in self.run(open_holds(self.database))}
            model = {
                key: len(tokens) for client in self.clients.values() for key, tokens in client.held.items()
            }
            assert held == model
            self.ends.append(self.run(self._digest()))
        finally:
            self.run(self.mongo.drop_database(self.database.name))
            self.run(self.mongo.close())
            self.runner.close()
