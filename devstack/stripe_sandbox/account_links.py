"""Account links, and the onboarding page they lead to: one button instead of Stripe's long form."""

from __future__ import annotations

import html

from devstack.stripe_sandbox import accounts
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


def page(account: str, token: str) -> str:
    """The form that an account's holder sees."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Onboarding (sandbox)</title>'
        "<body style='font-family:system-ui;max-width:32rem;margin:4rem auto'>"
        "<h1>Get paid</h1><p>This is the Stripe sandbox. The button does what the real form does: it gives the "
        f"required details and a test bank account for <code>{html.escape(account)}</code>.</p>"
        f'<form method="post" action="/setup/e/{html.escape(token)}">'
        '<label>Bank account number <input name="account_number" value="000123456789"></label> '
        "<button>Agree and submit</button></form></body></html>"
    )


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
]
