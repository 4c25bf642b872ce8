"""Liveness and readiness against the real services, and without them."""

from __future__ import annotations

import time

import pytest

from app.settings import Settings
from devstack.stack import Stack
from tests.api.conftest import free_port, serve_in_process

pytestmark = pytest.mark.alone


async def test_ready_names_each_dependency_with_its_latency(stack: Stack, api_settings: Settings) -> None:
    stack.require("temporal", "s3", "mail")
    addresses = stack.settings()
    changed = api_settings.model_copy(
        update={
            "temporal_address": addresses.temporal_address,
            "s3_endpoint_url": addresses.s3_endpoint_url,
            "smtp_url": addresses.smtp_url,
        }
    )
    async with serve_in_process(changed) as http:
        answer = await http.get("/health/ready")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ok"), body
    assert set(body["dependencies"]) == {"mongodb", "temporal", "redis", "storage", "mail"}
    for name, health in body["dependencies"].items():
        assert health["status"] == "up"
        assert 0 < health["latencyMs"] < 1500
        assert health["deciding"] == (name in ("mongodb", "temporal"))


async def test_without_temporal_it_starts_and_says_so(api_settings: Settings) -> None:
    changed = api_settings.model_copy(
        update={
            "temporal_address": f"127.0.0.1:{free_port()}",
            "s3_endpoint_url": f"http://127.0.0.1:{free_port()}",
        }
    )
    async with serve_in_process(changed) as http:
        started = time.monotonic()
        answer = await http.get("/health/ready")
        assert time.monotonic() - started < 2
        assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["dependencies"]["temporal"]["status"] == "down"
        assert answer.json()["dependencies"]["mongodb"]["status"] == "up"
        assert (await http.get("/health/live")).json() == {"status": "ok"}
        assert (await http.get("/skills")).status_code == 200, "what needs no Temporal goes on"


async def test_without_redis_it_is_degraded_and_ready(stack: Stack, api_settings: Settings) -> None:
    stack.require("temporal")
    changed = api_settings.model_copy(
        update={
            "temporal_address": stack.settings().temporal_address,
            "redis_url": type(api_settings.redis_url)(f"redis://127.0.0.1:{free_port()}/0"),
        }
    )
    async with serve_in_process(changed) as http:
        answer = await http.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
