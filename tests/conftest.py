"""Fixtures that every test may use. Services start when a test first needs them: a unit test starts none.

The services are one set per run, in a folder of their own, ended with the run. A test that needs an empty database
takes `database`; names of jobs, users and task queues are made unique by the tests themselves.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from app.database import connect, open_database
from app.process import leave
from app.settings import Settings
from devstack.bytecode import with_bytecode
from devstack.stack import Stack
from tests.support.time_skipping import SkippingServers

pytest_plugins = ["tests.support.side_by_side"]

_status: int | None = None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is loaded by now stays: looking through it for garbage again and again takes a twentieth of a run."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Remember how the run ended, for `_leave`."""
    global _status  # noqa: PLW0603  # one run, one status
    _status = int(exitstatus)


def _leave() -> None:
    """Tests run Temporal workers in this process, whose interpreter can abort at its shutdown (see `leave`).

    Left alone if the run never finished, or if an error escaped pytest itself: that status stands.
    """
    if _status is not None and not hasattr(sys, "last_value"):
        leave(_status)


# Registered first, so it runs after every other exit handler.
atexit.register(_leave)

Database = AsyncDatabase[dict[str, Any]]

# A runner started in the background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Tests start dozens of processes, and the sandbox loads modules for every run of a workflow in this one.
if _bytecode := with_bytecode(os.environ):
    os.environ.update(_bytecode)
    sys.dont_write_bytecode, sys.pycache_prefix = False, _bytecode["PYTHONPYCACHEPREFIX"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services of this run; `stack.require("mongodb", ...)` starts what a test needs."""
    with Stack(tmp_path_factory.mktemp("stack"), environment="test") as running:
        yield running


@pytest.fixture(scope="session")
def settings(stack: Stack) -> Settings:
    """Settings that reach the stack's services, with the cheapest password hash. Starts nothing by itself."""
    return stack.settings(password_bcrypt_rounds=4)


@pytest_asyncio.fixture(scope="session")
async def mongo(stack: Stack, settings: Settings) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    """One client to the run's MongoDB."""
    stack.require("mongodb")
    client = connect(settings)
    yield client
    await client.close()


@pytest_asyncio.fixture(scope="module")
async def database(mongo: AsyncMongoClient[dict[str, Any]], settings: Settings) -> AsyncIterator[Database]:
    """An empty database for this module, the document models bound to it, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    opened = await open_database(mongo, settings.model_copy(update={"mongodb_database": name}))
    yield opened
    await mongo.drop_database(name)


@pytest_asyncio.fixture
async def fresh_database(
    mongo: AsyncMongoClient[dict[str, Any]], settings: Settings
) -> AsyncIterator[Database]:
    """The same for one test alone. The models stay bound to it: do not mix both in one module."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    opened = await open_database(mongo, settings.model_copy(update={"mongodb_database": name}))
    yield opened
    await mongo.drop_database(name)


@pytest_asyncio.fixture(scope="session")
async def temporal(stack: Stack, settings: Settings) -> Client:
    """A client of the run's real Temporal server, with the production data converter."""
    stack.require("temporal")
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=pydantic_data_converter,
    )


@pytest_asyncio.fixture(scope="session")
async def skipping_servers() -> AsyncIterator[SkippingServers]:
    """Where a test's time-skipping server comes from."""
    async with SkippingServers() as servers:
        yield servers


@pytest_asyncio.fixture
async def time_skipping(skipping_servers: SkippingServers) -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server whose timers end at once; nothing else runs on it. Its time is far ahead of the machine's."""
    async with skipping_servers.lent() as environment:
        yield environment
