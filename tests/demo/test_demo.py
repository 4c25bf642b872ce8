"""The whole demo, as a person runs it: a process of its own, and nothing left of it afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil

from devstack.services import ROOT

_TOLD = (
    "30 workers with payout accounts, 1 client, one admin",
    "Offers lapse after 8 s here, instead of 15 minutes",
    "has no credits yet, and chooses the tier growth: $699.00 a month for 30.00 credits",
    "presses “Subscribe USD 699.00”",
    "checkout.session.completed",
    "granted 30.00 credits, once; the subscription is active and renews at",
    "uploads menu-and-notes.md by a presigned URL, and it is confirmed",
    "read by rules",
    "priced at 7.60 credits",
    "Ranked by rank-",
    "declines: I am away until Monday",
    "does not answer, and the offer lapses",
    "accepts; the job is assigned",
    "tries to accept after all: 409, The offer expired at ",
    "asks for a revision",
    "approves",
    "posts 7.60 credits of the hold",
    "transfer of $120.00",
    "reveals the rating of the worker",
    "reveals the rating of the client",
    "payout of $120.00 to",
    "withdraws; the price stays held, and the search begins anew",
    "cancels on those terms",
    "agrees; that much more is held",
    "rules: 60% to the worker, the rest back",
    "side roads settled 1 cancelled, 3 completed",
    "You have been paid for",
    "1 invoices, $699.00 in the Stripe sandbox",
    "1 in the Stripe sandbox",
    "0 open holds",
    "All books agree.",
)


@contextmanager
def _demo(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A running demo; checked at the end to have ended by itself, with all its processes."""
    known = {key: value for key, value in os.environ.items() if not key.startswith("NIMMIT_OPENAI")}
    running = subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env=known | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    family: list[psutil.Process] = []
    try:
        yield running
    finally:
        if running.poll() is None:
            family = psutil.Process(running.pid).children(recursive=True)
            running.send_signal(signal.SIGTERM)
        running.wait(60)
        if running.stdout is not None:
            running.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process.cmdline() for process in alive] == []


def _read_until(running: subprocess.Popen[str], sign: str) -> str:
    """What it says up to the line with the sign."""
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if sign in line:
            return said
    raise AssertionError(f"it never said {sign!r}:\n{said}")


def test_from_checkout_to_bank_with_the_side_roads_then_it_stays_until_told(tmp_path: Path) -> None:
    with _demo("--keep", "--branches", NIMMIT_DEMO_DIR=str(tmp_path / "kept")) as running:
        said = _read_until(running, "Data and logs are in")
        plain = " ".join(said.split())
        missing = [line for line in _TOLD if line not in plain]
        assert missing == [], said
        assert "WRONG" not in said
        assert re.search(r"the subscription +http\S+/workflows/subscription-[0-9a-f]{24}", said)
        page = re.search(r"the job +(http\S+/namespaces/\S+/workflows/job-[0-9a-f]{24})", said)
        assert page is not None
        assert httpx2.get(page[1], timeout=20).status_code == 200
        api = re.search(r"^  API +(http\S+)$", said, re.MULTILINE)
        assert api is not None
        assert httpx2.get(f"{api[1]}/health/ready", timeout=20).status_code == 200

        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        said = _read_until(running, "All stopped.")
        assert running.wait(60) == 0
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []


def test_ctrl_c_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with _demo(TMPDIR=str(tmp_path)) as running:
        _read_until(running, "A client posts a job")
        family = psutil.Process(running.pid).children(recursive=True)
        assert len(family) >= 9  # services, API, two workers, warden
        running.send_signal(signal.SIGINT)
        _read_until(running, "Interrupted; all stopped.")
        assert running.wait(60) == 130
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
    assert list(tmp_path.glob("nimmit-demo-*")) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    with _demo("--keep", NIMMIT_DEMO_DIR=str(tmp_path)) as running:
        _read_until(running, "holds something that is no demo")
        assert running.wait(60) == 1
    assert precious.read_text() == "years of work"
