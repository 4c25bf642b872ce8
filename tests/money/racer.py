"""One racing process: `python -m tests.money.racer URI DATABASE CLIENT COUNT` tries COUNT holds of one each.

Every process uses the same keys in its own order, so that each hold is raced for by all of them.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from typing import Any

from pymongo import AsyncMongoClient

from app.money.credits import Credits
from app.money.keys import hold_key


async def race(uri: str, database: str, owner: str, count: int) -> int:
    """Try every hold; returns how many stand."""
    async with AsyncMongoClient[dict[str, Any]](uri, tz_aware=True) as mongo:
        credits_ = Credits(mongo[database])
        numbers = list(range(count))
        random.Random(os.getpid()).shuffle(numbers)  # an order, not a secret
        print("ready", flush=True)  # noqa: T201  # the parent waits for it
        await asyncio.to_thread(sys.stdin.readline)
        held = 0
        for number in numbers:
            outcome = await credits_.hold(owner, f"j{number}", 1, key=hold_key(f"{owner}-{number}"))
            held += outcome.outcome == "held"
        return held


if __name__ == "__main__":
    _, address, name, client, tries = sys.argv
    print(asyncio.run(race(address, name, client, int(tries))))  # noqa: T201  # the result
