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


class SubscriptionEndedError(DomainError):
    """The client's subscription has ended; new work needs another."""

    code = "subscription-ended"

    def __init__(self) -> None:
        super().__init__("The subscription has ended. Subscribe again to post jobs and to buy credits.")


class SubscriptionUnpaidError(DomainError):
    """A renewal is not paid, so nothing can be changed."""

    code = "subscription-unpaid"

    def __init__(self) -> None:
        super().__init__("The last renewal is not paid. Pay it first: the portal shows how.")


class DowngradeBelowHeldError(DomainError):
    """The smaller tier takes credits back that were spent or are held. Both amounts in hundredths of a credit."""

    code = "downgrade-below-held"

    def __init__(self, *, available: int, required: int) -> None:
        super().__init__(
            "The smaller tier gives fewer credits for the rest of this period, and the difference has been spent or "
            "is held for jobs. Change when they are done, or cancel at the end of the period.",
            available=available,
            required=required,
        )


class PaymentDeclinedError(DomainError):
    """The client's bank said no; nothing was changed."""

    code = "payment-declined"

    def __init__(self) -> None:
        super().__init__("The payment was declined. Check the card in the portal, then try again.")


class RefundBeyondPolicyError(DomainError):
    """The policy does not allow as much. Amounts in USD cents; an admin may go up to the second, with a reason."""

    code = "refund-beyond-policy"

    def __init__(self, *, allowed_usd_cents: int, at_most_usd_cents: int, ground: str) -> None:
        super().__init__(
            "The refund policy does not allow as much. Ask for an exception with beyondPolicy, up to what is left.",
            allowedUsdCents=allowed_usd_cents,
            atMostUsdCents=at_most_usd_cents,
            ground=ground,
        )


class BillingRefusedError(DomainError):
    """Stripe does not take an admin's act; nothing moved. `reason` is Stripe's code, if it has one."""

    code = "billing-refused"

    def __init__(self, reason: str | None) -> None:
        super().__init__("Stripe does not accept this; nothing was changed.", reason=reason)


class DisputeClosedError(DomainError):
    """The dispute takes no evidence any more: it is with the bank, or decided."""

    code = "dispute-closed"

    def __init__(self, status: str) -> None:
        super().__init__("This dispute takes no evidence any more.", status=status)
