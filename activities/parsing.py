"""Reading a brief: by the model (a regular activity on its own queue) or by rules (a local one)."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity

from app.jobs.projection import JobNotFoundError
from app.parsing.errors import ParserRequestRejected
from app.parsing.models import Brief, ParsedBrief
from app.parsing.service import BriefReader, parse_with_openai, parse_with_rules
from workflows.messages import Activity


class ParsingActivities:
    """Both ways to read; `reader` is the model, or None when there is no key."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], reader: BriefReader | None) -> None:
        """Read briefs from the database, and ask the model through its gateway."""
        self._database, self._reader = database, reader

    @activity.defn(name=Activity.PARSE_WITH_RULES)
    async def parse_brief_with_rules(self, job_id: str) -> ParsedBrief:
        """Read a job's brief by the rules."""
        return parse_with_rules(await self._brief(job_id))

    @activity.defn(name=Activity.PARSE_WITH_OPENAI)
    async def parse_brief_with_openai(self, job_id: str) -> ParsedBrief:
        """Read a job's brief with the model.

        Raises:
            app.parsing.errors.ParserPermanentError: the model will not read it, or there is no key.
            app.parsing.errors.ParserUnavailable: try again.
        """
        if self._reader is None:
            raise ParserRequestRejected("this worker has no key for the model")
        return await parse_with_openai(await self._brief(job_id), self._reader)

    async def _brief(self, job_id: str) -> Brief:
        job = await self._database["jobs"].find_one(
            {"_id": job_id}, {"title": 1, "description": 1, "urgency": 1, "clarification": 1}
        )
        if job is None:
            raise JobNotFoundError(job_id)
        answer = (job.get("clarification") or {}).get("answer")
        description = f"{job['description']}\n\n{answer}" if answer else job["description"]
        return Brief(title=job["title"], description=description, urgency=job["urgency"])
