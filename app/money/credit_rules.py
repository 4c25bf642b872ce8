"""The rules of a client's book: granted, held, resolved, refunded, expired, taken back. Hundredths of a credit.

What is taken back and no longer available is a debt. Whatever comes in pays the debt first, and nothing is held
while there is one.
"""

from __future__ import annotations

from typing import Any, assert_never

from app.money.books import (
    CLIENT_DEBT,
    CREDITS_CLAWED_BACK,
    CREDITS_EXPIRED,
    CREDITS_GRANTED,
    CREDITS_SPENT,
    REVENUE,
    STRIPE_CLEARING,
    Book,
)
from app.money.drafts import (
    ClawBackCredits,
    CreditDraft,
    ExpireLot,
    GrantCredits,
    HoldCredits,
    RefundCredits,
    ResolveHold,
)
from app.money.effects import Effect, Place
from app.money.errors import (
    AccountInDebt,
    CorrectionExceeded,
    HoldAmountMismatch,
    NothingToExpire,
    UnknownHold,
)
from app.money.lots import Lots, in_burn_order, is_expired, merge, split, take, total
from app.money.models import CreditBalances, DebtMove, Hold, HoldResolution, Lot


def credit_effect(place: Place, before: CreditBalances, draft: CreditDraft) -> Effect:
    """What a draft does to a client's book.

    Raises:
        InsufficientCredits, AccountInDebt: a hold exceeds the spendable credits, or the client owes some.
        UnknownHold, HoldAmountMismatch: the resolution does not fit the hold.
        UnknownTransaction, CorrectionExceeded, NothingToExpire: the correction does not fit what it corrects.
    """
    match draft:
        case GrantCredits():
            return _grant(place, before, draft)
        case HoldCredits():
            return _hold(place, before, draft)
        case ResolveHold():
            return _resolve(place, before, draft)
        case RefundCredits():
            return _refund(place, before, draft)
        case ExpireLot():
            return _expire(place, before, draft)
        case ClawBackCredits():
            return _claw_back(place, before, draft)
        case _:
            assert_never(draft)


def _grant(place: Place, before: CreditBalances, draft: GrantCredits) -> Effect:
    lot = Lot(
        lot_id=place.transaction_id,
        seq=place.seq,
        source=draft.source,
        expires_at=draft.expires_at,
        amount=draft.amount,
    )
    moves, lots, fields = _comes_in(place.book, before, (lot,))
    paid = draft.paid_cents or 0
    return Effect(
        amount=draft.amount,
        moves={CREDITS_GRANTED: -draft.amount, **moves},
        usd={STRIPE_CLEARING: paid, REVENUE: -paid},
        lots=lots,
        fields={
            "lot": lot,
            "client_id": draft.client_id,
            "subscription_id": draft.subscription_id,
            "stripe_payment_intent_id": draft.stripe_payment_intent_id,
            "reason": draft.reason,
            "actor_id": draft.actor_id,
            **fields,
        },
    )


def _hold(place: Place, before: CreditBalances, draft: HoldCredits) -> Effect:
    if before.debt:
        raise AccountInDebt(debt=before.debt)
    taken, left = take(before.lots, draft.amount, place.at)
    return Effect(
        amount=draft.amount,
        moves={place.book.account("available"): -draft.amount, place.book.account("held"): draft.amount},
        status="pending",
        lots=left,
        fields={
            "client_id": draft.client_id,
            "job_id": draft.job_id,
            "hold": Hold(job_id=draft.job_id, amount=draft.amount, lots=taken),
        },
    )


def _resolve(place: Place, before: CreditBalances, draft: ResolveHold) -> Effect:
    """Post takes the lots that expire first, what is held again the next, and release gets those that last."""
    hold = place.hold
    if hold is None:
        raise UnknownHold(draft.hold_key)
    release = hold.amount if draft.ending else draft.release
    if draft.post + release + draft.hold_again != hold.amount:
        raise HoldAmountMismatch(
            held=hold.amount, post=draft.post, release=release, hold_again=draft.hold_again
        )
    consumed, rest = split(hold.lots, draft.post)
    kept, released = split(rest, draft.hold_again)
    moves, lots, fields = _comes_in(place.book, before, released)
    return Effect(
        amount=draft.post or release,
        moves={place.book.account("held"): -(draft.post + release), CREDITS_SPENT: draft.post, **moves},
        status="posted" if draft.post else "released",
        lots=lots,
        fields={
            "client_id": draft.client_id,
            "job_id": hold.job_id,
            "resolves_hold": draft.hold_key,
            "resolution": HoldResolution(
                posted=draft.post, released=release, held_again=draft.hold_again, consumed=consumed
            ),
            "ending": draft.ending,
            "hold": Hold(job_id=hold.job_id, amount=draft.hold_again, lots=kept) if kept else None,
            **fields,
        },
    )


def _refund(place: Place, before: CreditBalances, draft: RefundCredits) -> Effect:
    """Puts back the lots that last longest first, so that several refunds of one spend never meet."""
    found = place.original(draft.kind, draft.spent_key)
    corrected = found.corrected_within(draft.amount)
    consumed = found.original.resolution.consumed if found.original.resolution else ()
    remaining, _ = split(consumed, total(consumed) - found.total)
    _, back = split(remaining, total(remaining) - draft.amount)
    restored = _revived(place, back, draft)
    moves, lots, fields = _comes_in(place.book, before, restored)
    return Effect(
        amount=draft.amount,
        moves={CREDITS_SPENT: -draft.amount, **moves},
        lots=lots,
        fields={
            "client_id": draft.client_id,
            "job_id": found.original.job_id,
            "reason": draft.reason,
            "restored": restored,
            **fields,
            **corrected,
        },
    )


def _expire(place: Place, before: CreditBalances, draft: ExpireLot) -> Effect:
    gone = tuple(lot for lot in before.lots if lot.lot_id == draft.lot_id and is_expired(lot, place.at))
    if not gone:
        raise NothingToExpire(draft.lot_id)
    amount = total(gone)
    return Effect(
        amount=amount,
        moves={place.book.account("available"): -amount, CREDITS_EXPIRED: amount},
        lots=in_burn_order(lot for lot in before.lots if lot not in gone),
        fields={
            "client_id": draft.client_id,
            "removed": gone,
            **place.original(draft.kind, draft.lot_id).corrected(amount),
        },
    )


def _claw_back(place: Place, before: CreditBalances, draft: ClawBackCredits) -> Effect:
    """Takes back what expired credits leave of the grant: those the client lost already.

    Money that went back is booked also when none of its credits are left.
    """
    found = place.original(draft.kind, draft.grant_key)
    amount = min(draft.amount, found.remaining)
    if not amount and not draft.returned_cents:
        raise CorrectionExceeded(remaining=0, requested=draft.amount)
    lot_id = found.original.id
    own = [lot for lot in before.lots if lot_id in (lot.lot_id, lot.origin)]
    taken, left = split(own, amount)
    owed = amount - total(taken)
    returned = draft.returned_cents or 0
    return Effect(
        amount=amount,
        moves={
            place.book.account("available"): -total(taken),
            CREDITS_CLAWED_BACK: total(taken),
            place.book.account("debt"): owed,
            CLIENT_DEBT: -owed,
        },
        usd={STRIPE_CLEARING: -returned, REVENUE: returned},
        lots=in_burn_order([*left, *(lot for lot in before.lots if lot not in own)]),
        fields={
            "client_id": draft.client_id,
            "subscription_id": found.original.subscription_id,
            "reason": draft.reason,
            "stripe_refund_id": draft.stripe_refund_id,
            "removed": taken or None,
            "debt": DebtMove(incurred=owed) if owed else None,
            **found.corrected(amount),
        },
    )


def _comes_in(book: Book, before: CreditBalances, lots: Lots) -> tuple[dict[str, int], Lots, dict[str, Any]]:
    """The moves by which lots become available, as far as they do not pay a debt; the book's lots; the row's fields.

    Those that expire first pay, also when they are expired: they were taken back while they were held.
    """
    used, left = split(lots, before.debt)
    paid = total(used)
    moves, after = {book.account("available"): total(left)}, merge(before.lots, left)
    if not paid:
        return moves, after, {}
    moves |= {CREDITS_CLAWED_BACK: paid, book.account("debt"): -paid, CLIENT_DEBT: paid}
    return moves, after, {"debt": DebtMove(paid=paid, lots=used)}


def _revived(place: Place, lots: Lots, draft: RefundCredits) -> Lots:
    """Living lots as they are; what has expired meanwhile as one new lot with the expiry that policy gives."""
    expired = [lot for lot in lots if is_expired(lot, place.at)]
    if not expired:
        return lots
    origins = {lot.origin or lot.lot_id for lot in expired}
    new = Lot(
        lot_id=place.transaction_id,
        seq=place.seq,
        source=expired[0].source,
        expires_at=draft.expires_at,
        amount=total(expired),
        origin=origins.pop() if len(origins) == 1 else None,
    )
    return in_burn_order([*(lot for lot in lots if not is_expired(lot, place.at)), new])
