"""What Stripe says at each moment of a year: read once through the real gateway, and given again as often as asked.

So a thousand orders of the same deliveries cost no thousand years at the sandbox.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from app.gateways.billing import BillingGateway
from app.gateways.payments import GatewayUnavailable
from app.webhooks.types import concern_of
from tests.billing.buyers import Buyer
from tests.billing.house import plain
from tests.billing.years import Step

Event = dict[str, Any]
Answers = dict[tuple[str, str], Any]
_WAYS_BACK = ("refund.", "charge.refund", "charge.dispute.")


@dataclass(frozen=True)
class Moment:
    """After one step: the events it made, and the answer to everything that a look may ask."""

    step: Step
    events: list[Event]
    answers: Answers

    @property
    def kept_cents(self) -> int:
        """What Stripe took of the client so far and has not given back, by its own lists."""
        cents = 0
        for (name, _), found in self.answers.items():
            match name:
                case "list_charges":
                    cents += sum(charge.amount for charge in found)
                case "list_refunds":
                    cents -= sum(refund.amount for refund in found if refund.status == "succeeded")
                case "list_disputes":
                    cents -= sum(one.amount for one in found if one.status in ("needs_response", "lost"))
        return cents

    @property
    def wanted(self) -> list[Event]:
        """The events that are not ignored."""
        return [event for event in self.events if concern_of(event["type"])]


@dataclass
class Recorder:
    """Lives a year at the sandbox and writes down its moments."""

    buyer: Buyer
    moments: list[Moment] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _lasting: Answers = field(default_factory=dict)  # what never changes
    _back: Answers = field(default_factory=dict)  # refunds and disputes, which tell when they change

    async def live(self, step: Step) -> Moment:
        """Take one step."""
        if not self.moments:  # the account may have lived through other years
            page = await self.buyer.shop.sdk.v1.events.list_async({"limit": 1})
            self._seen.update(event.id for event in page.data)
        await step.act(self.buyer)
        events = await self._new_events()
        moment = Moment(step, events, await self._read(events) if events else self.moments[-1].answers)
        self.moments.append(moment)
        return moment

    async def _new_events(self) -> list[Event]:
        """Those of the customer since the last step, oldest first."""
        pages = await self.buyer.shop.sdk.v1.events.list_async({"limit": 25})
        found: list[Event] = []
        async for event in pages.auto_paging_iter():
            if event.id in self._seen:
                break
            found.append(plain(event))
        self._seen.update(event["id"] for event in found)
        mine = self._payments() | {self.buyer.customer_id}
        return [event for event in reversed(found) if any(one in json.dumps(event) for one in mine)]

    def _payments(self) -> set[str]:
        return {asked for name, asked in self._lasting if name == "customer_of_payment"}

    async def _read(self, events: list[Event]) -> Answers:
        moved_back = any(event["type"].startswith(_WAYS_BACK) for event in events)
        billing, customer = self.buyer.shop.billing, self.buyer.customer_id
        answers: Answers = {}
        for name in ("list_subscriptions", "list_invoices", "list_payments", "list_charges"):
            answers[name, customer] = await getattr(billing, name)(customer)
        for invoice in answers["list_invoices", customer]:
            if invoice.status == "paid":
                await self._keep("invoice_payment_id", invoice.id)
            for line in invoice.lines:
                await self._keep("retrieve_price", line.price_id)
        for subscription in answers["list_subscriptions", customer]:
            await self._keep("retrieve_price", subscription.price_id)
        for charge in answers["list_charges", customer]:
            for paid in (charge.id, charge.payment_id):
                self._lasting["customer_of_payment", paid] = customer
            if moved_back and (
                charge.disputed or charge.amount_refunded or ("list_refunds", charge.id) in self._back
            ):
                for name in ("list_refunds", "list_disputes"):
                    self._back[name, charge.id] = await getattr(billing, name)(charge.id)
        self._lasting["client_of_customer", customer] = self.buyer.id
        return self._lasting | self._back | answers

    async def _keep(self, name: str, asked: str) -> None:
        if (name, asked) not in self._lasting:
            self._lasting[name, asked] = await getattr(self.buyer.shop.billing, name)(asked)


class Recorded:
    """A gateway that answers as Stripe did at the moment it is set to; `failing` of its calls in a hundred fail."""

    def __init__(self, moments: list[Moment], dice: Any, *, failing: int = 0) -> None:
        self.moments, self.now = moments, 0
        self._dice, self._failing = dice, failing

    def as_gateway(self) -> BillingGateway:
        return cast("BillingGateway", self)

    def __getattr__(self, name: str) -> Any:
        async def answer(asked: str) -> Any:
            if self._dice.randrange(100) < self._failing:
                raise GatewayUnavailable("no answer")
            return self.moments[self.now].answers[name, asked]

        return answer
