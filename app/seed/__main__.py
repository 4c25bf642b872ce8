"""`python -m app.seed`: seed the database that the settings name, for development."""

from __future__ import annotations

import argparse
import asyncio
import sys

from app.database import connect, open_database
from app.gateways.stripe import StripeGateway
from app.money.credits import Credits
from app.seed.people import DEFAULT_SEED, DEFAULT_WORKERS, make_cast
from app.seed.store import SEED_PASSWORD, Seeded, Seeder
from app.settings import get_settings


async def _write(arguments: argparse.Namespace) -> Seeded:
    settings = get_settings()
    cast = make_cast(arguments.seed, workers=arguments.workers, clients=arguments.clients)
    payments = StripeGateway.from_settings(settings)
    try:
        async with connect(settings) as client:
            database = await open_database(client, settings)
            seeder = Seeder(database, settings, Credits(database), payments)
            return await seeder.write(cast)
    finally:
        await payments.close()


def main() -> int:
    """Seed, and say who can log in."""
    parser = argparse.ArgumentParser(prog="python -m app.seed", description=__doc__)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--workers", type=int, default=DEFAULT_WORKERS)
    parser.add_argument("--clients", type=int, default=1)
    arguments = parser.parse_args()
    seeded = asyncio.run(_write(arguments))
    cast = make_cast(arguments.seed, workers=arguments.workers, clients=arguments.clients)
    sys.stdout.write(
        f"New: {seeded.people} people, {seeded.accounts} payout accounts, {seeded.subscriptions} subscriptions.\n"
        f"Log in as {cast.admin.email}, {cast.clients[0].email} or {cast.workers[0].email}; "
        f"the password of all is {SEED_PASSWORD}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
