"""Finding the tools a build needs, and saying plainly what to do when they are not there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from devstack.progress import Progress


class MissingToolError(RuntimeError):
    """A tool is missing; the message names it and each way to go on."""


class BuildError(RuntimeError):
    """A build ran and failed; the message ends with the last lines it printed."""


def ways_out(*, service: str, binary: str, debian: str, variable: str) -> str:
    """The four ways to have a service, for an error message."""
    return "\n".join(
        (
            f"There are four ways to have {service}:",
            f"  1. Debian or Ubuntu:  sudo apt-get install {debian}",
            f"  2. its own program:   put `{binary}` on the PATH",
            f"  3. one that you have: set {variable} to its address",
            "  4. Docker:            docker compose up --build   (the whole stack, see docs/devstack.md)",
        )
    )


def require_tools(tools: Sequence[str], *, purpose: str, otherwise: str) -> dict[str, str]:
    """The full path of each tool.

    Raises:
        MissingToolError: one of them is not on the PATH; `otherwise` ends the message.
    """
    found = {tool: shutil.which(tool) for tool in tools}
    missing = [tool for tool, path in found.items() if path is None]
    if missing:
        names = ", ".join(f"`{tool}`" for tool in missing)
        raise MissingToolError(f"{purpose} needs {names}, which is not on the PATH.\n{otherwise}")
    return {tool: path for tool, path in found.items() if path is not None}


def run_build(
    argv: Sequence[str],
    *,
    what: str,
    usual_seconds: float,
    env: Mapping[str, str],
    cwd: Path,
    otherwise: str,
) -> None:
    """Run one build command under a progress line, its output in `build.log` beside the result.

    Raises:
        BuildError: it ended with another status than 0.
    """
    log = cwd / "build.log"
    with log.open("ab") as output, Progress(what, usual_seconds):
        status = subprocess.run(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        ).returncode
        if status:
            lines = log.read_text(errors="replace").splitlines()[-20:]
            raise BuildError(
                f"{what}: `{argv[0]}` ended with status {status}. Its last lines:\n    "
                + "\n    ".join(lines)
                + f"\n{otherwise}"
            )
