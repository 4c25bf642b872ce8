"""The policy of jobs, as admins read and change it. Jobs that run keep the snapshot they were posted with."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path
from pydantic import ConfigDict, Field, StrictInt, StringConstraints
from starlette.responses import Response

from api.dependencies import PoliciesDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.pagination import Page, PageDep
from api.policy_changes import changes_of
from api.security import AdminOnly
from api.types import EntityId, RequestModel, ResponseModel
from app.jobs.policy import JobPolicy
from app.policies.models import MAX_VERSION, PolicyVersion
from app.policies.store import PolicyEdit

router = APIRouter(prefix="/admin/policies", tags=["admin"])

_SCOPE = "admin-policies"

if TYPE_CHECKING:
    PolicyChanges = RequestModel
else:
    PolicyChanges = changes_of(JobPolicy)


class ChangePolicyBody(RequestModel):
    """A change of the policy: made from which version, what, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "basedOn": 3,
                    "changes": {"offerWindowSeconds": 1200, "candidatesPerRound": 4},
                    "reason": "Too many offers lapse at weekends",
                }
            ]
        }
    )

    based_on: Annotated[StrictInt, Field(ge=1, le=MAX_VERSION)]
    changes: PolicyChanges
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1_000)]


class FieldChangeView(ResponseModel):
    """What one field was before the change, and is after it."""

    field: str
    before: Any
    after: Any


class PolicyView(ResponseModel):
    """One version. Version 1 is what the installation's settings gave, and was changed by nobody.

    In `policy`, durations are in seconds, shares and factors in basis points, money in USD cents.
    """

    version: int
    current: bool
    policy: JobPolicy
    changed_by: EntityId | None
    changed_at: datetime | None
    reason: str
    diff: list[FieldChangeView]


@router.get("", responses=problems(*AUTHENTICATED, "wrong-role", "invalid-request", "invalid-cursor"))
async def list_policies(principal: AdminOnly, policies: PoliciesDep, page: PageDep) -> Page[PolicyView]:
    """The current policy, and every one before it, newest first."""
    del principal
    position = page.position(_SCOPE)
    below = None if position is None else int(position[1])
    found = await policies.history(below=below, limit=page.limit)
    current = (await policies.latest()).id
    oldest = found[-1].id if found else 1
    return Page[PolicyView](
        items=[_view(version, current) for version in found],
        next_cursor=page.cursor_after(_SCOPE, oldest, str(oldest)) if oldest > 1 else None,
    )


@router.get("/{version}", responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request"))
async def read_policy(
    version: Annotated[int, Path(ge=1, le=MAX_VERSION, examples=[3], description="The version's number.")],
    principal: AdminOnly,
    policies: PoliciesDep,
) -> PolicyView:
    """One version of the policy: whole, and what was changed in it, by whom and why."""
    del principal
    found = await policies.version(version)
    return _view(found, (await policies.latest()).id)


@router.post(
    "",
    status_code=201,
    response_model=PolicyView,
    responses=problems(*AUTHENTICATED, *WITH_BODY, *CREATING, "wrong-role", "stale-policy"),
)
async def change_policy(
    body: ChangePolicyBody, principal: AdminOnly, policies: PoliciesDep, idempotency: IdempotencyDep
) -> Response:
    """Change the policy for jobs posted from now on. Other API processes follow within five seconds.

    The answer to a change made from an old version is 409 `stale-policy` with `currentVersion`.
    """

    async def work(request_id: str) -> PolicyView:
        edit = PolicyEdit(
            based_on=body.based_on,
            changes=body.changes.model_dump(exclude_unset=True),
            reason=body.reason,
            changed_by=principal.user_id,
            request_id=request_id,
        )
        made = await policies.change(edit)
        return _view(made, made.id)

    return await idempotency.run(principal.user_id, body, work)


def _view(version: PolicyVersion, current: int) -> PolicyView:
    return PolicyView(
        version=version.id,
        current=version.id == current,
        policy=version.policy,
        changed_by=version.changed_by,
        changed_at=version.changed_at,
        reason=version.reason,
        diff=[FieldChangeView.model_validate(change, from_attributes=True) for change in version.diff],
    )
