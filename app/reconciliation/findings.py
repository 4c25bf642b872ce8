"""What one comparison finds, and what its parts share: the moment, the time it looks back over, and the count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.reconciliation.models import Difference, DifferenceKind, Repair

Database = AsyncDatabase[dict[str, Any]]
Row = dict[str, Any]

GRACE = timedelta(hours=1)
_BREATH = 200


@dataclass(slots=True)
class Findings:
    """The differences so far, and how much was looked at."""

    database: Database
    at: datetime
    since: datetime
    progress: Callable[[], None]
    differences: list[Difference] = field(default_factory=list)
    transfers: int = 0
    rows: int = 0
    jobs: int = 0
    _steps: int = 0

    def add(self, kind: DifferenceKind, detail: str, repair: Repair, **who: str | None) -> None:
        """One more thing that disagrees."""
        number = len(self.differences) + 1
        self.differences.append(Difference(number=number, kind=kind, detail=detail, repair=repair, **who))

    def is_ripe(self, moment: datetime) -> bool:
        """Whether what began then cannot be under way any more."""
        return self.at - moment >= GRACE

    async def step(self) -> None:
        """Others get their turn now and then."""
        self._steps += 1
        if self._steps % _BREATH == 0:
            await asyncio.sleep(0)
            self.progress()
