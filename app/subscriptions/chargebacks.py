"""Disputes that clients' banks open: what an admin sees of one, what we can say for ourselves, and the answer.

The bank decides; the books follow it when Stripe is read again. Evidence is taken once: a draft can be kept and
added to, and what is submitted is read by the bank.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.errors import DependencyUnavailableError, NotFoundError, OutcomeUnknownError
from app.gateways.billing import ANSWERABLE, BillingGateway, ChargeDispute
from app.gateways.payments import GatewayUnavailable, InvalidPaymentRequest
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
from app.subscriptions.customers import client_of
from app.subscriptions.errors import BillingRefusedError, DisputeClosedError
from app.subscriptions.evidence import propose
from app.subscriptions.models import PaidGrant


@dataclass(frozen=True, slots=True)
class Chargeback:
    """A dispute, whose client it is, what was bought, and what was done about it here."""

    dispute: ChargeDispute
    client_id: str | None
    grant: PaidGrant | None
    acts: list[BillingAct]
    proposed: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an admin says to the bank, or keeps as a draft; why they do so is for us. `act_id` names the act."""

    act_id: str
    dispute_id: str
    admin_id: str
    reason: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    submit: bool = True


class ChargebackDesk:
    """One for each request is cheap. `window_days` is what the refund policy says."""

    def __init__(self, database: Database, gateway: BillingGateway, *, window_days: int) -> None:
        self._database, self._gateway, self._window_days = database, gateway, window_days

    async def page(self, *, limit: int, after: str | None) -> tuple[list[Chargeback], bool]:
        """Disputes, newest first, without what could be said about them; and whether there are more.

        Raises:
            NotFoundError: there is no dispute `after`.
            DependencyUnavailableError: Stripe does not answer.
        """
        async with _asking(reading=True):
            found, more = await self._gateway.disputes_page(limit=limit, after=after)
        return [await self._around(dispute, proposing=False) for dispute in found], more

    async def read(self, dispute_id: str) -> Chargeback:
        """One dispute, with the evidence that our own records offer.

        Raises:
            NotFoundError: Stripe has no such dispute.
            DependencyUnavailableError: Stripe does not answer.
        """
        async with _asking(reading=True):
            dispute = await self._gateway.retrieve_dispute(dispute_id)
        return await self._around(dispute, proposing=True)

    async def answer(self, answer: Answer) -> Chargeback:
        """Keep or submit evidence; asked again under the same id, it is done once.

        Raises:
            NotFoundError: Stripe has no such dispute.
            DisputeClosedError: evidence was submitted before, or the bank has decided.
            BillingRefusedError: Stripe does not take it.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        act = await self._begun(ActKind.EVIDENCE, answer)
        if act.outcome is not ActOutcome.DONE:
            async with self._doing(act):
                await self._gateway.answer_dispute(
                    answer.dispute_id,
                    answer.evidence,
                    submit=answer.submit,
                    idempotency_key=f"evidence:{act.act_id}",
                )
        return await self.read(answer.dispute_id)

    async def concede(self, answer: Answer) -> Chargeback:
        """Give up: the money stays with the client, for good; asked again under the same id, it is done once.

        Raises:
            NotFoundError: Stripe has no such dispute.
            DisputeClosedError: it is decided, or with the bank.
            BillingRefusedError: Stripe does not take it.
            DependencyUnavailableError, OutcomeUnknownError: Stripe does not answer; repeat.
        """
        act = await self._begun(ActKind.CONCEDE, answer)
        if act.outcome is not ActOutcome.DONE:
            async with self._doing(act):
                await self._gateway.concede_dispute(
                    answer.dispute_id, idempotency_key=f"concede:{act.act_id}"
                )
        return await self.read(answer.dispute_id)

    async def _begun(self, kind: ActKind, answer: Answer) -> BillingAct:
        """The act, written down. One that was begun before goes on, whatever the dispute is now: Stripe knows it."""
        known = await find_act(self._database, answer.act_id)
        if known is not None:
            return known
        async with _asking(reading=True):
            dispute = await self._gateway.retrieve_dispute(answer.dispute_id)
        if dispute.status not in ANSWERABLE:
            raise DisputeClosedError(dispute.status)
        found = await self._around(dispute, proposing=False)
        while known is None:
            act = BillingAct(
                id=next_id(dispute.id, await acts_on(self._database, dispute.id)),
                act_id=answer.act_id,
                kind=kind,
                subject_id=dispute.id,
                client_id=found.client_id,
                admin_id=answer.admin_id,
                reason=answer.reason,
                amount_usd_cents=dispute.amount,
                fields=sorted(answer.evidence),
            )
            known = (
                act if await write_down(self._database, act) else await find_act(self._database, act.act_id)
            )
        return known

    @asynccontextmanager
    async def _doing(self, act: BillingAct) -> AsyncIterator[None]:
        """Note what became of the act."""
        try:
            async with _asking():
                yield
        except BillingRefusedError as error:
            code = error.fields["reason"]
            await note(self._database, act, ActOutcome.REFUSED, stripe_id=act.subject_id, code=code)
            raise
        await note(self._database, act, ActOutcome.DONE, stripe_id=act.subject_id)

    async def _around(self, dispute: ChargeDispute, *, proposing: bool) -> Chargeback:
        grant, client_id = None, None
        if dispute.payment_id is not None:
            row = await self._database["paid_grants"].find_one({"paymentId": dispute.payment_id})
            grant = PaidGrant.model_validate(row) if row else None
            client_id = grant.client_id if grant else await self._client_of(dispute.payment_id)
        proposed: dict[str, str] = {}
        if proposing and grant is not None:
            proposed = await propose(self._database, grant, window_days=self._window_days)
        return Chargeback(
            dispute=dispute,
            client_id=client_id,
            grant=grant,
            acts=await acts_on(self._database, dispute.id),
            proposed=proposed,
        )

    async def _client_of(self, payment_id: str) -> str | None:
        async with _asking(reading=True):
            customer_id = await self._gateway.customer_of_payment(payment_id)
        return await client_of(self._database, customer_id) if customer_id else None


@asynccontextmanager
async def _asking(*, reading: bool = False) -> AsyncIterator[None]:
    """Raises the domain's words for what Stripe refuses."""
    try:
        yield
    except GatewayUnavailable as error:
        raise (DependencyUnavailableError("stripe") if reading else OutcomeUnknownError()) from error
    except InvalidPaymentRequest as error:
        if error.code == "resource_missing":
            raise NotFoundError("There is no such dispute.") from error
        raise BillingRefusedError(error.code) from error
