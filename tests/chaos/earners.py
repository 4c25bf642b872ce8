"""Workers whose pay is sent, held, taken back, and paid out to banks that may refuse it, while processes die."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random

from app.ids import new_id
from tests.chaos.roads import Cast, approved, left
from tests.chaos.subscribers import Shop, Subscriber
from tests.e2e.play import Board
from tests.support.http import Person

CLOSED_ACCOUNT, GOOD_ACCOUNT = "000111111113", "000123456789"  # of Stripe's test bank


@dataclass
class Earner:
    """A worker and what of the payout account is done so far."""

    shop: Shop
    person: Person
    has_account: bool = False

    async def onboard(self, account_number: str = GOOD_ACCOUNT) -> None:
        """Ask for Stripe's form, and fill it in; again, to change the bank account."""
        link = await self.person.insist("POST", "/payments/onboarding")
        answer = await self.shop.control.browse(link["url"], {"account_number": account_number})
        assert answer.status_code == 303, answer.text
        self.has_account = True


@dataclass
class Payroll:
    """Jobs of clients who subscribe, pay for the workers, rulings that take it back, and runs to the banks.

    `rulings` has the worker's share in basis points by job; `late` are workers who onboard when pay waits for them.
    """

    shop: Shop
    board: Board
    earners: list[Earner]
    job_ids: list[str] = field(default_factory=list)
    rulings: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    busy: set[str] = field(default_factory=set)  # jobs that somebody is at

    async def employ(self, client: Subscriber, die: Random, jobs: int) -> None:
        """A client who posts one job after another."""
        for _ in range(jobs):
            job_id = str((await client.person.post_job())["id"])
            self.job_ids.append(job_id)
            self.busy.add(job_id)
            cast = Cast(job_id, client.person, self.shop.admin, self.board, die, lapses=False)
            await die.choices([approved, left], [5, 1])[0](cast)
            await asyncio.sleep(die.uniform(0, 2))
            if die.random() < 0.5:
                await self._reopen(cast)
            self.busy.discard(job_id)

    async def _reopen(self, cast: Cast) -> None:
        """A dispute over a completed job: its pay is sent, or under way, or waits for the worker's account."""
        worker, die = cast.worker, cast.die
        assert worker is not None
        await die.choice([cast.client, worker]).act(cast.job_id, "dispute", {"reason": "not what we agreed"})
        await asyncio.sleep(die.uniform(0, 1))
        base = f"/admin/jobs/{cast.job_id}/dispute"
        if die.random() < 0.25:
            await self.shop.admin.insist("POST", f"{base}/dismiss", {"reason": "it is as agreed"})
            return
        share = die.choice([0, 3_300, 6_000, 10_000])
        ruling = {"workerShareBasisPoints": share, "reason": "some of it is usable"}
        await self.shop.admin.insist("POST", f"{base}/rule", ruling)
        self.rulings[cast.job_id] = share

    async def pay_out(self, die: Random, until: asyncio.Event) -> None:
        """Runs to the banks on demand, bank accounts that stop to work, and workers who come late with theirs."""
        while not until.is_set():
            await asyncio.sleep(die.uniform(1, 5))
            earner = die.choice(self.earners)
            if not earner.has_account or die.random() < 0.3:
                await earner.onboard(die.choice([GOOD_ACCOUNT, CLOSED_ACCOUNT]))
            await self.run_to_banks(earner.person.id if die.random() < 0.5 else None)

    async def run_to_banks(self, worker_id: str | None = None) -> None:
        """As an admin does it."""
        body = {"workerId": worker_id} if worker_id else {}
        await self.shop.admin.insist("POST", "/admin/payouts/run", body, key=new_id())
        self.runs += 1
