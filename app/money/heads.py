"""The heads of all books, kept outside the database: one object a day in the archive bucket.

Hashes alone cannot show a past that was rewritten to its end. A head that was stored before can: the book's row of
that number must still bear that hash.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import orjson
from pydantic import ConfigDict

from app.documents import CamelModel
from app.gateways.storage import ObjectHead, ObjectNotFoundError
from app.money.audit import Check, Hint

_DAYS_BACK = 60


class HeadStorage(Protocol):
    """What is needed of `app.gateways.storage.Storage`."""

    async def head(self, bucket: str, key: str) -> ObjectHead: ...

    async def read_prefix(self, bucket: str, key: str, length: int, *, etag: str) -> bytes: ...

    async def put_object(
        self, bucket: str, key: str, body: bytes, *, content_type: str = "application/json"
    ) -> str: ...


class StoredHead(CamelModel):
    """Where a book ended."""

    model_config = ConfigDict(frozen=True)

    seq: int
    hash: str


class Heads(CamelModel):
    """Where every book ended at a moment."""

    at: datetime
    books: dict[str, StoredHead]

    @property
    def hints(self) -> dict[str, Hint]:
        """What an audit is to find again."""
        return {name: Hint(head.seq, head.hash, Check.HEAD) for name, head in self.books.items()}


def heads_key(day: date) -> str:
    """The object's key in the archive bucket."""
    return f"ledger/heads/{day.isoformat()}.json"


async def store_heads(
    storage: HeadStorage,
    bucket: str,
    heads: Mapping[str, Hint],
    *,
    at: datetime,
    last: Heads | None,
    distrusted: Collection[str],
) -> str:
    """Write the day's object, unless it is there: the first of a day stands. Returns its key.

    A book that no longer has its last stored head keeps that one, so that the next comparison fails as well.

    Raises:
        app.gateways.storage.StorageUnavailableError: try again.
    """
    key = heads_key(at.astimezone(UTC).date())
    try:
        await storage.head(bucket, key)
    except ObjectNotFoundError:
        books = {
            name: StoredHead(seq=head.seq, hash=head.hash)
            for name, head in heads.items()
            if name not in distrusted
        }
        if last is not None:
            books |= {name: last.books[name] for name in distrusted if name in last.books}
        body = Heads(at=at, books=books).model_dump(mode="json", by_alias=True)
        await storage.put_object(bucket, key, orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    return key


async def last_heads(storage: HeadStorage, bucket: str, *, at: datetime) -> Heads | None:
    """The heads last stored at or before that day; None when there are none for two months.

    Raises:
        app.gateways.storage.StorageUnavailableError: try again.
    """
    today = at.astimezone(UTC).date()
    for days in range(_DAYS_BACK):
        key = heads_key(today - timedelta(days=days))
        try:
            found = await storage.head(bucket, key)
        except ObjectNotFoundError:
            continue
        body = await storage.read_prefix(bucket, key, found.size, etag=found.etag)
        return Heads.model_validate(orjson.loads(body))
    return None
