"""Money as a person says it."""

from __future__ import annotations


def credits_text(hundredths: int) -> str:
    """Hundredths of a credit as a person says them: `12.50 credits`."""
    return f"{hundredths / 100:.2f} credits"


def dollars_text(cents: int) -> str:
    """Cents as a person says them: `45.00 USD`. No dollar sign: Markdown viewers take two of them for a formula."""
    return f"{cents / 100:.2f} USD"
