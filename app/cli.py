"""The `nimmit` command."""

from __future__ import annotations

import typer

from app.money.commands import ledger

cli = typer.Typer(help="Nimmit: operate the platform.", no_args_is_help=True)
cli.add_typer(ledger, name="ledger")


def main() -> None:
    """Entry point of the `nimmit` script."""
    cli()
