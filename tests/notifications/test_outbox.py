"""The outbox on a real MongoDB and a real SMTP server: races, crashes between any two steps, a mail server away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from pymongo.errors import AutoReconnect

from app.gateways.mail import message_id_of
from app.notifications.dispatcher import Dispatcher
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import dead_letters, enqueue, enqueue_mail, revive
from tests.notifications.people import (
    PORTAL,
    Crash,
    Database,
    Deathwatch,
    FlakyDatabase,
    Moment,
    MortalDatabase,
    MortalMail,
    add_job,
    add_user,
    offer,
)
from tests.notifications.smtp import Inbox, mail_server

NO_PAUSE = timedelta(0)
LONG_AGO = datetime.fromtimestamp(0, UTC)


@pytest_asyncio.fixture
async def inbox() -> AsyncIterator[Inbox]:
    async with mail_server() as server:
        yield server


@pytest_asyncio.fixture(autouse=True)
async def _empty(database: Database) -> None:
    for name in ("outbox", "notifications", "mail_deliveries", "users", "jobs"):
        await database[name].delete_many({})


def dispatcher(database: Database, inbox: Inbox, **options: Any) -> Dispatcher:
    return Dispatcher(database, inbox.gateway(), portal_url=PORTAL, **options)


async def drain(one: Dispatcher) -> None:
    while await one.deliver_due():
        pass


async def let_time_pass(database: Database) -> None:
    """Every lease and every backoff is over."""
    await database["outbox"].update_many({}, {"$set": {"leaseUntil": LONG_AGO, "notBefore": LONG_AGO}})


async def test_a_notice_reaches_the_inbox_and_the_mailbox_and_leaves_the_outbox(
    database: Database, inbox: Inbox
) -> None:
    (user, address), job = await add_user(database, "worker"), await add_job(database, "Logo for a café")
    seen: list[Any] = []

    async def hook(notification: Any) -> None:
        seen.append(notification["_id"])

    expiry = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    await enqueue(database, [offer(user, job, f"{job}:4:0", expires_at=expiry, pay_usd_cents=4200)])
    await drain(dispatcher(database, inbox, on_delivered=hook))
    [stored] = await database["notifications"].find({}).to_list()
    assert stored["_id"] == f"{job}:4:0"
    assert (stored["userId"], stored["jobId"], stored["type"]) == (user, job, "job.offer")
    assert stored["read"] is False
    assert "$42.00" in stored["message"]
    assert "17:15 (Asia/Phnom_Penh)" in stored["message"]
    [mail] = inbox.messages
    assert mail["To"] == address
    assert mail["Subject"] == "You have an offer: “Logo for a café”"
    assert mail["Message-ID"] == message_id_of(f"{job}:4:0")
    assert seen == [f"{job}:4:0"]
    assert await database["outbox"].count_documents({}) == 0


async def test_writing_the_same_fact_again_changes_nothing_even_after_its_delivery(
    database: Database, inbox: Inbox
) -> None:
    (user, _), job = await add_user(database, "worker"), await add_job(database)
    first, second = offer(user, job, f"{job}:1:0"), offer(user, job, f"{job}:1:1")
    await enqueue(database, [first])
    await enqueue(database, [first, second])
    assert await database["outbox"].count_documents({}) == 2
    one = dispatcher(database, inbox)
    await drain(one)
    await enqueue(database, [first, second])
    await drain(one)
    assert await database["notifications"].count_documents({}) == 2
    assert len(inbox.messages) == 2
    assert await database["outbox"].count_documents({}) == 0


async def test_three_dispatchers_over_two_hundred_rows(database: Database, inbox: Inbox) -> None:
    job = await add_job(database)
    users = [(await add_user(database, "worker"))[0] for _ in range(10)]
    keys = [f"{job}:{n}:0" for n in range(200)]
    await enqueue(database, [offer(users[n % 10], job, key) for n, key in enumerate(keys)])
    stop = asyncio.Event()
    racers = [asyncio.create_task(dispatcher(database, inbox, poll_seconds=0.05).run(stop)) for _ in range(3)]
    async with asyncio.timeout(90):
        while await database["outbox"].find_one({}) is not None:  # noqa: ASYNC110  # others empty it
            await asyncio.sleep(0.1)
    stop.set()
    await asyncio.gather(*racers)
    assert sorted(n["_id"] for n in await database["notifications"].find({}).to_list()) == sorted(keys)
    assert inbox.count_by_message_id() == {message_id_of(key): 1 for key in keys}


CALLS = (
    "outbox.find",
    "outbox.update_many",
    "users.find",
    "jobs.find",
    "notifications.insert_many",
    "mail.send",
    "mail_deliveries.insert_many",
    "outbox.delete_many",
)
DEATHS = [
    *((call, when, 1) for call in CALLS for when in ("before", "after")),
    *((call, "halfway", 1) for call in CALLS if call.endswith(("insert_many", "update_many", "delete_many"))),
    *(("mail.send", when, nth) for when in ("before", "after") for nth in (2, 4)),
    *(("mail_deliveries.insert_many", when, 2) for when in ("before", "after")),
]


@pytest.mark.parametrize(("call", "when", "nth"), DEATHS)
async def test_a_crash_at_any_call(
    database: Database, inbox: Inbox, call: str, when: Moment, nth: int
) -> None:
    job = await add_job(database)
    keys = {f"{job}:{n}:0" for n in range(4)}
    await enqueue(
        database, [offer((await add_user(database, "worker"))[0], job, key) for key in sorted(keys)]
    )
    watch = Deathwatch(call, when, nth=nth)
    mortal = Dispatcher(
        MortalDatabase(database, watch),  # type: ignore[arg-type]  # a watched database is one to the product
        MortalMail(inbox.gateway(), watch),
        portal_url=PORTAL,
        concurrency=1,
    )
    with pytest.raises(Crash):
        await mortal.deliver_due()
    taken = set(inbox.count_by_message_id())
    known = {message_id_of(row["_id"]) for row in await database["mail_deliveries"].find({}).to_list()}
    free = await database["outbox"].count_documents({"leaseOwner": None})
    survivor = dispatcher(database, inbox)
    assert await survivor.deliver_due() == free, "the dead one's leases hold"
    await let_time_pass(database)
    await drain(survivor)
    assert {row["_id"] for row in await database["notifications"].find({}).to_list()} == keys
    assert await database["outbox"].count_documents({}) == 0
    # The mail server's yes is only known once mail_deliveries has it: there, and nowhere else, a mail may repeat.
    repeated = taken - known
    assert len(repeated) <= 2, "those since the last insert began"
    expected = {message_id_of(key): 1 + (message_id_of(key) in repeated) for key in keys}
    assert inbox.count_by_message_id() == expected


async def test_the_store_fails_after_the_mails_went_out(database: Database, inbox: Inbox) -> None:
    """The process lives on: it remembers what was taken, writes it down, and lets its rows go at once."""
    (user, _), job = await add_user(database, "worker"), await add_job(database)
    keys = [f"{job}:{n}:0" for n in range(3)]
    await enqueue(database, [offer(user, job, key) for key in keys])
    flaky = FlakyDatabase(database, "mail_deliveries.insert_many")
    one = Dispatcher(flaky, inbox.gateway(), portal_url=PORTAL)  # type: ignore[arg-type]  # as above
    with pytest.raises(AutoReconnect):
        await one.deliver_due()
    with pytest.raises(AutoReconnect):
        await one.deliver_due()
    flaky.broken = ""
    await drain(one)
    assert inbox.count_by_message_id() == {message_id_of(key): 1 for key in keys}
    assert await database["outbox"].count_documents({}) == 0


async def test_what_a_slow_mail_server_leaves_no_time_for_waits_untried(
    database: Database, inbox: Inbox
) -> None:
    (user, _), job = await add_user(database, "worker"), await add_job(database)
    keys = [f"{job}:{n}:0" for n in range(4)]
    await enqueue(database, [offer(user, job, key) for key in keys])
    inbox.seconds_to_accept = 0.3
    one = dispatcher(database, inbox, concurrency=1, lease=timedelta(seconds=0.4))
    assert await one.deliver_due() == len(keys)
    assert await database["notifications"].count_documents({}) == len(keys)
    assert len(inbox.messages) == 1
    waiting = await database["outbox"].find({}).to_list()
    assert [(row["attempts"], row["leaseOwner"]) for row in waiting] == [(0, None)] * 3
    inbox.seconds_to_accept = 0.0
    await drain(one)
    assert inbox.count_by_message_id() == {message_id_of(key): 1 for key in keys}


async def test_a_mail_server_away_delays_mail_alone(database: Database) -> None:
    (user, _), job = await add_user(database, "worker"), await add_job(database)
    keys = [f"{job}:{n}:0" for n in range(5)]
    async with mail_server() as lost:
        port = lost.port
    one = dispatcher(database, lost, first_backoff=timedelta(milliseconds=1), mail_pause=NO_PAUSE)
    await enqueue(database, [offer(user, job, key) for key in keys])
    assert await one.deliver_due() == 5
    assert await database["notifications"].count_documents({}) == 5
    waiting = await database["outbox"].find({}).to_list()
    assert [row["attempts"] for row in waiting] == [1] * 5
    assert all(row["deadAt"] is None and "no mail server" in row["lastError"] for row in waiting)
    async with mail_server(port) as back:
        await let_time_pass(database)
        await drain(one)
        assert back.count_by_message_id() == {message_id_of(key): 1 for key in keys}
    assert await database["notifications"].count_documents({}) == 5
    assert await database["outbox"].count_documents({}) == 0


async def test_the_backoff_doubles_and_ends_in_a_dead_letter_that_can_be_revived(database: Database) -> None:
    (user, address), job = await add_user(database, "worker"), await add_job(database)
    async with mail_server() as lost:
        port = lost.port
    one = dispatcher(
        database, lost, max_attempts=3, first_backoff=timedelta(seconds=100), mail_pause=NO_PAUSE
    )
    await enqueue(database, [offer(user, job, f"{job}:1:0")])
    waits = []
    for _ in range(3):
        before = datetime.now(UTC)
        assert await one.deliver_due() == 1
        row = await database["outbox"].find_one({"_id": f"{job}:1:0"})
        assert row is not None
        waits.append(round((row["notBefore"] - before).total_seconds(), -1))
        assert await one.deliver_due() == 0, "not before its time"
        await let_time_pass(database)
    assert waits[:2] == [100, 200]
    [dead] = await dead_letters(database)
    assert (dead["_id"], dead["attempts"]) == (f"{job}:1:0", 3)
    assert "context" not in dead
    assert address not in str(dead)
    assert await one.deliver_due() == 0
    assert await revive(database, f"{job}:1:0")
    assert not await revive(database, f"{job}:1:0")
    async with mail_server(port) as back:
        await drain(one)
        assert back.recipients == [address]
    assert await dead_letters(database) == []


async def test_a_mail_server_that_never_answers_holds_up_no_notice(database: Database) -> None:
    (user, _), job = await add_user(database, "worker"), await add_job(database)
    keys = [f"{job}:{n}:0" for n in range(40)]
    calls = 0

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    inbox = Inbox(port=silent.sockets[0].getsockname()[1])
    one = Dispatcher(
        database, inbox.gateway(timeout_seconds=1.0), portal_url=PORTAL, mail_pause=timedelta(minutes=1)
    )
    await enqueue(database, [offer(user, job, key) for key in keys])
    assert await one.deliver_due() == len(keys)
    silent.close()
    assert await database["notifications"].count_documents({}) == len(keys)
    assert calls == 8, "those under way when it was found out, and none after"
    waiting = await database["outbox"].find({}).to_list()
    assert {(row["attempts"], row["leaseOwner"], row["deadAt"]) for row in waiting} == {(1, None, None)}


async def test_what_cannot_be_delivered_blocks_nobody(database: Database, inbox: Inbox) -> None:
    (user, address), (gone, gone_address) = (
        await add_user(database, "worker"),
        await add_user(database, "worker"),
    )
    (client, _), job = await add_user(database, "client"), await add_job(database)
    inbox.answers = {gone_address: "550 no such mailbox"}
    await enqueue(
        database,
        [
            offer("f" * 24, job, "a:no-user"),
            offer(client, job, "b:no-words-for-a-client"),
            offer(user, job, "c:no-time", expires_at="soon"),
            offer(gone, job, "d:refused"),
            offer(user, job, "e:good"),
        ],
    )
    await drain(dispatcher(database, inbox))
    assert inbox.recipients == [address]
    reasons = {row["_id"]: row["lastError"] for row in await dead_letters(database)}
    assert set(reasons) == {"a:no-user", "b:no-words-for-a-client", "c:no-time", "d:refused"}
    assert reasons["d:refused"] == "the mail server answered 550"
    assert {n["_id"] for n in await database["notifications"].find({}).to_list()} == {"d:refused", "e:good"}


async def test_a_row_that_kills_its_dispatcher_ends_as_a_dead_letter(
    database: Database, inbox: Inbox
) -> None:
    (user, _), job = await add_user(database, "worker"), await add_job(database)
    await enqueue(database, [offer(user, job, "poison")])
    for _ in range(2):
        watch = Deathwatch("users.find", "before")
        mortal = Dispatcher(
            MortalDatabase(database, watch),  # type: ignore[arg-type]  # as above
            inbox.gateway(),
            portal_url=PORTAL,
            max_attempts=2,
        )
        with pytest.raises(Crash):
            await mortal.deliver_due()
        await let_time_pass(database)
    await drain(dispatcher(database, inbox, max_attempts=2))
    [dead] = await dead_letters(database)
    assert dead["lastError"] == "no attempt came to an end"


async def test_every_admin_who_can_log_in_hears_of_a_rescue(database: Database, inbox: Inbox) -> None:
    admins = [await add_user(database, "admin") for _ in range(2)]
    await add_user(database, "admin", disabled=True)
    await add_user(database, "worker")
    job = await add_job(database)
    entry = OutboxEntry.of(Notice(type="job.rescue", job_id=job), key=f"{job}:9:1")
    one = dispatcher(database, inbox)
    await enqueue(database, [entry])
    await drain(one)
    await enqueue(database, [entry])  # the writer repeats itself after a crash
    await drain(one)
    assert sorted(inbox.recipients) == sorted(address for _, address in admins)
    stored = await database["notifications"].find({}).to_list()
    assert sorted(n["_id"] for n in stored) == sorted(f"{job}:9:1:{user}" for user, _ in admins)


async def test_a_verification_mail_leaves_no_token_behind(
    database: Database, inbox: Inbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    inbox.answers = {"gone@example.com": "550 no"}
    caplog.set_level(logging.DEBUG, logger="app")
    for to in ("new@example.com", "gone@example.com"):
        await enqueue_mail(
            database,
            key=f"verify-email:{to.split('@', maxsplit=1)[0]}:1",
            to=to,
            template="auth.verify_email",
            context={"link": "https://nimmit.example/verify-email#token=s3cr3t-token"},
        )
    await drain(dispatcher(database, inbox))
    [mail] = inbox.messages
    assert "s3cr3t-token" in mail.as_string()
    assert await database["notifications"].count_documents({}) == 0
    [dead] = await database["outbox"].find({}).to_list()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("app")]
    printed = "".join([*said, *capsys.readouterr()])
    assert "outbox.dead_letter" in printed
    assert "s3cr3t-token" not in printed + str(dead)
    assert "example.com" not in printed
    assert not await revive(database, dead["_id"]), "its token is gone"


async def test_a_failing_hook_holds_up_no_mail(database: Database, inbox: Inbox) -> None:
    (user, _), job = await add_user(database, "worker"), await add_job(database)

    async def hook(_: Any) -> None:
        raise RuntimeError("the live screens are away")

    await enqueue(database, [offer(user, job, "k")])
    await drain(dispatcher(database, inbox, on_delivered=hook))
    assert len(inbox.messages) == 1
