"""Pages by keyset: a cursor names the last item seen, so a page costs the same however deep it lies.

page = await fetch_page(find, "createdAt", params, cursors, scope="jobs", descending=True)
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query
from pymongo.asynchronous.collection import AsyncCollection

from api.dependencies import SettingsDep
from api.types import ResponseModel
from app.auth.tokens import keyed_digest
from app.errors import DomainError
from app.settings import Settings

T = TypeVar("T")

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
SortValue = datetime | int | str


class InvalidCursorError(DomainError):
    """The cursor was not made by this list, or was changed."""

    code = "invalid-cursor"

    def __init__(self) -> None:
        super().__init__("The cursor is not valid for this list; start again without one.")


class Page(ResponseModel, Generic[T]):
    """One page; `nextCursor` is null on the last."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What the caller asked for, and the settings that sign cursors."""

    limit: int
    cursor: str | None
    settings: Settings

    def position(self, scope: str) -> tuple[SortValue, str] | None:
        """Where the last page ended: its sort value and id; None for the first page.

        Raises:
            InvalidCursorError: the cursor is not one of this list's.
        """
        if self.cursor is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(self.cursor.encode() + b"=" * (-len(self.cursor) % 4))
            digest, payload = raw[:16], raw[16:]
            if not hmac.compare_digest(digest, self._digest(scope, payload)):
                raise InvalidCursorError
            kind, value, item_id = orjson.loads(payload)
        except (binascii.Error, UnicodeEncodeError, ValueError) as error:
            raise InvalidCursorError from error
        return (datetime.fromtimestamp(value / 1000, UTC) if kind == "t" else value), item_id

    def cursor_after(self, scope: str, value: SortValue, item_id: str) -> str:
        """The cursor of the page after this item."""
        is_time = isinstance(value, datetime)
        stored = round(value.timestamp() * 1000) if isinstance(value, datetime) else value
        payload = orjson.dumps(["t" if is_time else "v", stored, item_id])
        return base64.urlsafe_b64encode(self._digest(scope, payload) + payload).rstrip(b"=").decode()

    def _digest(self, scope: str, payload: bytes) -> bytes:
        return bytes.fromhex(keyed_digest(self.settings, f"cursor:{scope}", payload))[:16]


def _page_request(
    settings: SettingsDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=500, description="`nextCursor` of the page before.")
    ] = None,
) -> PageRequest:
    return PageRequest(limit=limit, cursor=cursor, settings=settings)


PageDep = Annotated[PageRequest, Depends(_page_request)]


def after(position: tuple[SortValue, str] | None, field: str, *, descending: bool) -> dict[str, Any]:
    """The filter for what follows `position` in the order of (`field`, `_id`)."""
    if position is None:
        return {}
    value, item_id = position
    operator = "$lt" if descending else "$gt"
    return {"$or": [{field: {operator: value}}, {field: value, "_id": {operator: item_id}}]}


async def fetch_page(
    collection: AsyncCollection[dict[str, Any]],
    query: dict[str, Any],
    page: PageRequest,
    *,
    scope: str,
    field: str = "createdAt",
    descending: bool = True,
    projection: dict[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """The documents of one page and the cursor of the next.

    `scope` names the list and whose it is (`jobs:<userId>`), so that a cursor fits no other. Documents have text
    ids and always have `field`.

    Raises:
        InvalidCursorError: the cursor is not one of this list's.
    """
    following = after(page.position(scope), field, descending=descending)
    direction = -1 if descending else 1
    cursor = collection.find({"$and": [query, following]} if following else query, projection)
    found = await cursor.sort([(field, direction), ("_id", direction)]).limit(page.limit + 1).to_list()
    documents = found[: page.limit]
    if len(found) <= page.limit:
        return documents, None
    last = documents[-1]
    return documents, page.cursor_after(scope, last[field], last["_id"])
