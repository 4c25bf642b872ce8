"""Connected accounts: their requirements, their capabilities and their bank account."""

from __future__ import annotations

import copy
from typing import Any

from devstack.stripe_sandbox import account_settings, due, errors, events
from devstack.stripe_sandbox.call import Call, Endpoint, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, new_id

# What Stripe asks of an individual before it lets money through. The real list is longer in some countries.
_REQUIRED = (
    "external_account",
    "individual.dob.day",
    "individual.dob.month",
    "individual.dob.year",
    "individual.first_name",
    "individual.last_name",
    "tos_acceptance.date",
    "tos_acceptance.ip",
)
_DASHBOARD_TYPES = {"full": "standard", "express": "express", "none": "custom"}
_TYPE_DASHBOARDS = {kind: dashboard for dashboard, kind in _DASHBOARD_TYPES.items()}
_PAYMENTS_PARAM = Param("hash", children={"payments": Param(choices=("application", "stripe"))})

_INDIVIDUAL = Param(
    "hash",
    children={
        "first_name": Param(),
        "last_name": Param(),
        "email": Param(),
        "phone": Param(),
        "id_number": Param(),
        "address": Param("hash"),
        "metadata": Param("metadata"),
        "dob": Param("hash", children={name: Param("integer") for name in ("day", "month", "year")}),
    },
)
_BANK_ACCOUNT = Param(
    "hash",
    children={
        "object": Param(required=True, choices=("bank_account",)),
        "account_number": Param(required=True),
        "country": Param(required=True),
        "currency": Param("currency"),
        "routing_number": Param(),
        "account_holder_name": Param(),
        "account_holder_type": Param(choices=("company", "individual")),
    },
)
_WRITABLE = {
    **EXPAND,
    "business_profile": Param("hash"),
    "business_type": Param(choices=("company", "government_entity", "individual", "non_profit")),
    "capabilities": Param("hash"),
    "default_currency": Param("currency"),
    "email": Param(),
    "external_account": _BANK_ACCOUNT,
    "individual": _INDIVIDUAL,
    "metadata": Param("metadata"),
    "settings": account_settings.SETTINGS,
    "tos_acceptance": Param(
        "hash",
        children={
            "date": Param("integer"),
            "ip": Param(),
            "user_agent": Param(),
            "service_agreement": Param(choices=("full", "recipient")),
        },
    ),
}
_CREATABLE = {
    **_WRITABLE,
    "country": Param(max_length=2),
    "type": Param(choices=("custom", "express", "standard")),
    "controller": Param(
        "hash",
        children={
            "fees": Param("hash", children={"payer": Param(choices=("account", "application"))}),
            "losses": _PAYMENTS_PARAM,
            "requirement_collection": Param(choices=("application", "stripe")),
            "stripe_dashboard": Param("hash", children={"type": Param(choices=tuple(_DASHBOARD_TYPES))}),
        },
    ),
}


def _create(call: Call) -> Object:
    params = call.params
    country = params.get("country", "US")
    if len(country) != 2 or not country.isalpha() or not country.isupper():
        raise errors.StripeFault(
            400, f"Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead."
        )
    if "type" in params and "controller" in params:
        raise errors.StripeFault(
            400, "You may not provide the `type` parameter and `controller` parameters together."
        )
    account_id = new_id("acct", 16)
    kind = (
        params.get("type")
        or _DASHBOARD_TYPES[params.get("controller", {}).get("stripe_dashboard", {}).get("type", "full")]
    )
    account: Object = {
        "id": account_id,
        "object": "account",
        "business_profile": {"mcc": None, "name": None, "product_description": None, "url": None},
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "controller": _controller(params, kind),
        "country": country,
        "created": call.created,
        "default_currency": params.get("default_currency", "usd"),
        "details_submitted": False,
        "email": None,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{account_id}/external_accounts",
        },
        "future_requirements": _requirements([]),
        "metadata": {},
        "payouts_enabled": False,
        "requirements": _requirements(list(_REQUIRED)),
        "settings": copy.deepcopy(account_settings.DEFAULT),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": kind,
        "_extra": [],
        "_next_payout": None,
        "_provided": [],
    }
    _apply(call, account)
    _check_agreement(account)
    _refresh(account)
    call.tx.insert(call.platform, account)
    if call.options.automatic_onboarding and not account["details_submitted"]:
        call.schedule("account.onboard", call.platform, account_id, at=call.now)
    return account


def _controller(params: dict[str, Any], kind: str) -> Object:
    given = params.get("controller", {})
    ours = kind != "standard"
    return {
        "type": "application",
        "is_controller": True,
        "fees": {"payer": given.get("fees", {}).get("payer", "application" if ours else "account")},
        "losses": {"payments": given.get("losses", {}).get("payments", "application" if ours else "stripe")},
        "requirement_collection": given.get(
            "requirement_collection", "application" if kind == "custom" else "stripe"
        ),
        "stripe_dashboard": {"type": _TYPE_DASHBOARDS[kind]},
    }


def _apply(call: Call, account: Object) -> None:
    """Writes what the request gave into the account, and remembers which requirements it answers."""
    params = call.params
    for name in ("email", "business_type", "default_currency"):
        if name in params:
            account[name] = params[name]
    for name in ("business_profile", "tos_acceptance"):
        account[name] = {**account[name], **params.get(name, {})}
    if "metadata" in params:
        account["metadata"] = merge_metadata(account["metadata"], params["metadata"])
    for name, wish in params.get("capabilities", {}).items():
        if not isinstance(wish, dict) or wish.get("requested") not in {"true", "false"}:
            raise errors.invalid_parameter(f"capabilities[{name}]", "Invalid hash")
        if wish["requested"] == "true":
            account["capabilities"].setdefault(name, "inactive")
        else:
            account["capabilities"].pop(name, None)
    if "external_account" in params:
        account["external_accounts"]["data"] = [_bank_account(account, params["external_account"])]
    account_settings.apply(call, account, params.get("settings", {}))
    provided = {*account["_provided"], *(path for path in _REQUIRED if _given(params, path))}
    provided |= {path for path in account["_extra"] if _given(params, path)}
    account["_provided"] = sorted(provided)


def _given(params: dict[str, Any], path: str) -> bool:
    node: Any = params
    for part in path.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


def _check_agreement(account: Object) -> None:
    """Recipient accounts take transfers alone; full ones must take cards too (service-agreement-types)."""
    recipient = account["tos_acceptance"].get("service_agreement") == "recipient"
    wanted = set(account["capabilities"])
    if recipient and "card_payments" in wanted:
        raise errors.StripeFault(
            400,
            "Accounts under the recipient service agreement cannot request the `card_payments` capability.",
        )
    if not recipient and "transfers" in wanted and "card_payments" not in wanted:
        raise errors.StripeFault(
            400,
            "You cannot request the `transfers` capability without the `card_payments` capability for accounts "
            f"in {account['country']}.",
        )
    if recipient and account["country"] == "US":
        raise errors.StripeFault(400, "The recipient service agreement is not available for accounts in US.")


def _bank_account(account: Object, given: dict[str, str]) -> Object:
    number = given["account_number"]
    return {
        "id": new_id("ba"),
        "object": "bank_account",
        "account": account["id"],
        "account_holder_name": given.get("account_holder_name"),
        "account_holder_type": given.get("account_holder_type"),
        "account_type": None,
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": given["country"],
        "currency": given.get("currency", account["default_currency"]),
        "customer": None,
        "default_for_currency": True,
        "fingerprint": None,
        "last4": number[-4:],
        "metadata": {},
        "routing_number": given.get("routing_number"),
        "status": "new",
        "_account_number": number,
    }


def default_bank_account(account: Object, currency: str) -> Object | None:
    """Where this account's payouts in a currency go, if anywhere."""
    banks: list[Object] = account["external_accounts"]["data"]
    return next((bank for bank in banks if bank["currency"] == currency), None)


def _requirements(due: list[str]) -> Object:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": due,
        "disabled_reason": "requirements.past_due" if due else None,
        "errors": [],
        "eventually_due": due,
        "past_due": due,
        "pending_verification": [],
    }


def _refresh(account: Object) -> None:
    """Derives from what was provided all that Stripe derives from it."""
    asked = (*_REQUIRED, *account["_extra"])
    due = [path for path in asked if path not in account["_provided"]]
    account["requirements"] = _requirements(due)
    account["details_submitted"] = account["payouts_enabled"] = not due
    state = "inactive" if due else "active"
    account["capabilities"] = dict.fromkeys(account["capabilities"], state)
    account["charges_enabled"] = account["capabilities"].get("card_payments") == "active"


def find(call: Call, account_id: str) -> Object:
    """A connected account of this platform; Stripe answers 403 for any other."""
    account = call.tx.find("account", account_id, call.platform)
    if account is None:
        raise errors.no_access_to_account(call.api_key, account_id)
    return account


def _update(call: Call) -> Object:
    account = find(call, call.path["id"])
    before = dict(account["capabilities"])
    _apply(call, account)
    _check_agreement(account)
    _save(call, account, before)
    return account


def _save(call: Call, account: Object, capabilities_before: dict[str, str]) -> None:
    """Derives, stores and tells: `account.updated`, and `capability.updated` for each one that changed."""
    _refresh(account)
    call.tx.replace(account)
    events.emit(call, account["id"], "account.updated", account, previous={})
    for name, status in account["capabilities"].items():
        if capabilities_before.get(name) != status:
            capability = {
                "id": name,
                "object": "capability",
                "account": account["id"],
                "requested": True,
                "status": status,
            }
            events.emit(call, account["id"], "capability.updated", capability, previous={})


def onboard(call: Call, account_id: str, *, account_number: str = "000123456789") -> Object:
    """What the hosted onboarding form does once the account's holder has filled it in and agreed."""
    account = find(call, account_id)
    before = dict(account["capabilities"])
    account["_provided"] = sorted({*_REQUIRED, *account["_extra"]})
    account["business_type"] = account["business_type"] or "individual"
    account["tos_acceptance"] |= {"date": call.created, "ip": "203.0.113.7"}
    if not account["external_accounts"]["data"]:
        bank = _bank_account(account, {"account_number": account_number, "country": account["country"]})
        account["external_accounts"]["data"] = [bank]
        events.emit(call, account_id, "account.external_account.created", bank)
    _save(call, account, before)
    return account


def require(call: Call, account_id: str, fields: list[str]) -> Object:
    """Stripe asks for more, or again for what it had: until it is given, no money comes in or goes out."""
    account = find(call, account_id)
    before = dict(account["capabilities"])
    account["_extra"] = sorted({*account["_extra"], *(field for field in fields if field not in _REQUIRED)})
    account["_provided"] = [path for path in account["_provided"] if path not in fields]
    _save(call, account, before)
    return account


def deauthorise(call: Call, account_id: str) -> None:
    """The account's holder leaves the platform: it is told once, and has no access from then on."""
    find(call, account_id)
    application = {"id": f"ca_{call.platform[5:]}", "object": "application", "name": "Stripe sandbox"}
    events.emit(call, account_id, "account.application.deauthorized", application)
    call.tx.delete(account_id)


@due.action("account.onboard")
def _onboard_later(call: Call, owner: str, account_id: str) -> None:
    del owner
    onboard(call, account_id)


def _retrieve_current(call: Call) -> Object:
    if call.account != call.platform:
        return find(call, call.account)
    return {
        "id": call.platform,
        "object": "account",
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Stripe sandbox"}},
        "type": "standard",
    }


ENDPOINTS = [
    Endpoint("POST", "/v1/accounts", _create, _CREATABLE),
    Endpoint("GET", "/v1/accounts", lambda call: call.list_of("account", "/v1/accounts"), LIST_PARAMS),
    Endpoint("GET", "/v1/account", _retrieve_current, EXPAND),
    Endpoint("GET", "/v1/accounts/{id}", lambda call: find(call, call.path["id"]), EXPAND),
    Endpoint("POST", "/v1/accounts/{id}", _update, _WRITABLE),
]
