"""`python -m devstack provision | dev | clean-data`."""

from __future__ import annotations

import argparse
import sys

from devstack.progress import say
from devstack.toolchain import BuildError, MissingToolError


def _provision(names: list[str], *, tests: bool) -> int:
    from devstack.provision import locate, provision  # noqa: PLC0415  # only what the command needs: every make asks

    if names:
        for name in names:
            print(locate(name))
    else:
        provision(tests=tests)
    return 0


def main() -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="devstack", description="The real services on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("provision", help="have every program ready, building what is missing")
    one.add_argument("names", nargs="*", help="only these, whose paths are printed")
    one.add_argument("--tests", action="store_true", help="also what only the tests need")
    commands.add_parser("dev", help="start everything and stay until Ctrl-C")
    commands.add_parser("clean-data", help="forget all data of `dev`")
    arguments = parser.parse_args()
    try:
        if arguments.command == "provision":
            return _provision(arguments.names, tests=arguments.tests)
        from devstack import dev  # noqa: PLC0415

        return dev.main() if arguments.command == "dev" else dev.clean_data()
    except (MissingToolError, BuildError) as error:
        say(f"\n{error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
