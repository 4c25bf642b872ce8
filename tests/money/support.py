"""Tools of the money tests: fresh owners, a store that breaks at a chosen step, a counter of commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from app.ids import new_id
from app.money.journal import Journal

Database = AsyncDatabase[dict[str, Any]]
Hook = Callable[[str, str], Awaitable[None]]


class CrashError(Exception):
    """The process died here."""


class BreakAt:
    """A hook that dies at the n-th point; each operation has one point before it and one after it."""

    def __init__(self, point: int) -> None:
        self.left = point
        self.place: str | None = None

    async def __call__(self, when: str, operation: str) -> None:
        if self.left == 0:
            self.place = f"{when} {operation}"
            self.left = -1
            raise CrashError(self.place)
        if self.left > 0:
            self.left -= 1


class _Cursor:
    def __init__(self, cursor: Any, hook: Hook) -> None:
        self._cursor, self._hook = cursor, hook

    async def to_list(self) -> Any:
        await self._hook("before", "find")
        result = await self._cursor.to_list()
        await self._hook("after", "find")
        return result


class _Collection:
    """The real collection, with a hook around each operation the journal uses."""

    def __init__(self, collection: Any, hook: Hook) -> None:
        self._collection, self._hook = collection, hook

    def __getattr__(self, operation: str) -> Any:
        real = getattr(self._collection, operation)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._hook("before", operation)
            result = await real(*args, **kwargs)
            await self._hook("after", operation)
            return result

        return call

    def find(self, *args: Any, **kwargs: Any) -> _Cursor:
        return _Cursor(self._collection.find(*args, **kwargs), self._hook)


class _Hooked:
    def __init__(self, database: Database, hook: Hook) -> None:
        self._database, self._hook = database, hook

    def get_collection(self, name: str, **options: Any) -> _Collection:
        return _Collection(self._database.get_collection(name, **options), self._hook)


def hooked_journal(database: Database, hook: Hook, *, patience: float = 10.0) -> Journal:
    """A journal on the real store whose every operation passes through the hook."""
    return Journal(cast("Database", _Hooked(database, hook)), patience=patience)


class Commands(CommandListener):
    """The names of the commands that went over the wire."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    def take(self) -> list[str]:
        """The names since the last call."""
        names, self.names = self.names, []
        return names


def client() -> str:
    """The id of a client nobody has used."""
    return new_id()
