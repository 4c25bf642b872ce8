"""`Idempotency-Key` for the POST routes that create something.

@router.post("", status_code=201, response_model=Job)
async def create(body: NewJob, principal: ClientOnly, idempotency: IdempotencyDep) -> Response:
    async def work(job_id: str) -> Job: ...
    return await idempotency.run(principal.user_id, body, work, status=201)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import orjson
from fastapi import Depends, Header, Request
from pydantic import BaseModel
from pymongo.errors import PyMongoError
from starlette.responses import Response

from api.dependencies import ResourcesDep
from api.problem_types import STATUS_BY_CODE
from app.auth.tokens import keyed_digest
from app.errors import DomainError
from app.idempotency import Answered, Begun, IdempotencyStore
from app.ids import new_id
from app.settings import Settings

_LET_GO_SECONDS = 0.4

Work = Callable[[str], Awaitable[BaseModel]]


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One request's key, if it has one, and where answers are kept."""

    key: str | None
    route: str
    store: IdempotencyStore
    settings: Settings

    async def run(self, owner: str, body: BaseModel | None, work: Work, *, status: int = 201) -> Response:
        """Do the work once for this key, and answer what it answered.

        `work` gets the id that the new thing must have. It may run again with the same id after a crash or an
        unknown outcome, so what it does has to be repeatable by that id. A refusal (any 4xx) keeps nothing.
        """
        if self.key is None:
            return _answer(await work(new_id()), status)
        begun = await self.store.begin(f"{owner}:{self.route}:{self.key}", self._hash(body))
        if isinstance(begun, Answered):
            return Response(
                begun.body,
                status_code=begun.status,
                media_type="application/json",
                headers={"Idempotent-Replayed": "true"},
            )
        response = await self._attempt(begun, work, status)
        await self.store.finish(begun, status=status, body=bytes(response.body).decode())
        return response

    async def _attempt(self, begun: Begun, work: Work, status: int) -> Response:
        try:
            return _answer(await work(begun.resource_id), status)
        except DomainError as error:
            refused = STATUS_BY_CODE.get(error.code, 500) < 500
            await self._let_go(begun, nothing_done=refused and begun.attempt == 1)
            raise
        except Exception:
            await self._let_go(begun, nothing_done=False)
            raise

    async def _let_go(self, begun: Begun, *, nothing_done: bool) -> None:
        """Free the key for the next attempt. If that fails too, it is taken over later: the caller is not kept."""
        with suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(_LET_GO_SECONDS):
                await (self.store.forget(begun) if nothing_done else self.store.release(begun))

    def _hash(self, body: BaseModel | None) -> str:
        """Keyed, since bodies may hold what nobody should be able to guess from a digest."""
        fields = body.model_dump(mode="json", by_alias=True) if body is not None else None
        return keyed_digest(self.settings, "idempotency", orjson.dumps(fields, option=orjson.OPT_SORT_KEYS))


def _answer(result: BaseModel, status: int) -> Response:
    return Response(result.model_dump_json(by_alias=True), status_code=status, media_type="application/json")


def _idempotency(
    request: Request,
    resources: ResourcesDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="Makes the request safe to repeat for 48 hours: the same key and body get the same answer.",
            examples=["5b0f1f0e-7a52-4c0c-9f3e-0d1f5f3c2a11"],
        ),
    ] = None,
) -> Idempotency:
    store = IdempotencyStore(
        resources.database, takeover_seconds=resources.settings.idempotency_takeover_seconds
    )
    return Idempotency(
        key=idempotency_key,
        route=f"{request.method} {request.url.path}",
        store=store,
        settings=resources.settings,
    )


IdempotencyDep = Annotated[Idempotency, Depends(_idempotency)]
