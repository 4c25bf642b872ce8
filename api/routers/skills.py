"""The skills that clients can ask for; open to everyone, since registration needs them."""

from __future__ import annotations

from fastapi import APIRouter

from api.dependencies import DatabaseDep
from api.openapi import problems
from api.types import ResponseModel
from app.skills.store import list_skills

router = APIRouter(prefix="/skills", tags=["skills"])


class SkillBody(ResponseModel):
    """One skill. `slug` names it in profiles and jobs; `aliases` are other names people use."""

    slug: str
    name: str
    category: str
    category_name: str
    aliases: list[str]


class SkillList(ResponseModel):
    """Every skill, by category and name."""

    items: list[SkillBody]


@router.get("", responses=problems())
async def list_all(database: DatabaseDep) -> SkillList:
    """Every skill. The list is small and is not paged."""
    skills = await list_skills(database)
    return SkillList(items=[SkillBody.model_validate(skill, from_attributes=True) for skill in skills])
