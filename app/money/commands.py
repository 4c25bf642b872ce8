"""The `nimmit ledger` commands."""

from __future__ import annotations

import asyncio

import typer

from app.database import connect
from app.money.audit import Audit
from app.money.verify import audit
from app.settings import get_settings

ledger = typer.Typer(help="The journal of credits and earnings.", no_args_is_help=True)


@ledger.callback()
def _group() -> None:
    """Keep `verify` a command of its own while it is the only one."""


@ledger.command()
def verify() -> None:
    """Check chains, balances and holds; exit with 1 when anything disagrees."""
    result = asyncio.run(_audit())
    for found in result.discrepancies:
        typer.echo(f"{found.check}  {found.transaction_id or found.book}  {found.detail}")
    typer.echo(
        f"{result.transactions} transactions in {result.books} books, {len(result.open_holds)} open holds, "
        f"{len(result.discrepancies)} discrepancies"
    )
    if result.discrepancies:
        raise typer.Exit(1)


async def _audit() -> Audit:
    settings = get_settings()
    async with connect(settings) as client:
        return await audit(client[settings.mongodb_database])
