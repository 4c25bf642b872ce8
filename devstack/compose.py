"""Checks `docker-compose.yml` without Docker: its shape, its references, and the settings it gives the platform."""

from __future__ import annotations

import json
import re
from typing import Any, cast
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft202012Validator

from app.settings import Settings
from devstack.services import ROOT

FILE = ROOT / "docker-compose.yml"
SCHEMA = ROOT / "devstack" / "compose.schema.json"
PLATFORM = ("api", "worker")
# Settings that name an address as a person's browser sees it: there 127.0.0.1 is right, also in a container.
FOR_BROWSERS = frozenset({"public_url", "portal_url", "temporal_ui_url", "s3_public_endpoint_url"})

Compose = dict[str, Any]


def load() -> Compose:
    """The file, its anchors resolved."""
    return cast("Compose", yaml.safe_load(FILE.read_text()))


def addresses() -> list[str]:
    """The settings that must differ from their defaults for the platform to reach a service in a container."""
    found = []
    for name, field in Settings.model_fields.items():
        secret = getattr(field.default, "get_secret_value", None)
        default = secret() if secret is not None else field.default
        if isinstance(default, str) and re.search(r"127\.0\.0\.1|://api\.stripe\.com", default):
            found.append(name)
    return found


def faults(compose: Compose) -> list[str]:
    """What is wrong with the file, one line each; none when it is sound."""
    schema = json.loads(SCHEMA.read_text())
    validator = Draft202012Validator(schema)
    shape = [
        f"{'/'.join(map(str, error.absolute_path)) or '(top)'}: {error.message}"
        for error in validator.iter_errors(compose)
    ]
    # Each step reads what the one before has found sound.
    return shape or _broken_references(compose) or _wrong_settings(compose) + _unhealthy(compose)


def _broken_references(compose: Compose) -> list[str]:
    services, volumes = compose["services"], compose["volumes"]
    found = []
    for name, service in services.items():
        sources = [mount.split(":")[0] for mount in service.get("volumes", [])]
        found += [
            f"{name}: {needed} is not a service"
            for needed in service.get("depends_on", {})
            if needed not in services
        ]
        found += [f"{name}: {source} is not a volume" for source in sources if source not in volumes]
        if service["image"].endswith(":dev") and "build" not in service:
            found.append(f"{name}: our own image {service['image']} is not built")
    published = [port.split(":")[1] for service in services.values() for port in service.get("ports", [])]
    twice = sorted({port for port in published if published.count(port) > 1})
    return found + [f"port {port} is published twice" for port in twice]


def _unhealthy(compose: Compose) -> list[str]:
    """Whoever is waited for as healthy must have a check of its health."""
    services = compose["services"]
    return [
        f"{name}: waits for {needed} to be healthy, which has no healthcheck"
        for name, service in services.items()
        for needed, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy" and "healthcheck" not in services[needed]
    ]


def _host(value: str) -> str:
    return urlsplit(value if "://" in value else f"//{value}").hostname or ""


def _wrong_settings(compose: Compose) -> list[str]:
    found = []
    known = {f"NIMMIT_{name.upper()}" for name in Settings.model_fields}
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        ours = {key for key in environment if key.startswith("NIMMIT_")}
        found += [f"{name}: {key} is not a setting" for key in sorted(ours - known)]
        if name not in PLATFORM:
            continue
        for field in addresses():
            value = environment.get(f"NIMMIT_{field.upper()}")
            if value is None:
                found.append(f"{name}: NIMMIT_{field.upper()} is not set")
            elif field not in FOR_BROWSERS and _host(value) not in compose["services"]:
                found.append(f"{name}: NIMMIT_{field.upper()} is {value}, whose host is not a service")
            elif field not in FOR_BROWSERS and _host(value) not in _reachable(compose, name):
                found.append(f"{name}: uses {_host(value)} without waiting for it")
    return found


def _reachable(compose: Compose, name: str) -> set[str]:
    """The services that are up when this one starts: what it depends on, and what those do."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for needed in compose["services"][waiting.pop()].get("depends_on", {}):
            if needed not in reached:
                reached.add(needed)
                waiting.append(needed)
    return reached
