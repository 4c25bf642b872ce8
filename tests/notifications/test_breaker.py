"""One mail in each pause finds out whether the server is back."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from app.notifications.breaker import MailBreaker


def test_it_lets_one_try_in_each_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    breaker = MailBreaker(timedelta(seconds=10))
    assert breaker.allows()
    breaker.found_away()
    assert not breaker.allows()
    now = 110.0
    assert breaker.allows()
    assert not breaker.allows(), "one tries, the others wait"
    breaker.found_away()
    now = 119.9
    assert not breaker.allows()
    now = 120.0
    assert breaker.allows()
    breaker.found_back()
    assert breaker.allows()
    assert breaker.allows()
