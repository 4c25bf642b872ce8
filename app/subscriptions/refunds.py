"""Refunds by admins: by policy, or beyond it with a reason. The credits follow when Stripe is read again."""

from __future__ import annotations

from dataclasses import dataclass

from app.documents import utcnow
from app.errors import DependencyUnavailableError, NotFoundError, OutcomeUnknownError
from app.gateways.billing import REFUNDED, BillingGateway, Charge, Refund
from app.gateways.payments import GatewayUnavailable, PaymentError
from app.money.credits import Credits
from app.money.journal import Journal
from app.money.keys import clawback_key
from app.money.models import Lot
from app.subscriptions.acts import (
    ActKind,
    ActOutcome,
    BillingAct,
    Database,
    acts_on,
    find_act,
    next_id,
    note,
    write_down,
)
from app.subscriptions.customers import find_customer
from app.subscriptions.errors import BillingRefusedError, RefundBeyondPolicyError
from app.subscriptions.models import PaidGrant
from app.subscriptions.refund_policy import Allowance, Paid, allowance

_ACT = "act_id"  # metadata of a refund: the act that it was made by
_MOST_KEYS = 5


@dataclass(frozen=True, slots=True)
class ClientPayment:
    """One payment of a client, what it bought, what came back of it, and what may still go back."""

    charge: Charge
    grant: PaidGrant | None
    unused: int
    refunds: list[Refund]
    acts: list[BillingAct]
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class RefundWanted:
    """What an admin asks for. Without an amount it is what the policy allows; `act_id` names the act."""

    act_id: str
    client_id: str
    payment_id: str
    admin_id: str
    reason: str
    cents: int | None = None
    beyond_policy: bool = False


class RefundDesk:
    """One for each request is cheap."""

    def __init__(
        self, database: Database, gateway: BillingGateway, credits_: Credits, *, window_days: int
    ) -> None:
        self._database, self._gateway, self._credits = database, gateway, credits_
        self._journal, self._window_days = Journal(database), window_days

    async def payments(self, client_id: str) -> list[ClientPayment]:
        """A client's payments, newest first.

        Raises:
            DependencyUnavailableError: Stripe does not answer.
        """
        customer_id = await find_customer(self._database, client_id)
        if customer_id is None:
            return []
        try:
            charges = await self._gateway.list_charges(customer_id)
            return [await self._payment(client_id, charge, None) for charge in reversed(charges)]
        except GatewayUnavailable as error:
            raise DependencyUnavailableError("stripe") from error

    async def refund(self, wanted: RefundWanted) -> BillingAct:
        """Give a payment back, in whole or in part; asked again under the same id, the same act.

        Raises:
            NotFoundError: the client has no such payment.
            RefundBeyondPolicyError: the policy does not allow as much, and no exception was asked for.
            BillingRefusedError: Stripe does not take it.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        act = await find_act(self._database, wanted.act_id)
        while act is None:
            act = await self._decide(wanted) or await find_act(self._database, wanted.act_id)
        if act.outcome is ActOutcome.DONE:
            return act
        return await self._do(act)

    async def _decide(self, wanted: RefundWanted) -> BillingAct | None:
        """The act, written down; None if another admin's came between."""
        acts = await acts_on(self._database, wanted.payment_id)  # first: what is done by now, Stripe shows
        payment = await self._find(wanted.client_id, wanted.payment_id, acts)
        made = {refund.metadata.get(_ACT) for refund in payment.refunds}
        asked = sum(
            act.amount_usd_cents or 0
            for act in acts
            if act.outcome is ActOutcome.ASKED and act.act_id not in made
        )  # by others, and not at Stripe yet: whatever comes of it, it is not given twice
        allowed = max(0, payment.allowance.cents - asked)
        at_most = max(0, payment.allowance.at_most_cents - asked)
        cents = allowed if wanted.cents is None else wanted.cents
        if not 0 < cents <= (at_most if wanted.beyond_policy else allowed):
            raise RefundBeyondPolicyError(
                allowed_usd_cents=allowed, at_most_usd_cents=at_most, ground=payment.allowance.ground.value
            )
        act = BillingAct(
            id=next_id(wanted.payment_id, acts),
            act_id=wanted.act_id,
            kind=ActKind.REFUND,
            subject_id=wanted.payment_id,
            client_id=wanted.client_id,
            admin_id=wanted.admin_id,
            reason=wanted.reason,
            amount_usd_cents=cents,
            beyond_policy=cents > allowed,
        )
        return act if await write_down(self._database, act) else None

    async def _do(self, act: BillingAct) -> BillingAct:
        """Ask Stripe. Look first: it may have been asked before, and have forgotten the key."""
        try:
            made = await self._made(act) or await self._ask(act)
        except GatewayUnavailable as error:
            raise OutcomeUnknownError from error
        except PaymentError as error:
            await note(self._database, act, ActOutcome.REFUSED, stripe_id=None, code=error.code)
            raise BillingRefusedError(error.code) from error
        return await note(self._database, act, ActOutcome.DONE, stripe_id=made.id)

    async def _ask(self, act: BillingAct) -> Refund:
        """Where Stripe has saved a failure of its own under the key, nothing was done: ask under the next one."""
        for number in range(1, _MOST_KEYS):
            try:
                return await self._create(act, f"refund:{act.act_id}:{number}")
            except GatewayUnavailable as error:
                if not error.replayed:
                    raise
                if (made := await self._made(act)) is not None:
                    return made
        return await self._create(act, f"refund:{act.act_id}:{_MOST_KEYS}")

    async def _create(self, act: BillingAct, key: str) -> Refund:
        return await self._gateway.create_refund(
            act.subject_id,
            act.amount_usd_cents or 0,
            metadata={_ACT: act.act_id, "client_id": act.client_id or ""},
            idempotency_key=key,
        )

    async def _made(self, act: BillingAct) -> Refund | None:
        charge = (await self._charge(act.client_id or "", act.subject_id)).id
        found = await self._gateway.list_refunds(charge)
        return next((one for one in found if one.metadata.get(_ACT) == act.act_id), None)

    async def _find(self, client_id: str, payment_id: str, acts: list[BillingAct]) -> ClientPayment:
        try:
            return await self._payment(client_id, await self._charge(client_id, payment_id), acts)
        except GatewayUnavailable as error:
            raise DependencyUnavailableError("stripe") from error

    async def _charge(self, client_id: str, payment_id: str) -> Charge:
        customer_id = await find_customer(self._database, client_id)
        charges = await self._gateway.list_charges(customer_id) if customer_id else []
        for charge in charges:
            if charge.payment_id == payment_id:
                return charge
        raise NotFoundError("The client has no such payment.")

    async def _payment(self, client_id: str, charge: Charge, acts: list[BillingAct] | None) -> ClientPayment:
        """Read in the order in which things happen, so that what happens meanwhile is counted twice, never missed."""
        row = await self._database["paid_grants"].find_one(
            {"clientId": client_id, "paymentId": charge.payment_id}
        )
        grant = PaidGrant.model_validate(row) if row else None
        if acts is None:
            acts = await acts_on(self._database, charge.payment_id or "")
        # one that failed is in no sum
        refunds = await self._gateway.list_refunds(charge.id) if charge.amount_refunded or acts else []
        unsettled = sum([one.amount for one in refunds if not await self._is_settled(one)])
        unused = await self._unused(client_id, grant)
        paid = Paid(
            at=charge.created_at,
            cents=charge.amount,
            refunded_cents=charge.amount_refunded,
            disputed=charge.disputed,
            credits=grant.credits if grant else 0,
            unused=unused,
            unsettled_cents=unsettled,
        )
        return ClientPayment(
            charge=charge,
            grant=grant,
            unused=unused,
            refunds=refunds,
            acts=acts,
            allowance=allowance(paid, now=utcnow(), window_days=self._window_days),
        )

    async def _is_settled(self, refund: Refund) -> bool:
        """Whether its credits are taken back, or never will be."""
        return refund.status not in REFUNDED or await self._journal.find(clawback_key(refund.id)) is not None

    async def _unused(self, client_id: str, grant: PaidGrant | None) -> int:
        """What is left in the account of what a payment bought. What is held for jobs counts as used."""
        granted = await self._journal.find(grant.grant_key) if grant else None
        if grant is None or granted is None:
            return 0
        balance = await self._credits.balance(client_id)
        return sum(lot.amount for lot in balance.lots if _is_of(lot, granted.id, grant))


def _is_of(lot: Lot, transaction_id: str, grant: PaidGrant) -> bool:
    """Its own lot, and what came back of it: spent and refunded by a job, or taken back for nothing."""
    return transaction_id in (lot.lot_id, lot.origin) or lot.source == f"reinstated:{grant.id}"
