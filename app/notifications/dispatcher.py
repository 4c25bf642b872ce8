"""Delivers the outbox: writes the in-app notification, sends the mail, takes the row out.

Several dispatchers may run at once, in several processes. What is promised, and what is not:

- The in-app notification appears exactly once: its `_id` is the row's key.
- The mail is sent at least once. A claim is a lease, so two dispatchers send the same mail only if the first one
  is stuck for longer than the lease, or dies after the mail server's yes and before `mail_deliveries` has it
  (one insert later). The Message-ID is the row's key, so receivers can fold such a repeat into the first mail.
- `on_delivered` is a hint for live screens: called at most once, and not at all if the process dies first.

Leases compare the clocks of the dispatchers' hosts: they must agree to within `LEASE` less the mail timeout.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError

from app.documents import utcnow
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
from app.notifications.catalogue import ANYONE, holds_secret
from app.notifications.models import Row
from app.notifications.notices import OutboxEntry, is_outbox_key
from app.notifications.outbox import OUTBOX, enqueue
from app.notifications.recipients import find_admin_ids, find_job_title, find_person
from app.notifications.rendering import Rendered, RenderingError, render

LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 16  # with the backoff below, about four hours
_FIRST_BACKOFF = timedelta(seconds=5)
_LONGEST_BACKOFF = timedelta(minutes=30)
_MAIL_PAUSE = timedelta(seconds=10)
_BATCH = 50

Hook = Callable[[Row], Awaitable[None]]
log = structlog.stdlib.get_logger(__name__)


class UndeliverableError(Exception):
    """Nobody to deliver to, or nothing to say: another try would end the same."""


class NotYetError(Exception):
    """Nobody to deliver to so far: worth another try."""


class Dispatcher:
    """Takes due rows in order of their age, a few at a time, and puts back what failed, for later."""

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
        on_delivered: Hook | None = None,
    ) -> None:
        """`poll_seconds` is the pause after a look that found nothing due."""
        self._database = database
        self._mail = mail
        self._portal_url = portal_url.rstrip("/")
        self._poll_seconds = poll_seconds
        self._concurrency = concurrency
        self._max_attempts = max_attempts
        self._first_backoff = first_backoff
        self._breaker = MailBreaker(mail_pause)
        self._on_delivered = on_delivered
        self._owner = secrets.token_hex(8)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then finish what is in hand. A failing store is waited for."""
        while not stop.is_set():
            pause = self._poll_seconds
            try:
                if await self.deliver_due():
                    pause = 0.0
            except PyMongoError as error:
                log.warning("outbox.store_unavailable", error=type(error).__name__)
                pause = max(self._poll_seconds, 2.0)
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

    async def deliver_due(self) -> int:
        """Try every row that is due now, once. Returns how many this dispatcher claimed."""
        now = utcnow()
        due = {"deadAt": None, "notBefore": {"$lte": now}, "leaseUntil": {"$lte": now}}
        cursor = self._database[OUTBOX].find(due, {"_id": 1}).sort("createdAt", 1).limit(_BATCH)
        keys = [str(row["_id"]) async for row in cursor]
        gate = asyncio.Semaphore(self._concurrency)

        async def deliver(key: str) -> bool:
            async with gate:
                return await self._claim_and_deliver(key)

        results = await asyncio.gather(*(deliver(key) for key in keys), return_exceptions=True)
        fault = next((result for result in results if isinstance(result, BaseException)), None)
        if fault is not None:
            raise fault
        return sum(result is True for result in results)

    async def _claim_and_deliver(self, key: str) -> bool:
        row = await self._claim(key)
        if row is None:
            return False
        if row["attempts"] > self._max_attempts:  # whoever tried last died of it
            await self._give_up(row, row["lastError"] or "no attempt came to an end")
            return True
        try:
            await self._deliver(row)
        except (UndeliverableError, RenderingError, MailRefusedError) as error:
            await self._give_up(row, str(error))
        except (NotYetError, MailUnavailableError) as error:
            await self._put_back(row, str(error))
        except PyMongoError:
            raise  # the lease runs out by itself
        except Exception as error:
            log.exception("outbox.delivery_failed", key=key, template=row["template"])
            await self._put_back(row, type(error).__name__)
        return True

    async def _claim(self, key: str) -> Row | None:
        now = utcnow()
        return await self._database[OUTBOX].find_one_and_update(
            {"_id": key, "deadAt": None, "notBefore": {"$lte": now}, "leaseUntil": {"$lte": now}},
            {"$set": {"leaseUntil": now + LEASE, "leaseOwner": self._owner}, "$inc": {"attempts": 1}},
            return_document=True,
        )

    async def _deliver(self, row: Row) -> None:
        if row["kind"] == "notice" and row["userId"] is None:
            await self._address_to_admins(row)
        else:
            address, words = await self._words(row)
            # A notification comes before its mail: where none was, no mail can have been sent.
            first = row["kind"] == "notice" and await self._notify(row, words)
            await self._send(row, address, words, first=first)
        await self._database[OUTBOX].delete_one({"_id": row["_id"]})

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

    async def _words(self, row: Row) -> tuple[str, Rendered]:
        """The address and the words, looked up now: a changed address or name is the one that counts."""
        if row["kind"] == "mail":
            words = render(row["template"], ANYONE, context=row["context"], portal_url=self._portal_url)
            return str(row["to"]), words
        person = await find_person(self._database, row["userId"])
        if person is None:
            raise UndeliverableError("no such user")
        words = render(
            row["template"],
            person.role,
            context=row["context"],
            portal_url=self._portal_url,
            name=person.name,
            job_id=row["jobId"],
            job_title=await find_job_title(self._database, row["jobId"]),
            zone=person.timezone,
        )
        return person.email, words

    async def _notify(self, row: Row, words: Rendered) -> bool:
        """Write the notification; False when it was there."""
        notification = {
            "_id": row["_id"],
            "userId": row["userId"],
            "jobId": row["jobId"],
            "type": row["template"],
            "title": words.title,
            "message": words.message,
            "read": False,
            "readAt": None,
            "createdAt": row["createdAt"],
        }
        try:
            await self._database["notifications"].insert_one(notification)
        except DuplicateKeyError:
            return False
        if self._on_delivered is not None:
            try:
                await self._on_delivered(notification)
            except Exception as error:  # noqa: BLE001  # a live screen must not hold up the mail
                log.warning("outbox.hook_failed", key=row["_id"], error=type(error).__name__)
        return True

    async def _send(self, row: Row, address: str, words: Rendered, *, first: bool) -> None:
        deliveries = self._database["mail_deliveries"]
        if not first and await deliveries.find_one({"_id": row["_id"]}, {"_id": 1}) is not None:
            return
        await self._send_mail(
            Mail(
                to=address,
                subject=words.title,
                text=words.text,
                html=words.html,
                message_id=message_id_of(row["_id"]),
            )
        )
        with suppress(DuplicateKeyError):
            await deliveries.insert_one({"_id": row["_id"], "sentAt": utcnow()})

    async def _send_mail(self, mail: Mail) -> None:
        if not self._breaker.allows():
            raise MailUnavailableError("the mail server is away")
        try:
            await self._mail.send(mail)
        except MailServerAwayError:
            self._breaker.found_away()
            raise
        except MailError:
            self._breaker.found_back()
            raise
        self._breaker.found_back()

    async def _put_back(self, row: Row, reason: str) -> None:
        if row["attempts"] >= self._max_attempts:
            await self._give_up(row, reason)
            return
        wait = min(self._first_backoff * 2 ** (row["attempts"] - 1), _LONGEST_BACKOFF)
        now = utcnow()
        await self._database[OUTBOX].update_one(
            {"_id": row["_id"], "leaseOwner": self._owner},
            {"$set": {"leaseUntil": now, "leaseOwner": None, "notBefore": now + wait, "lastError": reason}},
        )
        log.info(
            "outbox.put_back",
            key=row["_id"],
            template=row["template"],
            reason=reason,
            attempt=row["attempts"],
        )

    async def _give_up(self, row: Row, reason: str) -> None:
        """Leave the row where an admin sees it, without its token if it had one."""
        now = utcnow()
        fields: Row = {"deadAt": now, "leaseUntil": now, "leaseOwner": None, "lastError": reason}
        if holds_secret(row["template"]):
            fields |= {"context": {}, "to": None, "wiped": True}
        await self._database[OUTBOX].update_one(
            {"_id": row["_id"], "leaseOwner": self._owner}, {"$set": fields}
        )
        log.error("outbox.dead_letter", key=row["_id"], template=row["template"], reason=reason)
