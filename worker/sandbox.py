"""The sandbox that workflows run in: the SDK's own, in which nothing interrupts the loading of modules.

Each run of a workflow loads the workflow's modules anew. Before Python 3.12 a thread that is taking the lock of one
import must not begin another (https://github.com/python/cpython/issues/91351), and the garbage collector does that:
a finalizer may import, as the warning of a coroutine that nobody awaited does. Then the workflow's task fails with a
KeyError, or the worker does not start. So the collector rests meanwhile, which makes the loading faster as well.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner


class _Rest:
    """The collector is off while anybody needs it to be, and on again after the last."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holders = 0
        self._was_on = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._guard:
            if not self._holders:
                self._was_on = gc.isenabled()
                gc.disable()
            self._holders += 1
        try:
            yield
        finally:
            with self._guard:
                self._holders -= 1
                if not self._holders and self._was_on:
                    gc.enable()


_collector_at_rest = _Rest()


class QuietSandbox(SandboxedWorkflowRunner):
    """Loads each run's modules with the garbage collector at rest."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """As the SDK does."""
        with _collector_at_rest():
            return super().create_instance(det)
