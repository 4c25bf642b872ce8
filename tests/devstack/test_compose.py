"""The compose file has the right shape, reaches every service, and its checks notice when it does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from app.settings import Settings
from devstack import compose, env_example
from devstack.services import ROOT, SERVICES


def test_the_file_is_sound() -> None:
    assert compose.faults(compose.load()) == []


def _drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["services"]["api"]["environment"].pop(key)


def _set(service: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["services"][service].update({key: value})


def _environment(key: str, value: str) -> Callable[[dict[str, Any]], None]:
    return lambda file: file["services"]["worker"]["environment"].update({key: value})


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_drop("NIMMIT_MONGODB_URI"), "api: NIMMIT_MONGODB_URI is not set"),
        (_environment("NIMMIT_REDIS_URL", "redis://127.0.0.1:6379/0"), "whose host is not a service"),
        (_environment("NIMMIT_MONGO_URI", "mongodb://mongodb"), "worker: NIMMIT_MONGO_URI is not a setting"),
        (_set("api", "depends_on", {"redis": {"condition": "service_healthy"}}), "without waiting for it"),
        (
            _set("api", "depends_on", {"nobody": {"condition": "service_started"}}),
            "api: nobody is not a service",
        ),
        (_set("redis", "image", "redis:latest"), "services/redis/image"),
        (_set("redis", "image", "redis"), "services/redis/image"),
        (_set("redis", "ports", ["6379:6379"]), "services/redis/ports/0"),
        (_set("redis", "volumes", ["elsewhere:/data"]), "redis: elsewhere is not a volume"),
        (_set("redis", "privileged", True), "'privileged' was unexpected"),  # a key's value
        (_set("mail", "ports", ["127.0.0.1:8000:8025"]), "port 8000 is published twice"),
        (
            lambda file: file["services"]["redis"].pop("healthcheck"),
            "redis to be healthy, which has no healthcheck",
        ),
    ],
)
def test_a_fault_is_found(spoil: Callable[[dict[str, Any]], None], fault: str) -> None:
    file = copy.deepcopy(compose.load())
    spoil(file)
    assert any(fault in line for line in compose.faults(file)), compose.faults(file)


def test_every_local_address_of_the_settings_is_covered() -> None:
    """The list is read from the settings' defaults: it must hold what the stack itself sets."""
    set_by_the_stack = {service.given_by.removeprefix("NIMMIT_").lower() for service in SERVICES.values()}
    assert set_by_the_stack <= set(compose.addresses())


def test_settings_can_be_built_from_the_containers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in compose.load()["services"]["worker"]["environment"].items():
        if value is not None:
            monkeypatch.setenv(key, value)
    settings = Settings(_env_file=None)
    assert settings.mongodb_uri.get_secret_value() == "mongodb://mongodb:27017/?replicaSet=rs0"
    assert settings.s3_public_endpoint_url == "http://127.0.0.1:7070"


def test_the_image_is_hash_pinned_and_not_run_by_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile
    assert "USER 10001" in dockerfile
    assert dockerfile.count("\nFROM ") >= 3
    assert ":latest" not in dockerfile
    copied = {
        line.split()[1]
        for line in dockerfile.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    }
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == kept


def test_the_example_of_the_environment_is_current() -> None:
    assert env_example.FILE.read_text() == env_example.render()


def test_pins_name_no_registry() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in "".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        assert "index-url" not in text
        assert "--hash=sha256:" in text
