"""An activity that waits for others gives signs of life, if its workflow asks for them and for as long as it runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment

from activities.heartbeat import beating


@activity.defn
@beating
async def slow(seconds: float) -> str:
    """Wait, and answer."""
    await asyncio.sleep(seconds)
    if seconds < 0.01:
        raise ValueError("too quick")
    return "done"


def environment(timeout: timedelta | None) -> tuple[ActivityEnvironment, list[object]]:
    found = ActivityEnvironment()
    found.info = replace(found.info, heartbeat_timeout=timeout)
    beats: list[object] = []
    found.on_heartbeat = lambda *details: beats.append(details)
    return found, beats


async def test_it_beats_several_times_in_each_timeout_and_not_after_its_end() -> None:
    env, beats = environment(timedelta(seconds=0.12))
    assert await env.run(slow, 0.3) == "done"
    count = len(beats)
    assert 4 <= count <= 8
    await asyncio.sleep(0.1)
    assert len(beats) == count


async def test_one_that_is_quick_or_was_not_asked_sends_nothing() -> None:
    for timeout, seconds in ((timedelta(seconds=15), 0.05), (None, 0.05)):
        env, beats = environment(timeout)
        assert await env.run(slow, seconds) == "done"
        assert beats == []
    assert await slow(0.01) == "done"  # called by no worker


async def test_its_failure_is_its_own() -> None:
    env, _ = environment(timedelta(seconds=0.12))
    with pytest.raises(ValueError, match="too quick"):
        await env.run(slow, 0)
