"""Whose part of a job's money is whose, from the record alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.jobs.change import Accrual, FormerWorker
from app.jobs.parts import Parts, standing_parts
from app.money.keys import accrue_key, complete_key, hold_key, resolution_key

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
JOB = "job"
# Posted; the first worker left with a part, the second with none, the third has done it.
KEYS = [
    hold_key(JOB),
    resolution_key(JOB, 1),
    accrue_key(JOB),
    hold_key(JOB, 2),
    complete_key(JOB),
    complete_key(JOB, 2),
    accrue_key(JOB, 2),
]


def left(worker_id: str, assignment: int, ledger_keys: int | None) -> FormerWorker:
    return FormerWorker(worker_id=worker_id, assignment=assignment, left_at=NOW, ledger_keys=ledger_keys)


def parts(last: str, *former: FormerWorker) -> Parts:
    accruals = [
        Accrual(number=1, worker_id="first", usd_cents=300),
        Accrual(number=2, worker_id=last, usd_cents=700),
    ]
    return Parts(job_id=JOB, worker_id=last, ledger_keys=KEYS, accruals=accruals, former_workers=list(former))


@pytest.mark.parametrize("last", ["third", "first"], ids=["another", "the first again"])
def test_what_was_settled_when_the_last_worker_left_stands(last: str) -> None:
    found = parts(last, left("first", 1, 3), left("second", 2, 4))
    assert found.present_keys == KEYS[4:]
    assert [item.number for item in found.present_accruals] == [2]
    assert [item.number for item in found.standing_accruals] == [1]


def test_nobody_left_and_all_is_of_the_present_worker() -> None:
    found = parts("first")
    assert (found.present_keys, found.standing_accruals) == (KEYS, [])


def test_of_those_who_left_before_it_was_counted_only_the_pay_tells() -> None:
    found = parts("third", left("first", 1, None))
    assert found.present_keys == KEYS[3:]
    assert [item.number for item in found.standing_accruals] == [1]
    assert parts("first", left("first", 1, None)).present_keys == KEYS
    (part,) = standing_parts(found.former_workers)
    assert (part.worker_id, part.client_paid, part.worker_earned_usd_cents) == ("first", None, None)


def test_it_is_read_from_a_job_as_stored() -> None:
    stored = {
        "_id": JOB,
        "status": "completed",
        "workerId": "third",
        "ledgerKeys": KEYS,
        "accruals": [{"number": 1, "workerId": "first", "usdCents": 300}],
        "formerWorkers": [{"workerId": "first", "assignment": 1, "leftAt": NOW, "ledgerKeys": 3}],
    }
    assert Parts.model_validate(stored).present_keys == KEYS[3:]
