"""How money comes in: payment intents tried on test cards, and the charges they leave."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import balance, errors, events, payment_methods
from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.cards import AUTHENTICATION_REQUIRED, Card, Decline
from devstack.stripe_sandbox.store import Object, new_id

_FEE_RATE_BASIS_POINTS, _FEE_FIXED = 290, 30  # https://stripe.com/pricing for a US account


def new_intent(call: Call, *, amount: int, currency: str, **given: Any) -> Object:
    """A payment intent that waits for a payment method. `amount` is in the smallest unit."""
    intent_id = new_id("pi")
    intent: Object = {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{new_id('x')[2:]}",
        "confirmation_method": "automatic",
        "created": call.created,
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **given,
    }
    call.tx.insert(call.account, intent)
    events.emit(call, call.account, "payment_intent.created", intent)
    return intent


def confirm(
    call: Call,
    intent: Object,
    *,
    off_session: bool = False,
    authenticated: bool = False,
    return_url: str | None = None,
) -> None:
    """Tries the intent on its payment method; it is left succeeded, in need of an action, or without a method.

    `off_session` says that the customer is not there to authenticate, `authenticated` that they have just done so.
    """
    method = call.tx.find("payment_method", intent["payment_method"], call.account)
    if method is None:
        raise errors.no_such("PaymentMethod", intent["payment_method"], param="payment_method", status=400)
    card = payment_methods.card_of(method)
    if _must_authenticate(card, method, intent) and not authenticated:
        if off_session:
            _fail(call, intent, method, AUTHENTICATION_REQUIRED)
        else:
            _ask(call, intent, return_url)
    elif card.decline is not None:
        _fail(call, intent, method, card.decline)
    else:
        if authenticated and not method["_authenticated"]:
            method["_authenticated"] = True
            call.tx.replace(method)
        _succeed(call, intent, method, card)


def _must_authenticate(card: Card, method: Object, intent: Object) -> bool:
    if intent["amount"] == 0:
        return False
    return card.authentication == "always" or (card.authentication == "once" and not method["_authenticated"])


def _ask(call: Call, intent: Object, return_url: str | None) -> None:
    """The customer must prove on their bank's page that it is they."""
    url = f"{call.options.public_url}/3ds/{intent['client_secret']}"
    intent |= {
        "status": "requires_action",
        "next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": return_url}},
        "_return_url": return_url,
    }
    call.tx.replace(intent)
    events.emit(call, call.account, "payment_intent.requires_action", intent)


def _fail(call: Call, intent: Object, method: Object, decline: Decline) -> None:
    charge = _charge(call, intent, method) | {
        "status": "failed",
        "paid": False,
        "captured": False,
        "amount_captured": 0,
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": {
            "advice_code": "try_again_later",
            "network_advice_code": None,
            "network_decline_code": "05",
            "network_status": "declined_by_network",
            "reason": decline.decline_code,
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
    }
    call.tx.insert(call.account, charge)
    events.emit(call, call.account, "charge.failed", charge)
    lose_method(call, intent, _card_error(decline, charge["id"], method), charge["id"])


def lose_method(call: Call, intent: Object, error: Object, charge: str | None) -> None:
    """The attempt has failed: the intent needs another payment method."""
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_payment_error": error,
        "latest_charge": charge or intent["latest_charge"],
    }
    call.tx.replace(intent)
    events.emit(call, call.account, "payment_intent.payment_failed", intent)


def _card_error(decline: Decline, charge: str, method: Object) -> Object:
    return {
        "advice_code": "try_again_later",
        "charge": charge,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": copy.deepcopy(method),
        "type": "card_error",
    }


def authentication_failed(call: Call, intent: Object) -> None:
    """The customer did not pass their bank's check."""
    method = call.tx.find("payment_method", intent["payment_method"], call.account)
    message = (
        "We are unable to authenticate your payment method. "
        "Please choose a different payment method and try again."
    )
    code = "payment_intent_authentication_failure"
    error = {"code": code, "message": message, "type": "invalid_request_error", "payment_method": method}
    lose_method(call, intent, error, None)


def declined(intent: Object) -> errors.StripeFault:
    """The answer of the API when a card is declined; what the attempt left behind stays."""
    error = intent["last_payment_error"]
    more = {name: error[name] for name in ("advice_code", "charge", "decline_code") if name in error}
    more |= {"payment_intent": copy.deepcopy(intent), "payment_method": error["payment_method"]}
    return errors.StripeFault(
        402, error["message"], kind=error["type"], code=error["code"], commits=True, more=more
    )


def _succeed(call: Call, intent: Object, method: Object, card: Card) -> None:
    charge = _charge(call, intent, method)
    charge["balance_transaction"] = balance.post(
        call,
        call.account,
        amount=intent["amount"],
        currency=intent["currency"],
        kind="charge",
        source=charge["id"],
        fee=_fee(intent["amount"]),
        available_after=0 if card.alias == "pm_card_bypassPending" else call.options.charge_seconds,
    )
    call.tx.insert(call.account, charge)
    events.emit(call, call.account, "charge.succeeded", charge)
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "next_action": None,
        "last_payment_error": None,
    }
    call.tx.replace(intent)
    events.emit(call, call.account, "payment_intent.succeeded", intent)
    if card.dispute is not None:
        call.schedule("dispute.open", call.account, charge["id"], at=call.now)


def _fee(amount: int) -> int:
    """Stripe's fee on a domestic card, rounded half up to the smallest unit."""
    return (amount * _FEE_RATE_BASIS_POINTS + 5_000) // 10_000 + _FEE_FIXED


def _charge(call: Call, intent: Object, method: Object) -> Object:
    """A charge that succeeded in full."""
    charge_id = new_id("ch")
    details = {name: value for name, value in method["card"].items() if name not in _NOT_ON_CHARGES}
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": copy.deepcopy(method["billing_details"]),
        "calculated_statement_descriptor": "NIMMIT",
        "captured": True,
        "created": call.created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {
            "card": {
                **details,
                "amount_authorized": intent["amount"],
                "authorization_code": None,
                "extended_authorization": {"status": "disabled"},
                "incremental_authorization": {"status": "unavailable"},
                "installments": None,
                "mandate": None,
                "multicapture": {"status": "unavailable"},
                "network": method["card"]["brand"],
                "network_token": {"used": False},
                "network_transaction_id": None,
                "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
                "three_d_secure": None,
                "transaction_link_id": None,
            },
            "type": "card",
        },
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": f"{call.options.public_url}/receipts/{charge_id}",
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


_NOT_ON_CHARGES = ("display_brand", "generated_from", "networks", "three_d_secure_usage")


def in_its_time(call: Call, charge: Object) -> Call:
    """The same call in the time of the charge's customer, who may live by a test clock."""
    customer = call.tx.find("customer", charge["customer"] or "", call.account)
    return call.on_clock((customer or {}).get("test_clock"))


def touch_charge(call: Call, charge: Object, **change: Any) -> None:
    """Stores a change of a charge and tells of it."""
    before = copy.deepcopy(charge)
    charge |= change
    call.tx.replace(charge)
    events.emit_change(call, call.account, "charge.updated", before, charge)
