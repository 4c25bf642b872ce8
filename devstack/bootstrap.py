"""Makes `.venv` with the hash-pinned packages, from a bare Python: `python3 -m devstack.bootstrap`.

Standard library only, and no syntax newer than Python 3.8, so that an older Python still gets as far as saying so.
Does nothing, in a few milliseconds, when the environment is the one that `requirements-dev.txt` asks for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from devstack.progress import Progress, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements-dev.txt"
STAMP = VENV / ".nimmit-requirements"
# Beanie, the document layer, stops before 3.14.
VERSIONS = ("3.13", "3.12", "3.11")


class SetUpError(Exception):
    """The environment cannot be made; the message says what to do."""


def version_of(python: str) -> str:
    """`3.12` for a Python of that kind, or an empty string if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.decode().strip()


def find_python() -> str:
    """A Python of a version we support.

    Raises:
        SetUpError: there is none on the PATH.
    """
    seen = []
    for name in (sys.executable, "python3.13", "python3.12", "python3.11", "python3", "python"):
        path = shutil.which(name) if name else None
        version = version_of(path) if path else ""
        if path and version in VERSIONS:
            return path
        if version:
            seen.append(f"{path} is {version}")
    found = f" Found: {'; '.join(seen)}." if seen else ""
    raise SetUpError(
        f"Nimmit needs Python {VERSIONS[-1]} to {VERSIONS[0]}, and none is on the PATH.{found}\n"
        "Ways to get one:\n"
        "  1. Debian 12, Ubuntu 24.04 or newer:  sudo apt-get install python3 python3-venv\n"
        "  2. uv:      uv python install 3.13\n"
        "  3. pyenv:   pyenv install 3.13\n"
        "  4. Docker:  docker compose up --build   (no Python needed)"
    )


def fingerprint(python: str) -> str:
    """What the environment depends on: the pins and the Python."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes())
    digest.update(version_of(python).encode())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether `.venv` is whole and has exactly these pins."""
    python = VENV / "bin" / "python"
    if not STAMP.is_file() or not python.exists():
        return False
    return STAMP.read_text().strip() == fingerprint(str(python))


def make_environment(python: str, uv: str | None) -> None:
    """Create `.venv`, unless a usable one is there.

    Raises:
        SetUpError: the Python lacks its `venv` or `ensurepip` module.
    """
    if version_of(str(VENV / "bin" / "python")) in VERSIONS:
        return
    if VENV.exists():
        say(f"  {VENV} does not work any more: making it anew")
        shutil.rmtree(VENV)
    if uv:
        run([uv, "venv", "--quiet", "--python", python, str(VENV)])
        return
    probe = subprocess.run([python, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL, check=False)
    if probe.returncode:
        version = version_of(python)
        raise SetUpError(
            f"{python} cannot make a virtual environment: it lacks `venv` or `ensurepip`.\n"
            f"  Debian, Ubuntu:  sudo apt-get install python{version}-venv\n"
            "  or install uv, which needs neither:  https://docs.astral.sh/uv/"
        )
    run([python, "-m", "venv", str(VENV)])


def install(uv: str | None) -> None:
    """Install the pinned packages; each must have the hash it was pinned with.

    Raises:
        SetUpError: neither uv nor pip could.
    """
    python = str(VENV / "bin" / "python")
    quiet = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    arguments = ["install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
    if uv:
        try:
            run([uv, "pip", arguments[0], "--python", python, *arguments[1:]])
        except SetUpError:
            say("  uv could not install the packages; trying pip")  # it reads no pip.conf
        else:
            return
    if subprocess.run([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, check=False).returncode:
        run([python, "-m", "ensurepip"])
    run([python, "-m", "pip", *arguments], env=quiet)


def run(argv: list[str], env: dict[str, str] | None = None) -> None:
    """Run a command to its end, its output shown. Raises SetUpError when it fails."""
    status = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, check=False).returncode
    if status:
        raise SetUpError(f"`{' '.join(argv[:4])} …` ended with status {status}; its own words are above.")


def main() -> int:
    """Bring `.venv` up to date; 0 when it is."""
    if is_current():
        return 0
    try:
        python = find_python()
        uv = shutil.which("uv")
        say("Setting up Nimmit in .venv")
        with Progress("installing the pinned packages", 30 if uv else 120):
            make_environment(python, uv)
            install(uv)
    except SetUpError as error:
        say(f"\n{error}")
        return 1
    STAMP.write_text(fingerprint(str(VENV / "bin" / "python")) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
