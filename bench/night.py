"""The ledger's night over many entries: how long it takes, and how much memory beyond what the process has anyway.

    python -m bench.night <database>     audits and compares that database, and prints one JSON object

It is measured in a process of its own, whose memory is looked at as often as the night shows signs of life. Stripe
stands in the process: it lists the transfers of the jobs, so that the time is the platform's own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
import psutil
from pymongo.asynchronous.database import AsyncDatabase

from app.database import connect, open_database
from app.documents import utcnow
from app.gateways.payments import PaymentGateway, Transfer
from app.money.verify import audit, compare_with_jobs
from app.process import leave
from app.reconciliation.compare import Comparison
from app.settings import Settings, get_settings
from bench.books import fill_platform
from bench.lives import LifeError

Database = AsyncDatabase[dict[str, Any]]

_SINCE = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Night:
    """Seconds and mebibytes for a journal of so many entries; the memory is beyond that of the process at rest."""

    entries: int
    books: int
    audit_seconds: float
    compare_seconds: float
    audit_mib: float
    compare_mib: float
    differences: int


class _Stripe:
    """What a comparison asks of a gateway where nothing disagrees."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def transfers_since(self, since: datetime) -> AsyncIterator[Transfer]:
        """The transfer of each job, from the job itself."""
        fields = {"payout": 1, "earnedUsdCents": 1}
        async for job in self._database["jobs"].find({"completedAt": {"$gte": since}}, fields):
            yield Transfer(
                id=f"tr_{job['_id']}",
                destination="acct",
                amount_cents=job["earnedUsdCents"],
                reversed_cents=0,
                job_id=job["_id"],
                transfer_group=None,
                created_at=job["payout"]["at"],
                metadata={"payout_id": f"payout-{job['_id']}"},
            )


class _Memory:
    """The most that the process had in memory since it was last asked to forget, in mebibytes beyond its rest."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._rest = self._highest = self._now()

    def look(self) -> None:
        """Now."""
        self._highest = max(self._highest, self._now())

    def forget(self) -> float:
        """The highest so far; the next begins from what there is now."""
        self.look()
        highest, self._highest = self._highest, self._now()
        return max(0.0, highest - self._rest)

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / 2**20


async def run(database: Database) -> Night:
    """What the night's two activities do, one after the other."""
    await audit(database.client["bench_rest"])  # whatever is loaded when it is first needed
    memory = _Memory()
    started = time.perf_counter()
    found = await audit(database, progress=memory.look)
    found.discrepancies += await compare_with_jobs(database, found.open_holds)
    audited, audit_mib = time.perf_counter(), memory.forget()
    entries, books, wrong = found.transactions, found.books, len(found.discrepancies)
    del found
    at = utcnow()
    gateway = cast("PaymentGateway", _Stripe(database))
    comparison = Comparison(database, gateway, at=at, since=at - _SINCE, progress=memory.look)
    report = await comparison.run("bench")
    return Night(
        entries=entries,
        books=books,
        audit_seconds=audited - started,
        compare_seconds=time.perf_counter() - audited,
        audit_mib=audit_mib,
        compare_mib=memory.forget(),
        differences=wrong + len(report.differences) + report.left_out,
    )


async def measure_night(
    database: Database, environment: dict[str, str], *, sizes: tuple[int, ...]
) -> list[Night]:
    """Nights over journals of about these sizes, each in a database of its own.

    Raises:
        LifeError: a night failed, or found something in books that are sound.
    """
    found = []
    for size in sizes:
        name = f"{database.name}_{size}"
        await fill_platform(database.client[name], size)
        try:
            found.append(await _one_night(name, environment))
        finally:
            await database.client.drop_database(name)
    return found


async def _one_night(name: str, environment: dict[str, str]) -> Night:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.night",
        name,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise LifeError(f"the night failed:\n{said.decode()[-2000:]}")
    night = Night(**orjson.loads(out))
    if night.differences:
        raise LifeError(f"the night found {night.differences} differences in sound books")
    return night


async def _main(name: str, settings: Settings) -> None:
    async with connect(settings) as client:
        database = await open_database(client, settings.model_copy(update={"mongodb_database": name}))
        print(orjson.dumps(await run(database)).decode())


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], get_settings()))
    leave(0)
