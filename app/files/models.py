"""A file's record, kept in `jobs.files[]`. The bytes are in the store; the API never sees them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from app.camel import CamelModel


class FilePurpose(StrEnum):
    """What a file is for; decided by who uploads it."""

    BRIEF = "brief"  # the client's, into the uploads bucket
    DELIVERABLE = "deliverable"  # the worker's, into the deliverables bucket


class FileStatus(StrEnum):
    """`pending` until its upload was looked at; only `confirmed` files count."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class JobFile(CamelModel):
    """One file of a job. Sizes in bytes.

    `upload_key` is where the uploader's URL writes. `key` is where the confirmed bytes are: a copy under a name
    that no URL was ever given for writing, so what was looked at cannot be swapped afterwards.
    """

    file_id: str
    purpose: FilePurpose
    filename: str  # for display: sanitised, never part of a key
    mime_type: str
    declared_size: int | None = None
    size: int | None = None
    etag: str | None = None
    bucket: str
    upload_key: str
    key: str | None = None
    status: FileStatus = FileStatus.PENDING
    fault: str | None = None  # why it was rejected
    uploaded_by: str
    delivery_no: int | None = None  # the submission that a deliverable is for, from 1
    note: str = ""
    created_at: datetime
    confirmed_at: datetime | None = None
