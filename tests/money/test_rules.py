"""The pure rule: legs, balances, lots, and what is refused. No store takes part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.money.books import Book, client_book, worker_book
from app.money.drafts import (
    MAX_AMOUNT,
    AccrueEarnings,
    ClawBackCredits,
    ExpireLot,
    GrantCredits,
    HoldCredits,
    RecordTransfer,
    RecordTransferReversal,
    RefundCredits,
    ResolveHold,
    ReverseEarnings,
    draft,
)
from app.money.errors import (
    HoldAmountMismatch,
    InsufficientCredits,
    InvalidDraft,
    NegativeBalance,
    UnknownHold,
)
from app.money.hashing import GENESIS, digest, row_hash
from app.money.lots import in_burn_order, merge, split, take, total
from app.money.models import Lot, Transaction
from app.money.rules import next_transaction

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


def lot(seq: int, amount: int, expires_at: datetime | None = None) -> Lot:
    return Lot(lot_id=f"lot-{seq}", seq=seq, source="test", expires_at=expires_at, amount=amount)


def grant(amount: Any = 100, **fields: Any) -> GrantCredits:
    return draft(
        GrantCredits, **{"key": "g:1", "client_id": "c", "amount": amount, "source": "test"} | fields
    )


def hold(amount: Any = 60, **fields: Any) -> HoldCredits:
    return draft(HoldCredits, **{"key": "h:1", "client_id": "c", "job_id": "j", "amount": amount} | fields)


def resolve(post: Any, release: Any, again: Any = 0, **fields: Any) -> ResolveHold:
    parts = {"post": post, "release": release, "hold_again": again}
    return draft(ResolveHold, **{"key": "r:1", "client_id": "c", "hold_key": "h:1"} | parts | fields)


def accounts(row: Transaction) -> dict[str, int]:
    return {leg.account: leg.amount for leg in row.legs}


def held_book() -> tuple[Transaction, Transaction]:
    granted = next_transaction(None, grant(), at=NOW)
    return granted, next_transaction(granted, hold(), at=NOW)


def test_grant_opens_the_book_with_a_lot() -> None:
    row = next_transaction(None, grant(subscription_id="s1", expires_at=NOW + DAY), at=NOW)
    assert (row.id, row.seq, row.previous_hash) == ("client:c:000000000001", 1, GENESIS)
    assert accounts(row) == {"platform:credits_granted": -100, "client:c:available": 100}
    assert row.credits.available == 100
    assert row.credits.lots == (row.lot,)
    assert (row.client_id, row.subscription_id, row.status) == ("c", "s1", "posted")


def test_a_paid_grant_books_the_money_too() -> None:
    row = next_transaction(None, grant(paid_cents=24_900), at=NOW)
    assert accounts(row) == {
        "platform:credits_granted": -100,
        "client:c:available": 100,
        "platform:stripe_clearing": 24_900,
        "platform:revenue": -24_900,
    }
    assert {leg.currency for leg in row.legs if leg.account.startswith("client:")} == {"CREDIT"}
    assert sum(leg.amount for leg in row.legs if leg.currency == "USD") == 0


def test_hold_moves_available_to_held_and_names_its_lots() -> None:
    _, row = held_book()
    assert accounts(row) == {"client:c:available": -60, "client:c:held": 60}
    assert (row.credits.available, row.credits.held) == (40, 60)
    assert row.hold is not None
    assert [(part.lot_id, part.amount) for part in row.hold.lots] == [("client:c:000000000001", 60)]
    assert row.status == "pending"


def test_resolution_posts_releases_and_holds_again_in_one_transaction() -> None:
    _, held = held_book()
    row = next_transaction(held, resolve(30, 20, 10), at=NOW, hold=held.hold)
    assert accounts(row) == {"client:c:held": -50, "platform:credits_spent": 30, "client:c:available": 20}
    assert (row.credits.available, row.credits.held) == (60, 10)
    assert row.resolution is not None
    assert row.hold is not None
    assert total(row.resolution.consumed) == 30
    assert (row.hold.amount, row.job_id, row.resolves_hold, row.status) == (10, "j", "h:1", "posted")


def test_whole_release_says_released() -> None:
    _, held = held_book()
    row = next_transaction(held, resolve(0, 60), at=NOW, hold=held.hold)
    assert (row.status, row.amount, row.hold) == ("released", 60, None)
    assert (row.credits.available, row.credits.held) == (100, 0)


@pytest.mark.parametrize("parts", [(30, 20, 9), (61, 0, 0), (60, 1, 0), (0, 59, 0)])
def test_a_resolution_must_add_up_to_its_hold(parts: tuple[int, int, int]) -> None:
    _, held = held_book()
    with pytest.raises(HoldAmountMismatch):
        next_transaction(held, resolve(*parts), at=NOW, hold=held.hold)


def test_a_resolution_needs_its_hold() -> None:
    granted, _ = held_book()
    with pytest.raises(UnknownHold):
        next_transaction(granted, resolve(60, 0), at=NOW)


def test_a_hold_above_what_there_is_is_refused_with_both_figures() -> None:
    granted, _ = held_book()
    with pytest.raises(InsufficientCredits) as refusal:
        next_transaction(granted, hold(101), at=NOW)
    assert (refusal.value.available, refusal.value.required) == (100, 101)


def test_a_transfer_above_what_is_payable_is_refused() -> None:
    owed = next_transaction(
        None, draft(AccrueEarnings, key="a", worker_id="w", job_id="j", amount=500), at=NOW
    )
    assert accounts(owed) == {"platform:worker_cost": -500, "worker:w:payable": 500}
    fields = {"key": "t", "worker_id": "w", "job_id": "j", "stripe_transfer_id": "tr_1"}
    with pytest.raises(NegativeBalance):
        next_transaction(owed, draft(RecordTransfer, amount=501, **fields), at=NOW)
    paid = next_transaction(owed, draft(RecordTransfer, amount=500, **fields), at=NOW)
    assert (paid.earnings.payable, paid.earnings.paid, paid.stripe_transfer_id) == (0, 500, "tr_1")


@pytest.mark.parametrize("amount", [0, -1, 1.5, 2.0, "5", True, None, MAX_AMOUNT + 1, {"$gt": 0}])
def test_amounts_are_positive_bounded_integers(amount: Any) -> None:
    with pytest.raises(InvalidDraft):
        grant(amount)
    with pytest.raises(InvalidDraft):
        hold(amount)


@pytest.mark.parametrize("parts", [(0, 0, 0), (0, 0, 60), (-1, 61, 0), (1.0, 59, 0)])
def test_a_resolution_lets_something_go_and_takes_nothing_back(parts: tuple[Any, Any, Any]) -> None:
    with pytest.raises(InvalidDraft):
        resolve(*parts)


@pytest.mark.parametrize("parts", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_a_hold_that_is_void_is_released_whole(parts: tuple[Any, Any, Any]) -> None:
    with pytest.raises(InvalidDraft):
        resolve(*parts, ending="void")


@pytest.mark.parametrize("bad", ["", "a:b", "a b", "$where", "x" * 65, {"$ne": None}, None])
def test_ids_cannot_be_mistaken_for_names_or_operators(bad: Any) -> None:
    with pytest.raises(InvalidDraft):
        grant(client_id=bad)
    with pytest.raises(InvalidDraft):
        hold(job_id=bad)


@pytest.mark.parametrize("bad", ["", " hold", "a b", "x" * 201, {"$gt": ""}])
def test_keys_are_plain(bad: Any) -> None:
    with pytest.raises(InvalidDraft):
        grant(key=bad)


def test_a_naive_expiry_is_refused_and_an_aware_one_is_cut_to_the_millisecond() -> None:
    with pytest.raises(InvalidDraft):
        grant(expires_at=datetime(2026, 12, 1))  # noqa: DTZ001  # the fault under test
    assert grant(expires_at=NOW.replace(microsecond=1999)).expires_at == NOW.replace(microsecond=1000)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (grant(), "e3176297d55a810e"),
        (grant(expires_at=NOW, subscription_id="s"), "2388c8866443648d"),
        (hold(), "f6e760fe2fcb278d"),
        (resolve(1, 2, 3), "e988393f8eebe9c1"),
        (draft(AccrueEarnings, key="a", worker_id="w", job_id="j", amount=5), "5f3f53621115ef0b"),
        (
            draft(RecordTransfer, key="a", worker_id="w", job_id="j", amount=5, stripe_transfer_id="tr_1"),
            "4ded81170c5df30c",
        ),
        (resolve(0, 0, ending="void"), "16d21d5b5180ace1"),
        (grant(paid_cents=5, reason="r", actor_id="u"), "d14c10e95d41bd98"),
        (
            draft(RefundCredits, key="a", client_id="c", spent_key="s", amount=5, reason="r", expires_at=NOW),
            "5591a1713e7d7700",
        ),
        (draft(ExpireLot, key="a", client_id="c", lot_id="l"), "8ab28f7f553bb940"),
        (
            draft(
                ClawBackCredits,
                key="a",
                client_id="c",
                grant_key="g",
                amount=5,
                reason="r",
                returned_cents=5,
                stripe_refund_id="re_1",
            ),
            "2e9c52011a40e695",
        ),
        (
            draft(
                ReverseEarnings,
                key="a",
                worker_id="w",
                job_id="j",
                amount=5,
                accrual_key="a",
                reason="r",
            ),
            "0533369034014c79",
        ),
        (
            draft(
                RecordTransferReversal,
                key="a",
                worker_id="w",
                job_id="j",
                amount=5,
                transfer_key="t",
                stripe_reversal_id="trr_1",
            ),
            "ca7f57dd3b402b9d",
        ),
    ],
    ids=[
        "grant",
        "grant-more",
        "hold",
        "resolve",
        "accrue",
        "transfer",
        "void",
        "grant-paid",
        "refund",
        "expire",
        "claw-back",
        "reverse",
        "reverse-transfer",
    ],
)
def test_body_hashes_stay_what_they_were(act: Any, expected: str) -> None:
    """A key written years ago must still match: a changed hash here would refuse honest repeats."""
    assert act.body_hash[:16] == expected


def test_the_body_hash_leaves_out_the_key_and_nothing_else() -> None:
    assert grant(key="other").body_hash == grant().body_hash
    bodies = [grant(), grant(101), grant(source="x"), grant(client_id="d"), grant(expires_at=NOW), hold(100)]
    assert len({body.body_hash for body in bodies}) == len(bodies)


def test_canonical_json_ignores_order_and_zone_and_refuses_the_unknown() -> None:
    other_zone = NOW.astimezone().replace(microsecond=0)
    assert digest({"b": 1, "a": NOW}) == digest({"a": other_zone, "b": 1})
    with pytest.raises(TypeError):
        digest({"a": object()})


def test_the_hash_of_a_row_covers_every_field_that_is_stored() -> None:
    document = held_book()[1].to_document()
    assert document["hash"] == row_hash(document)
    for name in document.keys() - {"hash"}:
        assert row_hash({**document, name: "edited"}) != document["hash"], name
    assert row_hash({**document, "added": 1}) != document["hash"]
    assert Transaction.from_document(document).to_document() == document


def test_book_names_are_read_back_and_ids_sort_as_written() -> None:
    assert Book.parse("client:c1") == client_book("c1")
    assert Book.parse("worker:w1") == worker_book("w1")
    for bad in ("platform:x", "client:", "client:a:b", "c1"):
        with pytest.raises(InvalidDraft):
            Book.parse(bad)
    ids = [client_book("c").transaction_id(seq) for seq in (1, 9, 10, 99, 100, 123_456)]
    assert ids == sorted(ids)


def test_burn_order_is_earlier_expiry_then_earlier_creation_and_never_last() -> None:
    lots = [lot(1, 1), lot(2, 1, NOW + 2 * DAY), lot(3, 1, NOW + DAY), lot(4, 1, NOW + DAY), lot(5, 1)]
    assert [entry.seq for entry in in_burn_order(lots)] == [3, 4, 2, 1, 5]


def test_a_lot_cannot_be_held_from_its_expiry_on() -> None:
    lots = [lot(1, 10, NOW), lot(2, 5, NOW + timedelta(milliseconds=1))]
    taken, left = take(lots, 5, NOW)
    assert [entry.seq for entry in taken] == [2]
    assert [entry.seq for entry in left] == [1]
    with pytest.raises(InsufficientCredits) as refusal:
        take(lots, 6, NOW)
    assert refusal.value.available == 5


def test_what_was_held_in_time_is_spent_after_expiry_and_what_is_released_is_expired() -> None:
    granted = next_transaction(None, grant(expires_at=NOW + DAY), at=NOW)
    held = next_transaction(granted, hold(60), at=NOW)
    late = next_transaction(held, resolve(30, 30), at=NOW + 2 * DAY, hold=held.hold)
    assert late.credits.available == 70
    with pytest.raises(InsufficientCredits) as refusal:
        next_transaction(late, hold(1, key="h:2"), at=NOW + 2 * DAY)
    assert refusal.value.available == 0


def test_post_takes_the_lots_that_expire_first_and_release_returns_those_that_last() -> None:
    head = next_transaction(None, grant(10, expires_at=NOW + 2 * DAY), at=NOW)
    head = next_transaction(head, grant(10, key="g:2", expires_at=NOW + DAY), at=NOW)
    held = next_transaction(head, hold(20), at=NOW)
    assert held.credits.lots == ()
    row = next_transaction(held, resolve(12, 5, 3), at=NOW, hold=held.hold)
    assert row.resolution is not None
    assert row.hold is not None
    assert [(part.seq, part.amount) for part in row.resolution.consumed] == [(2, 10), (1, 2)]
    assert [(part.seq, part.amount) for part in row.hold.lots] == [(1, 3)]
    assert [(part.seq, part.amount) for part in row.credits.lots] == [(1, 5)]


AMOUNTS = st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=6)


@given(amounts=AMOUNTS, days=st.lists(st.integers(0, 3), min_size=6, max_size=6), cut=st.integers(0, 300))
def test_dividing_and_merging_lots_loses_nothing(amounts: list[int], days: list[int], cut: int) -> None:
    lots = in_burn_order(
        lot(seq, amount, NOW + days[seq] * DAY if days[seq] else None) for seq, amount in enumerate(amounts)
    )
    first, rest = split(lots, cut)
    assert total(first) == min(cut, total(lots))
    assert merge(first, rest) == lots
    last_first = [(entry.expires_at or _NEVER, entry.seq) for entry in first][-1:]
    assert all((entry.expires_at or _NEVER, entry.seq) >= order for entry in rest for order in last_first)
