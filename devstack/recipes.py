"""How each service is built from a package registry, once per user and version."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devstack.toolchain import require_tools, run_build, ways_out

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """`inside` is the program's path in the cache folder `<name>-<version>`; `usual_seconds` is on two cores."""

    name: str
    version: str
    inside: str
    build: Callable[[Path], None]

    @property
    def key(self) -> str:
        """The name of the cache folder."""
        return f"{self.name}-{self.version}"


def _go_install(name: str, module: str, version: str, usual_seconds: float, otherwise: str) -> Recipe:
    def build(folder: Path) -> None:
        go = require_tools(["go"], purpose=f"Building {name} {version}", otherwise=otherwise)["go"]
        # No C compiler is needed, and none is asked for.
        env = os.environ | {"GOBIN": str(folder / "bin"), "CGO_ENABLED": "0"}
        run_build(
            [go, "install", f"{module}@v{version}"],
            what=f"building {name} {version} with Go",
            usual_seconds=usual_seconds,
            env=env,
            cwd=folder,
            otherwise=otherwise,
        )

    return Recipe(name, version, f"bin/{name}", build)


def _copy_jars(folder: Path, pom: Path, *, what: str, usual_seconds: float, otherwise: str) -> None:
    mvn = require_tools(["mvn", "java"], purpose=what, otherwise=otherwise)["mvn"]
    shutil.copy(pom, folder / "pom.xml")
    run_build(
        # -C: a jar whose checksum is wrong fails the build
        [mvn, "-B", "-C", "-f", "pom.xml", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
        what=what,
        usual_seconds=usual_seconds,
        env=os.environ,
        cwd=folder,
        otherwise=otherwise,
    )


def _executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


# `exec`, so that a signal to the wrapper's process reaches the server itself.
_WRAPPER = """#!/bin/sh
exec java {options} -cp "$(dirname "$0")/{classpath}" {main} "$@"
"""

_MONGODB_OTHERWISE = ways_out(
    service="MongoDB",
    binary="mongod",
    debian="maven openjdk-17-jdk-headless",
    variable="NIMMIT_MONGODB_URI",
)
_TEST_SERVER_OTHERWISE = (
    "Only the time-skipping tests need this server. Get it with:\n"
    "  sudo apt-get install maven openjdk-17-jre-headless\n"
    "or put Temporal's own `temporal-test-server` on the PATH."
)


def _build_mongodb(folder: Path) -> None:
    tools = require_tools(
        ["java", "javac", "mvn"], purpose="Building the embedded MongoDB", otherwise=_MONGODB_OTHERWISE
    )
    source = HERE / "mongodb"
    _copy_jars(
        folder,
        source / "pom.xml",
        what="fetching the embedded MongoDB with Maven",
        usual_seconds=60,
        otherwise=_MONGODB_OTHERWISE,
    )
    run_build(
        [tools["javac"], "-cp", "lib/*", "-d", "classes", str(source / "DurableMongo.java")],
        what="compiling the embedded MongoDB",
        usual_seconds=3,
        env=os.environ,
        cwd=folder,
        otherwise=_MONGODB_OTHERWISE,
    )
    # A bounded heap, one collector thread and the quick compiler: it shares the machine with everything else and lives
    # for minutes, in which the thorough compiler took more than it gave (an update 2.2 ms of processor time, now 0.6).
    # A sorted result lies in the heap whole: with 512 MiB the server died of a journal of 100,000 rows.
    options = (source / "java.options").read_text().strip()
    wrapper = _WRAPPER.format(options=options, classpath='classes:$(dirname "$0")/lib/*', main="DurableMongo")
    _executable(folder / "mongodb", wrapper)


def _build_test_server(folder: Path) -> None:
    _copy_jars(
        folder,
        HERE / "temporal_test_server" / "pom.xml",
        what="fetching Temporal's time-skipping test server with Maven",
        usual_seconds=60,
        otherwise=_TEST_SERVER_OTHERWISE,
    )
    wrapper = _WRAPPER.format(
        options="-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        classpath="lib/*",
        main="io.temporal.testserver.TestServer",
    )
    _executable(folder / "temporal-test-server", wrapper)


def _sources_hash(folder: Path) -> str:
    """Our own part of a build in its cache key, so that an edit of it is built."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:10]


RECIPES = {
    recipe.name: recipe
    for recipe in (
        _go_install(
            "temporal",
            "github.com/temporalio/cli/cmd/temporal",
            "1.5.1",
            240,
            ways_out(
                service="Temporal", binary="temporal", debian="golang-go", variable="NIMMIT_TEMPORAL_ADDRESS"
            ),
        ),
        _go_install(
            "versitygw",
            "github.com/versity/versitygw/cmd/versitygw",
            "1.8.0",
            90,
            ways_out(service="S3", binary="versitygw", debian="golang-go", variable="NIMMIT_S3_ENDPOINT_URL"),
        ),
        Recipe("mongodb", f"1.47.0-{_sources_hash(HERE / 'mongodb')}", "mongodb", _build_mongodb),
        Recipe(
            "temporal-test-server",
            f"1.35.0-{_sources_hash(HERE / 'temporal_test_server')}",
            "temporal-test-server",
            _build_test_server,
        ),
    )
}
