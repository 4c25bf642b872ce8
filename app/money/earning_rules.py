"""The rules of a worker's book: earned, sent, taken back. Amounts are USD cents.

What is taken back and not covered by what is payable is a debt. Whatever becomes payable pays the debt first.
"""

from __future__ import annotations

from typing import Any, assert_never

from app.money.books import WORKER_COST, WORKER_DEBT, Book
from app.money.drafts import (
    AccrueEarnings,
    EarningDraft,
    RecordTransfer,
    RecordTransferReversal,
    ReverseEarnings,
)
from app.money.effects import Effect, Place
from app.money.models import DebtMove, EarningBalances


def earning_effect(place: Place, before: EarningBalances, draft: EarningDraft) -> Effect:
    """What a draft does to a worker's book.

    Raises:
        UnknownTransaction, CorrectionExceeded: a reversal does not fit what it reverses.
    """
    match draft:
        case AccrueEarnings():
            return _accrue(place.book, before, draft)
        case RecordTransfer():
            return _transfer(place.book, draft)
        case ReverseEarnings():
            return _reverse(place, before, draft)
        case RecordTransferReversal():
            return _reverse_transfer(place, before, draft)
        case _:
            assert_never(draft)


def _accrue(book: Book, before: EarningBalances, draft: AccrueEarnings) -> Effect:
    moves, fields = _becomes_payable(book, before, draft.amount)
    moves[WORKER_COST] = moves.get(WORKER_COST, 0) - draft.amount
    return Effect(
        amount=draft.amount,
        moves=moves,
        fields={"worker_id": draft.worker_id, "job_id": draft.job_id, **fields},
    )


def _transfer(book: Book, draft: RecordTransfer) -> Effect:
    return Effect(
        amount=draft.amount,
        moves={book.account("payable"): -draft.amount, book.account("paid"): draft.amount},
        fields={
            "worker_id": draft.worker_id,
            "job_id": draft.job_id,
            "stripe_transfer_id": draft.stripe_transfer_id,
        },
    )


def _reverse(place: Place, before: EarningBalances, draft: ReverseEarnings) -> Effect:
    corrected = place.original(draft.kind, draft.accrual_key).corrected_within(draft.amount)
    taken = min(before.payable, draft.amount)
    owed = draft.amount - taken
    return Effect(
        amount=draft.amount,
        moves={
            place.book.account("payable"): -taken,
            WORKER_COST: taken,
            place.book.account("debt"): owed,
            WORKER_DEBT: -owed,
        },
        fields={
            "worker_id": draft.worker_id,
            "job_id": draft.job_id,
            "reason": draft.reason,
            "debt": DebtMove(incurred=owed) if owed else None,
            **corrected,
        },
    )


def _reverse_transfer(place: Place, before: EarningBalances, draft: RecordTransferReversal) -> Effect:
    found = place.original(draft.kind, draft.transfer_key)
    corrected = found.corrected_within(draft.amount)
    moves, fields = _becomes_payable(place.book, before, draft.amount)
    moves[place.book.account("paid")] = -draft.amount
    return Effect(
        amount=draft.amount,
        moves=moves,
        fields={
            "worker_id": draft.worker_id,
            "job_id": draft.job_id,
            "reason": draft.reason,
            "stripe_transfer_id": found.original.stripe_transfer_id,
            "stripe_reversal_id": draft.stripe_reversal_id,
            **fields,
            **corrected,
        },
    )


def _becomes_payable(
    book: Book, before: EarningBalances, amount: int
) -> tuple[dict[str, int], dict[str, Any]]:
    """The moves by which an amount becomes payable, as far as it does not pay a debt, and the row's fields."""
    paid = min(before.debt, amount)
    moves = {book.account("payable"): amount - paid}
    if not paid:
        return moves, {}
    moves |= {WORKER_COST: paid, book.account("debt"): -paid, WORKER_DEBT: paid}
    return moves, {"debt": DebtMove(paid=paid)}
