"""Payouts: money from an account's balance to its bank."""

from __future__ import annotations

import copy
from dataclasses import replace

from devstack.stripe_sandbox import balance, due, errors, events
from devstack.stripe_sandbox.account_settings import plan_next
from devstack.stripe_sandbox.accounts import default_bank_account
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param, Params
from devstack.stripe_sandbox.store import Object, new_id

# The least that Stripe pays out, by the bank's country and currency, in the smallest unit. Cambodia's is
# KHR 123,000, about USD 30 (https://docs.stripe.com/payouts#minimum-payout-amounts).
_MINIMUM = {("KH", "usd"): 3000, ("KH", "khr"): 12_300_000}

# Test bank accounts whose payouts fail (https://docs.stripe.com/connect/testing#payouts).
_FAILING_ACCOUNTS = {
    "000111111116": ("no_account", "The bank account details on file are probably incorrect."),
    "000111111113": ("account_closed", "The bank account has been closed."),
    "000222222227": ("insufficient_funds", "Your Stripe account has insufficient funds to cover the payout."),
    "000333333335": ("debit_not_authorized", "Debit transactions are not approved on your bank account."),
    "000444444440": (
        "invalid_currency",
        "The bank was unable to process this payout because of its currency.",
    ),
}


def _create(call: Call) -> Object:
    params = call.params
    amount, currency = params["amount"], params["currency"]
    bank = _receiving_bank(call, currency)
    minimum = _MINIMUM.get((bank["country"], currency), 1)
    if amount < minimum:
        message = f"The payout amount must be at least {minimum} {currency} (in the smallest unit)."
        raise errors.StripeFault(400, message, code="amount_too_small", param="amount")
    if balance.available(call, call.account, currency) < amount:
        raise errors.StripeFault(
            400,
            "You have insufficient funds in your Stripe account for this transfer. Your card balance is too low. "
            "You can use the the /v1/balance endpoint to view your Stripe balance (for more details, see "
            "stripe.com/docs/api#balance).",
            code="balance_insufficient",
        )
    return _pay_out(call, bank, amount, currency, params)


def _pay_out(call: Call, bank: Object, amount: int, currency: str, params: Params) -> Object:
    """A payout on its way; without parameters it is one that the account's schedule makes."""
    payout_id = new_id("po")
    transaction = balance.post(
        call, call.account, amount=-amount, currency=currency, kind="payout", source=payout_id
    )
    payout: Object = {
        "id": payout_id,
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": int(call.now + call.options.payout_seconds),
        "automatic": not params,
        "balance_transaction": transaction,
        "created": call.created,
        "currency": currency,
        "description": params.get("description"),
        "destination": bank["id"],
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": merge_metadata({}, params.get("metadata", {})),
        "method": params.get("method", "standard"),
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "not_applicable" if params else "completed",
        "reversed_by": None,
        "source_type": params.get("source_type", "card"),
        "statement_descriptor": params.get("statement_descriptor"),
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
        "_account_number": bank["_account_number"],
    }
    call.tx.insert(call.account, payout)
    events.emit(call, call.account, "payout.created", payout)
    call.schedule("payout.settle", call.account, payout_id, at=call.now + call.options.payout_seconds)
    return payout


def _receiving_bank(call: Call, currency: str) -> Object:
    account = call.tx.find("account", call.account)
    if account is not None and not account["payouts_enabled"]:
        raise errors.StripeFault(
            400,
            "Payouts are not enabled on this account: its requirements are past due.",
            code="payouts_not_allowed",
        )
    bank = default_bank_account(account, currency) if account is not None else None
    wanted = call.params.get("destination")
    if bank is None or (wanted is not None and wanted != bank["id"]):
        if wanted is not None:
            raise errors.no_such("external account", wanted, param="destination", status=400)
        raise errors.StripeFault(
            400, f"Sorry, you don't have any external accounts in that currency ({currency})."
        )
    return bank


@due.action("payout.settle")
def settle(call: Call, owner: str, payout_id: str) -> None:
    """The bank's answer: paid, or failed with the money back on the balance."""
    payout = call.tx.find("payout", payout_id, owner)
    if payout is None or payout["status"] != "pending":
        return
    failure = _FAILING_ACCOUNTS.get(payout["_account_number"])
    if failure is None:
        payout |= {"status": "paid", "trace_id": {"status": "supported", "value": payout_id[3:15].upper()}}
    else:
        back = balance.post(
            call,
            owner,
            amount=payout["amount"],
            currency=payout["currency"],
            kind="payout_failure",
            source=payout_id,
        )
        payout |= {
            "status": "failed",
            "failure_code": failure[0],
            "failure_message": failure[1],
            "failure_balance_transaction": back,
        }
    call.tx.replace(payout)
    events.emit(call, owner, f"payout.{payout['status']}", payout)


def _cancel(call: Call) -> Object:
    """Only a payout that the bank has not seen yet can be stopped."""
    payout = call.own("payout", call.path["id"])
    if payout["status"] != "pending":
        raise errors.StripeFault(400, "Payouts can only be canceled while they are pending.")
    back = balance.post(
        call,
        call.account,
        amount=payout["amount"],
        currency=payout["currency"],
        kind="payout_cancel",
        source=payout["id"],
    )
    payout |= {"status": "canceled", "failure_balance_transaction": back}
    call.tx.replace(payout)
    events.emit(call, call.account, "payout.canceled", payout)
    return payout


def _update(call: Call) -> Object:
    payout = call.own("payout", call.path["id"])
    before = copy.deepcopy(payout)
    payout["metadata"] = merge_metadata(payout["metadata"], call.params.get("metadata", {}))
    call.tx.replace(payout)
    events.emit_change(call, call.account, "payout.updated", before, payout)
    return payout


@due.action("account.payout")
def by_schedule(call: Call, owner: str, account_id: str) -> None:
    """Pays out all that is available, if it is enough and its schedule still says so; plans the next time."""
    del owner
    account = call.tx.find("account", account_id)
    if account is None or account["_next_payout"] != call.created:
        return
    plan_next(call, account)
    for currency, (available, _) in call.tx.balances(account_id).items():
        bank = default_bank_account(account, currency)
        if bank is None or not account["payouts_enabled"]:
            continue
        if available >= _MINIMUM.get((bank["country"], currency), 1):
            _pay_out(replace(call, account=account_id), bank, available, currency, {})


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/payouts",
        _create,
        {
            **EXPAND,
            "amount": Param("integer", required=True, minimum=1, maximum=99_999_999),
            "currency": Param("currency", required=True),
            "description": Param(),
            "destination": Param(),
            "metadata": Param("metadata"),
            "method": Param(choices=("instant", "standard")),
            "source_type": Param(choices=("bank_account", "card", "fpx")),
            "statement_descriptor": Param(max_length=22),
        },
    ),
    Endpoint(
        "GET",
        "/v1/payouts",
        lambda call: call.list_of("payout", "/v1/payouts", "status", "destination"),
        {**LIST_PARAMS, "status": Param(), "destination": Param()},
    ),
    Endpoint("POST", "/v1/payouts/{id}", _update, {**EXPAND, "metadata": Param("metadata")}),
    Endpoint("POST", "/v1/payouts/{id}/cancel", _cancel, EXPAND),
    Endpoint("GET", "/v1/payouts/{id}", lambda call: call.own("payout", call.path["id"]), EXPAND),
]
