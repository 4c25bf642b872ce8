"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import Field
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from api.dependencies import ResourcesDep
from api.state import Resources
from api.types import ResponseModel

router = APIRouter(prefix="/health", tags=["health"])

DECIDING = frozenset({"mongodb", "temporal"})


class Live(ResponseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class DependencyHealth(ResponseModel):
    """One dependency; `latencyMs` is how long its check took, `null` if it did not answer."""

    status: Literal["up", "down"]
    latency_ms: float | None = Field(default=None, examples=[1.4])
    deciding: bool


class Ready(ResponseModel):
    """`ok`: all is up. `degraded`: work goes on without something. `unavailable`: MongoDB or Temporal is away."""

    status: Literal["ok", "degraded", "unavailable"]
    dependencies: dict[str, DependencyHealth]


@router.get("/live")
async def live() -> Live:
    """The process is alive; asks nothing else. For a liveness probe."""
    return Live()


@router.get(
    "/ready", responses={503: {"model": Ready, "description": "MongoDB or Temporal does not answer."}}
)
async def ready(resources: ResourcesDep, response: Response) -> Ready:
    """Each dependency with its latency, checked now and at once. For a readiness probe."""
    checks = _checks(resources)
    limit = resources.settings.dependency_timeout_seconds
    found = await asyncio.gather(*(_measure(check, limit) for check in checks.values()))
    dependencies = {
        name: DependencyHealth(
            status="down" if latency is None else "up", latency_ms=latency, deciding=name in DECIDING
        )
        for name, latency in zip(checks, found, strict=True)
    }
    down = {name for name, health in dependencies.items() if health.status == "down"}
    if down & DECIDING:
        response.status_code = 503
        response.headers["Retry-After"] = "2"
        return Ready(status="unavailable", dependencies=dependencies)
    return Ready(status="degraded" if down else "ok", dependencies=dependencies)


Check = Callable[[], Awaitable[object]]


def _checks(resources: Resources) -> dict[str, Check]:
    settings = resources.settings

    async def mongodb() -> None:
        await resources.database.command("ping")

    async def temporal() -> None:
        await resources.temporal.workflow_service.get_system_info(GetSystemInfoRequest(), retry=False)

    async def redis() -> None:
        await resources.redis.ping()

    async def storage() -> None:
        await resources.http.head(
            settings.s3_endpoint_url
        )  # any answer, a refusal too, shows that it is there

    async def mail() -> None:
        address = urlsplit(settings.smtp_url.get_secret_value())
        _, writer = await asyncio.open_connection(address.hostname, address.port or 25)
        writer.close()

    return {"mongodb": mongodb, "temporal": temporal, "redis": redis, "storage": storage, "mail": mail}


async def _measure(check: Check, limit_seconds: float) -> float | None:
    """Milliseconds that the check took, or None if it failed or took too long."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(limit_seconds):
            await check()
    except Exception:  # noqa: BLE001  # whatever it is, the dependency is not usable
        return None
    return round((time.perf_counter() - started) * 1000, 1)
