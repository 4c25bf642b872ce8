"""The per-user cache of built services: one folder per name and version, made whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from devstack.progress import say


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/nimmit`, or `~/.cache/nimmit`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nimmit"


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the cache's lock of that name; says so when another process has it."""
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  {name}: another process is building it; waiting for that")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def built(key: str, inside: str, build: Callable[[Path], None]) -> Path:
    """The path `inside` the cache folder `key`, built there first if it is not yet.

    `build` fills an empty folder, which gets its name only when all of it is there: a build that is cut short
    leaves nothing that looks finished. Two processes that want the same key build it once.
    """
    target = cache_root() / key / inside
    if target.exists():
        return target
    with exclusive(key):
        if target.exists():
            return target
        workshop = cache_root() / "build"
        workshop.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=workshop))
        try:
            build(folder)
            if not (folder / inside).exists():
                raise FileNotFoundError(f"the build of {key} ended well but left no {inside}")
            folder.chmod(0o755)
            shutil.rmtree(cache_root() / key, ignore_errors=True)
            folder.rename(cache_root() / key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return target
