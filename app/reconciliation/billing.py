"""Compares what clients paid, and what was given back to them, with the credits that their books have for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.gateways.billing import PACK, BillingGateway, Invoice, MoneyBack, Payment
from app.gateways.payments import InvalidPaymentRequest
from app.money.drafts import Original
from app.money.journal import Journal, ledger_collection
from app.money.keys import clawback_key, invoice_grant_key, top_up_key
from app.money.models import Kind
from app.money.text import dollars_text
from app.reconciliation.findings import Findings, Row
from app.reconciliation.models import DifferenceKind, Repair, RepairKind
from app.subscriptions.customers import client_of
from app.subscriptions.entitlements import UnexpectedInvoiceError, entitlement

_INVOICE, _TOP_UP = invoice_grant_key(""), top_up_key("")


@dataclass(slots=True)
class BillingComparison:
    """Paid invoices and packs, refunds and disputes of the time, each looked for in the books; and grants at Stripe."""

    findings: Findings
    billing: BillingGateway
    _paid: set[str] = field(default_factory=set)  # the keys of what Stripe says is paid

    async def run(self) -> None:
        """Compare all of it. Memory grows with what was paid in the time.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; begin again.
        """
        async for invoice in self.billing.paid_invoices_since(self.findings.since):
            await self.findings.step()
            self._paid.add(invoice_grant_key(invoice.id))
            await self._compare_invoice(invoice)
        async for payment in self.billing.payments_since(self.findings.since):
            await self.findings.step()
            if PACK in payment.metadata and payment.status == "succeeded":
                self._paid.add(top_up_key(payment.id))
                await self._compare_pack(payment)
        async for back in self.billing.money_back_since(self.findings.since):
            await self.findings.step()
            await self._compare_money_back(back)
        await self._compare_grants()

    async def _compare_invoice(self, invoice: Invoice) -> None:
        if not self.findings.is_ripe(invoice.paid_at or invoice.created_at):
            return
        used = {line.price_id for line in invoice.lines if line.price_id}
        prices = {price_id: await self.billing.retrieve_price(price_id) for price_id in sorted(used)}
        try:
            due = entitlement(invoice, prices)
        except UnexpectedInvoiceError:  # an admin was told when it was settled
            return
        if due is not None and due.credits > 0:
            what = f"invoice {invoice.id} of {dollars_text(invoice.amount_paid)}"
            await self._expect(invoice_grant_key(invoice.id), invoice.customer_id, what)

    async def _compare_pack(self, payment: Payment) -> None:
        if self.findings.is_ripe(payment.created_at):
            what = f"{payment.id} of {dollars_text(payment.amount_received)} for a pack"
            await self._expect(top_up_key(payment.id), payment.customer_id or "", what)

    async def _expect(self, key: str, customer_id: str, what: str) -> None:
        client_id = await client_of(self.findings.database, customer_id)
        if client_id is None or await self._has(key):
            return
        self._add(DifferenceKind.PAID_WITHOUT_GRANT, f"{what} is paid; no book says so", client_id)

    async def _compare_money_back(self, back: MoneyBack) -> None:
        """A refund that stands, or a dispute that is not won, has taken its part of the credits."""
        if not back.is_gone or back.payment_id is None or not self.findings.is_ripe(back.created_at):
            return
        grant = await self.findings.database["paid_grants"].find_one({"paymentId": back.payment_id})
        if grant is None or await self._has(clawback_key(back.id)):
            return
        granted = await Journal(self.findings.database).correctable(Original("key", grant["grantKey"]))
        if granted is None or granted.remaining <= 0:  # lapsed, or gone already: there is nothing to take
            return
        self._add(
            DifferenceKind.RETURNED_WITHOUT_CLAWBACK,
            f"{back.id} took {dollars_text(back.amount)} of {back.payment_id} back; no book says so",
            str(grant["clientId"]),
        )

    async def _compare_grants(self) -> None:
        """Grants of the time whose payment is not in Stripe's lists: it is asked for by name, since it may be older."""
        query = {"kind": Kind.CREDIT_GRANT.value, "createdAt": {"$gte": self.findings.since}}
        fields = {"key": 1, "clientId": 1, "amount": 1, "createdAt": 1}
        async for row in ledger_collection(self.findings.database).find(query, fields).sort("_id", 1):
            await self.findings.step()
            self.findings.rows += 1
            named = row["key"].startswith((_INVOICE, _TOP_UP))
            if named and row["key"] not in self._paid and self.findings.is_ripe(row["createdAt"]):
                await self._compare_grant(row)

    async def _compare_grant(self, row: Row) -> None:
        paid_id = str(row["key"]).partition(":")[2]
        try:
            if row["key"].startswith(_INVOICE):
                paid = (await self.billing.retrieve_invoice(paid_id)).status == "paid"
            else:
                paid = (await self.billing.retrieve_payment(paid_id)).status == "succeeded"
        except InvalidPaymentRequest:
            paid = False
        if paid:
            return
        self.findings.add(
            DifferenceKind.GRANT_WITHOUT_PAYMENT,
            f"{row['_id']} grants {row['amount'] / 100:.2f} credits for {paid_id}, which is not paid at Stripe",
            Repair(
                kind=RepairKind.BY_HAND,
                proposal="See who granted them; take them back, or note the payment that they are of.",
            ),
            client_id=row["clientId"],
        )

    async def _has(self, key: str) -> bool:
        return await ledger_collection(self.findings.database).find_one({"key": key}) is not None

    def _add(self, kind: DifferenceKind, detail: str, client_id: str) -> None:
        self.findings.add(
            kind,
            detail,
            Repair(
                kind=RepairKind.SETTLE_BILLING,
                proposal=f"Have the billing of client {client_id} read from Stripe and settled now.",
                fields={"clientId": client_id},
            ),
            client_id=client_id,
        )
