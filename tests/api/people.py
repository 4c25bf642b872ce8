"""Accounts for tests: through the front door, or straight into the collection when the door is not the subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx2
from pwdlib.hashers.bcrypt import BcryptHasher
from pymongo.asynchronous.database import AsyncDatabase

from app.ids import new_id
from app.settings import Settings
from app.users.models import Role
from app.users.store import NewUser, UserStore

PASSWORD = "correct horse battery"
_HASH = BcryptHasher(rounds=4).hash(PASSWORD)


@dataclass(frozen=True)
class Person:
    """An account, logged in."""

    id: str
    email: str
    role: Role
    access_token: str

    @property
    def headers(self) -> dict[str, str]:
        """What the person's requests carry."""
        return {"Authorization": f"Bearer {self.access_token}"}


class People:
    """One module's people."""

    def __init__(
        self, client: httpx2.AsyncClient, database: AsyncDatabase[dict[str, Any]], settings: Settings
    ) -> None:
        self.client = client
        self.database = database
        self.settings = settings

    async def account(self, role: Role, *, verified: bool = True) -> tuple[str, str]:
        """Id and e-mail of a new account with `PASSWORD`."""
        email = f"{role.value}-{new_id()}@example.com"
        user = await UserStore(self.database).register(NewUser(email, role, "Test Person", _HASH))
        assert user is not None
        if verified:
            await UserStore(self.database).verify_email(user.id, user.registration)
        return user.id, email

    async def log_in(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        """The answer to a login; the cookie stays in the client's jar."""
        return await self.client.post("/auth/login", json={"email": email, "password": password})

    async def someone(self, role: Role) -> Person:
        """A new account, logged in."""
        user_id, email = await self.account(role)
        answer = await self.log_in(email)
        assert answer.status_code == 200, answer.text
        return Person(user_id, email, role, answer.json()["accessToken"])

    async def mailed_token(self, email: str) -> str:
        """The token in the latest verification mail to an address, as the outbox holds it."""
        rows = await self.database["outbox"].find({"to": email, "template": "auth.verify_email"}).to_list()
        assert rows, f"no verification mail to {email}"
        latest = max(rows, key=lambda row: row["createdAt"])
        return unquote(latest["context"]["link"].partition("#token=")[2])
