"""Renders `docs/lifecycle.md` from the lifecycle table: `python -m app.lifecycle_doc [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from app.generated_file import keep
from app.lifecycle import ENDS, INITIAL, TABLE, Actor, Cell, State

FILE = Path(__file__).parents[1] / "docs" / "lifecycle.md"

_HEAD = """# The lifecycle of a job

Made from `app/lifecycle.py` by `python -m app.lifecycle_doc`; do not edit. Each row is one cell of the table: in a
state, an actor may do an act, which leads to a state and has its effects on the price (credits), the hold (credits)
and the pay (USD). What is not here is refused with `wrong-state`, and leaves no event in the job's history.

States are `status/phase`. Statuses are what everybody sees; phases are the finer truth inside them. `system` is the
job's own process: its timers and its activities.

"""


def render() -> str:
    """The whole page."""
    return _HEAD + _table() + "\n## As a diagram\n\n```mermaid\n" + _diagram() + "```\n"


def _table() -> str:
    lines = ["| state | actor | act | leads to | price | hold | pay |", "|---|---|---|---|---|---|---|"]
    for state, cells in TABLE.items():
        if not cells:
            lines.append(f"| `{state}` | | *the end* | | | | |")
        lines += [_row(state, cell) for cell in cells]
    return "\n".join(lines) + "\n"


def _row(state: State, cell: Cell) -> str:
    effects = ["" if effect == "none" else effect.value for effect in (cell.price, cell.hold, cell.pay)]
    return f"| `{state}` | {cell.actor} | `{cell.action}` | `{cell.to}` | {' | '.join(effects)} |"


def _diagram() -> str:
    lines = ["stateDiagram-v2", f"  [*] --> {_node(INITIAL)}"]
    for state, cells in TABLE.items():
        for cell in cells:
            who = "" if cell.actor is Actor.SYSTEM else f" ({cell.actor})"
            lines.append(f"  {_node(state)} --> {_node(cell.to)}: {cell.action}{who}")
    lines += [f"  {_node(state)} --> [*]" for state in sorted(ENDS)]
    return "\n".join(lines) + "\n"


def _node(state: State) -> str:
    return f"{state.status}_{state.phase}"


if __name__ == "__main__":
    sys.exit(keep(FILE, render(), made_by="python -m app.lifecycle_doc", arguments=sys.argv[1:]))
