"""Whose part of a job's money is whose: that of its present worker, and those of the workers who left before.

A worker's part is settled when they leave, by the terms written down beforehand, and it stands from then on. So what
is decided later between the client and the present worker, such as a ruling, divides the present part alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from app.camel import CamelModel
from app.jobs.change import Accrual, FormerWorker
from app.money.keys import accrue_key

FIELDS = {"workerId": 1, "ledgerKeys": 1, "accruals": 1, "formerWorkers": 1}
"""What of a stored job `Parts` is read from."""


class Parts(CamelModel):
    """The record of a job's money, in the order in which it was made."""

    job_id: str = Field(validation_alias="_id")
    worker_id: str | None = None  # the present one, or the last
    ledger_keys: list[str] = Field(default_factory=list)
    accruals: list[Accrual] = Field(default_factory=list)
    former_workers: list[FormerWorker] = Field(default_factory=list)

    @property
    def present_keys(self) -> list[str]:
        """The job's transactions since the last worker left."""
        return self.ledger_keys[self._settled :]

    @property
    def present_accruals(self) -> list[Accrual]:
        """What the present worker has earned since they took the job."""
        standing = {item.number for item in self.standing_accruals}
        return [item for item in self.accruals if item.number not in standing]

    @property
    def standing_accruals(self) -> list[Accrual]:
        """What workers who left have earned, also one who took the job again afterwards."""
        settled = set(self.ledger_keys[: self._settled])
        return [item for item in self.accruals if accrue_key(self.job_id, item.number) in settled]

    @property
    def _settled(self) -> int:
        """How many of the transactions were made before the last worker left."""
        if not self.former_workers:
            return 0
        counted = self.former_workers[-1].ledger_keys
        return self._up_to_the_last_other() if counted is None else counted

    def _up_to_the_last_other(self) -> int:
        """The same for a worker who left before that was counted: up to the last pay of somebody else.

        A settlement writes the ends of its holds before the accrual that they paid for.
        """
        others = {
            accrue_key(self.job_id, item.number) for item in self.accruals if item.worker_id != self.worker_id
        }
        return max((place for place, key in enumerate(self.ledger_keys, start=1) if key in others), default=0)


class StandingPart(CamelModel):
    """What a worker who left was paid for the job in USD cents, and the client for them in hundredths of a credit.

    None: it was not kept yet when they left.
    """

    worker_id: str
    assignment: int
    client_paid: int | None
    worker_earned_usd_cents: int | None


def standing_parts(former_workers: Sequence[FormerWorker]) -> list[StandingPart]:
    """The parts that nothing decided later touches, in the order in which the workers left."""
    return [StandingPart.model_validate(former, from_attributes=True) for former in former_workers]
