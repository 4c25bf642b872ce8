"""Who a notice goes to, read when it is delivered: the only place where it meets a name and an address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase


@dataclass(frozen=True, slots=True)
class Person:
    """What a mail needs to know of a user. Never logged."""

    user_id: str
    role: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    timezone: str


async def find_person(database: AsyncDatabase[dict[str, Any]], user_id: str) -> Person | None:
    """The user, or None when there is none any more."""
    document = await database["users"].find_one(
        {"_id": user_id}, {"email": 1, "role": 1, "name": 1, "workerProfile.timezone": 1}
    )
    if document is None or not document.get("email"):
        return None
    profile = document.get("workerProfile") or {}
    return Person(
        user_id=user_id,
        role=str(document.get("role", "")),
        email=str(document["email"]),
        name=str(document.get("name") or ""),
        timezone=str(profile.get("timezone") or "UTC"),
    )


async def find_admin_ids(database: AsyncDatabase[dict[str, Any]]) -> list[str]:
    """Every admin who can log in. Rare (a job in rescue), so a scan on the embedded store will do."""
    cursor = database["users"].find({"role": "admin", "disabled": {"$ne": True}}, {"_id": 1})
    return [str(document["_id"]) async for document in cursor]


async def find_job_title(database: AsyncDatabase[dict[str, Any]], job_id: str | None) -> str:
    """The job's title, or plain words when it is gone."""
    if job_id is None:
        return "your job"
    document = await database["jobs"].find_one({"_id": job_id}, {"title": 1})
    return str((document or {}).get("title") or "your job")
