"""The sandbox over HTTP: Stripe's API under /v1, its pages, the controls under /_sandbox."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from devstack.stripe_sandbox import errors, forms
from devstack.stripe_sandbox.call import API_VERSION, Options
from devstack.stripe_sandbox.controls import Controls
from devstack.stripe_sandbox.courier import Courier
from devstack.stripe_sandbox.engine import Answer, Engine, Request
from devstack.stripe_sandbox.errors import StripeFault
from devstack.stripe_sandbox.faults import Fault, Faults
from devstack.stripe_sandbox.pages import Pages
from devstack.stripe_sandbox.store import Store, new_id

_MAX_BODY_BYTES = 1024 * 1024
_MAX_KEY_LENGTH = 255


class DroppableProtocol(H11Protocol):
    """Remembers each open connection by its peer, so that a fault can close one without an answer."""

    open: dict[tuple[str, int], asyncio.Transport] = {}  # noqa: RUF012  # one process, one server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        if self.client is not None:
            self.open[self.client] = self.transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self.open.pop(self.client, None)
        super().connection_lost(exc)


class Server:
    """The HTTP face of one engine."""

    def __init__(self, store: Store, options: Options) -> None:
        self.engine = Engine(store, options)
        self.faults = Faults()
        self._store = store
        self._in_flight: set[tuple[str, str]] = set()

    async def api(self, http: HttpRequest) -> Response:
        """One call of the API, with its faults and its idempotency key."""
        request_id = new_id("req", 14)
        fault: Fault | None = None
        request: Request | None = None
        try:
            request = await _read(http, request_id)
            fault = self.faults.take(request.method, request.path)
            answer = await self._answer(request, fault)
        except StripeFault as refusal:
            answer = Answer(refusal.status, {"error": refusal.error})
        if answer is None or (fault is not None and fault.drop == "after"):
            return await _hang_up(http)
        return _respond(answer, request_id, request)

    async def _answer(self, request: Request, fault: Fault | None) -> Answer | None:
        """The answer, or None when the call is dropped before it is executed."""
        if request.method != "POST" or request.idempotency_key is None:
            return await self._execute(request, fault)
        flight = (request.scope, request.idempotency_key)
        if flight in self._in_flight:
            raise errors.key_in_use(request.idempotency_key)
        self._in_flight.add(flight)
        try:
            return self.engine.remembered(request) or await self._execute(request, fault)
        finally:
            self._in_flight.discard(flight)

    async def _execute(self, request: Request, fault: Fault | None) -> Answer | None:
        if fault is not None:
            await asyncio.sleep(fault.delay_seconds)
            if fault.drop == "before":
                return None
            if fault.status is not None:
                refusal = _injected(fault)
                if fault.remembered:
                    self.engine.refuse(request, refusal)
                raise refusal
        return self.engine.execute(request)

    # The controls

    async def add_fault(self, http: HttpRequest) -> Response:
        try:
            fault = Fault.model_validate_json(await http.body())
        except ValidationError as wrong:
            return JSONResponse({"errors": wrong.errors(include_url=False, include_context=False)}, 422)
        self.faults.add(fault)
        return JSONResponse(fault.model_dump(), 201)

    async def list_faults(self, http: HttpRequest) -> Response:
        del http
        return JSONResponse({"data": [fault.model_dump() for fault in self.faults.waiting()]})

    async def clear_faults(self, http: HttpRequest) -> Response:
        del http
        self.faults.clear()
        return Response(status_code=204)

    async def onboard(self, http: HttpRequest) -> Response:
        body: dict[str, Any] = json.loads(await http.body() or b"{}")
        details = {"account_number": str(body["account_number"])} if "account_number" in body else {}
        account = self.engine.onboard(http.path_params["account"], **details)
        return JSONResponse(account) if account else JSONResponse({"error": "no such account"}, 404)

    async def advance_clock(self, http: HttpRequest) -> Response:
        """Moves the sandbox's time forward, and carries out what has become due."""
        seconds = float(json.loads(await http.body())["seconds"])
        if seconds < 0:
            return JSONResponse({"error": "time does not go back"}, 422)
        return JSONResponse({"now": self.engine.advance_clock(seconds)})


async def _read(http: HttpRequest, request_id: str) -> Request:
    """The request with its API key and body checked."""
    api_key = _api_key(http.headers.get("authorization"))
    body = await http.body()
    if len(body) > _MAX_BODY_BYTES:
        raise StripeFault(413, "Request body is too large.", saved=False)
    try:
        encoded = body.decode() if http.method == "POST" else http.url.query
    except UnicodeDecodeError as wrong:
        raise StripeFault(400, "Invalid encoding: the body must be UTF-8.", saved=False) from wrong
    idempotency_key = http.headers.get("idempotency-key")
    if idempotency_key is not None and len(idempotency_key) > _MAX_KEY_LENGTH:
        raise StripeFault(400, f"Idempotency keys can have up to {_MAX_KEY_LENGTH} characters.", saved=False)
    return Request(
        method=http.method,
        path=http.url.path,
        raw=forms.decode(encoded),
        api_key=api_key,
        request_id=request_id,
        stripe_account=http.headers.get("stripe-account"),
        idempotency_key=idempotency_key,
    )


def _api_key(authorization: str | None) -> str:
    """The secret key, from Bearer or from Basic's user name, as Stripe takes both."""
    scheme, _, credentials = (authorization or "").partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise errors.no_api_key()
    if not key.startswith(("sk_test_", "rk_test_")):
        raise errors.invalid_api_key(key)
    return key


def _injected(fault: Fault) -> StripeFault:
    status = fault.status or 500
    if status == 429:
        return StripeFault(429, "Too many requests in too short a time.", code="rate_limit", saved=False)
    if status == 409:
        message = "This object cannot be accessed right now because another API request is accessing it."
        return StripeFault(409, message, code="lock_timeout", saved=False)
    kind = "api_error" if status >= 500 else "invalid_request_error"
    return StripeFault(status, "An unknown error occurred.", kind=kind, saved=False)


async def _hang_up(http: HttpRequest) -> Response:
    """Closes the connection with nothing said. Waits until the server has seen it, so that it sends no 500."""
    client = http.client
    transport = DroppableProtocol.open.get((client.host, client.port)) if client else None
    if transport is not None:
        transport.abort()
        while (await http.receive())["type"] != "http.disconnect":
            continue
    return Response(status_code=500)


def _respond(answer: Answer, request_id: str, request: Request | None) -> Response:
    headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
    if request is not None and request.idempotency_key is not None:
        headers["Idempotency-Key"] = request.idempotency_key
        headers["Original-Request"] = answer.original_request or request_id
        if answer.original_request is not None:
            headers["Idempotent-Replayed"] = "true"
    body = answer.body
    if "error" in body:
        body = {
            "error": {
                **body["error"],
                "request_log_url": f"https://dashboard.stripe.com/test/logs/{request_id}",
            }
        }
    return JSONResponse(body, answer.status, headers)


async def _healthz(http: HttpRequest) -> Response:
    del http
    return JSONResponse({"status": "ok"})


def create_app(store: Store, options: Options) -> Starlette:
    """The ASGI application."""
    server = Server(store, options)
    courier = Courier(store, server.engine, options)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        carrying = asyncio.create_task(courier.run())
        yield
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/healthz", _healthz),
            Route("/_sandbox/faults", server.add_fault, methods=["POST"]),
            Route("/_sandbox/faults", server.list_faults, methods=["GET"]),
            Route("/_sandbox/faults", server.clear_faults, methods=["DELETE"]),
            Route("/_sandbox/clock", server.advance_clock, methods=["POST"]),
            Route("/_sandbox/accounts/{account}/onboard", server.onboard, methods=["POST"]),
            *Pages(server.engine).routes(),
            *Controls(server.engine, courier).routes(),
            Route("/{path:path}", server.api, methods=["GET", "POST", "DELETE"]),
        ],
    )
