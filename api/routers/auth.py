"""Registration, verification, login, refresh and logout, as drawn."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import EmailStr, Field, StringConstraints

from api.dependencies import AuthDep, ClientAddress, OpenResourcesDep, SettingsDep
from api.idempotency import IdempotencyDep
from api.openapi import CREATING, WITH_BODY, problems
from api.security import same_site_only
from api.types import RequestModel, ResponseModel
from app.auth.errors import SessionEndedError
from app.auth.service import LoggedIn, Registration
from app.auth.tokens import keyed_digest, read_access_token
from app.documents import utcnow
from app.errors import DomainError
from app.settings import Settings
from app.users.models import Role
from app.users.store import normal_email

router = APIRouter(prefix="/auth", tags=["auth"])

Email = Annotated[EmailStr, StringConstraints(max_length=254)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

COOKIE_PATH = "/auth"
_SAME_SITE = Depends(same_site_only)


class RegisterBody(RequestModel):
    """A new account. Admins are not made here."""

    email: Email = Field(examples=["dara@example.com"])
    password: str = Field(
        min_length=1,
        max_length=1000,
        repr=False,
        description="8 to 72 bytes; no other rule, but the commonest and those with your e-mail are refused.",
        examples=["correct horse battery staple"],
    )
    name: Name = Field(examples=["Dara Sok"])
    role: Literal["client", "worker"] = Field(examples=["worker"])
    company: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = Field(
        default="", description="Clients only."
    )


class Registered(ResponseModel):
    """The same for a new mailbox and for one that has an account: the mail tells its owner which."""

    message: str = "We have sent a mail to this address. Follow its link within 24 hours."


class VerifyEmailBody(RequestModel):
    """The token from the mail's link."""

    token: str = Field(min_length=1, max_length=2000, repr=False, examples=["eyJhbGciOi…"])


class EmailVerified(ResponseModel):
    """The mailbox is confirmed; log in."""

    email_verified: Literal[True] = True


class LoginBody(RequestModel):
    """Credentials."""

    email: str = Field(min_length=1, max_length=254, examples=["dara@example.com"])
    password: str = Field(
        min_length=1, max_length=1000, repr=False, examples=["correct horse battery staple"]
    )


class SessionUser(ResponseModel):
    """Who logged in."""

    id: str
    email: str
    name: str
    role: Role


class SessionBody(ResponseModel):
    """Keep the access token in memory. The refresh token is in an httpOnly cookie that scripts cannot read."""

    access_token: str = Field(repr=False, examples=["eyJhbGciOi…"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a scheme, no secret
    expires_in: int = Field(description="Seconds.", examples=[900])
    user: SessionUser


@router.post(
    "/register",
    status_code=202,
    response_model=Registered,
    responses=problems(*WITH_BODY, "weak-password", "rate-limited", *CREATING),
)
async def register(
    body: RegisterBody,
    auth: AuthDep,
    settings: SettingsDep,
    address: ClientAddress,
    idempotency: IdempotencyDep,
) -> Response:
    """Make an account and mail a link that verifies its e-mail.

    The answer does not tell whether the e-mail has an account already.
    """
    registration = Registration(
        email=body.email, password=body.password, name=body.name, role=Role(body.role), company=body.company
    )

    async def work(_: str) -> Registered:
        await auth.register(registration, address=address)
        return Registered()

    owner = keyed_digest(settings, "registrant", normal_email(body.email).encode())
    return await idempotency.run(f"registrant-{owner}", body, work, status=202)


@router.post(
    "/verify-email",
    responses=problems(
        *WITH_BODY,
        "verification-link-invalid",
        "verification-link-expired",
        "rate-limited",
        "outcome-unknown",
    ),
)
async def verify_email(body: VerifyEmailBody, auth: AuthDep, address: ClientAddress) -> EmailVerified:
    """Confirm the mailbox. Following the link twice is harmless."""
    await auth.verify_email(body.token, address=address)
    return EmailVerified()


@router.post(
    "/login",
    dependencies=[_SAME_SITE],
    responses=problems(
        *WITH_BODY,
        "invalid-credentials",
        "email-not-verified",
        "account-disabled",
        "cross-site-request",
        "rate-limited",
        "outcome-unknown",
    ),
)
async def login(
    body: LoginBody, auth: AuthDep, settings: SettingsDep, address: ClientAddress, response: Response
) -> SessionBody:
    """Open a session: an access token of 15 minutes, and a refresh cookie of 7 days."""
    return _session(response, settings, await auth.login(body.email, body.password, address=address))


@router.post(
    "/refresh",
    dependencies=[_SAME_SITE],
    responses=problems("session-ended", "cross-site-request", "outcome-unknown"),
)
async def refresh(request: Request, auth: AuthDep, settings: SettingsDep, response: Response) -> SessionBody:
    """Trade the refresh cookie for the next one and a new access token.

    A refresh token works once. Using it again ends the session everywhere: one of the two users has a copy.
    """
    token = request.cookies.get(cookie_name(settings))
    if not token:
        raise SessionEndedError
    return _session(response, settings, await auth.refresh(token))


@router.post(
    "/logout",
    status_code=204,
    dependencies=[_SAME_SITE],
    responses=problems("cross-site-request", "outcome-unknown"),
)
async def logout(request: Request, resources: OpenResourcesDep, response: Response) -> None:
    """End the session of the cookie, and of the access token if one is sent: both die on the server, at once."""
    settings = resources.settings
    token = request.cookies.get(cookie_name(settings))
    if token:
        await resources.sessions.end_by_token(token, "logout")
    scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and access_token:
        try:
            await resources.sessions.end(read_access_token(settings, access_token).sid, "logout")
        except DomainError:
            access_token = ""  # a spent token has no session to end
    response.delete_cookie(
        cookie_name(settings),
        path=COOKIE_PATH,
        secure=settings.cookie_secure,
        httponly=True,
        samesite="strict",
    )


def cookie_name(settings: Settings) -> str:
    """`__Secure-` binds the name to HTTPS. (`__Host-` would need Path=/, which sends it with every request.)"""
    return "__Secure-refreshToken" if settings.cookie_secure else "refreshToken"


def _session(response: Response, settings: Settings, logged_in: LoggedIn) -> SessionBody:
    seconds_left = int((logged_in.grant.expires_at - utcnow()).total_seconds())
    response.set_cookie(
        cookie_name(settings),
        logged_in.grant.refresh_token,
        max_age=max(1, seconds_left),
        path=COOKIE_PATH,
        secure=settings.cookie_secure,
        httponly=True,
        samesite="strict",
    )
    return SessionBody(
        access_token=logged_in.access_token,
        expires_in=settings.access_token_minutes * 60,
        user=SessionUser.model_validate(logged_in.user, from_attributes=True),
    )
