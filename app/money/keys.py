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


def top_up_key(payment_id: str) -> str:
    """The credits of a pack bought by one payment (its payment intent, or the invoice's id)."""
    return f"top-up:{payment_id}"


def goodwill_key(act_id: str) -> str:
    """Credits given by an admin, in one act."""
    return f"goodwill:{act_id}"


def clawback_key(cause_id: str) -> str:
    """Granted credits taken back; the cause is Stripe's id of the refund or the dispute."""
    return f"clawback:{cause_id}"


def reinstated_key(dispute_id: str) -> str:
    """Credits granted again because a dispute was won."""
    return f"reinstated:{dispute_id}"


def void_key(job_id: str, number: int = 1) -> str:
    """A hold that is void: its job will not be."""
    return f"void:{job_id}:{number}"


def expire_hold_key(job_id: str, number: int = 1) -> str:
    """A hold whose time is over."""
    return f"expire-hold:{job_id}:{number}"


def expiry_key(lot_id: str, number: int) -> str:
    """The breakage of an expired lot; a lot has another one when a hold gives back credits after the first."""
    return f"expiry:{lot_id}:{number}"


def refund_key(job_id: str, act: str) -> str:
    """Spent credits given back; `act` names the decision that did it, e.g. `ruling:1`."""
    return f"refund:{job_id}:{act}"


def resolution_key(job_id: str, number: int) -> str:
    """The end of a hold in parts: a job left by its worker, cancelled, or ruled on; `number` counts them."""
    return f"resolve:{job_id}:{number}"


def accrue_key(job_id: str, number: int = 1) -> str:
    """What a worker earned by a job; one key for each worker who was paid for it."""
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


def repaired_hold_key(hold: str) -> str:
    """A hold released by an admin, since its job has ended without it; `hold` is the hold's own key."""
    return f"repair:{hold}"
