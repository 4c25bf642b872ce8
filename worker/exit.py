"""The one way out of a process that ran a Temporal worker.

Seen with temporalio 1.35: such a process now and then aborts while the interpreter shuts down, after its work is
done ("PyGILState_Release … finalizing", or a segmentation fault), because a thread of the SDK's core still calls into
Python. The work is safe, but the exit status is wrong, and the status is what make, CI and containers go by.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process with exactly this status, without the interpreter's own shutdown.

    Call it last: workers, clients and files must be closed, since neither `finally` blocks nor `atexit` run after it.
    A status of 0 becomes 74 (input/output error) when the last output could not be written.
    """
    unwritten = False
    with contextlib.suppress(Exception):
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            unwritten = True
    os._exit(74 if unwritten and status == 0 else status)
