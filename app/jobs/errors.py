"""Stable codes of what can go wrong with an act on a job; the API turns each into a problem type."""

from __future__ import annotations

from enum import StrEnum


class JobErrorCode(StrEnum):
    """The `type` of the ApplicationError that a job's workflow answers with, and of the API's problem."""

    WRONG_STATE = "wrong-state"
    OFFER_NOT_FOUND = "offer-not-found"
    OFFER_EXPIRED = "offer-expired"
    OFFER_DECLINED = "offer-declined"
    OFFER_WITHDRAWN = "offer-withdrawn"
    JOB_TAKEN = "job-taken"
    WORKER_AT_CAPACITY = "worker-at-capacity"
    NOT_A_PARTY = "not-a-party"
    STALE_PREVIEW = "stale-preview"
    ALREADY_EXTENDED = "already-extended"
    DEADLINE_NOT_LATER = "deadline-not-later"
    PRICE_NOT_HIGHER = "price-not-higher"
    PRICE_CHANGED = "price-changed"
    NOT_THE_OPENER = "not-the-opener"
    DISPUTE_WINDOW_CLOSED = "dispute-window-closed"
    INSUFFICIENT_CREDITS = "insufficient-credits"
    REVIEW_ALREADY_GIVEN = "review-already-given"
    RATING_WINDOW_CLOSED = "rating-window-closed"
