"""Passwords: bcrypt, as drawn, with its 72-byte limit checked and never cut."""

from __future__ import annotations

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher

from app.auth.common_passwords import COMMON_PASSWORDS
from app.auth.errors import WeakPasswordError

MIN_BYTES = 8
MAX_BYTES = 72  # bcrypt reads no further


def check_password(password: str, *, email: str) -> None:
    """Refuse a password that is too short, too long, common, or made of the account's own e-mail.

    No rules of composition: length and novelty are what counts (OWASP ASVS 6.2.5).

    Raises:
        WeakPasswordError: says which rule is broken.
    """
    size = len(password.encode())
    if size < MIN_BYTES:
        raise WeakPasswordError(f"A password has at least {MIN_BYTES} characters.")
    if size > MAX_BYTES:
        raise WeakPasswordError(
            f"A password has at most {MAX_BYTES} bytes (letters beyond a to z take two or more); this has {size}."
        )
    if "\0" in password:
        raise WeakPasswordError("A password has no null characters.")
    lowered = password.casefold()
    if lowered in COMMON_PASSWORDS or len(set(lowered)) < 4:
        raise WeakPasswordError("This password is among the first that anyone would try; choose another.")
    local_part = email.partition("@")[0].casefold()
    if email.casefold() in lowered or (len(local_part) >= 4 and local_part in lowered):
        raise WeakPasswordError("A password does not contain your e-mail.")


class Passwords:
    """Hashes and checks in a thread: bcrypt takes a quarter of a second, and must not stop the loop."""

    def __init__(self, rounds: int) -> None:
        self._hash = PasswordHash((BcryptHasher(rounds=rounds),))
        # compared against when there is no such account, so that both answers take the same time
        self._nobody = self._hash.hash("there is no such account")

    async def hash(self, password: str) -> str:
        """The hash of a password that `check_password` let through."""
        return await asyncio.to_thread(self._hash.hash, password)

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password. The work is the same for no account (None) and for an impossible password."""
        return await asyncio.to_thread(self._verify, password, password_hash)

    def _verify(self, password: str, password_hash: str | None) -> bool:
        possible = len(password.encode()) <= MAX_BYTES and "\0" not in password
        matches = self._hash.verify(password if possible else "impossible", password_hash or self._nobody)
        return matches and possible and password_hash is not None
