"""The caller's notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict

from api.dependencies import DatabaseDep
from api.openapi import AUTHENTICATED, problems
from api.pagination import Page, PageDep, fetch_page
from api.security import AnyRole
from api.types import EntityId, ResponseModel
from app.notifications.store import NotificationStore

router = APIRouter(prefix="/notifications", tags=["notifications"])

NotificationId = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9:_-]{0,249}$",
        examples=["6561f0c2a4b7d9e8f0123456:4:0"],
        description="The `id` of a notification.",
    ),
]


class NotificationView(ResponseModel):
    """One notification. `type` is stable; `title` and `message` are for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "6561f0c2a4b7d9e8f0123456:4:0",
                    "jobId": "6561f0c2a4b7d9e8f0123456",
                    "type": "job.offer",
                    "title": "You have an offer: “Landing page for a bakery”",
                    "message": "You are offered “Landing page for a bakery” for $42.00. …",
                    "read": False,
                    "readAt": None,
                    "createdAt": "2026-11-22T10:00:00Z",
                }
            ]
        }
    )

    id: str
    job_id: EntityId | None
    type: str
    title: str
    message: str
    read: bool
    read_at: datetime | None
    created_at: datetime


class ReadAll(ResponseModel):
    """How many notifications were unread and no longer are."""

    marked: int


@router.get("", responses=problems(*AUTHENTICATED, "invalid-request", "invalid-cursor"))
async def list_own(
    principal: AnyRole,
    database: DatabaseDep,
    page: PageDep,
    unread: Annotated[
        bool | None, Query(description="true: only unread ones; false: only read ones.")
    ] = None,
) -> Page[NotificationView]:
    """The caller's notifications, newest first."""
    query: dict[str, Any] = {"userId": principal.user_id}
    if unread is not None:
        query["read"] = not unread
    documents, cursor = await fetch_page(
        database["notifications"], query, page, scope=f"notifications:{principal.user_id}:{unread}"
    )
    return Page[NotificationView](items=[_view(document) for document in documents], next_cursor=cursor)


@router.post("/read-all", responses=problems(*AUTHENTICATED, "outcome-unknown"))
async def read_all(principal: AnyRole, database: DatabaseDep) -> ReadAll:
    """Mark every notification of the caller as read."""
    return ReadAll(marked=await NotificationStore(database).mark_all_read(principal.user_id))


@router.post(
    "/{notification_id}/read",
    responses=problems(*AUTHENTICATED, "not-found", "invalid-request", "outcome-unknown"),
)
async def read(
    notification_id: NotificationId, principal: AnyRole, database: DatabaseDep
) -> NotificationView:
    """Mark one notification as read. Repeating it changes nothing."""
    return _view(await NotificationStore(database).mark_read(principal.user_id, notification_id))


def _view(document: dict[str, Any]) -> NotificationView:
    return NotificationView.model_validate(document | {"id": document["_id"]})
