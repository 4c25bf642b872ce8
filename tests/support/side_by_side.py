"""How the tests share a machine when pytest-xdist runs them in several workers (`make test`: two).

A file stays whole, so that what a module sets up is set up once, and so does a folder whose files share a platform.
What takes longest begins first, or one worker would end minutes after the other. A test marked `alone` holds the
product to a time: it waits until the other workers rest between two tests, and they rest until it is over.
"""

from __future__ import annotations

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Folders whose files share a platform of many processes.
TOGETHER = ("tests/e2e/",)

# What takes longest, the longest first. Only their order matters; what is not listed comes after them.
LONGEST = (
    "tests/e2e/",
    "tests/chaos/test_money_kills.py",
    "tests/chaos/test_kills.py",
    "tests/workflows/test_work_timers.py",
    "tests/demo/test_demo.py",
    "tests/workflows/test_matching_timers.py",
    "tests/workflows/test_branch_races.py",
    "tests/market/test_market.py",
    "tests/workflows/test_long_lives.py",
    "tests/devstack/test_dev.py",
    "tests/billing/test_webhooks_api.py",
    "tests/workflows/test_job_timers.py",
    "tests/workflows/test_job_races.py",
    "tests/workflows/test_payout.py",
    "tests/api/test_middleware.py",
    "tests/workflows/test_ratings.py",
    "tests/api/test_idempotency.py",
    "tests/worker/test_versioning.py",
)


def unit_of(nodeid: str) -> str:
    """The file or folder that a test runs together with."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def rank_of(unit: str, *, timed: bool) -> int:
    """The place of a unit in the order of work. One with timed tests comes last, among short ones to wait for."""
    return LONGEST.index(unit) if unit in LONGEST else len(LONGEST) + timed


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]  # it comes without types
    """Hands out units of tests, in the order in which the workers collected them."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeFiles:
    """For every `-n` above 0, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return WholeFiles(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, where there are several workers to balance."""
    if is_xdist_worker(config):
        timed = {unit_of(item.nodeid) for item in items if _alone(item)}
        items.sort(key=lambda item: rank_of(unit := unit_of(item.nodeid), timed=unit in timed))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Each test takes its turn. The outermost wrapper: waiting does not count against a test's time limit."""
    if not is_xdist_worker(item.config):
        return (yield)
    assert item.config.cache is not None
    with turn(item.config.cache.mkdir("turns"), alone=_alone(item)):
        return (yield)


def is_xdist_worker(config: pytest.Config) -> bool:
    """Whether other workers run tests of the same run."""
    return hasattr(config, "workerinput")


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@contextmanager
def turn(locks: Path, *, alone: bool) -> Iterator[None]:
    """Hold the room, together with others or alone. Who waits to be alone keeps the door shut to newcomers."""
    with (locks / "door").open("a") as door, (locks / "room").open("a") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
