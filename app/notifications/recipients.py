"""Who a notice goes to, read when it is delivered: the only place where it meets a name and an address."""

from __future__ import annotations

from collections.abc import Collection
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


async def find_people(
    database: AsyncDatabase[dict[str, Any]], user_ids: Collection[str]
) -> dict[str, Person]:
    """The users by their ids, in one read; those that there are no more are not in it."""
    fields = {"email": 1, "role": 1, "name": 1, "workerProfile.timezone": 1}
    documents = await database["users"].find({"_id": {"$in": list(user_ids)}}, fields).to_list()
    return {str(document["_id"]): _person(document) for document in documents if document.get("email")}


def _person(document: dict[str, Any]) -> Person:
    profile = document.get("workerProfile") or {}
    return Person(
        user_id=str(document["_id"]),
        role=str(document.get("role", "")),
        email=str(document["email"]),
        name=str(document.get("name") or ""),
        timezone=str(profile.get("timezone") or "UTC"),
    )


async def find_admin_ids(database: AsyncDatabase[dict[str, Any]]) -> list[str]:
    """Every admin who can log in. Rare (a job in rescue), so a scan on the embedded store will do."""
    cursor = database["users"].find({"role": "admin", "disabled": {"$ne": True}}, {"_id": 1})
    return [str(document["_id"]) async for document in cursor]


async def find_job_titles(
    database: AsyncDatabase[dict[str, Any]], job_ids: Collection[str]
) -> dict[str, str]:
    """The jobs' titles by their ids, in one read; those that are gone are not in it."""
    documents = await database["jobs"].find({"_id": {"$in": list(job_ids)}}, {"title": 1}).to_list()
    return {str(document["_id"]): str(document["title"]) for document in documents if document.get("title")}
