"""Users and jobs as the outbox finds them, and a database whose process dies at a chosen call."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

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


class Deathwatch:
    """Counts the calls to the outside, and dies before or after the chosen one (1 is the first)."""

    def __init__(self, call: int, *, after: bool) -> None:
        self.call, self.after, self.calls, self.last = call, after, 0, ""

    async def watch(self, name: str, work: Any) -> Any:
        self.calls += 1
        fatal = self.calls == self.call
        if fatal:
            self.last = name
        if fatal and not self.after:
            work.close()
            raise Crash
        answer = await work
        if fatal:
            raise Crash
        return answer


class MortalDatabase:
    """A real database whose calls are watched."""

    def __init__(self, database: Database, watch: Deathwatch) -> None:
        self._database, self._watch = database, watch

    def __getitem__(self, name: str) -> Any:
        return _MortalCollection(self._database[name], self._watch)


class _MortalCollection:
    def __init__(self, collection: Any, watch: Deathwatch) -> None:
        self._collection, self._watch = collection, watch

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._collection, method)
        if method == "find":  # a cursor, not a call
            return call

        async def watched(*args: Any, **options: Any) -> Any:
            return await self._watch.watch(f"{self._collection.name}.{method}", call(*args, **options))

        return watched


class MortalMail:
    """A real gateway whose sends are watched."""

    def __init__(self, mail: MailGateway, watch: Deathwatch) -> None:
        self._mail, self._watch = mail, watch

    async def send(self, mail: Mail) -> None:
        await self._watch.watch("mail.send", self._mail.send(mail))

    async def ping(self) -> None:
        await self._mail.ping()
