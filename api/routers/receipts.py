"""What a client has paid: invoices, and receipts of every payment, packs included."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter

from api.billing_desk import SubscriptionDeskDep
from api.openapi import AUTHENTICATED, problems
from api.security import ClientOnly
from api.types import ResponseModel
from app.gateways.billing import Charge, Invoice

router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])


class InvoiceView(ResponseModel):
    """An invoice, with Stripe's page and PDF of it; once paid, both are its receipt."""

    id: str
    number: str | None
    status: str
    total_usd_cents: int
    paid_usd_cents: int
    created_at: datetime
    paid_at: datetime | None
    url: str | None
    pdf_url: str | None


class Invoices(ResponseModel):
    """A client's invoices, newest first."""

    items: list[InvoiceView]


class ReceiptView(ResponseModel):
    """One payment, for a tier or a pack, and Stripe's receipt of it."""

    id: str
    amount_usd_cents: int
    refunded_usd_cents: int
    disputed: bool
    paid_at: datetime
    url: str | None


class Receipts(ResponseModel):
    """A client's payments, newest first."""

    items: list[ReceiptView]


@router.get("/invoices", responses=problems(*AUTHENTICATED, "wrong-role"))
async def invoices(principal: ClientOnly, desk: SubscriptionDeskDep) -> Invoices:
    """One's own invoices, newest first."""
    return Invoices(items=[_invoice(invoice) for invoice in await desk.invoices(principal.user_id)])


@router.get("/receipts", responses=problems(*AUTHENTICATED, "wrong-role"))
async def receipts(principal: ClientOnly, desk: SubscriptionDeskDep) -> Receipts:
    """One's own payments with their receipts, newest first: those of invoices, and those of packs."""
    return Receipts(items=[_receipt(charge) for charge in await desk.charges(principal.user_id)])


def _invoice(invoice: Invoice) -> InvoiceView:
    return InvoiceView(
        id=invoice.id,
        number=invoice.number,
        status=invoice.status,
        total_usd_cents=invoice.total,
        paid_usd_cents=invoice.amount_paid,
        created_at=invoice.created_at,
        paid_at=invoice.paid_at,
        url=invoice.page_url,
        pdf_url=invoice.pdf_url,
    )


def _receipt(charge: Charge) -> ReceiptView:
    return ReceiptView(
        id=charge.id,
        amount_usd_cents=charge.amount,
        refunded_usd_cents=charge.amount_refunded,
        disputed=charge.disputed,
        paid_at=charge.created_at,
        url=charge.receipt_url,
    )
