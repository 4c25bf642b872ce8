"""Queries and targeted writes on `users`. No function here saves a whole user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.errors import NotFoundError
from app.ids import new_id
from app.users.models import ClientProfile, Role, User, WorkerProfile


@dataclass(frozen=True, slots=True)
class Standing:
    """What every request needs to know of its caller."""

    role: Role
    disabled: bool


@dataclass(frozen=True, slots=True)
class NewUser:
    """A registration that passed every check."""

    email: str
    role: Role
    name: str
    password_hash: str
    company: str = ""


class UserStore:
    """Reads and writes of accounts, by `_id` or by e-mail, both of which an index serves."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._users = database["users"]

    async def get(self, user_id: str) -> User:
        """The account.

        Raises:
            NotFoundError: there is none.
        """
        found = await self._users.find_one({"_id": user_id})
        if found is None:
            raise NotFoundError("There is no such user.")
        return _user(found)

    async def find_by_email(self, email: str) -> User | None:
        """The account of a mailbox, however its letters are written."""
        found = await self._users.find_one({"email": normal_email(email)})
        return _user(found) if found is not None else None

    async def standing(self, user_id: str) -> Standing | None:
        """Role and whether disabled, as they are now; None when there is no such account."""
        found = await self._users.find_one({"_id": user_id}, {"role": 1, "disabled": 1})
        if found is None:
            return None
        return Standing(role=Role(found["role"]), disabled=bool(found.get("disabled", False)))

    async def register(self, new: NewUser) -> User | None:
        """Create an unverified account; None when a verified one has this e-mail.

        An unverified account of the same e-mail is taken over by the later registration, with a new `registration`:
        whoever registered a mailbox that is not theirs has no say in what its owner later confirms.
        """
        fields = _registration_fields(new)
        try:
            document = {"_id": new_id(), "email": normal_email(new.email), "createdAt": utcnow(), **fields}
            await self._users.insert_one(document)
        except DuplicateKeyError:
            taken_over = await self._users.find_one_and_update(
                {"email": normal_email(new.email), "emailVerified": False},
                {"$set": fields},
                return_document=ReturnDocument.AFTER,
            )
            return _user(taken_over) if taken_over is not None else None
        return _user(document)

    async def verify_email(self, user_id: str, registration: str) -> bool:
        """Mark the mailbox as confirmed, if this registration is still the account's. Repeatable."""
        result = await self._users.update_one(
            {"_id": user_id, "registration": registration}, {"$set": {"emailVerified": True}}
        )
        return result.matched_count == 1

    async def set_password_hash(self, user_id: str, *, old: str, new: str) -> None:
        """Replace a hash of the same password by a stronger one, unless the password changed meanwhile."""
        await self._users.update_one({"_id": user_id, "passwordHash": old}, {"$set": {"passwordHash": new}})

    async def set_fields(self, user_id: str, fields: dict[str, Any]) -> User:
        """Set the named stored fields (dotted paths) and nothing else; answers the account after it.

        Raises:
            NotFoundError: there is no such account.
        """
        if not fields:
            return await self.get(user_id)
        found = await self._users.find_one_and_update(
            {"_id": user_id}, {"$set": fields}, return_document=ReturnDocument.AFTER
        )
        if found is None:
            raise NotFoundError("There is no such user.")
        return _user(found)

    async def set_disabled(self, user_id: str, *, disabled: bool) -> User:
        """Close or reopen an account. The caller also ends its sessions (`SessionStore.end_all`)."""
        return await self.set_fields(user_id, {"disabled": disabled})


def normal_email(email: str) -> str:
    """The form in which an e-mail is stored and looked up."""
    return email.strip().lower()


def _registration_fields(new: NewUser) -> dict[str, Any]:
    worker = WorkerProfile() if new.role is Role.WORKER else None
    client = ClientProfile(company=new.company) if new.role is Role.CLIENT else None
    return {
        "role": new.role.value,
        "name": new.name,
        "passwordHash": new.password_hash,
        "emailVerified": False,
        "disabled": False,
        "registration": new_id(),
        "workerProfile": worker.model_dump(by_alias=True) if worker else None,
        "clientProfile": client.model_dump(by_alias=True) if client else None,
    }


def _user(document: dict[str, Any]) -> User:
    user: User = User.model_validate(document)
    return user
