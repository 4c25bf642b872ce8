"""Any interleaving of acts, repeats, races, crashes and restarts against a model that counts single credits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from app.settings import Settings
from devstack.stack import Stack
from tests.money.machine import Books


def explore(environment: Settings, *, runs: int, steps: int, first: int | None = None) -> list[str]:
    """So many runs of so many steps; what the books of each say at its end. With `first`, the same each time."""
    machine: Any = type("RunningBooks", (Books,), {"environment": environment, "ends": []})
    run_state_machine_as_test(
        machine if first is None else seed(first)(machine),
        settings=hypothesis_settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            # Shrinking on a live store takes longer than a test may; the failing steps are printed as they were.
            phases=[Phase.explicit, Phase.reuse, Phase.generate] if first is None else [Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    ends: list[str] = machine.ends
    return ends


def test_any_interleaving_leaves_the_books_as_the_model_says(stack: Stack, settings: Settings) -> None:
    stack.require("mongodb")
    explore(settings, runs=15, steps=40)


@pytest.mark.long
def test_many_interleavings_leave_the_books_as_the_model_says(stack: Stack, settings: Settings) -> None:
    stack.require("mongodb")
    explore(settings, runs=200, steps=60)


def test_the_same_seed_gives_the_same_end(stack: Stack, settings: Settings) -> None:
    """Races, deaths and all: what happens hangs on what was drawn, and on nothing else."""
    stack.require("mongodb")
    ends = explore(settings, runs=3, steps=25, first=7)
    assert explore(settings, runs=3, steps=25, first=7) == ends
    assert len(set(ends)) > 1
