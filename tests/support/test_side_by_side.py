"""Two workers of pytest-xdist share the machine: whole files, the longest first, and some tests alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.side_by_side import LONGEST, TOGETHER, rank_of, turn, unit_of

ROOT = Path(__file__).parents[2]


class Visitor:
    """Takes a turn in a thread of its own, and leaves when told."""

    def __init__(self, locks: Path, *, alone: bool = False) -> None:
        self.inside, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._visit, args=(locks, alone), daemon=True)
        self._thread.start()

    def _visit(self, locks: Path, alone: bool) -> None:
        with turn(locks, alone=alone):
            self.inside.set()
            self._leave.wait(20)

    def enters(self) -> bool:
        return self.inside.wait(20)

    def waits(self) -> bool:
        return not self.inside.wait(0.1)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(20)


@pytest.fixture
def visit(tmp_path: Path) -> Callable[..., Visitor]:
    return lambda **how: Visitor(tmp_path, **how)


def test_who_waits_to_be_alone_is_let_in_before_newcomers(visit: Callable[..., Visitor]) -> None:
    first, second = visit(), visit()
    assert first.enters()
    assert second.enters()
    alone = visit(alone=True)
    assert alone.waits()
    newcomer = visit()
    first.leave()
    assert alone.waits()
    second.leave()
    assert alone.enters()
    assert newcomer.waits()
    alone.leave()
    assert newcomer.enters()
    newcomer.leave()


def test_a_file_stays_whole_and_so_does_a_folder_with_one_platform() -> None:
    assert unit_of("tests/money/test_races.py::test_a[1::2]") == "tests/money/test_races.py"
    assert unit_of("tests/e2e/test_crashes.py::test_a") == unit_of("tests/e2e/test_outages.py::test_b")


def test_the_longest_begin_first_and_what_waits_for_others_comes_last() -> None:
    assert [rank_of(unit, timed=False) for unit in LONGEST] == list(range(len(LONGEST)))
    short = "tests/jobs/test_terms.py"
    assert len(LONGEST) == rank_of(short, timed=False) < rank_of(short, timed=True)


@pytest.mark.parametrize("name", sorted({*LONGEST, *TOGETHER}))
def test_what_is_named_exists(name: str) -> None:
    assert (ROOT / name).exists()
