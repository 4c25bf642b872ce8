"""Users and jobs as the outbox finds them, and a database whose process dies at a chosen call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect

from app.gateways.mail import Mail, MailGateway
from app.ids import new_id
from app.notifications.notices import Notice, OutboxEntry

Database = AsyncDatabase[dict[str, Any]]
PORTAL = "https://nimmit.example"


async def add_user(database: Database, role: str, *, disabled: bool = False) -> tuple[str, str]:
    """A user's id and address."""
    user_id = new_id()
    email = f"{role}-{user_id}@example.com"
    document: dict[str, Any] = {"_id": user_id, "email": email, "role": role, "name": "Sokha Chan"}
    document |= {"disabled": disabled, "workerProfile": {"timezone": "Asia/Phnom_Penh"}}
    await database["users"].insert_one(document)
    return user_id, email


async def add_job(database: Database, title: str = "Logo") -> str:
    job_id = new_id()
    await database["jobs"].insert_one({"_id": job_id, "seq": 1, "title": title})
    return job_id


def offer(user_id: str | None, job_id: str, key: str, **context: Any) -> OutboxEntry:
    return OutboxEntry.of(Notice(type="job.offer", user_id=user_id, job_id=job_id, context=context), key=key)


class Crash(BaseException):
    """The process is gone: no handler of the product runs after it."""


Moment = Literal["before", "halfway", "after"]


class Deathwatch:
    """Dies at the n-th of the calls of one name: before it, after it, or when half of its documents are written."""

    def __init__(self, name: str, when: Moment, *, nth: int = 1) -> None:
        self.name, self.when, self.left, self.dead = name, when, nth, False

    async def watch(self, name: str, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        if self.dead:
            raise Crash
        self.left -= name == self.name
        if self.left or name != self.name:
            answer = await call(*args, **options)
            if self.dead:  # of another call, meanwhile
                raise Crash
            return answer
        if self.when == "halfway":
            half = _half(args)
            if half is not None:
                await call(*half, **options)
        elif self.when == "after":
            await call(*args, **options)
        self.dead = True
        raise Crash


def _half(args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The arguments of a call on many documents, for half of them; None when there is but one."""
    first, *rest = args
    if isinstance(first, list):
        documents = first[: len(first) // 2]
        return (documents, *rest) if documents else None
    keys = first["_id"]["$in"][: len(first["_id"]["$in"]) // 2]
    return (first | {"_id": {"$in": keys}}, *rest) if keys else None


class MortalDatabase:
    """A real database whose calls are watched."""

    def __init__(self, database: Database, watch: Deathwatch) -> None:
        self._database, self._watch = database, watch

    def __getitem__(self, name: str) -> Any:
        return _MortalCollection(self._database[name], self._watch)


class _MortalCollection:
    def __init__(self, collection: Any, watch: Deathwatch) -> None:
        self._collection, self._watch = collection, watch

    def find(self, *args: Any) -> Any:
        return _MortalCursor(self._collection.find(*args), f"{self._collection.name}.find", self._watch)

    def __getattr__(self, method: str) -> Any:
        return partial(
            self._watch.watch, f"{self._collection.name}.{method}", getattr(self._collection, method)
        )


class _MortalCursor:
    """A read counts when it is sent."""

    def __init__(self, cursor: Any, name: str, watch: Deathwatch) -> None:
        self._cursor, self._name, self._watch = cursor, name, watch

    def sort(self, *args: Any) -> _MortalCursor:
        self._cursor.sort(*args)
        return self

    def limit(self, number: int) -> _MortalCursor:
        self._cursor.limit(number)
        return self

    async def to_list(self) -> Any:
        return await self._watch.watch(self._name, self._cursor.to_list)


class FlakyDatabase:
    """A real database that does not do one call, as long as it is broken."""

    def __init__(self, database: Database, broken: str) -> None:
        self._database, self.broken = database, broken

    def __getitem__(self, name: str) -> Any:
        return _FlakyCollection(self._database[name], self)


class _FlakyCollection:
    def __init__(self, collection: Any, database: FlakyDatabase) -> None:
        self._collection, self._database = collection, database

    def __getattr__(self, method: str) -> Any:
        if self._database.broken == f"{self._collection.name}.{method}":
            raise AutoReconnect("the store is away")
        return getattr(self._collection, method)


class MortalMail:
    """A real gateway whose sends are watched."""

    def __init__(self, mail: MailGateway, watch: Deathwatch) -> None:
        self._mail, self._watch = mail, watch

    async def send(self, mail: Mail) -> None:
        await self._watch.watch("mail.send", self._mail.send, mail)

    async def ping(self) -> None:
        await self._mail.ping()

    async def aclose(self) -> None:
        await self._mail.aclose()
