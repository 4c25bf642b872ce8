"""Account links, which lead to the onboarding page, and login links."""

from __future__ import annotations

from devstack.stripe_sandbox import accounts, errors
from devstack.stripe_sandbox.call import Call, Endpoint
from devstack.stripe_sandbox.forms import EXPAND, Param
from devstack.stripe_sandbox.store import Object, new_id

_LIFETIME_SECONDS = 300  # https://docs.stripe.com/api/account_links: a link works once, for minutes


def _create(call: Call) -> Object:
    account = accounts.find(call, call.params["account"])
    token = new_id("link", 32)
    call.tx.insert(
        call.platform,
        {
            "id": token,
            "object": "_onboarding_link",
            "created": call.created,
            "account": account["id"],
            "expires_at": call.created + _LIFETIME_SECONDS,
            "return_url": call.params.get("return_url"),
            "refresh_url": call.params.get("refresh_url"),
        },
    )
    return {
        "object": "account_link",
        "created": call.created,
        "expires_at": call.created + _LIFETIME_SECONDS,
        "url": f"{call.options.public_url}/setup/e/{token}",
    }


def _login(call: Call) -> Object:
    account = accounts.find(call, call.path["id"])
    if account["controller"]["stripe_dashboard"]["type"] != "express":
        raise errors.StripeFault(
            400, "Cannot create a login link for an account that is not an Express account."
        )
    if not account["details_submitted"]:
        raise errors.StripeFault(
            400, "Cannot create a login link for an account that has not completed onboarding."
        )
    url = f"{call.options.public_url}/express/{account['id']}"
    return {"object": "login_link", "created": call.created, "url": url}


ENDPOINTS = [
    Endpoint(
        "POST",
        "/v1/account_links",
        _create,
        {
            **EXPAND,
            "account": Param(required=True),
            "type": Param(required=True, choices=("account_onboarding", "account_update")),
            "return_url": Param(),
            "refresh_url": Param(),
            "collection_options": Param("hash"),
        },
    ),
    Endpoint("POST", "/v1/accounts/{id}/login_links", _login, EXPAND),
]
