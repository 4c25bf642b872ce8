"""Stripe's test cards: what each of them does when it is charged (https://docs.stripe.com/testing)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from devstack.stripe_sandbox.errors import StripeFault


@dataclass(frozen=True)
class Decline:
    """Why a card's bank says no."""

    code: str
    decline_code: str
    message: str


@dataclass(frozen=True)
class Card:
    """A test card. `alias` is the ready-made payment method of the same card, such as `pm_card_visa`."""

    number: str
    alias: str
    brand: str = "visa"
    decline: Decline | None = None
    attachable: bool = True  # those that decline mostly refuse to be saved to a customer as well
    authentication: Literal["never", "once", "always"] = "never"
    dispute: str | None = None  # the reason for which a charge is disputed, at once after it succeeded
    refund: Literal["succeeds", "fails"] = "succeeds"


_DECLINED = Decline("card_declined", "generic_decline", "Your card was declined.")
_NO_FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")

_CARDS = (
    Card("4242424242424242", "pm_card_visa"),
    Card("5555555555554444", "pm_card_mastercard", "mastercard"),
    Card("378282246310005", "pm_card_amex", "amex"),
    Card("4000000000000077", "pm_card_bypassPending"),
    Card("4000000000000002", "pm_card_visa_chargeDeclined", decline=_DECLINED, attachable=False),
    Card(
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        decline=_NO_FUNDS,
        attachable=False,
    ),
    Card(
        "4000000000009987",
        "pm_card_visa_chargeDeclinedLostCard",
        decline=Decline("card_declined", "lost_card", "Your card was declined."),
        attachable=False,
    ),
    Card(
        "4000000000009979",
        "pm_card_visa_chargeDeclinedStolenCard",
        decline=Decline("card_declined", "stolen_card", "Your card was declined."),
        attachable=False,
    ),
    Card(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        decline=Decline("expired_card", "expired_card", "Your card has expired."),
        attachable=False,
    ),
    Card(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        decline=Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
        attachable=False,
    ),
    Card(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        decline=Decline(
            "processing_error",
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        attachable=False,
    ),
    Card("4000000000000341", "pm_card_chargeCustomerFail", decline=_DECLINED),
    Card("4000002500003155", "pm_card_authenticationRequiredOnSetup", authentication="once"),
    Card("4000002760003184", "pm_card_authenticationRequired", authentication="always"),
    Card("4000000000000259", "pm_card_createDispute", dispute="fraudulent"),
    Card("4000000000002685", "pm_card_createDisputeProductNotReceived", dispute="product_not_received"),
    Card("4000000000001976", "pm_card_createDisputeInquiry", dispute="inquiry"),
    Card("4000000000005126", "pm_card_refundFail", refund="fails"),
)
BY_NUMBER = {card.number: card for card in _CARDS}
BY_ALIAS = {card.alias: card for card in _CARDS} | {
    "pm_card_chargeDeclined": BY_NUMBER["4000000000000002"],
    "pm_card_chargeDeclinedInsufficientFunds": BY_NUMBER["4000000000009995"],
    "pm_card_us": BY_NUMBER["4242424242424242"],
}
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)


def by_number(text: str) -> Card:
    """The test card with this number, spaces and dashes aside; any other number is refused as Stripe does."""
    number = re.sub(r"[\s-]", "", text)
    if number in BY_NUMBER:
        return BY_NUMBER[number]
    if number.isdigit() and 12 <= len(number) <= 19 and _luhn(number):
        message = (
            "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid "
            "test cards, visit: https://stripe.com/docs/testing."
        )
        more = {"decline_code": "test_mode_live_card"}
        raise StripeFault(402, message, kind="card_error", code="card_declined", more=more)
    raise StripeFault(
        402, "Your card number is incorrect.", kind="card_error", code="incorrect_number", param="number"
    )


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
