"""A year of a client's subscription at Stripe, told by a seed: what is done in it, and in which order.

It begins on the checkout page and ends with the subscription. Between the renewals lie a payment that fails and is
made good, two changes of tier, packs, refunds of which one fails, disputes lost and won, and a change of mind.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.gateways.billing import Charge
from app.ids import new_id
from app.subscriptions.tiers import TierName
from tests.billing.buyers import CARD, Buyer
from tests.stripe.billing import DAY

MONTHS = 12
GOOD, BAD, REFUND_FAILS = "4242424242424242", "4000000000000341", "4000000000005126"
_AFTER_RENEWAL = 2 * 3_600  # its invoice is a draft for an hour
Act = Callable[[Buyer], Awaitable[object]]


@dataclass(frozen=True)
class Step:
    """One thing that happens at Stripe. `spend`: so many hundredths of a credit are spent on a job after it."""

    name: str
    act: Act
    spend: int = 0


@dataclass
class Teller:
    """Makes the steps of one year; keeps what a later step of it must know of an earlier one."""

    dice: random.Random
    dispute: str | None = None

    async def begin(self, buyer: Buyer) -> None:
        await buyer.pay_page(await buyer.shop.price(TierName.GROWTH))

    async def renew(self, buyer: Buyer) -> None:
        end = (await buyer.subscription()).period_end.timestamp()
        await buyer.wait((end + _AFTER_RENEWAL - buyer.now) / DAY)

    async def pack(self, buyer: Buyer) -> None:
        await buyer.pay_page(await buyer.shop.pack())

    async def pack_with_a_bad_way_back(self, buyer: Buyer) -> None:
        await buyer.pay_page(await buyer.shop.pack(), card=CARD | {"cardNumber": REFUND_FAILS})

    async def refund_part(self, buyer: Buyer) -> None:
        if (charge := await self._untouched(buyer)) is not None:
            await self._refund(buyer, charge, charge.amount * 2 // 5)

    async def refund_whole(self, buyer: Buyer) -> None:
        if (charge := await self._untouched(buyer)) is not None:
            await self._refund(buyer, charge, charge.amount)

    async def open_dispute(self, buyer: Buyer) -> None:
        charge = await self._untouched(buyer)
        self.dispute = None
        if charge is not None:
            self.dispute = await buyer.shop.control.open_dispute(charge.id)

    async def inquire(self, buyer: Buyer) -> None:
        if (charge := await self._untouched(buyer)) is not None:
            await buyer.shop.control.open_dispute(charge.id, reason="inquiry")

    async def win(self, buyer: Buyer) -> None:
        if self.dispute is not None:
            await buyer.shop.control.close_dispute(self.dispute, "won")

    async def lose(self, buyer: Buyer) -> None:
        if self.dispute is not None:
            await buyer.shop.control.close_dispute(self.dispute, "lost")

    async def break_card(self, buyer: Buyer) -> None:
        await self._set_card(buyer, BAD)

    async def mend_card(self, buyer: Buyer) -> None:
        """And pay what is owed."""
        await self._set_card(buyer, GOOD)
        for invoice in await buyer.shop.billing.list_invoices(buyer.customer_id):
            if invoice.status == "open":
                await buyer.shop.sdk.v1.invoices.pay_async(invoice.id)

    async def leave(self, buyer: Buyer) -> None:
        await self._set_end(buyer, wanted=True)

    async def stay(self, buyer: Buyer) -> None:
        await self._set_end(buyer, wanted=False)

    def change(self, tier: TierName) -> Act:
        async def act(buyer: Buyer) -> None:
            await buyer.change(tier)

        return act

    @staticmethod
    def waiting(act: Act, days: float) -> Act:
        """The same after some days."""

        async def acted(buyer: Buyer) -> None:
            await buyer.wait(days)
            await act(buyer)

        return acted

    async def _untouched(self, buyer: Buyer) -> Charge | None:
        """The newest charge that nothing was taken back of, and whose refund does not fail."""
        for charge in reversed(await buyer.shop.billing.list_charges(buyer.customer_id)):
            if charge.disputed or charge.amount_refunded or charge.amount < 100:
                continue
            if await self._last4(buyer, charge) != REFUND_FAILS[-4:]:
                return charge
        return None

    async def refund_what_fails(self, buyer: Buyer) -> None:
        """Of the pack whose card takes no money back: it fails as soon as time goes on."""
        if (charge := await self._stubborn(buyer)) is not None:
            await self._refund(buyer, charge, charge.amount)

    async def refund_again(self, buyer: Buyer) -> None:
        """The bank takes it now."""
        if (charge := await self._stubborn(buyer)) is not None:
            found = await buyer.shop.sdk.v1.charges.retrieve_async(charge.id)
            await buyer.shop.control.change_card(str(found.payment_method), GOOD)
            await self._refund(buyer, charge, charge.amount)

    async def _stubborn(self, buyer: Buyer) -> Charge | None:
        for charge in await buyer.shop.billing.list_charges(buyer.customer_id):
            if await self._last4(buyer, charge) == REFUND_FAILS[-4:]:
                return charge
        return None

    async def _last4(self, buyer: Buyer, charge: Charge) -> str | None:
        found = await buyer.shop.sdk.v1.charges.retrieve_async(charge.id)
        card = found.payment_method_details.card if found.payment_method_details else None
        return card.last4 if card else None

    async def _refund(self, buyer: Buyer, charge: Charge, cents: int) -> None:
        await buyer.shop.sdk.v1.refunds.create_async({"charge": charge.id, "amount": cents})

    async def _set_card(self, buyer: Buyer, number: str) -> None:
        methods = await buyer.shop.sdk.v1.customers.payment_methods.list_async(buyer.customer_id)
        for method in methods.data:
            await buyer.shop.control.change_card(method.id, number)

    async def _set_end(self, buyer: Buyer, *, wanted: bool) -> None:
        now = await buyer.subscription()
        key = f"end:{new_id()}"
        await buyer.shop.billing.set_cancel_at_period_end(now.id, wanted=wanted, idempotency_key=key)


def year(seed: int) -> list[Step]:
    """The steps of a year. Same seed, same year."""
    dice = random.Random(f"year {seed}")
    teller = Teller(dice)
    months = _months(dice, teller)
    steps = [Step("begin", teller.begin, dice.randint(100, 900))]
    for number, threads in enumerate(months, start=1):
        steps += _woven(dice, threads)
        if number < MONTHS:
            steps.append(Step("renew", teller.renew, dice.choice((0, dice.randint(100, 1_500)))))
    return [*steps, Step("leave", teller.leave), Step("end", teller.renew)]


def _months(dice: random.Random, teller: Teller) -> list[list[list[Step]]]:
    """What happens in each month: threads, each in its own order."""
    first, second = dice.choice(((TierName.SCALE, TierName.STARTER), (TierName.STARTER, TierName.SCALE)))
    changes = sorted(dice.sample(range(1, MONTHS - 1), 2))
    threads: list[tuple[int, list[Step]]] = [
        (changes[0], [Step(f"to {first}", teller.change(first))]),
        (changes[1], [Step(f"to {second}", teller.change(second))]),
    ]
    quiet: tuple[tuple[str, ...], ...] = (
        ("pack",),
        ("pack_with_a_bad_way_back", "refund_what_fails", "refund_again"),
        ("refund_part",),
        ("refund_whole",),
        ("inquire",),
        ("leave", "stay"),
    )
    threads += [(dice.randrange(MONTHS - 1), _thread(teller, *names)) for names in quiet]
    # One dispute at a time, and one of them in a month in which the tier changes.
    lost = dice.choice([month for month in range(MONTHS - 1) if month not in changes])
    threads.append((changes[1], _thread(teller, "open_dispute", "win")))
    threads.append((lost, _thread(teller, "open_dispute", "lose")))
    failing = dice.randrange(1, MONTHS - 2)
    months: list[list[list[Step]]] = [[] for _ in range(MONTHS)]
    for month, steps in threads:
        months[month].append(steps)
    # The card fails at the renewal and is mended before anything else happens in the month.
    months[failing].append([Step("break card", teller.break_card)])
    months[failing + 1].insert(0, [Step("mend card", teller.mend_card)])
    return months


def _thread(teller: Teller, *names: str) -> list[Step]:
    return [Step(name.replace("_", " "), getattr(teller, name)) for name in names]


def _woven(dice: random.Random, threads: list[list[Step]]) -> list[Step]:
    """The steps of all threads, each thread in its order, some days from one to the next."""
    left = [list(thread) for thread in threads]
    steps = []
    if left and left[0][0].name == "mend card":
        steps.append(left.pop(0)[0])
    last = [thread for thread in left if thread[-1].name == "break card"]
    left = [thread for thread in left if thread not in last]
    while left:
        thread = dice.choice(left)
        steps.append(thread.pop(0))
        left = [thread for thread in left if thread]
    steps += [step for thread in last for step in thread]
    return [Step(step.name, Teller.waiting(step.act, dice.uniform(0.3, 1.9)), step.spend) for step in steps]
