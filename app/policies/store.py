"""The policy that jobs posted now get, and the history of its changes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from app.documents import utcnow
from app.errors import InvalidFieldError, NotFoundError
from app.jobs.policy import JobPolicy
from app.jobs.posting import policy_of
from app.policies import rules
from app.policies.errors import StalePolicyError
from app.policies.models import PolicyVersion
from app.settings import Settings

COLLECTION = "policies"
FIRST = 1  # what the settings give
CACHE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PolicyEdit:
    """What an admin asks for: these fields (named as in Python) of the version that was looked at."""

    based_on: int
    changes: Mapping[str, Any]
    reason: str
    changed_by: str
    request_id: str


class PolicyStore:
    """One for each process. It remembers the last version, and looks for the next ones by their numbers.

    As long as no admin has changed the policy, the settings decide, so that a demo or a test may shorten its times.
    From the first change on, the rows do.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        settings: Settings,
        *,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        """Read nothing yet. Another process's change is seen within `cache_seconds`."""
        self._rows, self._settings, self._cache_seconds = database[COLLECTION], settings, cache_seconds
        self._last: PolicyVersion | None = None
        self._fresh_until = 0.0

    async def current(self) -> JobPolicy:
        """The policy for a job that is posted now; from memory, but for one read every `cache_seconds`."""
        last = self._last
        if last is None or time.monotonic() >= self._fresh_until:
            last = await self.latest()
        return last.policy

    async def latest(self) -> PolicyVersion:
        """The last version, as MongoDB knows it at this moment."""
        last = self._last or await self._newest()
        while following := await self._row(last.id + 1):
            last = following
        self._remember(last)
        return last

    async def version(self, number: int) -> PolicyVersion:
        """One version.

        Raises:
            NotFoundError: there never was one of this number.
        """
        found = await (self._first() if number == FIRST else self._row(number))
        if found is None:
            raise NotFoundError("There is no such version of the policy.")
        return found

    async def history(self, *, below: int | None = None, limit: int) -> list[PolicyVersion]:
        """At most `limit` versions, the newest first; those under the number `below`, if it is given."""
        newest = (await self.latest()).id if below is None else below - 1
        numbers = list(range(newest, max(newest - limit, 0), -1))
        found = await self._rows.find({"_id": {"$in": numbers}}).to_list()
        versions = [PolicyVersion.model_validate(document) for document in found]
        if FIRST in numbers:
            versions.append(await self._first())
        return sorted(versions, key=lambda version: version.id, reverse=True)

    async def change(self, edit: PolicyEdit) -> PolicyVersion:
        """Make the next version; a repeat of the same request finds the one it made.

        Raises:
            StalePolicyError: the edit is not based on the current version.
            InvalidFieldError: it changes nothing, or the policy would break a rule.
        """
        base = await self.latest()
        if base.id != edit.based_on:
            return await self._made_by(edit)
        number = base.id + 1
        policy = rules.changed(base.policy, edit.changes, version=number)
        diff = rules.differences(base.policy, policy)
        if not diff:
            raise InvalidFieldError("#/changes", "changes nothing: the policy is like that already")
        made = PolicyVersion(
            _id=number,
            policy=policy,
            changed_by=edit.changed_by,
            changed_at=utcnow(),
            reason=edit.reason,
            diff=diff,
            request_id=edit.request_id,
        )
        document = made.model_dump(by_alias=True) | {"policy": rules.plain(policy)}
        try:
            await self._rows.insert_one(document)
        except DuplicateKeyError:  # somebody else was quicker
            return await self._made_by(edit)
        self._remember(made)
        return made

    async def _made_by(self, edit: PolicyEdit) -> PolicyVersion:
        """The version that this very request made before."""
        made = await self._row(edit.based_on + 1)
        if made is not None and made.request_id == edit.request_id:
            return made
        raise StalePolicyError(based_on=edit.based_on, current=(await self.latest()).id)

    async def _newest(self) -> PolicyVersion:
        """The last version without knowing any before it: the only query that is not by number, once a process."""
        found = await self._rows.find({}).sort("_id", -1).limit(1).to_list()
        return PolicyVersion.model_validate(found[0]) if found else await self._first()

    async def _row(self, number: int) -> PolicyVersion | None:
        found = await self._rows.find_one({"_id": number})
        return None if found is None else PolicyVersion.model_validate(found)

    async def _first(self) -> PolicyVersion:
        """What the settings give or, once it was changed, what they gave at that time."""
        following = await self._row(FIRST + 1)
        if following is None:
            return PolicyVersion(_id=FIRST, policy=policy_of(self._settings))
        return PolicyVersion(_id=FIRST, policy=rules.reverted(following.policy, following.diff))

    def _remember(self, last: PolicyVersion) -> None:
        if self._last is None or last.id >= self._last.id:
            self._last = last
        self._fresh_until = time.monotonic() + self._cache_seconds
