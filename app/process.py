"""How a process of the platform leaves: one known place."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process with this exit status, now, with everything said flushed.

    The interpreter's own shutdown can abort after the Temporal SDK's runtime has run in the process
    ("PyGILState_Release … finalizing"), which would turn a success into a failure. Close clients and servers
    first, then call this.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # a closed pipe must not change the exit status
            continue
    os._exit(status)
