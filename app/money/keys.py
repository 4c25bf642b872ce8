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


def accrue_key(job_id: str) -> str:
    """What a worker earned by a job."""
    return f"accrue:{job_id}"


def transfer_key(job_id: str) -> str:
    """The transfer of a job's pay to the worker's connected account."""
    return f"transfer:{job_id}"
