"""What can go wrong at the door."""

from __future__ import annotations

from app.errors import DomainError


class InvalidCredentialsError(DomainError):
    """Wrong e-mail or wrong password; which one is not said."""

    code = "invalid-credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail or the password is wrong.")


class EmailNotVerifiedError(DomainError):
    """The password is right, but nobody has shown yet that the mailbox is theirs."""

    code = "email-not-verified"

    def __init__(self) -> None:
        super().__init__("Verify your e-mail first: follow the link in the mail we sent, or register again.")


class AccountDisabledError(DomainError):
    """An admin closed the account."""

    code = "account-disabled"

    def __init__(self) -> None:
        super().__init__("This account is disabled; write to support.")


class AuthenticationRequiredError(DomainError):
    """No access token came with the request."""

    code = "authentication-required"

    def __init__(self) -> None:
        super().__init__("Send an access token: `Authorization: Bearer <token>`.")


class InvalidTokenError(DomainError):
    """The token is not one of ours, not for this use, or damaged."""

    code = "invalid-token"

    def __init__(self, message: str = "The token is not valid.") -> None:
        super().__init__(message)


class TokenExpiredError(DomainError):
    """The token was good and is too old now."""

    code = "token-expired"

    def __init__(self, message: str = "The access token has expired; refresh it.") -> None:
        super().__init__(message)


class VerificationLinkError(DomainError):
    """The token of a verification mail is damaged, or was replaced by that of a later registration."""

    code = "verification-link-invalid"

    def __init__(self, message: str = "This link is not valid; look for our latest mail.") -> None:
        super().__init__(message)


class VerificationLinkExpiredError(VerificationLinkError):
    """The token of a verification mail is too old."""

    code = "verification-link-expired"

    def __init__(self) -> None:
        super().__init__("This link has expired; register again for a new one.")


class SessionEndedError(DomainError):
    """The session was logged out, ran out, was ended for safety, or its account was disabled."""

    code = "session-ended"

    def __init__(self) -> None:
        super().__init__("This session has ended; log in again.")


class WrongRoleError(DomainError):
    """The caller is known, but this is for another role."""

    code = "wrong-role"

    def __init__(self, *allowed: str) -> None:
        super().__init__(f"Only a {' or '.join(allowed)} may do this.")


class WeakPasswordError(DomainError):
    """The password breaks a rule of `app.auth.passwords`."""

    code = "weak-password"


class CrossSiteRequestError(DomainError):
    """A browser sent this from a page that is not ours."""

    code = "cross-site-request"

    def __init__(self) -> None:
        super().__init__("This request may only come from the platform's own pages.")
