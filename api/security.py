"""Who is asking: the principal behind an access token, and the roles that a route lets in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from api.dependencies import OpenResourcesDep, SettingsDep
from app.auth.errors import (
    AuthenticationRequiredError,
    CrossSiteRequestError,
    SessionEndedError,
    WrongRoleError,
)
from app.auth.tokens import read_access_token
from app.settings import Settings
from app.users.models import Role

log = structlog.stdlib.get_logger(__name__)

_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="The access token from `POST /auth/login`."
)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as MongoDB knows them at this moment."""

    user_id: str
    role: Role
    session_id: str


async def current_principal(
    resources: OpenResourcesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal:
    """Verify the token, that its session runs, and read role and standing afresh.

    So a logout, a disabled account and a new role are seen by the very next request.

    Raises:
        AuthenticationRequiredError, InvalidTokenError, TokenExpiredError, SessionEndedError: 401.
    """
    if credentials is None:
        raise AuthenticationRequiredError
    claims = read_access_token(resources.settings, credentials.credentials)
    owner, standing = await asyncio.gather(
        resources.sessions.owner_if_running(claims.sid), resources.users.standing(claims.sub)
    )
    if owner != claims.sub or standing is None or standing.disabled:
        log.info("token_of_ended_session", user_id=claims.sub, session_id=claims.sid)
        raise SessionEndedError
    structlog.contextvars.bind_contextvars(user_id=claims.sub)
    return Principal(user_id=claims.sub, role=standing.role, session_id=claims.sid)


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


def _only(*roles: Role) -> Callable[[Principal], Coroutine[Any, Any, Principal]]:
    async def check(principal: CurrentPrincipal) -> Principal:
        if principal.role not in roles:
            log.warning("role_refused", role=principal.role.value)
            raise WrongRoleError(*(role.value for role in roles))
        return principal

    return check


AnyRole = CurrentPrincipal
ClientOnly = Annotated[Principal, Depends(_only(Role.CLIENT))]
WorkerOnly = Annotated[Principal, Depends(_only(Role.WORKER))]
AdminOnly = Annotated[Principal, Depends(_only(Role.ADMIN))]
ClientOrAdmin = Annotated[Principal, Depends(_only(Role.CLIENT, Role.ADMIN))]
ClientOrWorker = Annotated[Principal, Depends(_only(Role.CLIENT, Role.WORKER))]


def own_origins(settings: Settings) -> frozenset[str]:
    """The origins whose pages may use the cookie."""
    urls = (settings.public_url, settings.portal_url, *settings.cors_origins)
    return frozenset(_origin(url) for url in urls)


async def same_site_only(request: Request, settings: SettingsDep) -> None:
    """Guard of the routes that set or read the refresh cookie, beside SameSite=Strict.

    A browser says where a request comes from, and it has to be a page of ours. A program that is no browser says
    nothing, and has no cookie that it was not given.

    Raises:
        CrossSiteRequestError: the request was made by somebody else's page.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        if origin not in own_origins(settings):
            raise CrossSiteRequestError
    elif request.headers.get("sec-fetch-site", "none") == "cross-site":
        raise CrossSiteRequestError


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
