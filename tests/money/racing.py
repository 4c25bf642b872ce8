"""A race on one book, and whether what came of it could have come of the same acts one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.errors import CorrectionExceeded
from app.money.journal import Journal
from tests.money.model import Client
from tests.money.support import CrashError, Database, Hook, hooked_journal
from tests.money.turns import take_turns


@dataclass(frozen=True)
class Act:
    """A call of a facade that can be made again, and the answer it got at first."""

    facade: str
    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Any = None

    @property
    def key(self) -> str:
        return str(self.kwargs["key"])

    async def on(self, database: Database, journal: Journal) -> Any:
        """Do it."""
        facade = (Credits if self.facade == "credits" else Earnings)(database, journal=journal)
        return await getattr(facade, self.method)(*self.args, **self.kwargs)


@dataclass(frozen=True)
class Racer:
    """One caller with one act."""

    act: Act

    async def go(self, database: Database, hook: Hook) -> Any:
        """In a process of its own that has seen nothing of the book, but that its indexes are there."""
        journal = hooked_journal(database, hook)
        journal._indexed = True
        return await self.act.on(database, journal)

    def happen(self, client: Client) -> dict[str, Any]:
        """The act on the model; what the book must have answered."""
        act = self.act
        match act.method:
            case "grant":
                client.grant(act.key, act.args[1], act.kwargs["expires_at"])
                return {"amount": act.args[1]}
            case "hold":
                return {"outcome": client.hold(act.key, act.args[2])}
            case "resolve":
                post, again = act.kwargs["post"], act.kwargs["hold_again"]
                client.resolve(act.args[1], act.key, post=post, again=again)
                return {"posted": post, "held_again": again, "already_resolved": False}
            case "void" | "expire_hold":
                amount = len(client.held[act.args[1]])
                client.resolve(act.args[1], act.key, post=0, again=0)
                return {"released": amount, "posted": 0, "already_resolved": False}
            case "refund":
                assert client.refund(act.args[1], act.args[2])
                return {"amount": act.args[2]}
            case _:
                taken, owed = client.claw_back(act.args[1], act.args[2])
                return {"taken": taken, "debt_incurred": owed, "amount": taken + owed}


@dataclass(frozen=True)
class _Seen:
    """The books between two rows of the race, as far as a refusal tells of them."""

    available: int
    debt: int
    spent: dict[str, int]
    left: dict[str, int]


class Race:
    """Several acts at once. The rows they leave say in which order they happened; the model follows them."""

    def __init__(self, database: Database, name: str, client: Client, racers: Sequence[Racer]) -> None:
        self._database, self._client, self._racers = database, client, racers
        self._book = f"client:{name}"
        self._seen: list[_Seen] = []

    async def run(self, order: Sequence[int], dies: tuple[int, int] | None) -> list[Act]:
        """The acts that were done, with their answers."""
        before = await self._rows()
        answers = await take_turns(
            [lambda hook, racer=racer: racer.go(self._database, hook) for racer in self._racers],  # type: ignore[misc]
            order,
            dies=dies,
        )
        for number, answer in enumerate(answers):
            if isinstance(answer, CrashError):  # another process does it again
                answers[number] = await self._again(self._racers[number])
        by_key = {racer.act.key: (racer, answer) for racer, answer in zip(self._racers, answers, strict=True)}
        rows = (await self._rows())[len(before) :]
        self._look()
        first: dict[str, Any] = {}  # the answer that resolved each hold
        done = []
        for row in rows:
            racer, answer = by_key.pop(row["key"])
            expected = racer.happen(self._client)
            assert {name: getattr(answer, name) for name in expected} == expected
            assert (answer.available, answer.transaction_id) == (len(self._client.alive), row["_id"])
            first[row.get("resolvesHold", "")] = answer
            done.append(replace(racer.act, answer=answer))
            self._look()
        for racer, answer in by_key.values():
            self._check_refusal(racer.act, answer, first)
        return done

    async def _again(self, racer: Racer) -> Any:
        try:
            return await racer.act.on(self._database, Journal(self._database))
        except CorrectionExceeded as refusal:
            return refusal

    async def _rows(self) -> list[dict[str, Any]]:
        rows = await self._database["transactions"].find({"book": self._book}).to_list()
        return sorted(rows, key=lambda row: int(row["seq"]))

    def _look(self) -> None:
        client = self._client
        spent = {key: len(tokens) for key, tokens in client.spent.items()}
        left = {key: grant.left for key, grant in client.grants.items()}
        self._seen.append(_Seen(len(client.alive), client.debt, spent, left))

    def _check_refusal(self, act: Act, answer: Any, first: dict[str, Any]) -> None:
        """An act without a row was refused, by the books as they were at some moment of the race."""
        match act.method:
            case "hold" if answer.outcome == "in_debt":
                assert answer.debt in {seen.debt for seen in self._seen} - {0}
            case "hold":
                assert answer.outcome == "insufficient"
                assert answer.available < act.args[2]
                assert answer.available in {seen.available for seen in self._seen}
            case "resolve" | "void" | "expire_hold":
                assert answer.already_resolved
                same = {"replayed": False, "already_resolved": True}
                assert answer == first[act.args[1]].model_copy(update=same)
            case "refund":
                assert isinstance(answer, CorrectionExceeded)
                assert answer.remaining in {seen.spent[act.args[1]] for seen in self._seen}
            case "claw_back":
                assert (answer.amount, answer.transaction_id) == (0, None)
                assert 0 in {seen.left[act.args[1]] for seen in self._seen}
            case _:
                raise AssertionError(f"{act.method} left no row: {answer!r}")
