"""Whether a delivery comes from Stripe: signed with one of the live secrets, and not long ago."""

from __future__ import annotations

from collections.abc import Iterable

import stripe
from pydantic import SecretStr

from app.webhooks.errors import SignatureInvalidError

TOLERANCE_SECONDS = 300


def live(*secrets: SecretStr) -> tuple[str, ...]:
    """The secrets that are set: an empty one would verify anything, so it is none."""
    return tuple(plain for secret in secrets if (plain := secret.get_secret_value().strip()))


def verify(body: bytes, header: str | None, secrets: Iterable[str]) -> None:
    """Return if one of the secrets signed the body, at most five minutes ago.

    Raises:
        SignatureInvalidError: missing, wrong, old, or of another endpoint's secret.
    """
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        return
    raise SignatureInvalidError
