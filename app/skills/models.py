"""The collection `skills`: what clients can ask for and workers can offer."""

from __future__ import annotations

from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.documents import CamelDocument, CamelModel


class SkillPricing(CamelModel):
    """How work on the skill is weighed, in basis points of the tier's hourly rate (10,000: as it is)."""

    rate_basis_points: int = 10_000


class Skill(CamelDocument):
    """One skill; its slug is its id everywhere else."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the slug in place of an ObjectId
    slug: str
    name: str
    category: str
    category_name: str
    aliases: list[str] = Field(default_factory=list)
    pricing: SkillPricing = Field(default_factory=SkillPricing)

    class Settings:
        name = "skills"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("slug", ASCENDING)], unique=True)]


DOCUMENTS: list[type[Document]] = [Skill]
