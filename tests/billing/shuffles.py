"""Deliveries of a year's events in an order drawn from a seed, the handlers that take them, and the books left."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from temporalio.client import Client

from activities.billing import BillingActivities
from app.gateways.payments import GatewayUnavailable, PaymentGateway
from app.money.credits import Credits
from app.money.journal import Journal
from app.money.keys import complete_key, hold_key
from app.settings import Settings
from app.webhooks.models import EventFacts, WebhookEndpoint, facts_of
from tests.billing.buyers import Buyer
from tests.billing.moments import Event, Moment, Recorded
from tests.conftest import Database
from workflows.billing import SUBSCRIPTION_WORKFLOW, SettleBilling, receive

_BOOKS = ("transactions", "books", "paid_grants", "subscriptions", "outbox", "webhook_events")
_LAST = 10**6


@dataclass
class Shuffle:
    """When each event arrives, and how often. The same seed and the same events give the same deliveries.

    With `calm` each arrives once, in order and at once.
    """

    seed: int
    calm: bool = False
    dropped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"shuffle {self.seed}")
        self._drop = self.dice.choice((0.0, 0.1, 0.4, 0.95))
        self._again = self.dice.choice((0.0, 0.3))
        self._late = self.dice.choice((0.1, 0.5, 0.9))
        self._at_once = self.dice.choice((0.1, 0.6))
        self._under_way: list[tuple[float, float, str, Event]] = []

    def arriving(self, number: int, moment: Moment) -> list[Event]:
        """What is delivered while Stripe stands at this moment.

        Before credits are spent all of the moment's own events are among it: they can be spent once they are there.
        """
        for event in moment.wanted:
            self._send(number, event, surely=number == 0 or moment.step.spend > 0)
        return self._due(number)

    def rest(self) -> list[Event]:
        """What was still under way when the year was over."""
        return self._due(_LAST)

    def pauses(self) -> bool:
        """Whether what came is looked at before the next one comes."""
        return self.calm or self.dice.random() < self._at_once

    def _send(self, moment: int, event: Event, *, surely: bool) -> None:
        if self.calm:
            heapq.heappush(self._under_way, (moment, len(self._under_way), event["id"], event))
            return
        if not surely and self.dice.random() < self._drop:
            self.dropped.append(event["id"])
            return
        copies = 1 + (self.dice.random() < self._again) + (self.dice.random() < self._again / 3)
        for copy in range(copies):
            late = not (surely and copy == 0) and self.dice.random() < self._late
            at = moment + (self.dice.expovariate(0.25) if late else 0)
            heapq.heappush(self._under_way, (at, self.dice.random(), event["id"], event))

    def _due(self, moment: int) -> list[Event]:
        found = []
        while self._under_way and self._under_way[0][0] <= moment:
            found.append(heapq.heappop(self._under_way)[3])
        return found


class _Post:
    """In place of Temporal: what was started or signalled is kept, and done when the test says so."""

    def __init__(self) -> None:
        self.looks: list[str] = []  # ids of events that a subscription was told of
        self.unrouted: list[EventFacts] = []

    async def start_workflow(self, workflow: str, given: Any, **more: Any) -> None:
        if workflow == SUBSCRIPTION_WORKFLOW:
            event_id = more["start_signal_args"][0].event_id
            self.looks += [event_id] if event_id not in self.looks else []
        else:
            self.unrouted.append(given)


class Handlers:
    """Everything between the door and the books but HTTP and Temporal: inbox, routing, activities, settlement."""

    def __init__(self, database: Database, settings: Settings, stripe: Recorded) -> None:
        self.database, self.settings, self.stripe = database, settings, stripe
        self.credits = Credits(database, journal=Journal(database))
        self._post = _Post()
        self._temporal = cast("Client", self._post)
        self._activities = BillingActivities(
            database,
            stripe.as_gateway(),
            cast("PaymentGateway", None),  # no event of a connected account is among them
            self.credits,
            client=self._temporal,
            settings=settings,
        )

    async def begin(self, buyer: Buyer, *, linked: bool) -> None:
        """An empty set of books for one client; without `linked` our own note of the customer is lost."""
        for name in (*_BOOKS, "billing_customers", "users"):
            await self.database[name].delete_many({})
        await self.database["users"].insert_one({"_id": buyer.id, "email": "c@example.com", "role": "client"})
        if linked:
            row = {"_id": buyer.id, "stripeCustomerId": buyer.customer_id, "createdAt": datetime.now(UTC)}
            await self.database["billing_customers"].insert_one(row)

    async def take_in(self, event: Event) -> None:
        """As the door does, after it has checked the signature."""
        facts = facts_of(
            event["id"],
            event["type"],
            datetime.fromtimestamp(event["created"], UTC),
            event.get("account"),
            event["data"]["object"],
        )
        await receive(self._temporal, self.settings, self.database, facts, WebhookEndpoint.PLATFORM)

    async def work(self, buyer: Buyer, *, look: bool = False) -> None:
        """Route and settle what came, as the workflows do; with `look` also if nothing came."""
        for facts in self._post.unrouted:
            await self._persist(self._activities.route_event, facts)
        self._post.unrouted.clear()
        if self._post.looks or look:
            request = SettleBilling(client_id=buyer.id, event_ids=list(self._post.looks))
            self._post.looks.clear()
            await self._persist(self._activities.settle_billing, request)

    async def _persist(self, activity: Any, request: Any) -> None:
        """Temporal tries an activity again until it is done."""
        while True:
            try:
                await activity(request)
            except GatewayUnavailable:
                continue
            return


async def spend(credits_: Credits, client_id: str, number: int, wanted: int) -> None:
    """As a job does from its hold to its completion, of what there is; a client in debt begins none."""
    job = f"{client_id}-{number}"
    balance = await credits_.balance(client_id)
    amount = min(wanted, balance.available)
    if amount <= 0 or balance.debt:
        return
    held = await credits_.hold(client_id, job, amount, key=hold_key(job))
    assert held.outcome == "held"
    await credits_.resolve(client_id, hold_key(job), post=amount, release=0, key=complete_key(job))


async def replay(handlers: Handlers, buyer: Buyer, moments: list[Moment], shuffle: Shuffle) -> Books:
    """Deliver a recorded year in the order of the shuffle; the books at its end."""
    await handlers.begin(buyer, linked=shuffle.calm or shuffle.dice.random() < 0.8)
    for number, moment in enumerate(moments):
        handlers.stripe.now = number
        for event in shuffle.arriving(number, moment):
            await handlers.take_in(event)
            if shuffle.pauses():
                await handlers.work(buyer)
        await handlers.work(buyer)
        if moment.step.spend:
            await spend(handlers.credits, buyer.id, number, moment.step.spend)
    for event in shuffle.rest():
        await handlers.take_in(event)
    await handlers.work(buyer, look=True)
    return await books_of(handlers.database, buyer.id)


@dataclass(frozen=True)
class Books:
    """What must be the same, however the deliveries came."""

    available: int  # with what lapsed
    held: int
    debt: int
    lots: list[tuple[str, int]]  # by expiry
    acts: dict[tuple[str, str], int]  # what each act moved, by kind and key
    clearing_cents: int
    bought: dict[str, int]  # credits by Stripe's id of what was paid
    subscription: dict[str, Any]
    told: dict[str, int]


_WORDS = ("tier", "status", "cancelAtPeriodEnd", "currentPeriodEnd", "endedAt", "stripeSubscriptionId")
_LASTING = {
    "subscription.credits_granted",
    "subscription.ended",
}  # the others tell of what may have passed unseen


async def books_of(database: Database, client_id: str) -> Books:
    """The books of one client, without what came and went.

    A dispute that was opened and won between two looks leaves no trace; one that was seen takes and gives back. So
    what is taken for a cause and given back for it counts as nothing.
    """
    rows = await database["transactions"].find({"book": f"client:{client_id}"}).to_list()
    assert len({row["key"] for row in rows}) == len(rows)
    balance = await Credits(database).balance(client_id)
    lots: Counter[str] = Counter()
    for lot in balance.lots:
        lots[str(lot.expires_at)] += lot.amount
    subscription = await database["subscriptions"].find_one({"userId": client_id}) or {}
    outbox = await database["outbox"].find({"userId": client_id}).to_list()
    return Books(
        available=balance.available + balance.expired,
        held=balance.held,
        debt=balance.debt,
        lots=sorted(lots.items()),
        acts=_acts(rows),
        clearing_cents=sum(
            leg["amount"]
            for row in rows
            for leg in row["legs"]
            if leg["account"] == "platform:stripe_clearing"
        ),
        bought={
            row["_id"]: row["credits"] async for row in database["paid_grants"].find({"clientId": client_id})
        },
        subscription={name: subscription.get(name) for name in _WORDS},
        told=Counter(row["template"] for row in outbox if row["template"] in _LASTING),
    )


async def cached_credits(database: Database, client_id: str) -> dict[str, int]:
    """What the subscription says of the client's credits: the journal's word, as it was at the last look."""
    found = await database["subscriptions"].find_one({"userId": client_id})
    return dict(found["credits"]) if found else {}


def _acts(rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """What each act moved. `clawback:<cause>` and `clawback:<cause>:<from where>` are one act."""
    undone = {row["key"].partition(":")[2] for row in rows if row["key"].startswith("reinstated:")}
    acts: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        kind, cause = row["key"].split(":")[:2]
        if kind == "reinstated" or (kind == "clawback" and cause in undone):
            continue
        name = f"{kind}:{cause}" if kind == "clawback" else row["key"]
        acts[row["kind"], name] += row["amount"]
    return {act: amount for act, amount in acts.items() if amount}
