"""The journal on the real store: once per key, once per hold, cold and warm, and no wider than it must be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import AsyncMongoClient

from app.documents import utcnow
from app.money.books import client_book
from app.money.credits import Credits
from app.money.drafts import GrantCredits, draft
from app.money.earnings import Earnings
from app.money.errors import (
    IdempotencyKeyReused,
    InvalidDraft,
    LedgerContention,
    LedgerCorrupted,
    NegativeBalance,
    UnknownHold,
)
from app.money.journal import Journal, ensure_indexes
from app.money.keys import accrue_key, complete_key, hold_key, release_key, transfer_key
from app.money.verify import open_holds, verify
from app.settings import Settings
from tests.money.support import Commands, Database, client, hooked_journal

GRANT = {"source": "test"}


async def funded(database: Database, amount: int = 1000) -> tuple[Credits, str]:
    credits_, owner = Credits(database), client()
    await credits_.grant(owner, amount, key=f"grant:{owner}", source="test")
    return credits_, owner


async def test_same_key_and_body_gives_the_first_answer_long_after(database: Database) -> None:
    credits_, owner = await funded(database)
    first = await credits_.hold(owner, "j1", 400, key=hold_key(f"{owner}-1"))
    for number in range(5):
        await credits_.grant(owner, 10, key=f"more:{owner}:{number}", source="test")
    for facade in (credits_, Credits(database)):  # a warm head, and a process that knows nothing
        again = await facade.hold(owner, "j1", 400, key=hold_key(f"{owner}-1"))
        assert again == first.model_copy(update={"replayed": True})
        assert (again.available, again.replayed) == (600, True)
    assert (await credits_.balance(owner)).held == 400


async def test_a_repeat_is_answered_even_where_the_act_would_now_be_refused(database: Database) -> None:
    credits_, owner = await funded(database, 100)
    key = hold_key(owner)
    assert (await credits_.hold(owner, "j", 100, key=key)).outcome == "held"
    assert (await credits_.hold(owner, "j", 100, key=key)).outcome == "held"
    assert (await credits_.hold(owner, "j", 100, key=f"{key}b")).outcome == "insufficient"


async def test_same_key_with_another_body_is_an_error_and_moves_nothing(database: Database) -> None:
    credits_, owner = await funded(database)
    key = hold_key(owner)
    await credits_.hold(owner, "j", 100, key=key)
    before = await credits_.balance(owner)
    for act in (
        credits_.hold(owner, "j", 101, key=key),
        credits_.hold(owner, "other", 100, key=key),
        credits_.hold(owner, "j", 10_000_000, key=key),  # one that the rules would refuse too
        credits_.hold(client(), "j", 100, key=key),  # in another book
        credits_.grant(owner, 100, key=key, source="test"),
        credits_.resolve(owner, key, post=100, release=0, key=key),
    ):
        with pytest.raises(IdempotencyKeyReused):
            await act
    assert await credits_.balance(owner) == before


async def test_a_refusal_changes_nothing_and_the_key_may_hold_later(database: Database) -> None:
    credits_, owner = await funded(database, 50)
    refused = await credits_.hold(owner, "j", 60, key=hold_key(owner))
    assert (refused.outcome, refused.available, refused.transaction_id) == ("insufficient", 50, None)
    await credits_.grant(owner, 10, key=f"top:{owner}", source="test")
    assert (await credits_.hold(owner, "j", 60, key=hold_key(owner))).outcome == "held"


async def test_a_refusal_is_never_from_a_stale_head(database: Database) -> None:
    stale, owner = await funded(database, 50)
    await Credits(database).grant(owner, 10, key=f"top:{owner}", source="test")
    assert (await stale.hold(owner, "j", 60, key=hold_key(owner))).outcome == "held"


async def test_an_unknown_owner_has_nothing(database: Database) -> None:
    credits_, owner = Credits(database), client()
    balance = await credits_.balance(owner)
    assert (balance.available, balance.held, balance.lots) == (0, 0, ())
    assert (await credits_.hold(owner, "j", 1, key=hold_key(owner))).available == 0


async def test_a_second_resolution_gets_the_first_one(database: Database) -> None:
    credits_, owner = await funded(database)
    held = hold_key(owner)
    await credits_.hold(owner, "j", 500, key=held)
    # Another hold stays open, so that the balance alone would let a second resolution through.
    await credits_.hold(owner, "k", 500, key=hold_key(f"{owner}-k"))
    first = await credits_.resolve(owner, held, post=300, release=200, key=complete_key(owner))
    assert (first.posted, first.released, first.available, first.held) == (300, 200, 200, 500)
    for facade in (credits_, Credits(database)):
        repeat = await facade.resolve(owner, held, post=300, release=200, key=complete_key(owner))
        assert repeat == first.model_copy(update={"replayed": True})
        other = await facade.resolve(owner, held, post=0, release=500, key=release_key(owner))
        assert other == first.model_copy(update={"already_resolved": True})
        wrong = await facade.resolve(owner, held, post=1, release=0, key=release_key(owner, 2))
        assert wrong.already_resolved
    with pytest.raises(IdempotencyKeyReused):
        await credits_.resolve(owner, held, post=200, release=300, key=complete_key(owner))
    balance = await credits_.balance(owner)
    assert (balance.available, balance.held) == (200, 500)


async def test_held_again_is_a_hold_of_its_own(database: Database) -> None:
    credits_, owner = await funded(database)
    held, part = hold_key(owner), complete_key(owner)
    await credits_.hold(owner, "j", 500, key=held)
    first = await credits_.resolve(owner, held, post=200, release=100, hold_again=200, key=part)
    assert (first.available, first.held, first.held_again) == (600, 200, 200)
    rest = await credits_.resolve(owner, part, post=150, release=50, key=complete_key(owner, 2))
    assert (rest.available, rest.held, rest.job_id) == (650, 0, "j")
    balance = await credits_.balance(owner)
    assert (balance.available, balance.held) == (650, 0)


async def test_holds_are_only_their_owners_and_only_holds(database: Database) -> None:
    credits_, owner = await funded(database)
    _, stranger = await funded(database)
    held = hold_key(owner)
    await credits_.hold(owner, "j", 500, key=held)
    for facade in (credits_, Credits(database)):
        with pytest.raises(UnknownHold):
            await facade.resolve(stranger, held, post=500, release=0, key=complete_key(owner))
        with pytest.raises(UnknownHold):
            await facade.resolve(owner, f"grant:{owner}", post=500, release=0, key=complete_key(owner))
        with pytest.raises(UnknownHold):
            await facade.resolve(owner, "hold:none:1", post=500, release=0, key=complete_key(owner))
    await credits_.resolve(owner, held, post=500, release=0, key=complete_key(owner))
    with pytest.raises(UnknownHold):  # a resolved hold of another is not shown either
        await credits_.resolve(stranger, held, post=500, release=0, key=release_key(owner))


async def test_lots_are_burnt_in_order_and_expired_ones_not_at_all(database: Database) -> None:
    credits_, owner, now = Credits(database), client(), utcnow()
    await credits_.grant(owner, 100, key=f"a:{owner}", source="never")
    await credits_.grant(owner, 100, key=f"b:{owner}", source="late", expires_at=now + timedelta(days=9))
    await credits_.grant(owner, 100, key=f"c:{owner}", source="soon", expires_at=now + timedelta(days=1))
    await credits_.grant(owner, 100, key=f"d:{owner}", source="gone", expires_at=now - timedelta(seconds=1))
    balance = await credits_.balance(owner)
    assert (balance.available, balance.expired) == (300, 100)
    assert [lot.source for lot in balance.lots] == ["soon", "late", "never"]
    assert (await credits_.hold(owner, "j", 301, key=f"too:{owner}")).available == 300
    held = await credits_.hold(owner, "j", 250, key=hold_key(owner))
    assert (held.outcome, held.available) == ("held", 50)
    done = await credits_.resolve(owner, held.hold_key, post=150, release=100, key=complete_key(owner))
    assert [(lot.source, lot.amount) for lot in done.consumed] == [("soon", 100), ("late", 50)]
    balance = await credits_.balance(owner)
    assert [(lot.source, lot.amount) for lot in balance.lots] == [("late", 50), ("never", 100)]


async def test_a_worker_is_owed_then_paid_and_never_paid_more(database: Database) -> None:
    earnings, worker, job = Earnings(database), client(), client()
    owed = await earnings.accrue(worker, job, 1500, key=accrue_key(job))
    assert (owed.payable, owed.paid) == (1500, 0)
    paid = await earnings.record_transfer(worker, job, 1500, key=transfer_key(job), stripe_transfer_id="tr_1")
    assert (paid.payable, paid.paid, paid.stripe_transfer_id) == (0, 1500, "tr_1")
    assert (await earnings.accrue(worker, job, 1500, key=accrue_key(job))).replayed
    with pytest.raises(IdempotencyKeyReused):
        await earnings.record_transfer(worker, job, 1500, key=transfer_key(job), stripe_transfer_id="tr_2")
    with pytest.raises(NegativeBalance):
        await earnings.record_transfer(worker, job, 1, key=f"x:{job}", stripe_transfer_id="tr_3")
    balance = await earnings.balance(worker)
    assert (balance.payable, balance.paid) == (0, 1500)


async def test_operator_objects_and_fractions_reach_no_query(database: Database) -> None:
    credits_ = Credits(database)
    before = await database["transactions"].count_documents({})
    with pytest.raises(InvalidDraft):
        await credits_.balance("a:b")
    with pytest.raises(InvalidDraft):
        await credits_.hold(client(), "j", 1.5, key="k:1")  # type: ignore[arg-type]  # what is under test
    with pytest.raises(InvalidDraft):
        await credits_.hold(client(), "j", 1, key={"$ne": ""})  # type: ignore[arg-type]  # what is under test
    assert await database["transactions"].count_documents({}) == before


async def test_rows_read_as_drawn(database: Database) -> None:
    credits_, owner = await funded(database)
    await credits_.hold(owner, "j1", 300, key=hold_key(owner))
    row = await database["transactions"].find_one({"key": hold_key(owner)})
    assert row is not None
    assert row["_id"] == f"client:{owner}:000000000002"
    assert {name: row[name] for name in ("clientId", "jobId", "amount", "status", "kind", "currency")} == {
        "clientId": owner,
        "jobId": "j1",
        "amount": 300,
        "status": "pending",
        "kind": "credit_hold",
        "currency": "CREDIT",
    }
    assert isinstance(row["createdAt"], datetime)
    assert row["createdAt"].tzinfo is not None
    assert datetime.now(UTC) - row["createdAt"] < timedelta(minutes=1)


async def test_a_tampered_head_is_not_built_upon(database: Database) -> None:
    credits_, owner = await funded(database)
    edit = {"$set": {"balances.available": 999_999}}
    undo = {"$set": {"balances.available": 1000}}
    await database["transactions"].update_one({"_id": f"client:{owner}:000000000001"}, edit)
    with pytest.raises(LedgerCorrupted):
        await Credits(database).hold(owner, "j", 5000, key=hold_key(owner))
    with pytest.raises(LedgerCorrupted):
        await Credits(database).balance(owner)
    await database["transactions"].update_one({"_id": f"client:{owner}:000000000001"}, undo)
    assert (await credits_.balance(owner)).available == 1000


async def test_contention_is_an_error_of_its_own_and_writes_nothing(database: Database) -> None:
    owner, rival, rounds = client(), Journal(database), 0

    async def overtake(when: str, operation: str) -> None:
        nonlocal rounds
        if (when, operation) == ("before", "insert_one"):
            rounds += 1
            act = draft(GrantCredits, key=f"rival:{owner}:{rounds}", client_id=owner, amount=1, **GRANT)
            await rival.post(act)

    journal = hooked_journal(database, overtake, patience=0.2)
    mine = draft(GrantCredits, key=f"mine:{owner}", client_id=owner, amount=1000, **GRANT)
    with pytest.raises(LedgerContention):
        await journal.post(mine)
    assert rounds > 1
    assert await rival.find(mine.key) is None
    assert not (await rival.post(mine)).replayed
    assert (await Credits(database).balance(owner)).available == 1000 + rounds


async def test_with_a_warm_head_a_transaction_is_one_insert(database: Database, settings: Settings) -> None:
    commands = Commands()
    uri = settings.mongodb_uri.get_secret_value()
    async with AsyncMongoClient[dict[str, object]](uri, tz_aware=True, event_listeners=[commands]) as mongo:
        journal = Journal(mongo[database.name])
        credits_, earnings = (
            Credits(mongo[database.name], journal=journal),
            Earnings(mongo[database.name], journal=journal),
        )
        owner, worker = client(), client()
        await credits_.grant(owner, 1000, key=f"g:{owner}", source="test")
        await earnings.accrue(worker, "j", 100, key=accrue_key(worker))
        commands.take()

        await credits_.grant(owner, 1000, key=f"g2:{owner}", source="test")
        assert commands.take() == ["insert"]
        await credits_.hold(owner, "j", 500, key=hold_key(owner))
        assert commands.take() == ["insert"]
        await credits_.resolve(owner, hold_key(owner), post=500, release=0, key=complete_key(owner))
        assert commands.take() == ["insert"]
        await earnings.accrue(worker, "k", 100, key=accrue_key(f"{worker}k"))
        assert commands.take() == ["insert"]
        await earnings.record_transfer(worker, "j", 100, key=transfer_key(worker), stripe_transfer_id="tr")
        assert commands.take() == ["insert"]

        await credits_.balance(owner)
        assert commands.take() == ["find"]
        await credits_.hold(owner, "j", 500, key=hold_key(owner))  # a repeat: refused, then looked up
        assert commands.take() == ["insert", "find"]
        await credits_.hold(
            owner, "j", 99_999, key=f"no:{owner}"
        )  # a refusal: is it known, is the head the last
        assert commands.take() == ["find", "find"]


async def test_a_cold_process_finds_a_far_head_in_few_reads(database: Database, settings: Settings) -> None:
    credits_, owner = Credits(database), client()
    for number in range(300):
        await credits_.grant(owner, 1, key=f"g:{owner}:{number}", source="test", expires_at=utcnow())
    commands = Commands()
    uri = settings.mongodb_uri.get_secret_value()
    async with AsyncMongoClient[dict[str, object]](uri, tz_aware=True, event_listeners=[commands]) as mongo:
        head = await Journal(mongo[database.name]).head(client_book(owner))
        assert head is not None
        assert head.seq == 300
        assert commands.take().count("find") <= 8
        hint = await database["books"].find_one({"_id": f"client:{owner}"})
        assert hint is not None
        assert (hint["seq"], hint["hash"]) == (300, head.hash)
        commands.take()
        assert (await Journal(mongo[database.name]).head(client_book(owner))) == head
        assert commands.take().count("find") == 3  # the hint, its row, and nothing after it


@pytest.mark.parametrize("seq", [2, 999])
async def test_a_hint_that_is_old_or_ahead_costs_reads_and_no_answer(database: Database, seq: int) -> None:
    credits_, owner = await funded(database)
    for number in range(3):
        await credits_.grant(owner, 1, key=f"{number}:{owner}", source="test")
    await database["books"].insert_one({"_id": f"client:{owner}", "seq": seq, "hash": "?"})
    assert (await Credits(database).balance(owner)).available == 1003
    assert (await Credits(database).hold(owner, "j", 1003, key=hold_key(owner))).outcome == "held"
    await database["books"].delete_one({"_id": f"client:{owner}"})


async def test_one_process_keeps_its_callers_in_line(database: Database) -> None:
    """Callers of one process wait for each other instead of racing: as many inserts as transactions."""
    credits_, owner = await funded(database)
    holds = (credits_.hold(owner, f"j{n}", 10, key=hold_key(f"{owner}-{n}")) for n in range(30))
    outcomes = await asyncio.gather(*holds)
    assert [outcome.available for outcome in outcomes] == [1000 - 10 * (n + 1) for n in range(30)]


async def test_indexes_are_made_again_without_harm(database: Database) -> None:
    await ensure_indexes(database)
    await ensure_indexes(database)
    indexes = await database["transactions"].index_information()
    assert indexes["key_unique"]["unique"]
    assert indexes["resolves_hold_unique"]["unique"]


async def test_after_all_of_that_the_books_are_sound(database: Database) -> None:
    assert await verify(database) == []
    assert sum(hold.amount for hold in await open_holds(database)) > 0
