"""Compiled modules for processes that are started again and again, also where the shell forbids bytecode.

Without bytecode a start of the API or the worker compiles every package that it imports (7 s of processor time in place
of 2.5), and the sandbox compiles the workflows' modules again for each run.
"""

from __future__ import annotations

from collections.abc import Mapping

from devstack.cache import cache_root


def with_bytecode(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to this environment: bytecode goes to the per-user cache where it may not be beside the sources."""
    if not environment.get("PYTHONDONTWRITEBYTECODE") or environment.get("PYTHONPYCACHEPREFIX"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(cache_root() / "bytecode")}
