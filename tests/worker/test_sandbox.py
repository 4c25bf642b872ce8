"""The sandbox loads a workflow's modules whatever the garbage collector would like to do meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from worker.sandbox import QuietSandbox
from workflows.ratings import RatingsWorkflow

STRAY = "a_stray_module_of_a_finalizer"


class Restless:
    """Garbage that only the collector finds, whose finalizer imports, and leaves more of its kind."""

    alive = True
    finalized = 0

    def __init__(self) -> None:
        self.myself = self

    def __del__(self) -> None:
        if Restless.alive:
            Restless.finalized += 1
            __import__(STRAY)
            del sys.modules[STRAY]
            Restless()


@pytest.fixture
def restless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The collector runs at nearly every allocation, and always finds something to finalize."""
    (tmp_path / f"{STRAY}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    thresholds = gc.get_threshold()
    Restless.alive, Restless.finalized = True, 0
    Restless()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*thresholds)
    Restless.alive = False
    gc.collect()


def load(runner: SandboxedWorkflowRunner) -> None:
    runner.prepare_workflow(workflow._Definition.must_from_class(RatingsWorkflow))


@pytest.mark.usefixtures("restless")
async def test_a_finalizer_cannot_break_the_loading_of_a_workflow() -> None:
    for _ in range(3):
        load(QuietSandbox())
    assert gc.isenabled()
    assert Restless.finalized  # the collector was at work, only not then


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="imports can be nested so since Python 3.12")
@pytest.mark.usefixtures("restless")
async def test_without_rest_a_finalizer_breaks_it() -> None:
    with pytest.raises(KeyError):
        load(SandboxedWorkflowRunner())


async def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        load(QuietSandbox())
        assert not gc.isenabled()
    finally:
        gc.enable()
