"""Keeping the collection `skills` in step with the taxonomy, and reading it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from app.skills.models import Skill, SkillPricing
from app.skills.taxonomy import CATEGORIES, SKILLS


async def ensure_skills(database: AsyncDatabase[dict[str, Any]]) -> int:
    """Write the taxonomy's skills, leaving prices that an admin has set; answers how many were new or changed.

    Repeatable, and safe when the API and several workers start at once.
    """
    stored = {skill.slug: skill for skill in await list_skills(database)}
    wanted = [
        Skill(
            _id=definition.slug,
            slug=definition.slug,
            name=definition.name,
            category=definition.category,
            category_name=CATEGORIES[definition.category],
            aliases=list(definition.aliases),
            pricing=stored[definition.slug].pricing if definition.slug in stored else SkillPricing(),
        )
        for definition in SKILLS
    ]
    changes = [
        UpdateOne(
            {"_id": skill.slug},
            {
                "$set": skill.model_dump(by_alias=True, exclude={"id", "revision_id", "pricing"}),
                "$setOnInsert": {"pricing": skill.pricing.model_dump(by_alias=True)},
            },
            upsert=True,
        )
        for skill in wanted
        if stored.get(skill.slug) != skill
    ]
    if changes:
        await database["skills"].bulk_write(changes, ordered=False)
    return len(changes)


async def list_skills(database: AsyncDatabase[dict[str, Any]]) -> list[Skill]:
    """Every skill, by category and name."""
    found = await database["skills"].find({}).to_list()
    return sorted(
        (Skill.model_validate(document) for document in found),
        key=lambda skill: (skill.category, skill.name),
    )


async def unknown_skills(database: AsyncDatabase[dict[str, Any]], slugs: Iterable[str]) -> list[str]:
    """Those of `slugs` that are no skill, in the order given."""
    wanted = list(slugs)
    found = await database["skills"].find({"_id": {"$in": wanted}}, {"_id": 1}).to_list()
    known = {document["_id"] for document in found}
    return [slug for slug in wanted if slug not in known]
