"""Which holds a job has, and how they are ended: plans of ledger transactions, as pure data.

A hold is resolved once, by a transaction whose key is planned here: from the act, never from the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.camel import CamelModel
from app.money.keys import complete_key, release_key, resolution_key


class OpenHold(CamelModel):
    """Credits set aside for a job, in hundredths; `key` names the hold in the ledger."""

    key: str
    credits: int


class PlannedResolution(CamelModel):
    """The end of one hold; the three amounts add up to it. What is held again is named by `key`."""

    hold_key: str
    key: str
    post: int
    release: int
    hold_again: int = 0


def post_all(job_id: str, holds: Sequence[OpenHold]) -> list[PlannedResolution]:
    """Everything is spent."""
    return [
        PlannedResolution(hold_key=hold.key, key=complete_key(job_id, number), post=hold.credits, release=0)
        for number, hold in enumerate(holds, start=1)
    ]


def release_all(job_id: str, holds: Sequence[OpenHold]) -> list[PlannedResolution]:
    """Everything returns to the client."""
    return [
        PlannedResolution(hold_key=hold.key, key=release_key(job_id, number), post=0, release=hold.credits)
        for number, hold in enumerate(holds, start=1)
    ]


def split(
    job_id: str, holds: Sequence[OpenHold], post: int, *, number: int, keep: bool = False
) -> tuple[list[PlannedResolution], list[OpenHold]]:
    """Spend `post` of the holds, the first ones first; the rest returns, or is held again with `keep`.

    Args:
        number: how many resolutions the job has had; the next keys are made from it.

    Returns:
        The resolutions, and the holds that are open afterwards.
    """
    planned: list[PlannedResolution] = []
    left: list[OpenHold] = []
    for hold in holds:
        spent = min(post, hold.credits)
        post -= spent
        rest = hold.credits - spent
        if keep and not spent:
            left.append(hold)
            continue
        key = resolution_key(job_id, number + len(planned) + 1)
        planned.append(
            PlannedResolution(
                hold_key=hold.key,
                key=key,
                post=spent,
                release=0 if keep else rest,
                hold_again=rest if keep else 0,
            )
        )
        if keep and rest:
            left.append(OpenHold(key=key, credits=rest))
    return planned, left
