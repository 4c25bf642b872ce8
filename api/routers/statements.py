"""One's own book: a client's credits or a worker's earnings, a worker's payouts to the bank, and a month as CSV."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import PlainSerializer, WithJsonSchema
from starlette.responses import Response

from api.dependencies import DatabaseDep, ResourcesDep
from api.openapi import AUTHENTICATED, problems
from api.pagination import InvalidCursorError, Page, PageDep, PageRequest
from api.security import ClientOrWorker, Principal, WorkerOnly
from api.types import EntityId, ResponseModel
from app.money.books import Book, client_book, worker_book
from app.money.models import Transaction
from app.money.statements import Month, Statements, change_of, to_csv
from app.notifications.recipients import find_job_titles
from app.payouts.models import COLLECTION, BankPayout
from app.users.models import Role

router = APIRouter(prefix="/payments", tags=["payments"])

_MONTH = r"^\d{4}-(0[1-9]|1[0-2])$"

# A change may be below zero; see `api.types.CreditsOut`.
CreditsChange = Annotated[
    int,
    PlainSerializer(lambda hundredths: hundredths / 100, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "multipleOf": 0.01, "description": "Credits; may be below zero."}),
]


class CreditMove(ResponseModel):
    """What a transaction did to the client's credits, and what they were after it."""

    available_change: CreditsChange
    held_change: CreditsChange
    available: CreditsChange
    held: CreditsChange
    debt: CreditsChange


class EarningMove(ResponseModel):
    """What a transaction did to what the worker is owed, in USD cents, and what it was after it."""

    payable_change_usd_cents: int
    payable_usd_cents: int
    paid_usd_cents: int
    debt_usd_cents: int


class TransactionView(ResponseModel):
    """One transaction of one's own book; `credits` for clients, `earnings` for workers.

    `status`: a hold is `pending`, one that was given back `released`, all else is `posted`.
    """

    id: str
    kind: str
    status: Literal["posted", "pending", "released"]
    at: datetime
    job_id: EntityId | None
    subscription_id: EntityId | None
    stripe_payment_intent_id: str | None
    reason: str | None
    credits: CreditMove | None = None
    earnings: EarningMove | None = None


class BankPayoutView(ResponseModel):
    """Money sent to the worker's bank. A refused or failed one is on the account still, or again."""

    period: str
    amount_usd_cents: int
    status: str
    failure_code: str | None
    created_at: datetime
    arrives_at: datetime | None
    settled_at: datetime | None


@router.get(
    "/transactions",
    responses=problems(
        *AUTHENTICATED, "wrong-role", "invalid-request", "invalid-cursor", "ledger-contention"
    ),
)
async def list_transactions(
    principal: ClientOrWorker, database: DatabaseDep, page: PageDep
) -> Page[TransactionView]:
    """One's own transactions, newest first."""
    book = _book(principal)
    scope = f"transactions:{book.name}"
    rows = await Statements(database).page(book, below=_below(page, scope), limit=page.limit)
    oldest = rows[-1].seq if rows else 1
    return Page[TransactionView](
        items=[_transaction(row) for row in rows],
        next_cursor=page.cursor_after(scope, oldest, str(oldest)) if oldest > 1 else None,
    )


@router.get("/payouts", responses=problems(*AUTHENTICATED, "wrong-role", "invalid-request", "invalid-cursor"))
async def list_payouts(principal: WorkerOnly, database: DatabaseDep, page: PageDep) -> Page[BankPayoutView]:
    """The worker's payouts to the bank, the latest period first."""
    scope = f"payouts:{principal.user_id}"
    position = page.position(scope)
    own = {"$gt": f"{principal.user_id}:", "$lt": position[1] if position else f"{principal.user_id};"}
    cursor = database[COLLECTION].find({"_id": own}).sort("_id", -1).limit(page.limit + 1)
    found = [BankPayout.model_validate(row) for row in await cursor.to_list()]
    shown = found[: page.limit]
    more = len(found) > page.limit
    return Page[BankPayoutView](
        items=[BankPayoutView.model_validate(payout, from_attributes=True) for payout in shown],
        next_cursor=page.cursor_after(scope, shown[-1].id, shown[-1].id) if more else None,
    )


@router.get(
    "/statements/{month}.csv",
    response_class=Response,
    responses={
        **problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "ledger-contention"),
        200: {
            "description": "The month, oldest first.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
    },
)
async def read_statement(
    month: Annotated[str, Path(pattern=_MONTH, examples=["2026-11"], description="A month, in UTC.")],
    principal: ClientOrWorker,
    resources: ResourcesDep,
) -> Response:
    """One's own transactions of a month as CSV, safe to open in a spreadsheet."""
    rows = await Statements(resources.database).month(_book(principal), Month.parse(month))
    titles = await find_job_titles(resources.database, {row.job_id for row in rows if row.job_id})
    return Response(
        to_csv(rows, titles),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="nimmit-{month}.csv"'},
    )


def _book(principal: Principal) -> Book:
    return client_book(principal.user_id) if principal.role is Role.CLIENT else worker_book(principal.user_id)


def _below(page: PageRequest, scope: str) -> int | None:
    position = page.position(scope)
    if position is None:
        return None
    if not isinstance(position[0], int):
        raise InvalidCursorError
    return position[0]


def _transaction(row: Transaction) -> TransactionView:
    view = TransactionView(
        id=row.id,
        kind=row.kind.value,
        status=row.status,
        at=row.created_at,
        job_id=row.job_id,
        subscription_id=row.subscription_id,
        stripe_payment_intent_id=row.stripe_payment_intent_id,
        reason=row.reason,
    )
    if row.worker_id is None:
        view.credits = CreditMove(
            available_change=change_of(row, "available"),
            held_change=change_of(row, "held"),
            available=row.credits.available,
            held=row.credits.held,
            debt=row.credits.debt,
        )
    else:
        view.earnings = EarningMove(
            payable_change_usd_cents=change_of(row, "payable"),
            payable_usd_cents=row.earnings.payable,
            paid_usd_cents=row.earnings.paid,
            debt_usd_cents=row.earnings.debt,
        )
    return view
