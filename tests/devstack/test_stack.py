"""The stack starts what is asked, answers as the real services do, and ends without a trace."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import httpx2
import psutil
import pytest
from botocore.config import Config
from pymongo import AsyncMongoClient
from redis.asyncio import Redis
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from app.settings import Settings
from devstack.ports import PortRegister
from devstack.process import StartError
from devstack.services import ROOT
from devstack.stack import Stack, StackInUseError
from tests.conftest import Database


async def test_mongodb_is_spoken_to_by_the_current_driver(mongo: AsyncMongoClient[dict[str, Any]]) -> None:
    assert (await mongo.server_info())["version"].startswith(("5.", "6.", "7.", "8."))
    assert (await mongo.admin.command("isMaster"))["maxWireVersion"] >= 13


async def test_each_module_has_a_database_of_its_own(database: Database) -> None:
    assert database.name.startswith("test_")
    assert (await database["probe"].insert_one({"a": 1})).acknowledged


async def test_temporal_answers_with_its_namespace(temporal: Client) -> None:
    assert await temporal.service_client.check_health()
    assert temporal.namespace == "default"


async def test_time_skipping_server_starts(time_skipping: WorkflowEnvironment) -> None:
    assert time_skipping.supports_time_skipping


async def test_redis_keeps_what_it_is_told_over_a_crash(stack: Stack, settings: Settings) -> None:
    if stack.is_external("redis"):
        pytest.skip("this Redis is not ours to kill")
    stack.require("redis")
    async with Redis.from_url(settings.redis_url.get_secret_value()) as redis:
        await redis.set("kept", "yes")
    time.sleep(1.2)  # noqa: ASYNC251  # it writes to disk once a second
    stack.kill("redis")
    stack.restart("redis")
    async with Redis.from_url(settings.redis_url.get_secret_value()) as redis:
        assert await redis.get("kept") == b"yes"


def test_s3_binds_what_a_presigned_upload_declared(stack: Stack, settings: Settings) -> None:
    stack.require("s3")
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    try:
        bucket, key = settings.s3_bucket_uploads, "probe/file.txt"
        params = {"Bucket": bucket, "Key": key, "ContentType": "text/plain", "ContentLength": 5}
        url = client.generate_presigned_url("put_object", Params=params, ExpiresIn=60)
        wrong = httpx2.put(url, content=b"hello", headers={"Content-Type": "text/html"})
        assert wrong.status_code == 403
        longer = httpx2.put(url, content=b"hello, all", headers={"Content-Type": "text/plain"})
        assert longer.status_code == 403
        right = httpx2.put(url, content=b"hello", headers={"Content-Type": "text/plain"})
        assert right.status_code == 200
        head = client.head_object(Bucket=bucket, Key=key)
        assert (head["ContentLength"], head["ContentType"]) == (5, "text/plain")
        preflight = httpx2.options(
            f"{settings.s3_endpoint_url}/{bucket}/{key}",
            headers={"Origin": "http://portal.example", "Access-Control-Request-Method": "PUT"},
        )
        assert preflight.headers["access-control-allow-origin"] in ("*", "http://portal.example")
    finally:
        client.close()


def test_an_address_in_the_environment_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    given = {"NIMMIT_MONGODB_URI": "mongodb://db.example:27017", "NIMMIT_S3_BUCKET_UPLOADS": "mine"}
    with Stack(tmp_path, given=given) as own:
        own.require("mongodb")
        assert own.is_external("mongodb")
        assert own.settings().mongodb_uri.get_secret_value() == "mongodb://db.example:27017"
        assert own.settings().s3_bucket_uploads == "mine"
        assert own.urls()["MongoDB"] == "yours, from NIMMIT_MONGODB_URI"
        with pytest.raises(KeyError):
            own.process("mongodb")


def test_one_data_folder_has_one_stack(tmp_path: Path) -> None:
    with Stack(tmp_path, given={}), pytest.raises(StackInUseError, match=str(tmp_path)):
        Stack(tmp_path, given={})
    with Stack(tmp_path, given={}):
        pass  # free again


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        register = PortRegister()
        other = PortRegister()
        try:
            first = register.reserve(port)
            assert first != port
            assert other.reserve(first) != first
        finally:
            register.close()
            other.close()


def test_a_process_that_ends_at_its_start_is_reported_with_its_log(tmp_path: Path) -> None:
    with Stack(tmp_path, given={}) as own:
        code = "print('no such thing'); raise SystemExit(3)"
        with pytest.raises(StartError, match=r"(?s)broken ended with status 3.*no such thing"):
            own.spawn("broken", [sys.executable, "-c", code], ready=lambda: False)


_HOLDER = """
import pathlib, sys, time
from devstack.stack import Stack
with Stack(pathlib.Path(sys.argv[1]), given={}) as stack:
    stack.require("redis", "mail")
    stack.spawn("family", ["sh", "-c", "sleep 600 & sleep 600"])
    time.sleep(0.5)  # the shell starts its children in its own time
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_stack(tmp_path: Path, number: signal.Signals) -> None:
    """Neither when it is interrupted, nor when it is killed and can do nothing itself."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        family = psutil.Process(holder.pid).children(recursive=True)
        assert len(family) >= 6  # the warden, Redis, the mail sink, a shell and its two children
    finally:
        holder.send_signal(number)
        holder.communicate()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [process.cmdline() for process in alive] == []
