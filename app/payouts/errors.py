"""What workers' payout accounts refuse."""

from __future__ import annotations

from app.errors import DomainError


class PaymentRefusedError(DomainError):
    """The payment provider refused for good; repeating the request will not help."""

    code = "payment-refused"

    def __init__(self) -> None:
        super().__init__("The payment provider does not accept this. Please write to our team.")
