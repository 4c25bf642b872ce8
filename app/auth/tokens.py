"""Signed tokens: short access tokens, and the token in a verification mail. HS256 only, every claim required."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import jwt
from pydantic import BaseModel, ValidationError

from app.auth.errors import (
    InvalidTokenError,
    TokenExpiredError,
    VerificationLinkError,
    VerificationLinkExpiredError,
)
from app.documents import utcnow
from app.ids import new_id
from app.settings import Settings

ALGORITHM = "HS256"
ACCESS = "access"
VERIFY_EMAIL = "verify-email"
_REQUIRED = ["iss", "aud", "sub", "typ", "iat", "nbf", "exp", "jti"]


class AccessClaims(BaseModel):
    """What an access token says. The role is a hint for portals: the API reads the user's own."""

    sub: str
    sid: str
    role: str
    exp: int


class VerificationClaims(BaseModel):
    """What a verification token says: this registration of this user."""

    sub: str
    registration: str


def issue_access_token(
    settings: Settings, *, user_id: str, session_id: str, role: str, now: datetime | None = None
) -> str:
    """A token for `settings.access_token_minutes` minutes of this session."""
    lifetime = timedelta(minutes=settings.access_token_minutes)
    claims = {"sid": session_id, "role": role}
    return _issue(settings, ACCESS, user_id, lifetime=lifetime, claims=claims, now=now)


def read_access_token(settings: Settings, token: str) -> AccessClaims:
    """The claims of a good access token.

    Raises:
        TokenExpiredError: it was good once.
        InvalidTokenError: anything else is wrong with it.
    """
    claims = _read(settings, ACCESS, token)
    try:
        return AccessClaims.model_validate(claims)
    except ValidationError as error:
        raise InvalidTokenError from error


def issue_verification_token(
    settings: Settings, *, user_id: str, registration: str, now: datetime | None = None
) -> str:
    """The token that a verification mail carries. A later registration of the same mailbox ends it."""
    lifetime = timedelta(hours=settings.verification_token_hours)
    claims = {"registration": registration}
    return _issue(settings, VERIFY_EMAIL, user_id, lifetime=lifetime, claims=claims, now=now)


def read_verification_token(settings: Settings, token: str) -> VerificationClaims:
    """The claims of a good verification token.

    Raises:
        VerificationLinkExpiredError: it was good once.
        VerificationLinkError: anything else is wrong with it.
    """
    try:
        return VerificationClaims.model_validate(_read(settings, VERIFY_EMAIL, token))
    except TokenExpiredError as error:
        raise VerificationLinkExpiredError from error
    except (InvalidTokenError, ValidationError) as error:
        raise VerificationLinkError from error


def new_refresh_token() -> str:
    """256 random bits, as text that fits a cookie."""
    return secrets.token_urlsafe(32)


def refresh_token_hash(token: str) -> str:
    """What is stored of a refresh token. It is random, so a plain digest is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def keyed_digest(settings: Settings, purpose: str, data: bytes) -> str:
    """A digest that only this installation can compute, apart for each purpose."""
    key = hmac.digest(settings.jwt_secret.get_secret_value().encode(), purpose.encode(), "sha256")
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _issue(
    settings: Settings,
    kind: str,
    subject: str,
    *,
    lifetime: timedelta,
    claims: dict[str, Any],
    now: datetime | None,
) -> str:
    issued = now or utcnow()
    payload = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": subject,
        "typ": kind,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime,
        "jti": new_id(),
        **claims,
    }
    return jwt.encode(payload, settings.jwt_secret.get_secret_value(), algorithm=ALGORITHM)


def _read(settings: Settings, kind: str, token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings.jwt_secret.get_secret_value(),
            algorithms=[ALGORITHM],
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            options={"require": _REQUIRED, "strict_aud": True},
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenExpiredError from error
    except (jwt.InvalidTokenError, ValueError) as error:
        raise InvalidTokenError from error
    if claims["typ"] != kind:
        raise InvalidTokenError
    return claims
