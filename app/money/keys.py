"""Idempotency keys. A key names the business act, never the attempt, and is kept for ever."""

from __future__ import annotations


def period_grant_key(subscription_id: str, period: str) -> str:
    """The credits of one period (named by its first day, e.g. `2026-11-22`) of a subscription."""
    return f"grant:{subscription_id}:{period}"


def invoice_grant_key(invoice_id: str) -> str:
    """The credits bought by one paid invoice, whichever event told of it."""
    return f"invoice:{invoice_id}"


def hold_key(job_id: str, number: int = 1) -> str:
    """A job's hold; the second and later ones are for extra work the client agreed to."""
    return f"hold:{job_id}:{number}"


def complete_key(job_id: str, number: int = 1) -> str:
    """The posting of a completed job's hold; one key for each hold it has."""
    return f"complete:{job_id}" if number == 1 else f"complete:{job_id}:{number}"


def release_key(job_id: str, number: int = 1) -> str:
    """The release of a job's hold when the job ends without being completed."""
    return f"release:{job_id}:{number}"


def refund_key(job_id: str, act: str) -> str:
    """Spent credits given back; `act` names the decision that did it, e.g. `ruling:1`."""
    return f"refund:{job_id}:{act}"


def accrue_key(job_id: str, number: int = 1) -> str:
    """What a worker earned by a job; the second and later ones are for extra work, or for another worker."""
    return f"accrue:{job_id}" if number == 1 else f"accrue:{job_id}:{number}"


def transfer_key(job_id: str, number: int = 1) -> str:
    """The transfer of a job's pay to the worker's connected account; one key for each accrual it has."""
    return f"transfer:{job_id}" if number == 1 else f"transfer:{job_id}:{number}"


def reversal_key(job_id: str, act: str) -> str:
    """Earnings taken back; `act` names the decision that did it, so that two partial reversals never clash."""
    return f"reversal:{job_id}:{act}"


def transfer_reversal_key(stripe_reversal_id: str) -> str:
    """A transfer, or a part of it, that Stripe gave back; keyed by Stripe's id of the reversal."""
    return f"transfer-reversal:{stripe_reversal_id}"
