"""`nimmit ledger verify`: read the whole journal and say what disagrees. It writes nothing."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.money.audit import Audit, Discrepancy, Hint, OpenHold
from app.money.journal import HINTS, ledger_collection

Row = dict[str, Any]


async def audit(database: AsyncDatabase[Row]) -> Audit:
    """Audit every row, streamed in the order of `_id`, which is the order of writing within each book.

    Rows written meanwhile may or may not be seen; either way each book is read up to some true moment of it.
    """
    hints = {
        str(hint["_id"]): Hint(int(hint["seq"]), str(hint["hash"]))
        async for hint in database.get_collection(HINTS).find()
    }
    result = Audit(hints)
    async for row in ledger_collection(database).find().sort("_id", 1):
        result.add(row)
    result.finish()
    return result


async def verify(database: AsyncDatabase[Row]) -> list[Discrepancy]:
    """Everything that disagrees in the journal; empty when the books are sound."""
    return (await audit(database)).discrepancies


async def open_holds(database: AsyncDatabase[Row]) -> list[OpenHold]:
    """Every hold that nothing has resolved yet."""
    return (await audit(database)).open_holds
