"""The one table from error code to HTTP status; every code is also a problem type (RFC 9457)."""

from __future__ import annotations

PROBLEM_TYPE_BASE = "https://nimmit.example/problems/"

STATUS_BY_CODE: dict[str, int] = {
    # the request itself
    "malformed-request": 400,
    "not-found": 404,
    "method-not-allowed": 405,
    "request-too-large": 413,
    "unsupported-media-type": 415,
    "invalid-request": 422,
    "invalid-cursor": 422,
    "request-refused": 400,
    "idempotency-key-reused": 422,
    "request-in-progress": 409,
    "rate-limited": 429,
    # who is asking
    "authentication-required": 401,
    "invalid-token": 401,
    "token-expired": 401,
    "session-ended": 401,
    "invalid-credentials": 401,
    "email-not-verified": 403,
    "account-disabled": 403,
    "wrong-role": 403,
    "cross-site-request": 403,
    "weak-password": 422,
    "verification-link-invalid": 422,
    "verification-link-expired": 422,
    "field-not-for-role": 422,
    # jobs and offers
    "wrong-state": 409,
    "not-a-party": 404,
    "offer-not-found": 404,
    "offer-expired": 409,
    "offer-declined": 409,
    "offer-withdrawn": 409,
    "job-taken": 409,
    "no-deliverable": 409,
    "worker-at-capacity": 409,
    "stale-preview": 409,
    "already-extended": 409,
    "deadline-not-later": 409,
    "price-not-higher": 409,
    "price-changed": 409,
    "not-the-opener": 409,
    "dispute-window-closed": 409,
    "evidence-closed": 409,
    "review-already-given": 409,
    "rating-window-closed": 409,
    # the policy of jobs
    "stale-policy": 409,
    # files
    "file-rejected": 422,
    "file-not-uploaded": 409,
    "too-many-files": 409,
    # time tracking
    "timer-already-running": 409,
    "timer-not-running": 409,
    # money
    "insufficient-credits": 402,
    "account-in-debt": 402,
    "correction-exceeded": 409,
    "subscription-not-found": 404,
    "already-subscribed": 409,
    "subscription-ended": 402,
    "subscription-unpaid": 402,
    "payment-declined": 402,
    "downgrade-below-held": 409,
    "refund-beyond-policy": 409,
    "billing-refused": 409,
    "dispute-closed": 409,
    "webhook-signature-invalid": 400,
    "ledger-contention": 503,
    "payment-refused": 409,
    "repair-refused": 409,
    # the platform
    "internal-error": 500,
    "dependency-unavailable": 503,
    "outcome-unknown": 503,
}


def type_uri(code: str) -> str:
    """The stable URI of a problem type."""
    return PROBLEM_TYPE_BASE + code


def title(code: str) -> str:
    """The short name of a problem type: the same for every occurrence."""
    return code.replace("-", " ").capitalize()
