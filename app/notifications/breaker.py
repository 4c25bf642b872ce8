"""Spares everyone the wait for a mail server that is away."""

from __future__ import annotations

import time
from datetime import timedelta


class MailBreaker:
    """Once the server was found away, lets one mail in each `pause` try whether it is back.

    A server that never answers costs a mail its whole timeout. Without this, a batch of them would hold up the
    in-app notices behind it.
    """

    def __init__(self, pause: timedelta) -> None:
        self._pause = pause.total_seconds()
        self._away = False
        self._next_try = 0.0

    def allows(self) -> bool:
        """Whether a mail may be tried now."""
        now = time.monotonic()
        if not self._away:
            return True
        if now < self._next_try:
            return False
        self._next_try = now + self._pause  # this one tries; the others wait for what it finds
        return True

    def found_away(self) -> None:
        """A mail found no server."""
        self._away = True
        self._next_try = time.monotonic() + self._pause

    def found_back(self) -> None:
        """A mail got an answer, whichever."""
        self._away = False
