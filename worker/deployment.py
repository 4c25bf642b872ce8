"""Which build of the workers gets new work: `python -m worker.deployment show | set-current | ramp`.

See docs/versioning.md. The build is the one of the settings, unless another is named.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.api.enums.v1 import RoutingConfigUpdateState, WorkerDeploymentVersionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.process import leave
from app.settings import Settings, get_settings
from workflows.connection import connect

UNVERSIONED = ""  # the build id that stands for workers without one
WAIT_SECONDS = 30.0
_PAUSE_SECONDS = 0.3
# The workers of a new build have not been seen by the server yet, or not on every task queue; or the deployment was
# changed a moment ago, and the server takes one change at a time.
_NOT_YET = (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deployment's builds are at. `ramping` gets `ramp_percent` of new work, `current` the rest.

    `builds` maps a build id to its status: inactive, current, ramping, draining (its pinned workflows still run) or
    drained. `settled` says whether every task queue has heard of the last change.
    """

    current: str
    ramping: str
    ramp_percent: float
    builds: dict[str, str]
    settled: bool


async def describe(client: Client, name: str) -> Deployment:
    """How a deployment stands.

    Raises:
        RPCError: NOT_FOUND when none of its workers was ever seen.
    """
    answer = await client.workflow_service.describe_worker_deployment(
        DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
    )
    info = answer.worker_deployment_info
    routing = info.routing_config
    in_progress = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
    return Deployment(
        current=routing.current_deployment_version.build_id,
        ramping=routing.ramping_deployment_version.build_id,
        ramp_percent=routing.ramping_version_percentage,
        builds={build.deployment_version.build_id: _status(build.status) for build in info.version_summaries},
        settled=info.routing_config_update_state != in_progress,
    )


async def set_current(
    client: Client, name: str, build_id: str, *, wait_seconds: float = WAIT_SECONDS
) -> Deployment:
    """Give all new work, and every workflow that upgrades, to a build; how the deployment stands then.

    Temporal refuses a build whose workers do not poll every task queue of the present one. They may be on their way,
    so it is asked again for `wait_seconds`.

    Raises:
        RPCError: refused to the last, or Temporal cannot be reached.
    """
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=name, build_id=build_id, identity=client.identity
    )
    accept = client.workflow_service.set_worker_deployment_current_version
    return await _carry_out(client, name, lambda: accept(request), wait_seconds)


async def ramp(
    client: Client, name: str, build_id: str, percent: float, *, wait_seconds: float = WAIT_SECONDS
) -> Deployment:
    """Give a build a share of new work, from 0 to 100 percent; the current build keeps the rest.

    Raises:
        RPCError: as with `set_current`; or the build is the current one.
    """
    request = SetWorkerDeploymentRampingVersionRequest(
        namespace=client.namespace,
        deployment_name=name,
        build_id=build_id,
        percentage=percent,
        identity=client.identity,
    )
    accept = client.workflow_service.set_worker_deployment_ramping_version
    return await _carry_out(client, name, lambda: accept(request), wait_seconds)


async def _carry_out(
    client: Client, name: str, request: Callable[[], Awaitable[object]], wait_seconds: float
) -> Deployment:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            await request()
        except RPCError as error:
            if error.status not in _NOT_YET or time.monotonic() >= until:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return await _settled(client, name, until)


async def _settled(client: Client, name: str, until: float) -> Deployment:
    """The deployment once every task queue has heard of the change, or when the time is up."""
    while True:
        found = await describe(client, name)
        if found.settled or time.monotonic() >= until:
            return found
        await asyncio.sleep(_PAUSE_SECONDS)


def _status(value: WorkerDeploymentVersionStatus.ValueType) -> str:
    name = WorkerDeploymentVersionStatus.Name(value)
    return name.removeprefix("WORKER_DEPLOYMENT_VERSION_STATUS_").lower()


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    name = settings.worker_deployment_name
    if not name:
        sys.stderr.write("NIMMIT_WORKER_DEPLOYMENT_NAME is not set: the workers are not versioned\n")
        return 2
    client = await connect(settings)
    try:
        if arguments.command == "show":
            found = await describe(client, name)
        elif arguments.command == "ramp":
            found = await ramp(client, name, _build(arguments, settings), arguments.percent)
        else:
            found = await set_current(client, name, _build(arguments, settings))
    except RPCError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stdout.write(_shown(name, found))
    return 0


def _build(arguments: argparse.Namespace, settings: Settings) -> str:
    if arguments.unversioned:
        return UNVERSIONED
    return str(arguments.build_id or settings.worker_build_id)


def _shown(name: str, found: Deployment) -> str:
    lines = [f"deployment {name}", f"current    {found.current or '(unversioned workers)'}"]
    if found.ramp_percent:
        lines.append(f"ramping    {found.ramping or '(unversioned workers)'} {found.ramp_percent:g}%")
    lines += [f"build      {build}  {status}" for build, status in found.builds.items()]
    if not found.settled:
        lines.append("not every task queue has heard of it yet")
    return "\n".join(lines) + "\n"


def _percent(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError("is not between 0 and 100")
    return value


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.deployment", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="how the deployment stands")
    for command, text in (
        ("set-current", "give all new work to a build"),
        ("ramp", "give a share of new work to a build"),
    ):
        added = commands.add_parser(command, help=text)
        which = added.add_mutually_exclusive_group()
        which.add_argument("--build-id", help="another build than that of the settings")
        which.add_argument("--unversioned", action="store_true", help="the workers that have no build id")
        if command == "ramp":
            added.add_argument("--percent", type=_percent, required=True)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """0 when it was done, 1 when Temporal refused or cannot be reached, 2 when there is nothing to do it to."""
    try:
        return asyncio.run(_run(_arguments(argv), get_settings()))
    except RuntimeError as error:  # what the SDK raises when it cannot connect
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    leave(main())
