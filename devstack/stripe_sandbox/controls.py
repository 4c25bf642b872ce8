"""The controls under /_sandbox: what a test may do that no client of Stripe can."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.stripe_sandbox import (
    accounts,
    cards,
    deliveries,
    disputes,
    payment_methods,
    payments,
    test_clocks,
)
from devstack.stripe_sandbox import webhook_endpoints as endpoints
from devstack.stripe_sandbox.call import Call, without_private
from devstack.stripe_sandbox.courier import Courier
from devstack.stripe_sandbox.deliveries import Mode
from devstack.stripe_sandbox.engine import Engine, platform_of
from devstack.stripe_sandbox.errors import StripeFault
from devstack.stripe_sandbox.store import Object

_FLUSH_SECONDS = 60.0
Handler = Callable[[Request], Awaitable[Response]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Register(_Strict):
    api_key: str
    url: str
    secret: str | None = None
    connect: bool = False
    enabled_events: list[str] = Field(default_factory=lambda: ["*"])


class _Roll(_Strict):
    secret: str | None = None
    overlap_seconds: float = Field(default=86_400, ge=0)


class _SetMode(Mode):
    api_key: str | None = None


class _Flush(_Strict):
    api_key: str | None = None
    with_dropped: bool = False


class _Dispute(_Strict):
    charge: str | None = None
    payment_intent: str | None = None
    reason: str = "fraudulent"
    amount: int | None = Field(default=None, ge=1)


class _Ruling(_Strict):
    outcome: str = Field(pattern="^(won|lost)$")


class _Advance(_Strict):
    frozen_time: int


class _Card(_Strict):
    number: str


class _Require(_Strict):
    fields: list[str]


class Controls:
    """One handler per control; wrong bodies are 422, objects that are not there 404."""

    def __init__(self, engine: Engine, courier: Courier) -> None:
        self._engine = engine
        self._courier = courier

    def routes(self) -> list[Route]:
        def post(path: str, handler: Handler) -> Route:
            return Route(f"/_sandbox/{path}", _told(handler), methods=["POST"])

        return [
            post("accounts/{id}/require", self.require),
            post("accounts/{id}/deauthorize", self.deauthorise),
            post("disputes", self.open_dispute),
            post("disputes/{id}/close", self.close_dispute),
            post("payment_methods/{id}/card", self.change_card),
            post("test_clocks/{id}", self.advance_test_clock),
            post("webhooks", self.register),
            post("webhooks/flush", self.flush),
            post("webhooks/mode", self.set_mode),
            post("webhooks/resend/{event}", self.resend),
            post("webhooks/{id}/roll", self.roll),
            Route("/_sandbox/webhooks/deliveries", self.deliveries, methods=["GET"]),
        ]

    def _with(self, kind: str, object_id: str, act: Callable[[Call, Object], Any]) -> Response:
        """Acts on an object for the account it belongs to, in one transaction."""
        owner = self._engine.owner_of(kind, object_id)
        if owner is None:
            return JSONResponse({"error": f"no such {kind}"}, 404)
        with self._engine.acting(owner) as call:
            return JSONResponse(without_private(act(call, call.tx.find(kind, object_id) or {})))

    async def require(self, http: Request) -> Response:
        """Makes a connected account incomplete: Stripe asks for these fields, and pays nothing until it has them."""
        fields = _Require.model_validate_json(await http.body()).fields
        account_id = http.path_params["id"]
        return self._with("account", account_id, lambda call, _: accounts.require(call, account_id, fields))

    async def deauthorise(self, http: Request) -> Response:
        account_id = http.path_params["id"]
        return self._with("account", account_id, lambda call, _: accounts.deauthorise(call, account_id))

    async def open_dispute(self, http: Request) -> Response:
        """Disputes a charge, named itself or by its payment intent."""
        body = _Dispute.model_validate_json(await http.body())

        def act(call: Call, found: Object) -> Object:
            charge = found if body.charge else call.named("charge", found["latest_charge"] or "", "charge")
            in_time = payments.in_its_time(call, charge)
            return disputes.open_dispute(in_time, charge, reason=body.reason, amount=body.amount)

        kind = "charge" if body.charge else "payment_intent"
        return self._with(kind, body.charge or body.payment_intent or "", act)

    async def close_dispute(self, http: Request) -> Response:
        outcome = _Ruling.model_validate_json(await http.body()).outcome

        def act(call: Call, dispute: Object) -> Object:
            charge = call.named("charge", dispute["charge"], "charge")
            disputes.close(payments.in_its_time(call, charge), dispute, outcome)
            return dispute

        return self._with("dispute", http.path_params["id"], act)

    async def change_card(self, http: Request) -> Response:
        """Gives a saved payment method the behaviour of another test card."""
        card = cards.by_number(_Card.model_validate_json(await http.body()).number)
        return self._with(
            "payment_method",
            http.path_params["id"],
            lambda call, method: payment_methods.change_card(call, method, card),
        )

    async def advance_test_clock(self, http: Request) -> Response:
        """Moves a test clock, and answers when all that lies between has happened."""
        target = _Advance.model_validate_json(await http.body()).frozen_time

        def act(call: Call, clock: Object) -> Object:
            if target > clock["frozen_time"]:
                details = {"advancing": {"target_frozen_time": target}}
                call.tx.replace(clock | {"status": "advancing", "status_details": details})
                test_clocks.finish(call, call.account, clock["id"])
            return call.tx.find(clock["object"], clock["id"]) or clock

        return self._with("test_helpers.test_clock", http.path_params["id"], act)

    # Webhooks

    async def register(self, http: Request) -> Response:
        """An endpoint with a secret of the caller's choice, if it has one."""
        body = _Register.model_validate_json(await http.body())
        with self._engine.acting(platform_of(body.api_key)) as call:
            made = endpoints.register(
                call,
                body.url,
                secret=body.secret,
                connect=body.connect,
                enabled_events=body.enabled_events,
            )
        return JSONResponse({"id": made["id"], "secret": made["_secrets"][0]["secret"]}, 201)

    async def roll(self, http: Request) -> Response:
        body = _Roll.model_validate_json(await http.body() or b"{}")
        return self._with(
            "webhook_endpoint",
            http.path_params["id"],
            lambda call, endpoint: {
                "secret": endpoints.roll(
                    call, endpoint, secret=body.secret, overlap_seconds=body.overlap_seconds
                )
            },
        )

    async def set_mode(self, http: Request) -> Response:
        """How a platform's events are delivered from now on; every platform's without an `api_key`."""
        body = _SetMode.model_validate_json(await http.body())
        platform = platform_of(body.api_key) if body.api_key else None
        mode = Mode.model_validate(body.model_dump(exclude={"api_key"}))
        with self._engine.acting(platform or "*") as call:
            deliveries.set_mode(call.tx, platform, mode)
        return JSONResponse(mode.model_dump())

    async def flush(self, http: Request) -> Response:
        """Sends what is held or delayed, and answers when each of it has been tried once."""
        body = _Flush.model_validate_json(await http.body() or b"{}")
        platform = platform_of(body.api_key) if body.api_key else None
        with self._engine.acting(platform or "*") as call:
            deliveries.release(call.tx, platform, with_dropped=body.with_dropped)
        done = await self._courier.drained(platform, timeout_seconds=_FLUSH_SECONDS)
        return JSONResponse({"flushed": done}, 200 if done else 504)

    async def resend(self, http: Request) -> Response:
        """Sends an event once more, as Stripe's dashboard and CLI can."""
        with self._engine.acting("*") as call:
            count = deliveries.again(call.tx, http.path_params["event"])
        return JSONResponse({"endpoints": count}, 200 if count else 404)

    async def deliveries(self, http: Request) -> Response:
        """Every delivery with its state: waiting, held, dropped, delivered or failed."""
        key = http.query_params.get("api_key")
        with self._engine.acting("*") as call:
            found = deliveries.listed(
                call.tx, platform_of(key) if key else None, http.query_params.get("event")
            )
        return JSONResponse({"data": found})


def _told(handler: Handler) -> Handler:
    """A handler whose refusals are answers."""

    async def answer(http: Request) -> Response:
        try:
            return await handler(http)
        except ValidationError as wrong:
            return JSONResponse(
                {"errors": json.loads(wrong.json(include_url=False, include_context=False))}, 422
            )
        except StripeFault as refusal:
            return JSONResponse({"error": refusal.error}, refusal.status)

    return answer
