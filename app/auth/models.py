"""Sessions (families of refresh tokens) and the tokens themselves, of which only digests are kept."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.documents import CamelDocument

EndReason = Literal["logout", "token-reuse", "disabled", "ended-by-admin"]


class Session(CamelDocument):
    """One login: a family of refresh tokens with one absolute end. `endedAt` kills all of it at once."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # text in place of an ObjectId
    user_id: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    end_reason: EndReason | None = None

    class Settings:
        name = "sessions"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("userId", ASCENDING)]),
            IndexModel([("expiresAt", ASCENDING)]),
        ]


class RefreshToken(CamelDocument):
    """One refresh token. `uses` is raised by the one atomic step that spends it: only the first may go on."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the token's SHA-256 in place of an ObjectId
    session_id: str
    user_id: str
    issued_at: datetime
    expires_at: datetime
    uses: int = 0

    class Settings:
        name = "refresh_tokens"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("expiresAt", ASCENDING)])]


DOCUMENTS: list[type[Document]] = [Session, RefreshToken]
