"""The services of the stack: how each is started, when it is ready, and what the platform is told of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack import buckets, checks
from devstack.provision import GIVEN_BY, locate

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Site:
    """Where one service runs: its folder, its ports by role, and the NIMMIT_ variables known so far."""

    directory: Path
    ports: Mapping[str, int]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """`given_by` is the variable whose presence means "use mine, start none"; `ports` are the usual ones."""

    name: str
    title: str
    given_by: str
    ports: Mapping[str, int]
    argv: Callable[[Site], list[str]]
    ready: Callable[[Site], bool]
    variables: Callable[[Site], dict[str, str]]
    urls: Callable[[Site], dict[str, str]]
    secrets: Callable[[Site], dict[str, str]] = lambda _site: {}
    after_ready: Callable[[Mapping[str, str]], None] = lambda _variables: None


# The embedded server has one history shard, which asks its transfer queue 20 times a second at most unless told
# otherwise: each task would wait up to 50 ms before it is handed out. Measured: five times faster in a chain.
_TEMPORAL_CONFIG = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "history.visibilityProcessorMaxPollRPS=200",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "system.enableActivityEagerExecution=true",
    "system.enableEagerWorkflowStart=true",
)


def _temporal_argv(site: Site) -> list[str]:
    argv = [str(locate("temporal")), "server", "start-dev", "--ip", HOST, "--log-level", "error"]
    argv += ["--port", str(site.ports["grpc"]), "--ui-port", str(site.ports["ui"])]
    argv += ["--http-port", str(site.ports["http"]), "--db-filename", str(site.directory / "temporal.sqlite")]
    argv += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    for value in _TEMPORAL_CONFIG:
        argv += ["--dynamic-config-value", value]
    return argv


def _mongodb_argv(site: Site) -> list[str]:
    program = locate("mongodb")
    port = str(site.ports["main"])
    if program.name == "mongod":
        folder = site.directory / "mongod"
        folder.mkdir(parents=True, exist_ok=True)
        return [str(program), "--dbpath", str(folder), "--bind_ip", HOST, "--port", port]
    return [str(program), HOST, port, str(site.directory / "mongodb.mv")]


def _redis_argv(site: Site) -> list[str]:
    argv = [str(locate("redis")), "--bind", HOST, "--port", str(site.ports["main"])]
    argv += ["--dir", str(site.directory), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    return argv


def _s3_argv(site: Site) -> list[str]:
    folder, sidecar = site.directory / "objects", site.directory / "metadata"
    folder.mkdir(exist_ok=True)
    sidecar.mkdir(exist_ok=True)
    # A sidecar folder for metadata: not every file system (tmpfs, some container layers) has user attributes.
    argv = [
        str(locate("versitygw")),
        "--port",
        f"{HOST}:{site.ports['main']}",
        "--health",
        "/health",
        "--quiet",
    ]
    argv += ["--region", site.variables["NIMMIT_S3_REGION"], "posix", "--sidecar", str(sidecar), str(folder)]
    return argv


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


# The sandbox signs with these, and the platform is told of them: both are on this machine.
_WEBHOOK_SECRETS = {
    "NIMMIT_STRIPE_WEBHOOK_SECRET": "whsec_development_platform",
    "NIMMIT_STRIPE_CONNECT_WEBHOOK_SECRET": "whsec_development_connect",
}


def _stripe_argv(site: Site) -> list[str]:
    """Its events go to the API, if the address of that is known by now."""
    argv = _python("devstack.stripe_sandbox", "--port", str(site.ports["main"]))
    argv += ["--data", str(site.directory), "--automatic-onboarding"]
    argv += ["--starting-balance", "10000000"]  # USD cents: enough to pay workers without topping up first
    api = site.variables.get("NIMMIT_PUBLIC_URL")
    if api:
        platform, connect = _WEBHOOK_SECRETS.values()
        hooks = f"{api}/payments/webhooks"
        argv += ["--webhook-url", f"{hooks}/stripe", "--webhook-secret", platform]
        argv += ["--connect-webhook-url", f"{hooks}/stripe-connect", "--connect-webhook-secret", connect]
    return argv


def _address(site: Site, role: str = "main", scheme: str = "http") -> str:
    return f"{scheme}://{HOST}:{site.ports[role]}"


SERVICES = {
    service.name: service
    for service in (
        Service(
            name="mongodb",
            title="MongoDB",
            given_by=GIVEN_BY["mongodb"],
            ports={"main": 27017},
            argv=_mongodb_argv,
            ready=lambda site: checks.mongodb_ok(site.ports["main"]),
            variables=lambda site: {"NIMMIT_MONGODB_URI": _address(site, scheme="mongodb")},
            urls=lambda site: {"MongoDB": _address(site, scheme="mongodb")},
        ),
        Service(
            name="temporal",
            title="Temporal",
            given_by=GIVEN_BY["temporal"],
            ports={"grpc": 7233, "ui": 8233, "http": 7243},
            argv=_temporal_argv,
            ready=lambda site: checks.http_ok(f"{_address(site, 'http')}/api/v1/namespaces/default"),
            variables=lambda site: {
                "NIMMIT_TEMPORAL_ADDRESS": f"{HOST}:{site.ports['grpc']}",
                "NIMMIT_TEMPORAL_NAMESPACE": "default",
                "NIMMIT_TEMPORAL_UI_URL": _address(site, "ui"),
            },
            urls=lambda site: {
                "Temporal": f"{HOST}:{site.ports['grpc']}",
                "Temporal UI": _address(site, "ui"),
            },
        ),
        Service(
            name="redis",
            title="Redis",
            given_by=GIVEN_BY["redis"],
            ports={"main": 6379},
            argv=_redis_argv,
            ready=lambda site: checks.redis_ok(site.ports["main"]),
            variables=lambda site: {"NIMMIT_REDIS_URL": f"{_address(site, scheme='redis')}/0"},
            urls=lambda site: {"Redis": f"{_address(site, scheme='redis')}/0"},
        ),
        Service(
            name="s3",
            title="S3",
            given_by=GIVEN_BY["versitygw"],
            ports={"main": 7070},
            argv=_s3_argv,
            ready=lambda site: checks.http_ok(f"{_address(site)}/health"),
            variables=lambda site: {"NIMMIT_S3_ENDPOINT_URL": _address(site)},
            urls=lambda site: {"S3": _address(site)},
            secrets=lambda site: {
                "ROOT_ACCESS_KEY": site.variables["NIMMIT_S3_ACCESS_KEY_ID"],
                "ROOT_SECRET_KEY": site.variables["NIMMIT_S3_SECRET_ACCESS_KEY"],
            },
            after_ready=buckets.ensure,
        ),
        Service(
            name="mail",
            title="Mail",
            given_by="NIMMIT_SMTP_URL",
            ports={"smtp": 1025, "web": 8025},
            argv=lambda site: _python(
                "devstack.mail_sink",
                "--smtp-port",
                str(site.ports["smtp"]),
                "--web-port",
                str(site.ports["web"]),
                "--data",
                str(site.directory),
            ),
            ready=lambda site: (
                checks.http_ok(f"{_address(site, 'web')}/healthz") and checks.smtp_ok(site.ports["smtp"])
            ),
            variables=lambda site: {"NIMMIT_SMTP_URL": _address(site, "smtp", "smtp")},
            urls=lambda site: {"Mail": _address(site, "web"), "SMTP": _address(site, "smtp", "smtp")},
        ),
        Service(
            name="stripe",
            title="Stripe sandbox",
            given_by="NIMMIT_STRIPE_API_BASE",
            ports={"main": 12111},
            argv=_stripe_argv,
            ready=lambda site: checks.http_ok(f"{_address(site)}/healthz"),
            variables=lambda site: {"NIMMIT_STRIPE_API_BASE": _address(site), **_WEBHOOK_SECRETS},
            urls=lambda site: {"Stripe sandbox": _address(site)},
        ),
    )
}
