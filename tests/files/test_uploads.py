"""The way of a file on the real S3 gateway and MongoDB: what is bound, what is looked at, who may."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from app.documents import utcnow
from app.errors import DependencyUnavailableError
from app.files.errors import (
    FileNotFoundInJobError,
    FileNotUploadedError,
    FileRejectedError,
    TooManyFilesError,
    UploadClosedError,
)
from app.files.models import FilePurpose
from app.files.rules import MAX_FILES, SIZE_CAP
from app.files.service import Confirmation, FileService
from app.gateways.storage import ObjectNotFoundError, Storage
from app.ids import new_id
from app.settings import Settings
from tests.files.conftest import PDF, PNG, Uploads


async def test_a_brief_goes_up_is_confirmed_and_comes_down(uploads: Uploads) -> None:
    upload = await uploads.request(uploads.client, "../Brief “v2”.pdf", "application/pdf", len(PDF))
    assert upload.headers == {"Content-Type": "application/pdf", "Content-Length": str(len(PDF))}
    assert timedelta(minutes=14) < upload.expires_at - utcnow() <= timedelta(minutes=15)
    assert await uploads.put(upload, PDF) == 200
    file = await uploads.confirm(uploads.client, upload, size=len(PDF), note="the menu")
    assert (file.status, file.size, file.mime_type) == ("confirmed", len(PDF), "application/pdf")
    assert (file.purpose, file.filename, file.note) == ("brief", "Brief “v2”.pdf", "the menu")
    assert file.delivery_no is None
    for reader in (uploads.client, uploads.worker, uploads.offered, uploads.admin):
        assert [f.file_id for f in await uploads.service.visible(reader, uploads.job_id)] == [file.file_id]
        download = await uploads.service.download(reader, uploads.job_id, file.file_id)
        answer = await uploads.http.get(download.url)
        assert answer.content == PDF
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith("attachment;")
        assert unquote(disposition.partition("filename*=UTF-8''")[2]) == "Brief “v2”.pdf"


async def test_a_deliverable_knows_its_delivery_and_its_bucket(uploads: Uploads, settings: Settings) -> None:
    await uploads.set_job(deliveries=[{"number": 1}])
    upload = await uploads.uploaded(uploads.worker, "logo.png", "image/png", PNG)
    file = await uploads.confirm(uploads.worker, upload)
    assert (file.purpose, file.delivery_no) == ("deliverable", 2)
    assert file.bucket == settings.s3_bucket_deliverables
    assert [f.file_id for f in await uploads.service.visible(uploads.client, uploads.job_id)] == [
        file.file_id
    ]
    assert await uploads.service.visible(uploads.offered, uploads.job_id) == []
    with pytest.raises(FileNotFoundInJobError):
        await uploads.service.download(uploads.offered, uploads.job_id, file.file_id)


async def test_the_url_binds_what_was_declared(
    uploads: Uploads, storage: Storage, settings: Settings
) -> None:
    upload = await uploads.request(uploads.client, "a.png", "image/png", len(PNG))
    assert await uploads.put(upload, PNG, Content_Type="text/html") == 403
    assert await uploads.put(upload, PNG + b"x") == 403
    assert await uploads.put(upload, PNG[:-1]) == 403
    other_key = upload.upload_url.replace(upload.file_id, new_id())
    assert (await uploads.http.put(other_key, content=PNG, headers=upload.headers)).status_code == 403
    expired = storage.presign_put(
        settings.s3_bucket_uploads, "incoming/x/y", "image/png", len(PNG), expires=1
    )
    await asyncio.sleep(2.1)
    assert (await uploads.http.put(expired.url, content=PNG, headers=expired.headers)).status_code == 403
    assert (await uploads.http.get(upload.url)).status_code == 403, "the plain address opens nothing"
    assert await uploads.put(upload, PNG) == 200


async def test_content_of_another_type_is_refused_and_deleted(uploads: Uploads, storage: Storage) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", b"MZ\x90\x00" + bytes(80))
    for _ in range(2):  # a repeat gets the same answer
        with pytest.raises(FileRejectedError) as refused:
            await uploads.confirm(uploads.client, upload)
        assert refused.value.fault == "content-mismatch"
    record = await uploads.record(upload)
    assert (record["status"], record["fault"], record.get("key")) == ("rejected", "content-mismatch", None)
    with pytest.raises(ObjectNotFoundError):
        await storage.head(record["bucket"], record["uploadKey"])
    assert await uploads.service.visible(uploads.worker, uploads.job_id) == []
    [own] = await uploads.service.visible(uploads.client, uploads.job_id)
    assert own.fault == "content-mismatch"
    with pytest.raises(FileNotFoundInJobError):
        await uploads.service.download(uploads.client, uploads.job_id, upload.file_id)


async def test_an_undeclared_size_is_checked_when_it_arrives(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZE_CAP, FilePurpose.BRIEF, 100)
    large = await uploads.uploaded(uploads.client, "a.txt", "text/plain", b"x" * 101, size=None)
    with pytest.raises(FileRejectedError, match="larger than allowed"):
        await uploads.confirm(uploads.client, large)
    empty = await uploads.uploaded(uploads.client, "a.txt", "text/plain", b"", size=None)
    with pytest.raises(FileRejectedError, match="empty"):
        await uploads.confirm(uploads.client, empty)


async def test_confirming_twice_and_at_once_is_one_file(uploads: Uploads, storage: Storage) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG)
    files = await asyncio.gather(*(uploads.confirm(uploads.client, upload) for _ in range(6)))
    files.append(await uploads.confirm(uploads.client, upload))
    assert all(file == files[0] for file in files)
    assert files[0].status == "confirmed"
    assert (await storage.head(files[0].bucket, files[0].key)).size == len(PNG)
    with pytest.raises(ObjectNotFoundError):
        await storage.head(files[0].bucket, files[0].upload_key)


async def test_what_was_looked_at_cannot_be_swapped_through_the_upload_url(uploads: Uploads) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG)
    file = await uploads.confirm(uploads.client, upload)
    assert await uploads.put(upload, b"<script>" + bytes(len(PNG) - 8)) == 200  # the URL still has minutes
    again = await uploads.confirm(uploads.client, upload)
    assert again == file
    download = await uploads.service.download(uploads.worker, uploads.job_id, file.file_id)
    assert (await uploads.http.get(download.url)).content == PNG


async def test_a_confirmation_cut_off_after_the_copy_is_finished_by_the_next(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG)

    async def dies(*_: Any) -> bool:
        raise ConnectionResetError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(uploads.service._files, "settle", dies)
        with pytest.raises(ConnectionResetError):
            await uploads.confirm(uploads.client, upload)
    assert (await uploads.record(upload))["status"] == "pending"
    assert (await uploads.confirm(uploads.client, upload)).status == "confirmed"


async def test_nothing_uploaded_yet(uploads: Uploads) -> None:
    upload = await uploads.request(uploads.client, "a.png", "image/png", len(PNG))
    with pytest.raises(FileNotUploadedError):
        await uploads.confirm(uploads.client, upload)
    assert await uploads.put(upload, PNG) == 200
    assert (await uploads.confirm(uploads.client, upload)).status == "confirmed"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "",
        "http://[",
        "javascript:0",
        "{url}x",
        "{url}/..",
    ],
)
async def test_a_foreign_url_is_compared_and_never_opened(uploads: Uploads, url: str) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG)
    with pytest.raises(FileRejectedError) as refused:
        await uploads.confirm(uploads.client, upload, url=url.replace("{url}", upload.url))
    assert refused.value.fault == "url-mismatch"
    assert (await uploads.record(upload))["status"] == "pending"
    assert (await uploads.confirm(uploads.client, upload, url=upload.upload_url)).status == "confirmed"


async def test_metadata_that_disagrees_is_refused_and_the_upload_kept(uploads: Uploads) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG, size=None)
    for wrong in ({"size": len(PNG) + 1}, {"mime_type": "image/gif"}, {"mime_type": "nonsense"}):
        with pytest.raises(FileRejectedError) as refused:
            await uploads.confirm(uploads.client, upload, **wrong)
        assert refused.value.fault == "metadata-mismatch"
    assert (await uploads.confirm(uploads.client, upload, size=len(PNG))).status == "confirmed"


async def test_who_may_not(uploads: Uploads) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG)
    for other in (uploads.stranger, uploads.worker, uploads.offered, uploads.admin):
        with pytest.raises(FileNotFoundInJobError):
            await uploads.confirm(other, upload)
    for other in (uploads.stranger, uploads.offered, uploads.admin):
        with pytest.raises(FileNotFoundInJobError):
            await uploads.request(other, "a.png", "image/png")
    with pytest.raises(FileNotFoundInJobError):
        await uploads.service.visible(uploads.stranger, uploads.job_id)
    await uploads.confirm(uploads.client, upload)
    with pytest.raises(FileNotFoundInJobError):
        await uploads.service.download(uploads.stranger, uploads.job_id, upload.file_id)
    await uploads.set_job(offeredWorkerId=None)  # the offer is over
    with pytest.raises(FileNotFoundInJobError):
        await uploads.service.visible(uploads.offered, uploads.job_id)
    for job_id in (new_id(), "nonsense", "{'$ne': 1}"):
        with pytest.raises(FileNotFoundInJobError):
            await uploads.service.visible(uploads.client, job_id)


async def test_a_pending_upload_is_seen_by_its_owner_alone(uploads: Uploads) -> None:
    upload = await uploads.request(uploads.worker, "a.png", "image/png")
    assert [f.file_id for f in await uploads.service.visible(uploads.worker, uploads.job_id)] == [
        upload.file_id
    ]
    assert await uploads.service.visible(uploads.client, uploads.job_id) == []
    with pytest.raises(FileNotFoundInJobError):
        await uploads.service.download(uploads.worker, uploads.job_id, upload.file_id)


@pytest.mark.parametrize(
    ("who", "status", "is_open"),
    [
        ("client", "pending", True),
        ("client", "review", True),
        ("client", "completed", False),
        ("client", "cancelled", False),
        ("worker", "assigned", True),
        ("worker", "revision", True),
        ("worker", "review", False),
        ("worker", "completed", False),
    ],
)
async def test_the_states_that_take_files(uploads: Uploads, who: str, status: str, is_open: bool) -> None:
    await uploads.set_job(status=status)
    caller = getattr(uploads, who)
    if is_open:
        await uploads.request(caller, "a.png", "image/png")
        return
    with pytest.raises(UploadClosedError):
        await uploads.request(caller, "a.png", "image/png")
    assert await uploads.service.visible(caller, uploads.job_id) == []


async def test_a_job_never_holds_more_files_than_it_may(uploads: Uploads) -> None:
    for _ in range(MAX_FILES - 5):
        await uploads.request(uploads.client, "a.png", "image/png")
    answers = await asyncio.gather(
        *(uploads.request(uploads.client, "a.png", "image/png") for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(answer, TooManyFilesError) for answer in answers) == 15
    job = await uploads.database["jobs"].find_one({"_id": uploads.job_id})
    assert job is not None
    assert len(job["files"]) == MAX_FILES
    long_ago = utcnow() - timedelta(hours=2)
    await uploads.set_job(**{"files.0.createdAt": long_ago, "files.1.createdAt": long_ago})
    await uploads.set_job(**{"files.1.status": "confirmed"})
    await uploads.request(uploads.client, "a.png", "image/png")  # in the place of the abandoned one
    with pytest.raises(TooManyFilesError):
        await uploads.request(uploads.client, "a.png", "image/png")


async def test_asking_again_with_the_same_id_reserves_one_file(uploads: Uploads) -> None:
    file_id = new_id()
    for _ in range(2):
        upload = await uploads.service.request_upload(
            uploads.client, uploads.job_id, filename="a.png", mime_type="image/png", file_id=file_id
        )
        assert upload.file_id == file_id
    assert len(await uploads.service.visible(uploads.client, uploads.job_id)) == 1


async def test_other_fields_of_the_job_are_left_alone(uploads: Uploads) -> None:
    async def process() -> None:
        for _ in range(20):
            await uploads.database["jobs"].update_one({"_id": uploads.job_id}, {"$inc": {"seq": 1}})

    requests = (uploads.request(uploads.client, "a.png", "image/png") for _ in range(20))
    await asyncio.gather(process(), *requests)
    job = await uploads.database["jobs"].find_one({"_id": uploads.job_id})
    assert job is not None
    assert (job["seq"], len(job["files"])) == (21, 20)


async def test_storage_away_is_said_in_time_and_the_file_can_be_confirmed_later(
    uploads: Uploads, settings: Settings
) -> None:
    upload = await uploads.uploaded(uploads.client, "a.png", "image/png", PNG)
    away = Storage(settings.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"}))
    service = FileService(uploads.database, away, settings)
    # the plain address is part of what is compared, so the store's own is kept
    away._public_url = uploads.storage._public_url
    async with asyncio.timeout(2):
        with pytest.raises(DependencyUnavailableError):
            await service.confirm(
                uploads.client, uploads.job_id, Confirmation(file_id=upload.file_id, url=upload.url)
            )
    away.close()
    assert (await uploads.confirm(uploads.client, upload)).status == "confirmed"


async def test_ping_and_archive(storage: Storage, settings: Settings) -> None:
    await storage.ping()
    etag = await storage.put_object(settings.s3_bucket_archive, "jobs/1.json", b"{}")
    head = await storage.head(settings.s3_bucket_archive, "jobs/1.json")
    assert (head.etag, head.size, head.content_type) == (etag, 2, "application/json")
