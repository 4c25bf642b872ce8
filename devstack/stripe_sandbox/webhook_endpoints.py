"""Webhook endpoints: where events are sent, and the secrets they are signed with."""

from __future__ import annotations

import secrets
from typing import Any

from devstack.stripe_sandbox.call import Call, Endpoint, Options, merge_metadata
from devstack.stripe_sandbox.forms import EXPAND, LIST_PARAMS, Param
from devstack.stripe_sandbox.store import Object, Transaction, new_id

_KIND, _URL = "webhook_endpoint", "/v1/webhook_endpoints"
_FIXED = {
    "we_account": False,
    "we_connect": True,
}  # those of the command line, and whether they are for Connect


def register(
    call: Call,
    url: str,
    *,
    secret: str | None = None,
    connect: bool = False,
    enabled_events: list[str] | None = None,
    description: str | None = None,
) -> Object:
    """An endpoint of the calling platform. `connect` is for the events of connected accounts, and only for them."""
    endpoint: Object = {
        "id": new_id("we"),
        "object": _KIND,
        "api_version": None,
        "application": None,
        "created": call.created,
        "description": description,
        "enabled_events": enabled_events or ["*"],
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_connect": connect,
        "_secrets": [{"secret": secret or f"whsec_{secrets.token_urlsafe(24)}", "until": None}],
    }
    call.tx.insert(call.account, endpoint)
    return endpoint


def roll(call: Call, endpoint: Object, *, secret: str | None, overlap_seconds: float) -> str:
    """A new secret; the old ones sign too until the overlap is over. Returns the new one."""
    new = secret or f"whsec_{secrets.token_urlsafe(24)}"
    until = call.now + overlap_seconds
    old = [{**one, "until": until if one["until"] is None else one["until"]} for one in endpoint["_secrets"]]
    call.tx.replace({**endpoint, "_secrets": [{"secret": new, "until": None}, *old]})
    return new


def live_secrets(endpoint: Object, now: float) -> list[str]:
    """The secrets that sign at this moment, newest first."""
    return [one["secret"] for one in endpoint["_secrets"] if one["until"] is None or one["until"] > now]


def wanting(tx: Transaction, options: Options, platform: str, event: Object) -> list[str]:
    """The ids of the endpoints that an event of this platform goes to."""
    connect = "account" in event
    found = [
        endpoint["id"]
        for endpoint in tx.every(_KIND, platform, status="enabled")
        if endpoint["_connect"] == connect and _takes(endpoint, event["type"])
    ]
    fixed = (options.connect_webhook_url, "we_connect") if connect else (options.webhook_url, "we_account")
    return [*found, fixed[1]] if fixed[0] else found


def _takes(endpoint: Object, event_type: str) -> bool:
    return bool({"*", event_type} & set(endpoint["enabled_events"]))


def find(tx: Transaction, options: Options, endpoint_id: str) -> Object | None:
    """An endpoint by its id, one of the command line's too; None if it was deleted."""
    if endpoint_id in _FIXED:
        connect = _FIXED[endpoint_id]
        secret = options.connect_webhook_secret if connect else options.webhook_secret
        url = options.connect_webhook_url if connect else options.webhook_url
        return {"url": url, "_secrets": [{"secret": secret, "until": None}]} if url else None
    found = tx.find(_KIND, endpoint_id)
    return None if found is None or found.get("deleted") else found


def _create(call: Call) -> Object:
    params = call.params
    endpoint = register(
        call,
        params["url"],
        connect=params.get("connect", False),
        enabled_events=params["enabled_events"],
        description=params.get("description"),
    )
    endpoint["metadata"] = merge_metadata({}, params.get("metadata", {}))
    call.tx.replace(endpoint)
    return {**endpoint, "secret": endpoint["_secrets"][0]["secret"]}


def _own(call: Call) -> Object:
    return call.own(_KIND, call.path["id"])


def _update(call: Call) -> Object:
    endpoint = _own(call)
    params = call.params
    endpoint |= {name: params[name] for name in ("description", "enabled_events", "url") if name in params}
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint["metadata"] = merge_metadata(endpoint["metadata"], params.get("metadata", {}))
    call.tx.replace(endpoint)
    return endpoint


def _delete(call: Call) -> Object:
    deleted = {"id": _own(call)["id"], "object": _KIND, "deleted": True}
    call.tx.replace(deleted)
    return deleted


_WRITABLE: dict[str, Any] = {
    **EXPAND,
    "description": Param(unset=True, max_length=5000),
    "enabled_events": Param("list"),
    "metadata": Param("metadata"),
    "url": Param(),
}
ENDPOINTS = [
    Endpoint(
        "POST",
        _URL,
        _create,
        {
            **_WRITABLE,
            "connect": Param("boolean"),
            "enabled_events": Param("list", required=True),
            "url": Param(required=True),
        },
    ),
    Endpoint("GET", _URL, lambda call: call.list_of(_KIND, _URL), LIST_PARAMS),
    Endpoint("GET", f"{_URL}/{{id}}", _own, EXPAND),
    Endpoint("POST", f"{_URL}/{{id}}", _update, {**_WRITABLE, "disabled": Param("boolean")}),
    Endpoint("DELETE", f"{_URL}/{{id}}", _delete),
]
