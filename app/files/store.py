"""Queries on `jobs.files[]`. Who may see a job is part of every query; the array is only ever changed in place,
because the job's workflow writes other fields of the same document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.files.errors import FileNotFoundInJobError, TooManyFilesError, UploadClosedError
from app.files.models import FilePurpose, FileStatus, JobFile
from app.files.rules import MAX_FILES, OPEN_STATUSES
from app.ids import is_id
from app.users.models import Role

# A record that was never confirmed keeps its place until its upload URL is long dead.
_ABANDONED_AFTER = timedelta(hours=1)
_FIELDS = {"clientId": 1, "workerId": 1, "offeredWorkerId": 1, "files": 1, "deliveries.number": 1}
_NOT_FOUND = "There is no such job or file."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as authenticated."""

    user_id: str
    role: Role

    @property
    def uploads(self) -> FilePurpose | None:
        """What this role uploads, if anything."""
        return {Role.CLIENT: FilePurpose.BRIEF, Role.WORKER: FilePurpose.DELIVERABLE}.get(self.role)


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The files of one job that the caller may see, and how often work was submitted."""

    files: list[JobFile]
    deliveries: int


class FileStore:
    """Reads and changes the files of jobs."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._jobs = database["jobs"]

    async def visible(self, caller: Caller, job_id: str) -> JobFiles:
        """The job's files as the caller may see them: what is confirmed, and what is their own.

        A worker with an open offer sees the brief's files only.

        Raises:
            FileNotFoundInJobError: no such job, or not the caller's.
        """
        document = await self._jobs.find_one(_readable(caller, job_id), _FIELDS)
        if document is None:
            raise FileNotFoundInJobError(_NOT_FOUND)
        files = [JobFile.model_validate(entry) for entry in document.get("files", [])]
        brief_only = caller.role is Role.WORKER and document.get("workerId") != caller.user_id
        return JobFiles(
            files=[file for file in files if _may_see(caller, file, brief_only=brief_only)],
            deliveries=len(document.get("deliveries", [])),
        )

    async def find(self, caller: Caller, job_id: str, file_id: str) -> tuple[JobFile, JobFiles]:
        """One visible file, with its company.

        Raises:
            FileNotFoundInJobError: no such file, or not the caller's to see.
        """
        job = await self.visible(caller, job_id)
        for file in job.files:
            if file.file_id == file_id:
                return file, job
        raise FileNotFoundInJobError(_NOT_FOUND)

    async def add(self, caller: Caller, job_id: str, file: JobFile) -> None:
        """Append a pending record, if the job is the caller's, open to such files and not full. Repeatable.

        Raises:
            FileNotFoundInJobError, UploadClosedError, TooManyFilesError
        """
        if await self._push(caller, job_id, file):
            return
        owned = _owned(caller, job_id)
        document = await self._jobs.find_one(owned, {"status": 1, "phase": 1, "files.fileId": 1})
        if document is None:
            raise FileNotFoundInJobError(_NOT_FOUND)
        if any(entry["fileId"] == file.file_id for entry in document.get("files", [])):
            return
        if document["status"] not in OPEN_STATUSES[file.purpose]:
            raise UploadClosedError(document["status"], document["phase"])
        unconfirmed = {"$in": [FileStatus.PENDING.value, FileStatus.REJECTED.value]}
        abandoned = {"status": unconfirmed, "createdAt": {"$lt": utcnow() - _ABANDONED_AFTER}}
        await self._jobs.update_one({"_id": owned["_id"]}, {"$pull": {"files": abandoned}})
        if not await self._push(caller, job_id, file):
            raise TooManyFilesError(MAX_FILES)

    async def settle(self, job_id: str, file: JobFile) -> bool:
        """Put this record in the place of the one with its id, if that is still pending. False if it is not.

        The element is replaced whole: the embedded store asks an array filter anew for each path it sets, and
        would set no other field once the status is no longer pending.
        """
        result = await self._jobs.update_one(
            {"_id": job_id},
            {"$set": {"files.$[file]": _stored(file)}},
            array_filters=[{"file.fileId": file.file_id, "file.status": FileStatus.PENDING.value}],
        )
        return result.modified_count == 1

    async def _push(self, caller: Caller, job_id: str, file: JobFile) -> bool:
        statuses = sorted(status.value for status in OPEN_STATUSES[file.purpose])
        room = {
            "status": {"$in": statuses},
            f"files.{MAX_FILES - 1}": {"$exists": False},
            "files.fileId": {"$ne": file.file_id},
        }
        result = await self._jobs.update_one(
            _owned(caller, job_id) | room, {"$push": {"files": _stored(file)}}
        )
        return result.matched_count == 1


def _stored(file: JobFile) -> dict[str, Any]:
    return file.model_dump(by_alias=True) | {"purpose": file.purpose.value, "status": file.status.value}


def _may_see(caller: Caller, file: JobFile, *, brief_only: bool) -> bool:
    if caller.role is Role.ADMIN:
        return True
    if brief_only and file.purpose is not FilePurpose.BRIEF:
        return False
    return file.status is FileStatus.CONFIRMED or file.uploaded_by == caller.user_id


def _readable(caller: Caller, job_id: str) -> dict[str, Any]:
    """The filter of a job whose files the caller may read."""
    query = _job(job_id)
    if caller.role is Role.CLIENT:
        query["clientId"] = caller.user_id
    elif caller.role is Role.WORKER:
        query["$or"] = [{"workerId": caller.user_id}, {"offeredWorkerId": caller.user_id}]
    return query


def _owned(caller: Caller, job_id: str) -> dict[str, Any]:
    """The filter of a job that the caller may add files to."""
    query = _job(job_id)
    if caller.role is Role.CLIENT:
        query["clientId"] = caller.user_id
    elif caller.role is Role.WORKER:
        query["workerId"] = caller.user_id
    else:
        raise FileNotFoundInJobError(_NOT_FOUND)
    return query


def _job(job_id: str) -> dict[str, Any]:
    if not is_id(job_id):
        raise FileNotFoundInJobError(_NOT_FOUND)
    return {"_id": job_id}
