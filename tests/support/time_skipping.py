"""The time-skipping Temporal server, one for each test: what a test leaves running may stop the clock of the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from devstack.provision import time_skipping_server
from workflows.contracts import SEARCH_ATTRIBUTES


@asynccontextmanager
async def skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose timers end at once, with our search attributes.

    It knows none at its start, and a workflow that sets an unknown one has its tasks retried for ever without a word.
    """
    environment = await _start()
    async with environment:
        wanted = {
            key.name: IndexedValueType.ValueType(int(key.indexed_value_type)) for key in SEARCH_ATTRIBUTES
        }
        client = environment.client
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=wanted)
        )
        yield environment


async def _start(attempts: int = 5) -> WorkflowEnvironment:
    """The SDK gives the server's Java process 5 s to start, which a busy machine may need more than once."""
    try:
        return await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=time_skipping_server(), data_converter=pydantic_data_converter
        )
    except RuntimeError:
        if attempts <= 1:
            raise
        return await _start(attempts - 1)
