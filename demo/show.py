"""What the demo says, and how: colours in a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from app.skills.taxonomy import BY_SLUG
from demo.books import Check

_PIPE_WIDTH, _MOST_WIDTH = 110, 120
_STYLES = {"client": "cyan", "worker": "green", "admin": "magenta", "nimmit": "yellow", "stripe": "blue"}


class Show:
    """One terminal. Times are seconds since the demo began."""

    def __init__(self, console: Console | None = None) -> None:
        probe = console or Console()
        width = min(probe.width, _MOST_WIDTH) if probe.is_terminal else _PIPE_WIDTH
        self.console = console or Console(width=width, highlight=False, soft_wrap=False)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._started

    def section(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.rule(f"[bold]{escape(title)}", align="left")

    def line(self, who: str, text: str, *, name: str = "") -> None:
        """One thing that somebody did; `who` is a role, or nimmit for the platform itself."""
        style = _STYLES.get(who, "white")
        label = f"{who} {name}".strip()
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=7, justify="right", style="dim")
        grid.add_column(width=24, style=style, no_wrap=True, overflow="ellipsis")
        grid.add_column()
        grid.add_row(f"{self.seconds:.1f} s", escape(label), text)
        self.console.print(grid)

    def note(self, text: str) -> None:
        """Something about the demo itself."""
        self.console.print(f"  [dim]{text}[/dim]")

    def panel(self, title: str, text: str) -> None:
        """A text that somebody wrote."""
        self.console.print(Panel(escape(text), title=escape(title), title_align="left", padding=(0, 1)))


def credits_text(amount: Any) -> str:
    """Credits as the API gives them (a number, or text of one)."""
    return f"{float(amount):.2f} credits"


def dollars_text(cents: int) -> str:
    """USD cents as money."""
    return f"${cents / 100:,.2f}"


def skill_names(slugs: Sequence[str]) -> str:
    """Skills as people call them."""
    return ", ".join(BY_SLUG[slug].name if slug in BY_SLUG else slug for slug in slugs)


def show_cards(show: Show, ranking: dict[str, Any], names: dict[str, str], *, top: int = 5) -> None:
    """The best cards of a round with each factor's points, and why the others were passed over."""
    ranked = [card for card in ranking["cards"] if card["eligible"]]
    factors = [factor["name"] for factor in ranked[0]["factors"]] if ranked else []
    table = Table(title=f"Ranked by {ranking['version']}: points of each factor", title_justify="left")
    table.add_column("#", justify="right")
    table.add_column("worker", no_wrap=True)
    table.add_column("score", justify="right", style="bold")
    for factor in ranked[0]["factors"] if ranked else []:
        table.add_column(
            f"{factor['name'].replace('_', ' ')}\n[dim]of {factor['weight']}[/dim]", justify="right"
        )
    for card in ranked[:top]:
        points = {factor["name"]: factor["points"] for factor in card["factors"]}
        if sum(points.values()) != card["score"]:
            raise AssertionError(f"the parts of {card['workerId']} do not add up to the score")
        row = [str(card["rank"]), names.get(card["workerId"], card["workerId"]), str(card["score"])]
        table.add_row(*row, *(str(points[factor]) for factor in factors))
    show.console.print(table)
    reasons: dict[str, int] = {}
    for card in ranking["cards"]:
        if not card["eligible"]:
            reason = str(card["passedOverReason"]).partition(" (")[0]
            reasons[reason] = reasons.get(reason, 0) + 1
    told = "; ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items()))
    show.note(f"{len(ranked)} could be asked; passed over: {told or 'nobody'}")


def show_checks(show: Show, checks: Sequence[Check]) -> bool:
    """Each check and what disagrees, plainly; whether all agree."""
    for check in checks:
        mark = "[green]ok[/green]   " if check.ok else "[bold red]WRONG[/bold red]"
        show.console.print(f"  {mark}  {escape(check.name):<24} {escape(check.found)}")
        for fault in check.faults[:10]:
            show.console.print(f"         [red]{escape(fault)}[/red]")
        if len(check.faults) > 10:
            show.console.print(f"         [red]and {len(check.faults) - 10} more[/red]")
    return all(check.ok for check in checks)
