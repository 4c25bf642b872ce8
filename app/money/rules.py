"""The pure rule of the journal: from a book's last transaction and a draft to the book's next transaction.

No I/O and no clock: the store hands both in, so the same inputs give the same row. The balances of the new row
are the fold of its legs over the balances before, by construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, assert_never

from app.money.books import CREDITS_GRANTED, CREDITS_SPENT, WORKER_COST, Book, Currency
from app.money.drafts import AccrueEarnings, Draft, GrantCredits, HoldCredits, RecordTransfer, ResolveHold
from app.money.errors import HoldAmountMismatch, NegativeBalance, UnknownHold
from app.money.hashing import GENESIS
from app.money.lots import Lots, merge, split, take
from app.money.models import (
    CreditBalances,
    EarningBalances,
    Hold,
    HoldResolution,
    Leg,
    Lot,
    Transaction,
    opening_balances,
)

Balances = CreditBalances | EarningBalances


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a draft does to its book. `fields` are the row's further fields, by their Python names."""

    amount: int
    moves: dict[str, int]  # account -> signed amount; zeros are dropped
    status: Literal["posted", "pending", "released"] = "posted"
    lots: Lots | None = None  # the book's lots afterwards, when they change
    fields: dict[str, Any] = field(default_factory=dict)


def next_transaction(
    head: Transaction | None, draft: Draft, *, at: datetime, hold: Hold | None = None
) -> Transaction:
    """The transaction that follows `head` (None: the book is empty).

    `hold` is the hold that a `ResolveHold` names. That it is still open is not checked here: the store's
    unique index on `resolvesHold` refuses a second resolution.

    Raises:
        InsufficientCredits: a hold exceeds the spendable credits.
        NegativeBalance: an account of the book would fall below zero.
        UnknownHold, HoldAmountMismatch: the resolution does not fit the hold.
    """
    book = draft.book
    seq = head.seq + 1 if head else 1
    before = head.balances if head else opening_balances(book)
    transaction_id = book.transaction_id(seq)
    effect = _effect(book, before, draft, at=at, hold=hold, transaction_id=transaction_id, seq=seq)
    legs = _legs(book.currency, effect.moves)
    return Transaction.model_validate(
        {
            "id": transaction_id,
            "book": book.name,
            "seq": seq,
            "kind": draft.kind,
            "key": draft.key,
            "body_hash": draft.body_hash,
            "currency": book.currency,
            "amount": effect.amount,
            "status": effect.status,
            "legs": legs,
            "balances": fold(before, book, legs, effect.lots),
            "created_at": at,
            "previous_hash": head.hash if head else GENESIS,
            **effect.fields,
        },
        by_name=True,
    )


def fold(before: Balances, book: Book, legs: Iterable[Leg], lots: Lots | None = None) -> Balances:
    """The balances after the legs; `lots` replaces the lots where given.

    Raises:
        NegativeBalance: an account of the book would fall below zero.
    """
    changed: dict[str, Any] = {} if lots is None else {"lots": lots}
    for leg in legs:
        owner, _, name = leg.account.rpartition(":")
        if owner != book.name:
            continue
        balance = changed.get(name, getattr(before, name)) + leg.amount
        if balance < 0:
            raise NegativeBalance(leg.account, balance)
        changed[name] = balance
    return before.model_copy(update=changed)


def _legs(currency: Currency, moves: dict[str, int]) -> tuple[Leg, ...]:
    legs = tuple(
        Leg(account=account, currency=currency, amount=amount) for account, amount in moves.items() if amount
    )
    assert sum(leg.amount for leg in legs) == 0, legs  # noqa: S101  # a fault in this module, never in its input
    return legs


def _effect(
    book: Book,
    before: Balances,
    draft: Draft,
    *,
    at: datetime,
    hold: Hold | None,
    transaction_id: str,
    seq: int,
) -> _Effect:
    if isinstance(before, CreditBalances):
        match draft:
            case GrantCredits():
                return _grant(book, before, draft, lot_id=transaction_id, seq=seq)
            case HoldCredits():
                return _hold(book, before, draft, at)
            case ResolveHold():
                return _resolve(book, before, draft, hold)
    match draft:
        case AccrueEarnings():
            return _accrue(book, draft)
        case RecordTransfer():
            return _transfer(book, draft)
        case GrantCredits() | HoldCredits() | ResolveHold():
            raise TypeError(f"{book.name} holds no credits")
        case _:
            assert_never(draft)


def _grant(book: Book, before: CreditBalances, draft: GrantCredits, *, lot_id: str, seq: int) -> _Effect:
    lot = Lot(lot_id=lot_id, seq=seq, source=draft.source, expires_at=draft.expires_at, amount=draft.amount)
    return _Effect(
        amount=draft.amount,
        moves={CREDITS_GRANTED: -draft.amount, book.account("available"): draft.amount},
        lots=merge(before.lots, [lot]),
        fields={
            "lot": lot,
            "client_id": draft.client_id,
            "subscription_id": draft.subscription_id,
            "stripe_payment_intent_id": draft.stripe_payment_intent_id,
        },
    )


def _hold(book: Book, before: CreditBalances, draft: HoldCredits, at: datetime) -> _Effect:
    taken, left = take(before.lots, draft.amount, at)
    return _Effect(
        amount=draft.amount,
        moves={book.account("available"): -draft.amount, book.account("held"): draft.amount},
        status="pending",
        lots=left,
        fields={
            "client_id": draft.client_id,
            "job_id": draft.job_id,
            "hold": Hold(job_id=draft.job_id, amount=draft.amount, lots=taken),
        },
    )


def _resolve(book: Book, before: CreditBalances, draft: ResolveHold, hold: Hold | None) -> _Effect:
    """Post takes the lots that expire first, what is held again the next, and release gets those that last."""
    if hold is None:
        raise UnknownHold(draft.hold_key)
    if draft.post + draft.release + draft.hold_again != hold.amount:
        raise HoldAmountMismatch(
            held=hold.amount, post=draft.post, release=draft.release, hold_again=draft.hold_again
        )
    consumed, rest = split(hold.lots, draft.post)
    kept, released = split(rest, draft.hold_again)
    return _Effect(
        amount=draft.post or draft.release,
        moves={
            book.account("held"): -(draft.post + draft.release),
            CREDITS_SPENT: draft.post,
            book.account("available"): draft.release,
        },
        status="posted" if draft.post else "released",
        lots=merge(before.lots, released),
        fields={
            "client_id": draft.client_id,
            "job_id": hold.job_id,
            "resolves_hold": draft.hold_key,
            "resolution": HoldResolution(
                posted=draft.post, released=draft.release, held_again=draft.hold_again, consumed=consumed
            ),
            "hold": Hold(job_id=hold.job_id, amount=draft.hold_again, lots=kept) if kept else None,
        },
    )


def _accrue(book: Book, draft: AccrueEarnings) -> _Effect:
    return _Effect(
        amount=draft.amount,
        moves={WORKER_COST: -draft.amount, book.account("payable"): draft.amount},
        fields={"worker_id": draft.worker_id, "job_id": draft.job_id},
    )


def _transfer(book: Book, draft: RecordTransfer) -> _Effect:
    return _Effect(
        amount=draft.amount,
        moves={book.account("payable"): -draft.amount, book.account("paid"): draft.amount},
        fields={
            "worker_id": draft.worker_id,
            "job_id": draft.job_id,
            "stripe_transfer_id": draft.stripe_transfer_id,
        },
    )
