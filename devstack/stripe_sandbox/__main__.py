"""`python -m devstack.stripe_sandbox --port P --data DIR`: runs the sandbox until it is told to stop."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from devstack.stripe_sandbox.call import Options
from devstack.stripe_sandbox.server import DroppableProtocol, create_app
from devstack.stripe_sandbox.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devstack.stripe_sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument(
        "--data", type=Path, required=True, help="directory of the state; made if it is not there"
    )
    parser.add_argument("--public-url", help="address in onboarding links (default: http://HOST:PORT)")
    parser.add_argument(
        "--automatic-onboarding",
        action="store_true",
        help="new connected accounts complete their onboarding by themselves, right after they are created",
    )
    parser.add_argument("--starting-balance", type=int, default=0, help="USD cents each platform begins with")
    parser.add_argument("--payout-seconds", type=float, default=0, help="from a payout to its arrival")
    parser.add_argument(
        "--transfer-seconds", type=float, default=0, help="until transferred money is available"
    )
    arguments = parser.parse_args()
    options = Options(
        public_url=arguments.public_url or f"http://{arguments.host}:{arguments.port}",
        automatic_onboarding=arguments.automatic_onboarding,
        starting_balance=arguments.starting_balance,
        payout_seconds=arguments.payout_seconds,
        transfer_seconds=arguments.transfer_seconds,
    )
    store = Store(arguments.data)
    try:
        uvicorn.run(
            create_app(store, options),
            host=arguments.host,
            port=arguments.port,
            http=DroppableProtocol,
            loop="asyncio",
            access_log=False,
            log_level="warning",
            # Longer than clients keep idle connections, so that none is closed under a request.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    finally:
        store.close()


if __name__ == "__main__":
    main()
