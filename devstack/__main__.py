"""`python -m devstack provision | dev | clean-data`."""

from __future__ import annotations

import argparse
import sys

from devstack.progress import say
from devstack.toolchain import BuildError, MissingToolError


def _provision(names: list[str]) -> int:
    from devstack.provision import provision  # noqa: PLC0415  # only what the command needs: this one is on every make

    found = provision(names)
    for name in names:
        print(f"{name}: {found[name]}")
    return 0


def main() -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="devstack", description="The real services on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("provision", help="have every program ready, building what is missing")
    one.add_argument("names", nargs="*")
    commands.add_parser("dev", help="start everything and stay until Ctrl-C")
    commands.add_parser("clean-data", help="forget all data of `dev`")
    arguments = parser.parse_args()
    try:
        if arguments.command == "provision":
            return _provision(arguments.names)
        from devstack import dev  # noqa: PLC0415

        return dev.main() if arguments.command == "dev" else dev.clean_data()
    except (MissingToolError, BuildError) as error:
        say(f"\n{error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
