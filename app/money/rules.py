"""The pure rule of the journal: from a book's last transaction and a draft to the book's next transaction.

No I/O and no clock: the store hands both in, so the same inputs give the same row. The balances of the new row
are the fold of its legs over the balances before, by construction. What each draft does is said book by book, in
`credit_rules` and `earning_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from app.money.books import Book, Currency
from app.money.credit_rules import credit_effect
from app.money.drafts import CreditDraft, Draft, EarningDraft
from app.money.earning_rules import earning_effect
from app.money.effects import Balances, Correctable, Effect, Place
from app.money.errors import NegativeBalance
from app.money.hashing import GENESIS
from app.money.lots import Lots
from app.money.models import CreditBalances, EarningBalances, Hold, Leg, Transaction, opening_balances


def next_transaction(
    head: Transaction | None,
    draft: Draft,
    *,
    at: datetime,
    hold: Hold | None = None,
    correctable: Correctable | None = None,
) -> Transaction:
    """The transaction that follows `head` (None: the book is empty).

    `hold` is the hold that a `ResolveHold` names. That it is still open is not checked here: the store's
    unique index on `resolvesHold` refuses a second resolution. `correctable` is what a correction names, with all
    of its corrections up to `head`; a later one would be the row that the store refuses this one for.

    Raises:
        InsufficientCredits, AccountInDebt: a hold exceeds the spendable credits, or the client owes some.
        NegativeBalance: an account of the book would fall below zero.
        UnknownHold, HoldAmountMismatch: the resolution does not fit the hold.
        UnknownTransaction, CorrectionExceeded, NothingToExpire: the correction does not fit what it corrects.
    """
    book = draft.book
    seq = head.seq + 1 if head else 1
    before = head.balances if head else opening_balances(book)
    place = Place(book, book.transaction_id(seq), seq, at, hold, correctable)
    effect = _effect(place, before, draft)
    legs = _legs(book.currency, effect.moves) + _legs(Currency.USD, effect.usd)
    return Transaction.model_validate(
        {
            "id": place.transaction_id,
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


def _effect(place: Place, before: Balances, draft: Draft) -> Effect:
    if isinstance(draft, CreditDraft) and isinstance(before, CreditBalances):
        return credit_effect(place, before, draft)
    if isinstance(draft, EarningDraft) and isinstance(before, EarningBalances):
        return earning_effect(place, before, draft)
    raise TypeError(f"{place.book.name} has no {draft.kind}")


def _legs(currency: Currency, moves: dict[str, int]) -> tuple[Leg, ...]:
    legs = tuple(
        Leg(account=account, currency=currency, amount=amount) for account, amount in moves.items() if amount
    )
    assert sum(leg.amount for leg in legs) == 0, legs  # noqa: S101  # a fault in this module, never in its input
    return legs
