"""The way of a file: a presigned upload, its confirmation after a look at what arrived, a presigned download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.errors import DependencyUnavailableError
from app.files.errors import (
    FileNotFoundInJobError,
    FileNotUploadedError,
    FileRejectedError,
    rejected,
)
from app.files.magic import PREFIX_BYTES, agrees
from app.files.models import FilePurpose, FileStatus, JobFile
from app.files.rules import (
    DOWNLOAD_SECONDS,
    TYPES,
    UPLOAD_SECONDS,
    bucket_of,
    check_declaration,
    check_size,
    confirmed_key,
    display_name,
    file_type,
    upload_key,
)
from app.files.store import Caller, FileStore
from app.gateways.storage import (
    ObjectChangedError,
    ObjectHead,
    ObjectNotFoundError,
    Storage,
    StorageUnavailableError,
)
from app.ids import new_id
from app.settings import Settings

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """What an uploader needs: PUT the bytes to `upload_url` with `headers`, then confirm with `url`."""

    file_id: str
    upload_url: str
    headers: dict[str, str]
    expires_at: datetime
    url: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What an uploader says of a finished upload. What is given must agree with what was declared."""

    file_id: str
    url: str
    size: int | None = None
    mime_type: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A URL that opens one file until `expires_at`."""

    url: str
    expires_at: datetime


class FileService:
    """Stands on the store of records and the store of bytes; holds no state."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], storage: Storage, settings: Settings) -> None:
        self._files = FileStore(database)
        self._storage = storage
        self._settings = settings

    async def request_upload(
        self,
        caller: Caller,
        job_id: str,
        *,
        filename: str,
        mime_type: str,
        size: int | None = None,
        file_id: str | None = None,
    ) -> Upload:
        """Reserve a file in the job and sign one PUT for it. A given `size` (bytes) is bound, like the type.

        Repeatable by `file_id`: the file is reserved once, the URL is signed anew.

        Raises:
            FileNotFoundInJobError: no such job, or the caller is no party that uploads to it.
            FileRejectedError, UploadClosedError, TooManyFilesError: nothing was changed.
        """
        purpose = caller.uploads
        if purpose is None:
            raise FileNotFoundInJobError("There is no such job or file.")
        declared = check_declaration(purpose, filename, mime_type, size)
        file_id = file_id or new_id()
        file = JobFile(
            file_id=file_id,
            purpose=purpose,
            filename=display_name(filename),
            mime_type=declared.mime,
            declared_size=size,
            bucket=bucket_of(purpose, self._settings),
            upload_key=upload_key(job_id, file_id),
            uploaded_by=caller.user_id,
            created_at=utcnow(),
        )
        await self._files.add(caller, job_id, file)
        signed = self._storage.presign_put(
            file.bucket, file.upload_key, declared.mime, size, expires=UPLOAD_SECONDS
        )
        log.info("file.upload_requested", job_id=job_id, file_id=file_id, purpose=purpose.value)
        return Upload(
            file_id=file_id,
            upload_url=signed.url,
            headers=signed.headers,
            expires_at=signed.expires_at,
            url=self._storage.object_url(file.bucket, file.upload_key),
        )

    async def confirm(self, caller: Caller, job_id: str, given: Confirmation) -> JobFile:
        """Look at what was uploaded and keep it, or delete it. A repeat gets the first outcome.

        Raises:
            FileNotFoundInJobError: no such file, or not the caller's own.
            FileNotUploadedError: the upload has not happened; confirm again after it.
            FileRejectedError: what was sent or uploaded breaks a rule; a bad upload is deleted.
            DependencyUnavailableError: the store does not answer.
        """
        file = await self._own(caller, job_id, given.file_id)
        self._check_given(file, given)
        if file.status is not FileStatus.PENDING:
            return await self._outcome(file)
        with _storage_faults():
            try:
                head = await self._storage.head(file.bucket, file.upload_key)
                if given.size not in {None, head.size}:
                    raise rejected("metadata-mismatch")
                fault = await self._fault_of(file, head)
                if fault is None:
                    await self._keep(caller, job_id, file, head, given.note)
                else:
                    refused = {"status": FileStatus.REJECTED, "fault": fault}
                    await self._files.settle(job_id, file.model_copy(update=refused))
                    log.info("file.rejected", job_id=job_id, file_id=file.file_id, fault=fault)
            except (ObjectNotFoundError, ObjectChangedError):
                # Gone: never uploaded, or a confirmation that ran beside this one has finished.
                # Changed: uploaded again meanwhile, so the look at it was for nothing.
                log.info("file.no_upload", job_id=job_id, file_id=file.file_id)
        return await self._outcome(await self._own(caller, job_id, given.file_id))

    async def download(self, caller: Caller, job_id: str, file_id: str) -> Download:
        """Sign a download of a confirmed file, always as an attachment.

        Raises:
            FileNotFoundInJobError: no such file, not confirmed, or not the caller's to see.
        """
        file, _ = await self._files.find(caller, job_id, file_id)
        if file.status is not FileStatus.CONFIRMED or file.key is None:
            raise FileNotFoundInJobError("There is no such job or file.")
        declared = TYPES.get(file.mime_type)
        url = self._storage.presign_get(
            file.bucket,
            file.key,
            filename=file.filename,
            content_type=declared.download_type if declared else "application/octet-stream",
            expires=DOWNLOAD_SECONDS,
        )
        return Download(url=url, expires_at=utcnow() + timedelta(seconds=DOWNLOAD_SECONDS))

    async def visible(self, caller: Caller, job_id: str) -> list[JobFile]:
        """The job's files that the caller may see, oldest first.

        Raises:
            FileNotFoundInJobError
        """
        return (await self._files.visible(caller, job_id)).files

    async def _own(self, caller: Caller, job_id: str, file_id: str) -> JobFile:
        file, _ = await self._files.find(caller, job_id, file_id)
        if file.uploaded_by != caller.user_id:
            raise FileNotFoundInJobError("There is no such job or file.")
        return file

    def _check_given(self, file: JobFile, given: Confirmation) -> None:
        """The url is compared, never opened: whoever sends it could name any host."""
        if given.url.partition("?")[0] != self._storage.object_url(file.bucket, file.upload_key):
            raise rejected("url-mismatch")
        if given.mime_type is not None and file_type(given.mime_type) != TYPES.get(file.mime_type):
            raise rejected("metadata-mismatch")
        known = file.size if file.size is not None else file.declared_size
        if given.size is not None and known is not None and given.size != known:
            raise rejected("metadata-mismatch")

    async def _fault_of(self, file: JobFile, head: ObjectHead) -> str | None:
        """What is wrong with what arrived, if anything."""
        try:
            check_size(file.purpose, head.size)
        except FileRejectedError as error:
            return error.fault
        if file.declared_size is not None and head.size != file.declared_size:
            return "size-mismatch"
        declared = file_type(head.content_type)
        if declared is None or declared.mime != file.mime_type:
            return "type-mismatch"
        prefix = await self._storage.read_prefix(file.bucket, file.upload_key, PREFIX_BYTES, etag=head.etag)
        return None if agrees(declared, prefix) else "content-mismatch"

    async def _keep(self, caller: Caller, job_id: str, file: JobFile, head: ObjectHead, note: str) -> None:
        """Copy the bytes that were looked at to where no upload URL reaches, then say so in the record."""
        key = confirmed_key(job_id, file.file_id, head.etag)
        await self._storage.copy(
            file.bucket, file.upload_key, key, etag=head.etag, content_type=file.mime_type
        )
        number = None
        if file.purpose is FilePurpose.DELIVERABLE:
            number = (await self._files.visible(caller, job_id)).deliveries + 1
        kept = {
            "status": FileStatus.CONFIRMED,
            "size": head.size,
            "etag": head.etag,
            "key": key,
            "note": note,
            "delivery_no": number,
            "confirmed_at": utcnow(),
        }
        if await self._files.settle(job_id, file.model_copy(update=kept)):
            return
        settled = await self._own(caller, job_id, file.file_id)
        if settled.key != key:  # other bytes, uploaded and confirmed meanwhile, came first
            await self._storage.delete(file.bucket, key)

    async def _outcome(self, file: JobFile) -> JobFile:
        """The file if it is confirmed, its fault if it was rejected; the upload itself is no longer needed."""
        if file.status is FileStatus.PENDING:
            raise FileNotUploadedError
        with _storage_faults():
            await self._storage.delete(file.bucket, file.upload_key)
        if file.status is FileStatus.REJECTED:
            raise rejected(file.fault or "content-mismatch")
        return file


@contextmanager
def _storage_faults() -> Iterator[None]:
    try:
        yield
    except StorageUnavailableError as error:
        log.warning("storage.unavailable", error=str(error))
        raise DependencyUnavailableError("storage") from error
