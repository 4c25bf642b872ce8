"""Exit statuses are right: of a process that ran a Temporal worker, and of the tests themselves."""

from __future__ import annotations

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.settings import Settings
from devstack.services import ROOT
from devstack.stack import Stack


def _statuses(address: str, times: int) -> list[tuple[int, int]]:
    """(wanted, seen) for processes that each ran a worker, two at once; 0 and 7 in turn."""

    def run(number: int) -> tuple[int, int]:
        wanted = 7 * (number % 2)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.devstack.worker_program",
                address,
                f"exit-{uuid.uuid4()}",
                str(wanted),
            ],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        return wanted, done.returncode

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(times)))


def test_a_worker_leaves_with_the_right_status(stack: Stack, settings: Settings) -> None:
    stack.require("temporal")
    statuses = _statuses(settings.temporal_address, 10)
    assert [pair for pair in statuses if pair[0] != pair[1]] == []


@pytest.mark.long
def test_a_worker_leaves_with_the_right_status_fifty_times(stack: Stack, settings: Settings) -> None:
    stack.require("temporal")
    statuses = _statuses(settings.temporal_address, 50)
    assert [pair for pair in statuses if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("body", "status", "closing"),
    [
        ("def test_it(): pass", 0, "1 passed"),
        ("def test_it(): assert False", 1, "1 failed"),
    ],
)
def test_pytest_leaves_with_its_own_status_and_closing_line(
    tmp_path: Path, body: str, status: int, closing: str
) -> None:
    file = tmp_path / "test_probe.py"
    file.write_text(body)
    options = ["-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert closing in done.stdout
