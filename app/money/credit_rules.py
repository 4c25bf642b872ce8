"""The rules of a client's book: granted, held, resolved, refunded. Amounts are hundredths of a credit."""

from __future__ import annotations

from typing import assert_never

from app.money.books import CREDITS_GRANTED, CREDITS_SPENT
from app.money.drafts import CreditDraft, GrantCredits, HoldCredits, RefundCredits, ResolveHold
from app.money.effects import Effect, Place
from app.money.errors import HoldAmountMismatch, UnknownHold
from app.money.lots import Lots, in_burn_order, is_expired, merge, split, take, total
from app.money.models import CreditBalances, Hold, HoldResolution, Lot


def credit_effect(place: Place, before: CreditBalances, draft: CreditDraft) -> Effect:
    """What a draft does to a client's book.

    Raises:
        InsufficientCredits: a hold exceeds the spendable credits.
        UnknownHold, HoldAmountMismatch: the resolution does not fit the hold.
        UnknownTransaction, CorrectionExceeded: a refund does not fit what was spent.
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
    return Effect(
        amount=draft.amount,
        moves={CREDITS_GRANTED: -draft.amount, place.book.account("available"): draft.amount},
        lots=merge(before.lots, [lot]),
        fields={
            "lot": lot,
            "client_id": draft.client_id,
            "subscription_id": draft.subscription_id,
            "stripe_payment_intent_id": draft.stripe_payment_intent_id,
        },
    )


def _hold(place: Place, before: CreditBalances, draft: HoldCredits) -> Effect:
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
    if draft.post + draft.release + draft.hold_again != hold.amount:
        raise HoldAmountMismatch(
            held=hold.amount, post=draft.post, release=draft.release, hold_again=draft.hold_again
        )
    consumed, rest = split(hold.lots, draft.post)
    kept, released = split(rest, draft.hold_again)
    return Effect(
        amount=draft.post or draft.release,
        moves={
            place.book.account("held"): -(draft.post + draft.release),
            CREDITS_SPENT: draft.post,
            place.book.account("available"): draft.release,
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


def _refund(place: Place, before: CreditBalances, draft: RefundCredits) -> Effect:
    """Puts back the lots that last longest first, so that several refunds of one spend never meet."""
    found, corrected = place.corrected(draft.kind, draft.spent_key, draft.amount)
    consumed = found.original.resolution.consumed if found.original.resolution else ()
    remaining, _ = split(consumed, total(consumed) - found.total)
    _, back = split(remaining, total(remaining) - draft.amount)
    restored = _revived(place, back, draft)
    return Effect(
        amount=draft.amount,
        moves={CREDITS_SPENT: -draft.amount, place.book.account("available"): draft.amount},
        lots=merge(before.lots, restored),
        fields={
            "client_id": draft.client_id,
            "job_id": found.original.job_id,
            "reason": draft.reason,
            "restored": restored,
            **corrected,
        },
    )


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
