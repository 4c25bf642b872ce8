"""What a subscription's store refuses."""

from __future__ import annotations

from app.errors import DomainError, NotFoundError


class SubscriptionNotFoundError(NotFoundError):
    """The client has no subscription."""

    code = "subscription-not-found"

    def __init__(self) -> None:
        super().__init__("There is no subscription.")


class AlreadySubscribedError(DomainError):
    """The client has a subscription of another tier; changing it is an act of its own."""

    code = "already-subscribed"

    def __init__(self, tier: str) -> None:
        super().__init__(f"There is a subscription of the tier {tier} already.", tier=tier)
