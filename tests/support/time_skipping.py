"""The time-skipping Temporal server: one after the other for all tests of a run, as long as its clock goes on.

A new one costs two seconds of processor time, most of it before its Java is warm. But what a test leaves running may
stop the clock of the next. So what runs is ended with each test, and the server stays only if its clock goes on then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    ListOpenWorkflowExecutionsRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from devstack.provision import time_skipping_server
from workflows.contracts import SEARCH_ATTRIBUTES

# Tests move the time on for each other. One that takes the machine's for it fails at once, not by its place among them.
AHEAD = timedelta(days=400)
PATIENCE_SECONDS = 3.0  # of real time, for a clock that should pass an hour in a moment


class SkippingServers:
    """Lends a server to one test at a time."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._idle: WorkflowEnvironment | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[WorkflowEnvironment]:
        """A server on which nothing runs. Its time is at least a year ahead of the machine's."""
        server, self._idle = self._idle, None
        if server is None:
            server = await self._stack.enter_async_context(skipping_server())
            await server.sleep(AHEAD)
        yield server
        await end_all(server)
        if await goes_on(server):
            self._idle = server
        else:
            await self._stack.aclose()


async def end_all(server: WorkflowEnvironment) -> None:
    """Terminate every workflow that runs, and those that follow from it."""
    service, namespace = server.client.workflow_service, server.client.namespace
    listing = ListOpenWorkflowExecutionsRequest(namespace=namespace, maximum_page_size=1000)
    while running := (await service.list_open_workflow_executions(listing)).executions:
        for one in running:
            request = TerminateWorkflowExecutionRequest(
                namespace=namespace, workflow_execution=one.execution, reason="the test is over"
            )
            await service.terminate_workflow_execution(request)


async def goes_on(server: WorkflowEnvironment) -> bool:
    """Whether the server's clock goes on: an hour passes in a moment."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await server.sleep(timedelta(hours=1))
    except TimeoutError:
        return False
    return True


@asynccontextmanager
async def skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose timers end at once, with our search attributes.

    It knows none at its start, and a workflow that sets an unknown one has its tasks retried for ever without a word.
    """
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=time_skipping_server(),
        test_server_startup_timeout=timedelta(minutes=1),  # a busy machine needs more than the SDK's 5 s
        data_converter=pydantic_data_converter,
    )
    async with environment:
        wanted = {
            key.name: IndexedValueType.ValueType(int(key.indexed_value_type)) for key in SEARCH_ATTRIBUTES
        }
        client = environment.client
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        )
        yield environment
