"""The `nimmit ledger` commands."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from app.database import connect
from app.documents import utcnow
from app.gateways.storage import Storage
from app.money.audit import Audit, Hint
from app.money.heads import last_heads
from app.money.verify import audit, compare_with_jobs
from app.settings import Settings, get_settings

ledger = typer.Typer(help="The journal of credits and earnings.", no_args_is_help=True)


@ledger.callback()
def _group() -> None:
    """Keep `verify` a command of its own while it is the only one."""


@ledger.command()
def verify(
    *,
    heads: Annotated[
        bool, typer.Option("--heads", help="Compare with the heads last kept in the object store as well.")
    ] = False,
) -> None:
    """Check chains, balances, corrections, lots, and holds against jobs; exit with 1 when anything disagrees."""
    result = asyncio.run(_audit(heads=heads))
    for found in result.discrepancies:
        typer.echo(f"{found.check}  {found.transaction_id or found.book}  {found.detail}")
    typer.echo(
        f"{result.transactions} transactions in {result.books} books, {len(result.open_holds)} open holds, "
        f"{len(result.discrepancies)} discrepancies"
    )
    if result.discrepancies:
        raise typer.Exit(1)


async def _audit(*, heads: bool) -> Audit:
    settings = get_settings()
    stored = await _stored_heads(settings) if heads else {}
    async with connect(settings) as client:
        database = client[settings.mongodb_database]
        result = await audit(database, heads=stored)
        result.discrepancies += await compare_with_jobs(database, result.open_holds)
        return result


async def _stored_heads(settings: Settings) -> dict[str, Hint]:
    storage = Storage(settings)
    try:
        found = await last_heads(storage, settings.s3_bucket_archive, at=utcnow())
    finally:
        storage.close()
    if found is None:
        typer.echo("no heads are stored yet")
        return {}
    typer.echo(f"comparing with the heads of {found.at.isoformat(timespec='seconds')}")
    return found.hints
