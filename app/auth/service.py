"""Registration, verification and login: the acts behind `/auth`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import structlog
from pymongo.asynchronous.database import AsyncDatabase

from app.auth.errors import (
    AccountDisabledError,
    EmailNotVerifiedError,
    InvalidCredentialsError,
    SessionEndedError,
    VerificationLinkError,
)
from app.auth.passwords import Passwords, check_password
from app.auth.sessions import Grant, SessionStore
from app.auth.tokens import issue_access_token, issue_verification_token, read_verification_token
from app.documents import utcnow
from app.ids import new_id
from app.notifications.outbox import enqueue_mail
from app.ratelimit import RateLimiter, login_limits, register_limits, verify_limits
from app.settings import Settings
from app.users.models import Role, User
from app.users.store import NewUser, UserStore, normal_email

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a person sends to get an account; `role` is never admin."""

    email: str
    password: str
    name: str
    role: Role
    company: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session's two tokens and whose it is."""

    access_token: str
    grant: Grant
    user: User


@dataclass(frozen=True, slots=True)
class AuthService:
    """Stands on the stores it is given; holds no state of its own."""

    database: AsyncDatabase[dict[str, Any]]
    settings: Settings
    users: UserStore
    sessions: SessionStore
    passwords: Passwords
    limiter: RateLimiter

    async def register(self, registration: Registration, *, address: str) -> None:
        """Make an account, unverified, and mail its link; or mail the owner of an existing one.

        The answer and the work are the same in both cases, so nobody learns who has an account.

        Raises:
            RateLimitedError, WeakPasswordError: nothing was changed.
        """
        email = normal_email(registration.email)
        if registration.role is Role.ADMIN:
            raise ValueError("admins are made by admins, not by registration")
        check_password(registration.password, email=email)
        await self.limiter.take(register_limits(self.settings, email=email, address=address))
        password_hash = await self.passwords.hash(registration.password)
        user = await self.users.register(
            NewUser(email, registration.role, registration.name, password_hash, registration.company)
        )
        if user is None:
            await self._mail_already_registered(email)
        else:
            await self._mail_verification(user)

    async def verify_email(self, token: str, *, address: str) -> None:
        """Confirm the mailbox that the token was mailed to. Repeating it is harmless.

        Raises:
            RateLimitedError, VerificationLinkError: nothing was changed.
        """
        await self.limiter.take(verify_limits(self.settings, address=address))
        claims = read_verification_token(self.settings, token)
        if not await self.users.verify_email(claims.sub, claims.registration):
            raise VerificationLinkError
        log.info("email_verified", user_id=claims.sub)

    async def login(self, email: str, password: str, *, address: str) -> LoggedIn:
        """Open a session.

        Attempts are counted before the password is checked and taken off again when it was right.

        Raises:
            RateLimitedError: too many failed attempts on this account or from this address.
            InvalidCredentialsError: wrong e-mail or password, after the same work for either.
            EmailNotVerifiedError, AccountDisabledError: the password was right.
        """
        email = normal_email(email)
        limits = login_limits(self.settings, email=email, address=address)
        await self.limiter.take(limits)
        user = await self.users.find_by_email(email)
        if not await self.passwords.verify(password, user.password_hash if user else None) or user is None:
            log.info("login_failed", user_id=user.id if user else None)
            raise InvalidCredentialsError
        await self.limiter.give_back(limits)
        if user.disabled:
            log.info("login_refused", user_id=user.id, reason="disabled")
            raise AccountDisabledError
        if not user.email_verified:
            log.info("login_refused", user_id=user.id, reason="email-not-verified")
            raise EmailNotVerifiedError
        grant = await self.sessions.open(user.id)
        log.info("login", user_id=user.id, session_id=grant.session_id)
        return self._logged_in(grant, user)

    async def refresh(self, refresh_token: str) -> LoggedIn:
        """Carry a session on with new tokens.

        Raises:
            SessionEndedError: the token or its session is spent, or the account is disabled.
        """
        grant = await self.sessions.rotate(refresh_token)
        user = await self.users.get(grant.user_id)
        if user.disabled:
            await self.sessions.end(grant.session_id, "disabled")
            raise SessionEndedError
        return self._logged_in(grant, user)

    def _logged_in(self, grant: Grant, user: User) -> LoggedIn:
        token = issue_access_token(
            self.settings, user_id=user.id, session_id=grant.session_id, role=user.role.value
        )
        return LoggedIn(access_token=token, grant=grant, user=user)

    async def _mail_verification(self, user: User) -> None:
        token = issue_verification_token(self.settings, user_id=user.id, registration=user.registration)
        await enqueue_mail(
            self.database,
            key=f"verify-email:{user.id}:{user.registration}",
            to=user.email,
            template="auth.verify_email",
            context={
                # after the #: a browser keeps it to itself, so it reaches no server's log
                "link": f"{self.settings.portal_url.rstrip('/')}/verify-email#token={quote(token)}",
                "expires_at": utcnow() + timedelta(hours=self.settings.verification_token_hours),
            },
        )

    async def _mail_already_registered(self, email: str) -> None:
        existing = await self.users.find_by_email(email)
        if existing is not None:
            await enqueue_mail(
                self.database,
                key=f"already-registered:{existing.id}:{new_id()}",
                to=email,
                template="auth.already_registered",
                context={},
            )
