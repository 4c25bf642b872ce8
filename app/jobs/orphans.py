"""Jobs that were posted but whose process may never have been started: whoever posted them died in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.lifecycle import INITIAL

GRACE = timedelta(seconds=30)  # a post that is still under way is not an orphan
_PAGE = 100


async def find_orphans(
    database: AsyncDatabase[dict[str, Any]], *, at: datetime, grace: timedelta = GRACE
) -> AsyncIterator[dict[str, Any]]:
    """The stored jobs that are as they were posted, `grace` before `at` or earlier; oldest first.

    Paged by `_id`, so that jobs which wait for a busy worker never hide those behind them.
    """
    last = ""
    while True:
        query = {
            "status": INITIAL.status.value,
            "seq": 0,
            "createdAt": {"$lt": at - grace},
            "_id": {"$gt": last},
        }
        page = await database["jobs"].find(query).sort("_id", 1).limit(_PAGE).to_list()
        for job in page:
            yield job
        if len(page) < _PAGE:
            return
        last = page[-1]["_id"]
