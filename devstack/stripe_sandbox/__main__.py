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
    parser.add_argument("--charge-seconds", type=float, default=0, help="until a charge's money is available")
    parser.add_argument("--webhook-url", help="endpoint of every platform's own events")
    parser.add_argument("--webhook-secret", default="", help="what they are signed with")
    parser.add_argument("--connect-webhook-url", help="endpoint of the events of connected accounts")
    parser.add_argument("--connect-webhook-secret", default="", help="what they are signed with")
    parser.add_argument(
        "--webhook-retry-seconds", type=float, default=5, help="until the first repeat of a failed delivery"
    )
    parser.add_argument(
        "--dunning-days",
        default="3,5,7",
        help="from one failed attempt at an invoice to the next, with commas",
    )
    parser.add_argument(
        "--dunning-end",
        choices=("cancel", "past_due", "unpaid"),
        default="cancel",
        help="what becomes of a subscription after the last attempt",
    )
    arguments = parser.parse_args()
    options = Options(
        public_url=arguments.public_url or f"http://{arguments.host}:{arguments.port}",
        automatic_onboarding=arguments.automatic_onboarding,
        starting_balance=arguments.starting_balance,
        payout_seconds=arguments.payout_seconds,
        transfer_seconds=arguments.transfer_seconds,
        charge_seconds=arguments.charge_seconds,
        dunning_days=tuple(float(days) for days in arguments.dunning_days.split(",") if days),
        dunning_end=arguments.dunning_end,
        webhook_url=arguments.webhook_url,
        webhook_secret=arguments.webhook_secret,
        connect_webhook_url=arguments.connect_webhook_url,
        connect_webhook_secret=arguments.connect_webhook_secret,
        webhook_retry_seconds=arguments.webhook_retry_seconds,
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
