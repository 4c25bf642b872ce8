"""`make check`: each gate in turn, stopping at the first that fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from devstack import compose, env_example
from devstack.progress import say
from devstack.services import ROOT

_BIN = Path(sys.executable).parent
_GATES = (
    ("lint", ["ruff", "check", "--quiet", "."]),
    ("format", ["ruff", "format", "--check", "--quiet", "."]),
    ("types", ["mypy", "--no-error-summary"]),
    ("import contracts", ["lint-imports", "--no-logo"]),
    ("docs/lifecycle.md", ["python", "-m", "app.lifecycle_doc", "--check"]),
    ("docs/openapi.json", ["python", "-m", "api.openapi_doc", "--check"]),
)


def _run(argv: list[str]) -> bool:
    done = subprocess.run(
        [str(_BIN / argv[0]), *argv[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        say(done.stdout.decode(errors="replace"))
    return done.returncode == 0


def _compose() -> bool:
    found = compose.faults(compose.load())
    for fault in found:
        say(f"    docker-compose.yml: {fault}")
    return not found


def _env_example() -> bool:
    if env_example.FILE.is_file() and env_example.FILE.read_text() == env_example.render():
        return True
    say("    .env.example is not what the settings say now: run `python -m devstack.env_example`")
    return False


def main() -> int:
    """0 when every gate is clean."""
    gates: list[tuple[str, Callable[[], bool]]] = [(name, partial(_run, argv)) for name, argv in _GATES]
    gates += [("compose file", _compose), (".env.example", _env_example)]
    for name, gate in gates:
        clean = gate()
        say(f"  {name}: {'clean' if clean else 'FAILED'}")
        if not clean:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
