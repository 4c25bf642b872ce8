"""`make dev`: all of it up and answering, all of it gone after Ctrl-C, and the data there the next time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import psutil
import pytest
from pymongo import MongoClient

from devstack.services import ROOT

pytestmark = pytest.mark.skipif(
    any(
        key.startswith("NIMMIT_") and key.endswith(("_URI", "_ADDRESS", "_URL", "_BASE"))
        for key in os.environ
    ),
    reason="the environment gives services of its own",
)


@contextmanager
def _dev(data: Path, number: signal.Signals) -> Iterator[dict[str, str]]:
    """`python -m devstack dev`; its addresses by title. Ended by the signal, and checked to leave nothing."""
    running = subprocess.Popen(
        [sys.executable, "-m", "devstack", "dev"],
        cwd=ROOT,
        env=os.environ | {"NIMMIT_DATA_DIR": str(data)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    addresses: dict[str, str] = {}
    family: list[psutil.Process] = []
    try:
        for line in running.stderr:
            shown = re.fullmatch(r"  (\S[\w ]*?)  +(\S+:\S+)\n", line)
            if shown:
                addresses[shown[1]] = shown[2]
            if line.startswith("  (up in "):
                break
        else:
            pytest.fail(f"it ended with status {running.wait()} before it was up")
        family = psutil.Process(running.pid).children(recursive=True)
        yield addresses
    finally:
        running.send_signal(number)
        rest = running.stderr.read()
        running.stderr.close()
        status = running.wait(60)
    assert (status, "All stopped." in rest) == (0, True), rest
    assert len(family) >= 10  # six services, API, two workers, warden
    _, alive = psutil.wait_procs(family, timeout=5)
    assert [process.cmdline() for process in alive] == []


async def test_everything_answers_ends_and_is_remembered(tmp_path: Path) -> None:
    with _dev(tmp_path, signal.SIGINT) as addresses:
        assert set(addresses) == {
            "API",
            "API reference",
            "MongoDB",
            "Temporal",
            "Temporal UI",
            "Redis",
            "S3",
            "Mail",
            "SMTP",
            "Stripe sandbox",
        }
        async with httpx2.AsyncClient(timeout=10) as client:
            assert (await client.get(f"{addresses['API']}/health/live")).status_code == 200
            assert (await client.get(f"{addresses['API']}/health/ready")).status_code == 200
            assert (await client.get(addresses["API reference"])).status_code == 200
            assert (await client.get(addresses["Temporal UI"], follow_redirects=True)).status_code == 200
            assert (await client.get(addresses["Mail"])).status_code == 200
        mongo: MongoClient[dict[str, Any]] = MongoClient(addresses["MongoDB"])
        mongo["probe"]["kept"].insert_one({"_id": "yes"})
        mongo.close()
        host, _, port = addresses["SMTP"].removeprefix("smtp://").partition(":")
        await aiosmtplib.send(
            b"Subject: kept\r\n\r\nkept\r\n",
            sender="no-reply@nimmit.example",
            recipients=["dara@worker.example"],
            hostname=host,
            port=int(port),
            start_tls=False,
        )

    with _dev(tmp_path, signal.SIGTERM) as addresses:
        mongo = MongoClient(addresses["MongoDB"])
        assert mongo["probe"]["kept"].find_one() == {"_id": "yes"}
        mongo.close()
        assert (
            httpx2.get(f"{addresses['Mail']}/messages", params={"recipient": "dara@worker.example"}).json()[
                "total"
            ]
            == 1
        )
