"""Programs are found or built once, and a machine that lacks a tool is told what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from devstack import bootstrap, cache, provision
from devstack.recipes import RECIPES
from devstack.services import ROOT
from devstack.toolchain import BuildError, MissingToolError, run_build


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with an empty PATH and an empty cache; the folder that is on its PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


@pytest.mark.parametrize(
    ("name", "tool", "ways"),
    [
        (
            "temporal",
            "`go`",
            ["golang-go", "`temporal` on the PATH", "NIMMIT_TEMPORAL_ADDRESS", "docker compose"],
        ),
        (
            "versitygw",
            "`go`",
            ["golang-go", "`versitygw` on the PATH", "NIMMIT_S3_ENDPOINT_URL", "docker compose"],
        ),
        ("mongodb", "`mvn`", ["maven", "`mongod` on the PATH", "NIMMIT_MONGODB_URI", "docker compose"]),
        ("temporal-test-server", "`mvn`", ["maven", "time-skipping"]),
    ],
)
def test_a_missing_toolchain_is_named_with_every_way_out(
    bare: Path, name: str, tool: str, ways: list[str]
) -> None:
    with pytest.raises(MissingToolError) as caught:
        provision.locate(name)
    for part in (tool, *ways):
        assert part in str(caught.value)


def test_the_command_ends_with_the_message_and_not_a_traceback(bare: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "devstack", "provision", "temporal"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Building temporal 1.5.1 needs `go`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_on_the_path_comes_before_a_build(bare: Path) -> None:
    own = bare / "mongod"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert provision.locate("mongodb") == own


def test_an_address_in_the_environment_makes_a_program_needless(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEMPORAL_ADDRESS", "MONGODB_URI", "S3_ENDPOINT_URL", "REDIS_URL"):
        monkeypatch.setenv(f"NIMMIT_{name}", "somewhere")
    assert provision.provision() == {}
    with pytest.raises(MissingToolError, match="time-skipping"):
        provision.provision(tests=True)


def test_a_failed_build_leaves_nothing_and_shows_its_last_words(bare: Path, tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        code = "import sys; print('no such module'); sys.exit(2)"
        run_build(
            [sys.executable, "-c", code],
            what="building it",
            usual_seconds=1,
            env={},
            cwd=folder,
            otherwise="Do this.",
        )

    with pytest.raises(BuildError, match=r"(?s)status 2.*no such module.*Do this\."):
        cache.built("it-1", "program", broken)
    assert not (cache.cache_root() / "it-1").exists()
    assert list((cache.cache_root() / "build").iterdir()) == []


def test_two_who_want_the_same_build_make_it_once(bare: Path) -> None:
    built: list[int] = []

    def slow(folder: Path) -> None:
        time.sleep(0.3)
        built.append(1)
        (folder / "program").write_text("whole")

    threads = [threading.Thread(target=cache.built, args=("it-2", "program", slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
    assert cache.built("it-2", "program", slow).read_text() == "whole"


def test_an_edit_of_our_own_server_is_built_anew() -> None:
    assert RECIPES["mongodb"].version.startswith("1.47.0-")
    assert len(RECIPES["mongodb"].version) == len("1.47.0-") + 10


def test_a_machine_without_a_fitting_python_is_told_how_to_get_one(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = bare / "python3"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(bootstrap.SetUpError, match=r"(?s)Python 3\.11 to 3\.13.*is 3\.9.*apt-get.*Docker"):
        bootstrap.find_python()


def test_make_without_any_python_says_so(bare: Path) -> None:
    for tool in ("bash", "awk"):
        (bare / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    make = next(path for path in (Path("/usr/bin/make"), Path("/usr/local/bin/make")) if path.exists())
    done = subprocess.run(
        [str(make), "test"], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "needs Python 3.11 to 3.13" in done.stderr
    assert "docker compose up" in done.stderr
