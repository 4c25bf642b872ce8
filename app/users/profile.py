"""Editing one's own profile: from the fields that were sent to the targeted writes they mean."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.errors import InvalidFieldError
from app.skills.store import unknown_skills
from app.users.errors import FieldNotForRoleError
from app.users.models import Role, User
from app.users.store import UserStore

# camelCase name in the API → stored path, for those who have it
_COMMON = {"name": "name"}
_BY_ROLE: dict[Role, dict[str, str]] = {
    Role.WORKER: {
        name: f"workerProfile.{name}"
        for name in ("skills", "timezone", "workingHours", "capacity", "available", "optedInUrgent")
    },
    Role.CLIENT: {"company": "clientProfile.company"},
    Role.ADMIN: {},
}


async def edit_profile(
    database: AsyncDatabase[dict[str, Any]], user_id: str, role: Role, changes: dict[str, Any]
) -> User:
    """Apply `changes` (by API name, already of the right shape) and answer the account after them.

    Only the named fields are written, so a count that an activity raises meanwhile is kept.

    Raises:
        FieldNotForRoleError: a field that this role does not have; nothing was changed.
        InvalidFieldError: an unknown skill; nothing was changed.
    """
    paths = {**_COMMON, **_BY_ROLE[role]}
    for name in changes:
        if name not in paths:
            raise FieldNotForRoleError(name, role.value)
    if changes.get("skills"):
        unknown = set(await unknown_skills(database, changes["skills"]))
        for index, slug in enumerate(changes["skills"]):
            if slug in unknown:
                raise InvalidFieldError(f"#/skills/{index}", f"`{slug}` is not a skill; see GET /skills.")
    return await UserStore(database).set_fields(
        user_id, {paths[name]: value for name, value in changes.items()}
    )
