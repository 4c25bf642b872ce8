"""A job with its parties, the real S3 gateway, and the service over both."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.files.service import Confirmation, FileService, Upload
from app.files.store import Caller
from app.gateways.storage import Storage
from app.ids import new_id
from app.settings import Settings
from app.users.models import Role
from devstack.stack import Stack

Database = AsyncDatabase[dict[str, Any]]

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + bytes.fromhex(
    "0000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>")
    return buffer.getvalue()


@dataclass
class Uploads:
    """The service, the parties of one job, and a browser's part."""

    service: FileService
    storage: Storage
    database: Database
    http: httpx2.AsyncClient
    job_id: str
    client: Caller
    worker: Caller
    offered: Caller
    admin: Caller
    stranger: Caller

    async def request(self, caller: Caller, name: str, mime: str, size: int | None = None) -> Upload:
        return await self.service.request_upload(
            caller, self.job_id, filename=name, mime_type=mime, size=size
        )

    async def put(self, upload: Upload, body: bytes, **headers: str) -> int:
        sent = {key: value for key, value in upload.headers.items() if key != "Content-Length"} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        answer = await self.http.put(upload.upload_url, content=body, headers=sent)
        return answer.status_code

    async def uploaded(self, caller: Caller, name: str, mime: str, body: bytes, **more: Any) -> Upload:
        upload = await self.request(caller, name, mime, more.get("size", len(body)))
        assert await self.put(upload, body) == 200
        return upload

    async def confirm(self, caller: Caller, upload: Upload, **more: Any) -> Any:
        given = Confirmation(**({"file_id": upload.file_id, "url": upload.url} | more))
        return await self.service.confirm(caller, self.job_id, given)

    async def record(self, upload: Upload) -> dict[str, Any]:
        job = await self.database["jobs"].find_one({"_id": self.job_id})
        assert job is not None
        [record] = [file for file in job["files"] if file["fileId"] == upload.file_id]
        return dict(record)

    async def set_job(self, **fields: Any) -> None:
        await self.database["jobs"].update_one({"_id": self.job_id}, {"$set": fields})


def a_job(client_id: str, worker_id: str | None, offered_id: str | None, status: str) -> dict[str, Any]:
    return {
        "_id": new_id(),
        "seq": 1,
        "title": "Logo",
        "clientId": client_id,
        "workerId": worker_id,
        "offeredWorkerId": offered_id,
        "status": status,
        "phase": "working",
        "files": [],
        "deliveries": [],
        "createdAt": utcnow(),
    }


@pytest.fixture(scope="module")
def storage(stack: Stack, settings: Settings) -> Any:
    stack.require("s3")
    gateway = Storage(settings)
    yield gateway
    gateway.close()


@pytest_asyncio.fixture
async def uploads(database: Database, storage: Storage, settings: Settings) -> AsyncIterator[Uploads]:
    callers = {
        name: Caller(new_id(), role)
        for name, role in (
            ("client", Role.CLIENT),
            ("worker", Role.WORKER),
            ("offered", Role.WORKER),
            ("admin", Role.ADMIN),
            ("stranger", Role.CLIENT),
        )
    }
    job = a_job(
        callers["client"].user_id, callers["worker"].user_id, callers["offered"].user_id, "in_progress"
    )
    await database["jobs"].insert_one(job)
    async with httpx2.AsyncClient() as http:
        yield Uploads(
            service=FileService(database, storage, settings),
            storage=storage,
            database=database,
            http=http,
            job_id=job["_id"],
            **callers,
        )
