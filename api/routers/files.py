"""Files of a job: presigned uploads, their confirmation, presigned downloads. No file passes through the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, StrictInt, StringConstraints
from starlette.responses import Response

from api.dependencies import ResourcesDep
from api.idempotency import IdempotencyDep
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.security import AnyRole, ClientOrWorker, Principal
from api.types import EntityId, PathId, RequestModel, ResponseModel
from app.files.models import FilePurpose, FileStatus, JobFile
from app.files.rules import SIZE_CAP
from app.files.service import Confirmation, FileService
from app.files.store import Caller

router = APIRouter(prefix="/jobs/{job_id}/files", tags=["files"])

_ID = "6561f0c2a4b7d9e8f0123456"
Filename = Annotated[str, StringConstraints(min_length=1, max_length=255)]
MimeType = Annotated[str, StringConstraints(min_length=3, max_length=127)]
Size = Annotated[StrictInt, Field(ge=0, le=10 * max(SIZE_CAP.values()), description="In bytes.")]


class RequestUpload(RequestModel):
    """What is about to be uploaded. A `size` is bound into the URL, as the type always is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"filename": "menu.pdf", "mimeType": "application/pdf", "size": 48213}]
        }
    )

    filename: Filename
    mime_type: MimeType
    size: Size | None = None


class UploadView(ResponseModel):
    """PUT the bytes to `uploadUrl` with exactly these headers before `expiresAt`, then confirm with `url`."""

    file_id: EntityId
    upload_url: str
    method: Literal["PUT"] = "PUT"
    headers: dict[str, str]
    expires_at: datetime
    url: str


class FileMetadata(RequestModel):
    """What the uploader knows of the file; what is given must agree with what was declared and uploaded."""

    size: Size | None = None
    mime_type: MimeType | None = None
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class ConfirmUpload(RequestModel):
    """Says that the upload is done. `url` is the one that came with the `fileId`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "fileId": _ID,
                    "url": f"https://files.nimmit.example/uploads/incoming/{_ID}/{_ID}",
                    "metadata": {"size": 48213, "mimeType": "application/pdf"},
                }
            ]
        }
    )

    file_id: EntityId
    url: Annotated[str, StringConstraints(max_length=4000)]
    metadata: FileMetadata = FileMetadata()


class FileView(ResponseModel):
    """One file. `size` is in bytes; `fault` says why a file was rejected; `deliveryNo` counts submissions."""

    file_id: EntityId
    purpose: FilePurpose
    filename: str
    mime_type: str
    size: int | None
    etag: str | None
    status: FileStatus
    fault: str | None
    note: str
    uploaded_by: EntityId
    delivery_no: int | None
    created_at: datetime
    confirmed_at: datetime | None


class FileList(ResponseModel):
    """A job's files, oldest first."""

    items: list[FileView]


class DownloadView(ResponseModel):
    """Opens the file, as a download, until `expiresAt`."""

    url: str
    expires_at: datetime


def _service(resources: ResourcesDep) -> FileService:
    return FileService(resources.database, resources.storage, resources.settings)


FilesDep = Annotated[FileService, Depends(_service)]


@router.post(
    "/upload-url",
    status_code=201,
    response_model=UploadView,
    responses=problems(
        *AUTHENTICATED,
        *WITH_BODY,
        *CREATING,
        "wrong-role",
        "not-found",
        "file-rejected",
        "too-many-files",
        "wrong-state",
    ),
)
async def request_upload(
    job_id: PathId,
    body: RequestUpload,
    principal: ClientOrWorker,
    files: FilesDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Reserve a file and get a URL that takes one upload, for 15 minutes.

    A client's files belong to the brief, a worker's are deliverables.
    """

    async def work(file_id: str) -> UploadView:
        upload = await files.request_upload(
            _caller(principal),
            job_id,
            filename=body.filename,
            mime_type=body.mime_type,
            size=body.size,
            file_id=file_id,
        )
        return UploadView(
            file_id=upload.file_id,
            upload_url=upload.upload_url,
            headers=upload.headers,
            expires_at=upload.expires_at,
            url=upload.url,
        )

    return await idempotency.run(principal.user_id, body, work)


@router.post(
    "",
    status_code=201,
    response_model=FileView,
    responses=problems(
        *AUTHENTICATED, *WITH_BODY, *CREATING, "wrong-role", "not-found", "file-rejected", "file-not-uploaded"
    ),
)
async def confirm_upload(
    job_id: PathId,
    body: ConfirmUpload,
    principal: ClientOrWorker,
    files: FilesDep,
    idempotency: IdempotencyDep,
) -> Response:
    """Confirm an upload: its size, type and first bytes are looked at; what does not fit is deleted.

    Repeating it gets the first outcome, with or without an `Idempotency-Key`.
    """

    async def work(_: str) -> FileView:
        given = Confirmation(
            file_id=body.file_id,
            url=body.url,
            size=body.metadata.size,
            mime_type=body.metadata.mime_type,
            note=body.metadata.note,
        )
        return _view(await files.confirm(_caller(principal), job_id, given))

    return await idempotency.run(principal.user_id, body, work)


@router.get("", responses=problems(*AUTHENTICATED, "not-found", "invalid-request"))
async def list_files(job_id: PathId, principal: AnyRole, files: FilesDep) -> FileList:
    """The job's confirmed files, and one's own that are not. A worker with an offer sees the brief's."""
    found = await files.visible(_caller(principal), job_id)
    return FileList(items=[_view(file) for file in found])


@router.get("/{file_id}/download-url", responses=problems(*AUTHENTICATED, "not-found", "invalid-request"))
async def download_url(job_id: PathId, file_id: PathId, principal: AnyRole, files: FilesDep) -> DownloadView:
    """A URL that downloads a confirmed file, for 5 minutes."""
    download = await files.download(_caller(principal), job_id, file_id)
    return DownloadView(url=download.url, expires_at=download.expires_at)


def _caller(principal: Principal) -> Caller:
    return Caller(user_id=principal.user_id, role=principal.role)


def _view(file: JobFile) -> FileView:
    return FileView.model_validate(file.model_dump())
