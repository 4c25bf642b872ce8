"""Archiving a finished job: its record into the archive bucket (a regular activity), the note on it (a local one)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity
from temporalio.exceptions import ApplicationError

from app.jobs import archive
from app.lifecycle import Status
from workflows.followers import ArchiveWritten, FollowerActivity, MarkArchived, WriteArchive


class ArchiveStorage(Protocol):
    """What archiving needs of `app.gateways.storage.Storage`."""

    async def put_object(
        self, bucket: str, key: str, body: bytes, *, content_type: str = "application/json"
    ) -> str: ...


class ArchiveActivities:
    """The object is rewritten whole each time, so each activity may run again."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], storage: ArchiveStorage, *, bucket: str
    ) -> None:
        """Write into the bucket `settings.s3_bucket_archive`."""
        self._database, self._storage, self._bucket = database, storage, bucket

    @activity.defn(name=FollowerActivity.WRITE_ARCHIVE)
    async def write_archive(self, request: WriteArchive) -> ArchiveWritten:
        """Gather the job's whole record and write it as one JSON object.

        Raises:
            ApplicationError: the job is disputed; try again in an hour.
            app.gateways.storage.StorageUnavailableError: try again.
        """
        record = await archive.gather(self._database, request.job_id, at=request.at)
        if archive.is_disputed(record["job"]):
            raise ApplicationError(
                "the job is disputed", type="Disputed", next_retry_delay=timedelta(hours=1)
            )
        body, key = archive.encode(record), archive.archive_key(request.job_id)
        await self._storage.put_object(self._bucket, key, body, content_type="application/json")
        job = record["job"]
        return ArchiveWritten(
            key=key, size=len(body), status=Status(job["status"]), settled=archive.is_settled(job)
        )

    @activity.defn(name=FollowerActivity.MARK_ARCHIVED)
    async def mark_archived(self, request: MarkArchived) -> None:
        """Note on the job that its record is archived."""
        await archive.mark_archived(
            self._database,
            request.job_id,
            status=request.status,
            at=request.at,
            correlation_id=request.correlation_id,
        )
