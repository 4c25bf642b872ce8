"""`python -m api --host 127.0.0.1 --port 8000`: serve until SIGTERM or Ctrl-C, then finish what is running."""

from __future__ import annotations

import argparse
import signal
from typing import Any

import uvicorn

from api.main import create_app
from app.process import leave
from app.settings import get_settings

GRACE_SECONDS = 10


def main() -> int:
    """Run the server; the exit status is 0 after a graceful stop, 3 when it could not start."""
    # uvicorn takes the signal over while it serves, and raises it again when it has stopped
    signal.signal(signal.SIGTERM, _interrupt)
    parser = argparse.ArgumentParser(prog="python -m api", description="Nimmit's HTTP API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    settings = get_settings()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=arguments.host,
            port=arguments.port,
            log_config=None,  # create_app has set logging up
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    return 0 if server.started else 3


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    leave(main())
