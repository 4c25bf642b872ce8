"""Renders `docs/lifecycle.md` from the lifecycle table: `python -m app.lifecycle_doc [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from app.generated_file import keep
from app.lifecycle import (
    AT_ONCE,
    CLOSED_TO_JOB_WORKFLOW,
    ENDS,
    INITIAL,
    TABLE,
    Actor,
    Cell,
    Phase,
    State,
    Status,
    timers,
)

FILE = Path(__file__).parents[1] / "docs" / "lifecycle.md"

_HEAD = """# The lifecycle of a job

Made from `app/lifecycle.py` by `python -m app.lifecycle_doc`; do not edit. Each row is one cell of the table: in a
state, an actor may do an act, which leads to a state and has its effects on the price (credits), the hold (credits)
and the pay (USD). What is not here is refused with `wrong-state`, and leaves no event in the job's history.

States are `status/phase`. Statuses are what everybody sees; phases are the finer truth inside them. `system` is the
job's own process: its timers and its activities.

"""


_DIAGRAMS = """
## As diagrams

One for each part of life. A state says what ends its wait: the clocks that run in it, and what an admin may do; or that
the process goes on at once. Acts that leave the state as it is are not drawn. From every state there is
a way to an end even if client and worker stay silent, and no act makes or loses money: `tests/lifecycle` explores all
of it with the process's own code.
"""

_PARTS: dict[str, Callable[[State], bool]] = {
    "Finding a price and a worker": lambda state: state.status in (Status.PENDING, Status.MATCHING),
    "The work and its review": lambda state: (
        state.status in (Status.ASSIGNED, Status.IN_PROGRESS, Status.REVIEW, Status.REVISION)
        and state.phase is not Phase.DISPUTED
    ),
    "Disputes": lambda state: state.phase is Phase.DISPUTED,
    "After the work": lambda state: state.status is Status.COMPLETED and state.phase is not Phase.DISPUTED,
}


def render() -> str:
    """The whole page."""
    parts = (f"\n### {title}\n\n```mermaid\n{_diagram(part)}```\n" for title, part in _PARTS.items())
    return _HEAD + _table() + _DIAGRAMS + "".join(parts)


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


def _diagram(part: Callable[[State], bool]) -> str:
    """The states of one part of life, and where they lead; a state of another part is only named."""
    lines = ["stateDiagram-v2"]
    own = [state for state in TABLE if part(state)]
    near = dict.fromkeys(cell.to for state in own for cell in TABLE[state])
    for state in dict.fromkeys([*own, *near]):
        lines += [
            f"  {_node(state)} : {text}"
            for text in [str(state), *(_waits(state) if part(state) or state in ENDS else [])]
        ]
    if part(INITIAL):
        lines.append(f"  [*] --> {_node(INITIAL)}")
    for state in own:
        lines += _edges(state)
    lines += [f"  {_node(state)} --> [*]" for state in sorted(ENDS) if state in near]
    return "\n".join(lines) + "\n"


def _waits(state: State) -> list[str]:
    """What ends a wait in the state: clocks, and admins."""
    if state in ENDS:
        return ["the end"]
    if state in AT_ONCE:
        return ["goes on at once"]
    owner = "clocks of ratings and archive" if state in CLOSED_TO_JOB_WORKFLOW else "clock"
    clocks = [f"{owner} - {', '.join(timers(state))}"] if timers(state) else []
    admin = dict.fromkeys(cell.action for cell in TABLE[state] if cell.actor is Actor.ADMIN)
    return clocks + ([f"admin - {', '.join(admin)}"] if admin else [])


def _edges(state: State) -> list[str]:
    """One arrow for each state that it leads to, with all the acts that do."""
    acts: dict[State, dict[str, list[str]]] = {}
    for cell in TABLE[state]:
        if cell.to != state:
            who = acts.setdefault(cell.to, {}).setdefault(cell.action, [])
            who += [] if cell.actor is Actor.SYSTEM else [cell.actor.value]
    return [
        f"  {_node(state)} --> {_node(to)} : "
        + ", ".join(f"{action} ({' or '.join(who)})" if who else action for action, who in done.items())
        for to, done in acts.items()
    ]


def _node(state: State) -> str:
    return f"{state.status}_{state.phase}"


if __name__ == "__main__":
    sys.exit(keep(FILE, render(), made_by="python -m app.lifecycle_doc", arguments=sys.argv[1:]))
