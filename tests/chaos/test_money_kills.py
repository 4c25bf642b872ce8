"""`kill -9` at random instants while clients subscribe and workers are paid: nothing happens twice, nothing is lost.

Clients pay on Stripe's pages, renew, change, do not pay, are paid back and charge back; workers open accounts, are
paid, lose pay to rulings, and are paid out to banks. Meanwhile the API, the worker, Temporal and MongoDB die, answers
of Stripe are lost, and its events come twice, late, in disorder or not at all. In the end Stripe has one of everything
that was asked for, the books say the same, and the nightly comparison finds nothing.

make chaos                                  another seed each time; it is printed
NIMMIT_CHAOS_SEED=7 make chaos              the same kills in the same order again
NIMMIT_CHAOS_MONEY_KILLS=60 make chaos
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import stripe

from app.gateways.stripe_client import AsyncHttpClient
from app.subscriptions.tiers import TierName
from devstack.stripe_sandbox.control import SandboxControl
from tests.chaos.earners import Earner, Payroll
from tests.chaos.money_checks import (
    check_against_a_calm_day,
    check_books,
    check_charges,
    check_grants,
    check_inbox,
    check_pay,
    check_processes,
)
from tests.chaos.quiet import quiet
from tests.chaos.reaper import Reaper, chosen_seed
from tests.chaos.subscribers import Shop, Subscriber, patiently
from tests.e2e.platform import Platform
from tests.e2e.play import watching

KILLS = int(os.environ.get("NIMMIT_CHAOS_MONEY_KILLS", "300"))
LIMIT_SECONDS = 27 * 60  # it takes some 12 minutes on a machine that does nothing else
QUIET_SECONDS = 150
VICTIMS = {"worker": 32, "api": 28, "temporal": 35, "mongodb": 5}  # weights

# Only what the platform asks for: the tests' own calls to Stripe are not repeated.
FAULTS: tuple[dict[str, Any], ...] = (
    {"method": "POST", "path": "/v1/transfers*", "drop": "after"},
    {"method": "POST", "path": "/v1/payouts", "drop": "after"},
    {"method": "POST", "path": "/v1/accounts", "drop": "after"},
    {"method": "POST", "path": "/v1/checkout/sessions", "drop": "after"},
    {"method": "POST", "path": "/v1/subscriptions/*", "drop": "after"},
    {"method": "POST", "path": "/v1/refunds", "drop": "after"},
    {"method": "POST", "path": "/v1/transfers", "status": 500, "remembered": True},
    {"method": "GET", "path": "/v1/charges", "status": 429},
    {"method": "GET", "path": "/v1/invoices", "drop": "before"},
)
DELIVERY = {"order": "shuffled", "duplicate": 0.2, "drop": 0.1, "delay_seconds": 2}


@dataclass
class Economy:
    """Everybody who pays or is paid. It goes on until the reaper is done."""

    platform: Platform
    shop: Shop
    payroll: Payroll
    seed: str
    pause_seconds: float
    subscribers: list[Subscriber] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def newcomer(self) -> Subscriber:
        """Another client, with dice of its own."""
        die = Random(f"{self.seed}:{len(self.subscribers)}")
        person = await patiently(lambda: self.platform.client(tier=None))
        subscriber = await Subscriber.come(self.shop, person, die)
        self.subscribers.append(subscriber)
        return subscriber

    async def subscribe(self) -> None:
        """One life after another."""
        while not self.over.is_set():
            subscriber = await self.newcomer()
            await subscriber.live(subscriber.die.randint(3, 8), self.pause_seconds)

    async def employ(self) -> None:
        """Clients who post jobs, one at least and until their credits are spent."""
        while not self.over.is_set():
            client = await self.newcomer()
            await client.subscribe(TierName.SCALE)
            client.doing = "employ"
            for number in range(6):
                if number == 0 or not self.over.is_set():
                    await self.payroll.employ(client, client.die, 1)
            client.doing = "nothing"

    async def disturb(self) -> None:
        """Now and then an answer of Stripe's is lost, or is no answer; and it repeats its events sooner than usual."""
        die = Random(f"faults:{self.seed}")
        while not self.over.is_set():
            await asyncio.sleep(die.uniform(1, 4))
            await self.shop.control.add_fault(**die.choice(FAULTS))
            await self.shop.control.flush()

    async def run(self, reaper: Reaper, *, subscribing: int, employing: int) -> None:
        """Until everybody has been killed often enough, and everybody is done."""
        async with asyncio.TaskGroup() as group:
            for _ in range(subscribing):
                group.create_task(self.subscribe())
            for _ in range(employing):
                group.create_task(self.employ())
            group.create_task(self.payroll.pay_out(Random(f"payroll:{self.seed}"), self.over))
            group.create_task(self.disturb())
            await reaper.reap_in_rounds()
            self.over.set()
        await self.platform.heal()
        await self.shop.control.clear_faults()

    async def settle(self) -> None:
        """The calm after it: who came late is paid, what the banks take goes out, and all is quiet."""
        clients = [subscriber.person.id for subscriber in self.subscribers]
        for earner in self.payroll.earners:
            await earner.onboard()
        await quiet(self.platform, self.shop.control, self.payroll.job_ids, clients, seconds=QUIET_SECONDS)
        await self.payroll.run_to_banks()
        await quiet(self.platform, self.shop.control, self.payroll.job_ids, clients, seconds=QUIET_SECONDS)

    def doing(self) -> str:
        """Who was in the middle of what."""
        busy = {each.person.id: each.doing for each in self.subscribers if each.doing != "nothing"}
        return f"busy: {busy}; jobs: {self.payroll.busy}"

    def told(self) -> str:
        """What was done meanwhile."""
        acts = [subscriber.acts for subscriber in self.subscribers]
        names = ("months", "packs", "changes", "refunds", "disputes")
        done = {name: sum(len(getattr(each, name)) for each in acts) for name in names}
        done |= {"declined": sum(each.declined for each in acts), "jobs": len(self.payroll.job_ids)}
        done |= {"rulings": len(self.payroll.rulings), "runs to banks": self.payroll.runs}
        return f"{len(acts)} clients, " + ", ".join(f"{count} {name}" for name, count in done.items())

    async def check(self) -> None:
        """Nothing twice, nothing lost."""
        for subscriber in self.subscribers:
            await check_charges(subscriber)
            await check_grants(self.platform.database, subscriber)
        await check_against_a_calm_day(self.platform, self.subscribers)
        await check_pay(self.platform, self.payroll)
        await check_books(self.platform)
        events = {str(each["event"]) for each in await self.shop.control.deliveries()}
        await check_inbox(self.platform, events)
        await check_processes(self.platform)


async def _play(
    platform: Platform, *, kills: int, pause: float, workers: int, subscribing: int, employing: int
) -> None:
    seed, started = chosen_seed(), time.monotonic()
    key = platform.settings.stripe_api_key.get_secret_value()
    http = AsyncHttpClient(connect=3, read=60)
    sdk = stripe.StripeClient(
        key,
        base_addresses={"api": platform.settings.stripe_api_base},
        max_network_retries=2,
        http_client=http,
    )
    async with SandboxControl(platform.settings.stripe_api_base, timeout_seconds=90) as control:
        await control.set_delivery(key, seed=Random(seed).randint(0, 10**6), **DELIVERY)
        shop = Shop(sdk, control, platform.database, await platform.admin())
        people = [await platform.worker(capacity=8, paid=False) for _ in range(workers)]
        earners = [Earner(shop, person) for person in people]
        for earner in earners[1:]:  # the first one comes late
            await earner.onboard()
        reaper = Reaper(platform, Random(f"reaper:{seed}"), kills, pause_seconds=pause, victims=VICTIMS)
        async with watching(people) as board:
            economy = Economy(platform, shop, Payroll(shop, board, earners), seed, pause)
            try:
                await economy.run(reaper, subscribing=subscribing, employing=employing)
            except BaseException:
                print(f"killed {dict(reaper.killed)}; {economy.doing()}")  # noqa: T201  # who was in the middle of what
                raise
        killing = time.monotonic() - started
        await economy.settle()
        print(  # noqa: T201  # what the test is worth
            f"{economy.told()}; killed {dict(reaper.killed)} in {killing:.0f} s, "
            f"repeated {dict(platform.door.unanswered)}, quiet after {time.monotonic() - started:.0f} s"
        )
        await economy.check()
    await http.close_async()


@pytest.mark.timeout(900)  # a busy machine starts processes slowly
async def test_thirty_kills_over_subscriptions_and_payouts(platform: Platform) -> None:
    await _play(platform, kills=30, pause=1.5, workers=2, subscribing=2, employing=1)


@pytest.mark.chaos
async def test_hundreds_of_kills_over_subscriptions_and_payouts(platform: Platform) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        await _play(platform, kills=KILLS, pause=2, workers=6, subscribing=4, employing=3)
