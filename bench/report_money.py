"""The figures of money as tables: webhooks, the ledger, its growth, its night."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.ledger import AIM, Growth, Step
from bench.night import Night
from bench.pace import Pace
from bench.rates import Spread, percentile
from bench.webhooks import Acknowledged


def show_webhooks(found: Acknowledged, console: Console) -> None:
    """Acknowledgement beside what it stands on."""
    table = Table(title=f"Webhooks acknowledged, {len(found.handed)} of each, one at a time, milliseconds")
    _columns(table, "what", "p50", "p95", "a handed one takes, p50", "p95")
    for name, times in (
        ("handed to Temporal, over HTTP", found.handed),
        ("ignored: only kept, over HTTP", found.kept),
        ("a bare insert", found.insert),
        ("a bare insert and a bare start", found.insert_and_start),
    ):
        beside = [f"{found.ratio(percent, times):.2f} times" for percent in (50, 95)]
        shown = [f"{1000 * percentile(times, percent):.1f}" for percent in (50, 95)]
        table.add_row(name, *shown, *(["", ""] if times is found.handed else beside))
    console.print(table)


def show_ledger(found: Sequence[Pace], console: Console) -> None:
    """The ledger beside a guarded update, and beside the store's own part of it."""
    table = Table(title="Ledger transactions a second beside a bare guarded update by _id")
    _columns(table, "what", "ledger", "beside", "a second", "ratio")
    for pace in found:
        table.add_row(
            pace.name,
            f"{median(pace.measured):.0f}",
            pace.floor,
            f"{median(pace.beside):.0f}",
            spread(pace.ratio),
        )
    console.print(table)
    console.print(f"the aim is {AIM} of a guarded update")


def show_growth(found: Growth, console: Console) -> None:
    """How the ledger's pace changes with size."""
    for title, steps in (("entries in the book", found.entries), ("books in turns", found.books)):
        _show_steps(title, steps, console)


def _show_steps(title: str, steps: Sequence[Step], console: Console) -> None:
    table = Table(title=f"Ledger transactions a second, by {title}")
    _columns(table, title, "a second", "beside the smallest")
    for step in steps:
        table.add_row(f"{step.size:,}", f"{median(step.rates):.0f}", spread(step.beside_smallest))
    console.print(table)


def show_nights(found: Sequence[Night], console: Console) -> None:
    """Time and memory of the ledger's night."""
    table = Table(title="The ledger's night: audit, then comparison with jobs and Stripe")
    _columns(table, "entries", "books", "audit, s", "comparison, s", "audit, MiB", "comparison, MiB")
    for night in found:
        table.add_row(
            f"{night.entries:,}",
            f"{night.books:,}",
            f"{night.audit_seconds:.1f}",
            f"{night.compare_seconds:.1f}",
            f"{night.audit_mib:.1f}",
            f"{night.compare_mib:.1f}",
        )
    console.print(table)
    console.print("memory is the most that the process had, beyond what it had before the night")


def spread(found: Spread) -> str:
    """A spread in one line."""
    return f"min {found.low:.2f}, median {found.median:.2f}, max {found.high:.2f}"


def _columns(table: Table, first: str, *names: str) -> None:
    table.add_column(first)
    for name in names:
        table.add_column(name, justify="right")
