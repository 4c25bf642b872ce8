"""A crash at every point of every act: before and after each operation the journal does on the store.

The process that crashed is gone; another one repeats the act. Each time the act must stand exactly once, with the
answer it would have had, and the audit must find nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.money.books import client_book, worker_book
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.journal import Journal
from app.money.keys import (
    accrue_key,
    clawback_key,
    complete_key,
    hold_key,
    refund_key,
    reversal_key,
    transfer_key,
    transfer_reversal_key,
    void_key,
)
from app.money.verify import verify
from tests.money.support import BreakAt, CrashError, Database, client, hooked_journal

Act = Callable[[Database, Journal, str], Awaitable[Any]]


async def _grant(database: Database, journal: Journal, owner: str) -> Any:
    return await Credits(database, journal=journal).grant(owner, 70, key=f"more:{owner}", source="test")


async def _hold(database: Database, journal: Journal, owner: str) -> Any:
    return await Credits(database, journal=journal).hold(owner, "k", 60, key=hold_key(f"{owner}-k"))


async def _resolve(database: Database, journal: Journal, owner: str) -> Any:
    return await Credits(database, journal=journal).resolve(
        owner, hold_key(owner), post=20, release=10, hold_again=10, key=complete_key(owner)
    )


async def _accrue(database: Database, journal: Journal, owner: str) -> Any:
    return await Earnings(database, journal=journal).accrue(owner, "k", 30, key=accrue_key(f"{owner}-k"))


async def _transfer(database: Database, journal: Journal, owner: str) -> Any:
    return await Earnings(database, journal=journal).record_transfer(
        owner, "j", 100, key=transfer_key(f"{owner}-j"), stripe_transfer_id="tr_1"
    )


async def _refund(database: Database, journal: Journal, owner: str) -> Any:
    return await Credits(database, journal=journal).refund(
        owner, complete_key(f"{owner}-old"), 5, key=refund_key(owner, "x"), reason="test"
    )


async def _void(database: Database, journal: Journal, owner: str) -> Any:
    return await Credits(database, journal=journal).void(owner, hold_key(owner), key=void_key(owner))


async def _claw_back(database: Database, journal: Journal, owner: str) -> Any:
    return await Credits(database, journal=journal).claw_back(
        owner, f"grant:{owner}", 100, key=clawback_key(owner), reason="test"
    )


async def _reverse(database: Database, journal: Journal, owner: str) -> Any:
    return await Earnings(database, journal=journal).reverse(
        owner, owner, 150, key=reversal_key(owner, "x"), reason="test"
    )


async def _reverse_transfer(database: Database, journal: Journal, owner: str) -> Any:
    return await Earnings(database, journal=journal).record_transfer_reversal(
        owner, owner, 20, key=transfer_reversal_key(f"trr_{owner}"), stripe_reversal_id=f"trr_{owner}"
    )


ACTS: dict[str, tuple[Act, str]] = {
    "grant": (_grant, "available=130 held=40"),
    "hold": (_hold, "available=0 held=100"),
    "resolve": (_resolve, "available=70 held=10"),
    "refund": (_refund, "available=65 held=40"),
    "void": (_void, "available=100 held=0"),
    "claw-back": (_claw_back, "available=0 held=40 debt=40"),
    "accrue": (_accrue, "payable=130 paid=50 debt=0"),
    "transfer": (_transfer, "payable=0 paid=150 debt=0"),
    "reverse": (_reverse, "payable=0 paid=50 debt=50"),
    "reverse-transfer": (_reverse_transfer, "payable=120 paid=30 debt=0"),
}


async def _prepare(database: Database) -> str:
    """An owner with 60 credits available, 40 held and 10 spent, and 100 cents payable and 50 paid."""
    owner, credits_, earnings = client(), Credits(database), Earnings(database)
    await credits_.grant(owner, 110, key=f"grant:{owner}", source="test")
    await credits_.hold(owner, "j", 40, key=hold_key(owner))
    old = f"{owner}-old"
    await credits_.hold(owner, "j", 10, key=hold_key(old))
    await credits_.resolve(owner, hold_key(old), post=10, release=0, key=complete_key(old))
    await earnings.accrue(owner, owner, 150, key=accrue_key(owner))
    await earnings.record_transfer(owner, owner, 50, key=transfer_key(owner), stripe_transfer_id="tr_0")
    return owner


async def _state(database: Database, name: str, owner: str) -> str:
    if name in ("accrue", "transfer", "reverse", "reverse-transfer"):
        earnings = await Earnings(database).balance(owner)
        return f"payable={earnings.payable} paid={earnings.paid} debt={earnings.debt}"
    balance = await Credits(database).balance(owner)
    debt = f" debt={balance.debt}" if balance.debt else ""
    return f"available={balance.available} held={balance.held}{debt}"


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("survivor", [False, True], ids=["new-process", "same-process"])
@pytest.mark.parametrize("name", list(ACTS))
async def test_a_crash_at_any_point_leaves_nothing_to_repair(
    database: Database, name: str, *, warm: bool, survivor: bool
) -> None:
    act, expected = ACTS[name]
    places: list[str] = []
    while True:
        owner = await _prepare(database)
        crash = BreakAt(-1)
        journal = hooked_journal(database, crash)
        if warm:
            await journal.head(client_book(owner))
            await journal.head(worker_book(owner))
        crash.left = len(places)
        try:
            await act(database, journal, owner)
        except CrashError:
            places.append(str(crash.place))
        if crash.place is None:
            break
        answer = await act(database, journal if survivor else Journal(database), owner)
        assert answer.replayed is (crash.place == "after insert_one"), crash.place
        assert await _state(database, name, owner) == expected, places
        repeat = await act(database, Journal(database), owner)
        assert repeat == answer.model_copy(update={"replayed": True})
    assert places[-2:] == ["before insert_one", "after insert_one"]
    assert len(places) >= (2 if warm else 6)
    assert await verify(database) == []


async def test_a_crash_while_leaving_a_hint_does_not_undo_what_was_written(database: Database) -> None:
    owner, credits_ = client(), Credits(database)
    for number in range(70):
        await credits_.grant(owner, 1, key=f"g:{owner}:{number}", source="test")
    for point in range(40):
        crash = BreakAt(point)
        key = hold_key(f"{owner}-{point}")
        try:
            await Credits(database, journal=hooked_journal(database, crash)).hold(owner, "j", 1, key=key)
        except CrashError:
            await Credits(database).hold(owner, "j", 1, key=key)
        if crash.place is None:
            break
    else:
        pytest.fail("the hold never came through")
    balance = await credits_.balance(owner)
    assert (balance.available, balance.held) == (70 - point - 1, point + 1)
    assert await verify(database) == []
