"""Stripe saves a failure under the idempotency key of the call, and gives it again for a day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.gateways.payments import GatewayUnavailable

_MOST_KEYS = 5
_T = TypeVar("_T")


async def past_saved_failures(
    key: str, create: Callable[[str], Awaitable[_T]], find: Callable[[], Awaitable[_T | None]]
) -> _T:
    """What `create` makes under a key. Where the key holds a saved failure, see what was made, or take the next key.

    Every caller passes the same keys in the same order, so racing ones make one thing.

    Raises:
        app.gateways.payments.PaymentError: Stripe refused, or did not answer; repeat.
    """
    for number in range(2, _MOST_KEYS + 1):
        try:
            return await create(key)
        except GatewayUnavailable as error:
            if not error.replayed:
                raise
        made = await find()
        if made is not None:
            return made
        key = f"{key.removesuffix(f':{number - 1}')}:{number}"
    return await create(key)
