"""The API in this process (ASGI transport), and as a process of its own behind a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pymongo.asynchronous.database import AsyncDatabase
from temporalio.client import Client

from api.main import create_app
from app.settings import Settings
from devstack.stack import Stack
from tests.api.people import People
from tests.support.jobs import JobHarness, run_harness

Database = AsyncDatabase[dict[str, Any]]


@pytest.fixture(scope="module")
def api_settings(settings: Settings, stack: Stack, database: Database) -> Settings:
    """Settings of an API over this module's database; limits high, since every test shares one address."""
    stack.require("mongodb", "redis")
    return stack.settings(
        password_bcrypt_rounds=4,
        mongodb_database=database.name,
        login_attempts_per_minute=1000,
        register_attempts_per_minute=1000,
        cors_origins=["https://client.nimmit.example"],
    )


@pytest_asyncio.fixture(scope="module")
async def app(api_settings: Settings) -> AsyncIterator[FastAPI]:
    """The application with its lifespan run."""
    application = create_app(api_settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller with a cookie jar of its own. An error that escapes the application fails the test."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


@pytest.fixture
def people(client: httpx2.AsyncClient, database: Database, api_settings: Settings) -> People:
    """Makes accounts and logs them in."""
    return People(client, database, api_settings)


@dataclass
class LiveApi:
    """`python -m api`, serving."""

    base_url: str
    process: asyncio.subprocess.Process
    output: str | None = None

    async def stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to stop; answers its exit status and all that it logged."""
        if self.output is None:
            if self.process.returncode is None:
                self.process.send_signal(stop_signal)
            output, _ = await asyncio.wait_for(self.process.communicate(), 30)
            self.output = output.decode()
        return self.process.returncode or 0, self.output


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as NIMMIT_* variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIMMIT_")}
    for name, value in settings.model_dump().items():
        plain = getattr(value, "get_secret_value", lambda value=value: value)()
        if plain is not None:
            environment[f"NIMMIT_{name.upper()}"] = (
                json.dumps(plain) if isinstance(plain, list | dict) else str(plain)
            )
    return environment


@asynccontextmanager
async def serve_in_process(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller of an API of its own in this process, for settings that a test changes."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield http


@pytest_asyncio.fixture(scope="module")
async def jobs(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[JobHarness]:
    """Jobs whose processes run, on task queues of their own."""
    stack.require("mongodb", "redis", "s3", "stripe")
    async with run_harness(temporal, database, settings) as harness:
        yield harness


@pytest_asyncio.fixture
async def door(jobs: JobHarness, api_settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller of an API whose acts reach the processes of `jobs`."""
    prefix = jobs.resources.settings.task_queue_prefix
    async with serve_in_process(api_settings.model_copy(update={"task_queue_prefix": prefix})) as http:
        yield http


async def start_process(settings: Settings) -> LiveApi:
    """`python -m api` on a free port, once it answers."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api",
        "--port",
        str(port),
        env=as_environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    live = LiveApi(f"http://127.0.0.1:{port}", process)
    await _wait_until_alive(live)
    return live


@pytest_asyncio.fixture(scope="module")
async def live_api(api_settings: Settings) -> AsyncIterator[LiveApi]:
    """One API process for the module: starting one takes seconds."""
    live = await start_process(api_settings)
    yield live
    await live.stop()


@pytest_asyncio.fixture
async def own_live_api(api_settings: Settings) -> AsyncIterator[LiveApi]:
    """An API process for one test, which may stop it."""
    live = await start_process(api_settings)
    yield live
    await live.stop()


async def _wait_until_alive(live: LiveApi) -> None:
    async with httpx2.AsyncClient(base_url=live.base_url) as http:
        for _ in range(1200):
            if live.process.returncode is not None:
                _, output = await live.stop()
                pytest.fail(f"the API ended at its start:\n{output}")
            try:
                await http.get("/health/live")
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    pytest.fail("the API did not answer within 120 s")
