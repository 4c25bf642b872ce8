"""Delivers the outbox, a batch at a time: writes the in-app notifications, sends the mails, takes the rows out.

Several dispatchers may run at once, in several processes. What is promised, and what is not:

- The in-app notification appears exactly once: its `_id` is the row's key.
- The mail is sent at least once. A claim is a lease, so two dispatchers send the same mail only if the first one
  is stuck for longer than the lease, or dies after the mail server's yes and before `mail_deliveries` has it
  (the next insert). The Message-ID is the row's key, so receivers can fold such a repeat into the first mail.
- `on_delivered` is a hint for live screens: called at most once, and not at all if the process dies first.

Leases compare the clocks of the dispatchers' hosts: they must agree to within the lease less the mail timeout.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, PyMongoError

from app.gateways.mail import (
    Mail,
    MailError,
    MailGateway,
    MailRefusedError,
    MailServerAwayError,
    MailUnavailableError,
    message_id_of,
)
from app.notifications.breaker import MailBreaker
from app.notifications.catalogue import ANYONE
from app.notifications.claims import Claims
from app.notifications.models import Row
from app.notifications.notices import OutboxEntry, is_outbox_key
from app.notifications.outbox import enqueue, raise_unless_duplicates
from app.notifications.receipts import Receipts
from app.notifications.recipients import Person, find_admin_ids, find_job_titles, find_people
from app.notifications.rendering import Rendered, RenderingError, render

MAX_ATTEMPTS = 16  # with the backoff below, about four hours
_FIRST_BACKOFF = timedelta(seconds=5)
_MAIL_PAUSE = timedelta(seconds=10)
_LEASE = timedelta(seconds=60)
_BATCH = 50

Hook = Callable[[Row], Awaitable[None]]
log = structlog.stdlib.get_logger(__name__)


class UndeliverableError(Exception):
    """Nobody to deliver to, or nothing to say: another try would end the same."""


class NotYetError(Exception):
    """Nobody to deliver to so far: worth another try."""


@dataclass(frozen=True, slots=True)
class _Letter:
    """A row with its words, ready to go out."""

    row: Row
    address: str
    words: Rendered

    @property
    def key(self) -> str:
        return str(self.row["_id"])


class Dispatcher:
    """Takes due rows in order of their age, a batch at a time, and puts back what failed, for later."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        mail: MailGateway,
        *,
        portal_url: str,
        poll_seconds: float = 0.5,
        concurrency: int = 8,
        max_attempts: int = MAX_ATTEMPTS,
        first_backoff: timedelta = _FIRST_BACKOFF,
        mail_pause: timedelta = _MAIL_PAUSE,
        lease: timedelta = _LEASE,
        on_delivered: Hook | None = None,
    ) -> None:
        """`poll_seconds` is the pause after a batch that was not full: rows that come meanwhile share the next one.

        `concurrency` bounds the mails under way. Those that could not be begun within half the lease wait for the
        next batch: the other half is for a mail's own time-out, and to spare.
        """
        self._database = database
        self._mail = mail
        self._portal_url = portal_url.rstrip("/")
        self._poll_seconds = poll_seconds
        self._gate = asyncio.Semaphore(concurrency)
        self._max_attempts = max_attempts
        self._breaker = MailBreaker(mail_pause)
        self._begin_within = lease.total_seconds() / 2
        self._on_delivered = on_delivered
        self._claims = Claims(database, lease=lease, max_attempts=max_attempts, first_backoff=first_backoff)
        self._receipts = Receipts(database)
        self._dropped: list[str] = []  # claimed when the store failed

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then finish what is in hand. A failing store is waited for."""
        while not stop.is_set():
            pause = self._poll_seconds
            try:
                if await self.deliver_due() >= _BATCH:
                    pause = 0.0
            except PyMongoError as error:
                log.warning("outbox.store_unavailable", error=type(error).__name__)
                pause = max(self._poll_seconds, 2.0)
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    async def deliver_due(self) -> int:
        """Try a batch of the rows that are due now, each once. Returns how many this dispatcher claimed."""
        await self._receipts.flush()
        await self._claims.give_back(self._dropped)
        self._dropped = []
        rows = await self._claims.take(_BATCH)
        try:
            await self._deliver(rows, begun_before=time.monotonic() + self._begin_within)
        except PyMongoError:
            self._dropped = [row["_id"] for row in rows]
            raise
        return len(rows)

    async def _deliver(self, rows: Sequence[Row], *, begun_before: float) -> None:
        for row in rows:
            if row["attempts"] > self._max_attempts:  # whoever tried last died of it
                await self._claims.give_up(row, row["lastError"] or "no attempt came to an end")
        living = [row for row in rows if row["attempts"] <= self._max_attempts]
        spread = [row for row in living if row["kind"] == "notice" and row["userId"] is None]
        for row in spread:
            await self._guarded(row, self._address_to_admins(row))
        letters = await self._letters([row for row in living if row not in spread])
        # A notification comes before its mail: where none was, no mail can have been sent.
        new = await self._notify([letter for letter in letters if letter.row["kind"] == "notice"])
        sent = await self._receipts.among([letter.key for letter in letters if letter.key not in new])
        await self._claims.delivered(sent)
        await self._mail_out([letter for letter in letters if letter.key not in sent], begun_before)

    async def _guarded(self, row: Row, work: Awaitable[None]) -> bool:
        """Do one row's part; what fails is put back or given up, and holds up no other. True when it was done."""
        try:
            await work
        except (UndeliverableError, RenderingError, MailRefusedError) as error:
            await self._claims.give_up(row, str(error))
        except (NotYetError, MailUnavailableError) as error:
            await self._claims.put_back(row, str(error))
        except PyMongoError:
            raise
        except Exception as error:
            log.exception("outbox.delivery_failed", key=row["_id"], template=row["template"])
            await self._claims.put_back(row, type(error).__name__)
        else:
            return True
        return False

    async def _address_to_admins(self, row: Row) -> None:
        """One row for each admin in place of the row for all, under keys made of both."""
        admins = await find_admin_ids(self._database)
        entries = [
            OutboxEntry(
                key=f"{row['_id']}:{admin}",
                kind="notice",
                template=row["template"],
                user_id=admin,
                job_id=row["jobId"],
                correlation_id=row["correlationId"],
                context=row["context"],
                created_at=row["createdAt"],
            )
            for admin in admins
            if is_outbox_key(f"{row['_id']}:{admin}")
        ]
        if not entries:
            raise NotYetError("there is no admin")
        await enqueue(self._database, entries)
        await self._claims.delivered([row["_id"]])

    async def _letters(self, rows: Sequence[Row]) -> list[_Letter]:
        """The addresses and the words, looked up now: a changed address or name is the one that counts."""
        user_ids = {row["userId"] for row in rows if row["kind"] == "notice"}
        job_ids = {row["jobId"] for row in rows if row["kind"] == "notice" and row["jobId"]}
        people = await find_people(self._database, user_ids) if user_ids else {}
        titles = await find_job_titles(self._database, job_ids) if job_ids else {}
        letters: list[_Letter] = []

        async def write(row: Row) -> None:
            letters.append(self._letter(row, people, titles))

        for row in rows:
            await self._guarded(row, write(row))
        return letters

    def _letter(self, row: Row, people: dict[str, Person], titles: dict[str, str]) -> _Letter:
        if row["kind"] == "mail":
            words = render(row["template"], ANYONE, context=row["context"], portal_url=self._portal_url)
            return _Letter(row, str(row["to"]), words)
        person = people.get(row["userId"])
        if person is None:
            raise UndeliverableError("no such user")
        words = render(
            row["template"],
            person.role,
            context=row["context"],
            portal_url=self._portal_url,
            name=person.name,
            job_id=row["jobId"],
            job_title=titles.get(row["jobId"], "your job"),
            zone=person.timezone,
        )
        return _Letter(row, person.email, words)

    async def _notify(self, letters: Sequence[_Letter]) -> set[str]:
        """Write the notifications; the keys of those that were not there."""
        if not letters:
            return set()
        notifications = [_notification(letter) for letter in letters]
        there: set[int] = set()
        try:
            await self._database["notifications"].insert_many(notifications, ordered=False)
        except BulkWriteError as error:
            there = raise_unless_duplicates(error)
        new = [notification for place, notification in enumerate(notifications) if place not in there]
        if self._on_delivered is not None:
            for notification in new:
                try:
                    await self._on_delivered(notification)
                except Exception as error:  # noqa: BLE001  # a live screen must not hold up the mail
                    log.warning("outbox.hook_failed", key=notification["_id"], error=type(error).__name__)
        return {notification["_id"] for notification in new}

    async def _mail_out(self, letters: Sequence[_Letter], begun_before: float) -> None:
        """Send the mails, a few at a time, and take the rows of those that went out from the outbox."""
        gone: list[str] = []
        too_late: list[str] = []

        async def send(letter: _Letter) -> None:
            async with self._gate:
                if time.monotonic() > begun_before:
                    too_late.append(letter.key)
                    return
                sent = await self._guarded(letter.row, self._send(letter))
            if sent:
                await self._receipts.add(letter.key)
                gone.append(letter.key)

        results = await asyncio.gather(*(send(letter) for letter in letters), return_exceptions=True)
        await self._claims.delivered(gone)
        await self._claims.give_back(too_late)
        fault = next((result for result in results if isinstance(result, BaseException)), None)
        if fault is not None:
            raise fault

    async def _send(self, letter: _Letter) -> None:
        if not self._breaker.allows():
            raise MailUnavailableError("the mail server is away")
        mail = Mail(
            to=letter.address,
            subject=letter.words.title,
            text=letter.words.text,
            html=letter.words.html,
            message_id=message_id_of(letter.key),
        )
        try:
            await self._mail.send(mail)
        except MailServerAwayError:
            self._breaker.found_away()
            raise
        except MailError:
            self._breaker.found_back()
            raise
        self._breaker.found_back()


def _notification(letter: _Letter) -> Row:
    row = letter.row
    return {
        "_id": letter.key,
        "userId": row["userId"],
        "jobId": row["jobId"],
        "type": row["template"],
        "title": letter.words.title,
        "message": letter.words.message,
        "read": False,
        "readAt": None,
        "createdAt": row["createdAt"],
    }
