"""What the webhooks' door refuses."""

from __future__ import annotations

from app.errors import DomainError


class SignatureInvalidError(DomainError):
    """The delivery is not Stripe's, or not of now."""

    code = "webhook-signature-invalid"

    def __init__(self) -> None:
        super().__init__("The Stripe-Signature header does not sign this body with a live secret, or is old.")
