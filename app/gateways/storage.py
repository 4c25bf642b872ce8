"""Files in S3 or Cloudflare R2, reached with presigned URLs, so that no file passes through the API.

boto3 is synchronous: calls run in a small pool of threads of their own. Signing is arithmetic and runs in place.
"""

from __future__ import annotations

import asyncio
import functools
import re
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.documents import utcnow
from app.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")
# One session for every client: each new one reads the description of all of S3 again, half a second of processor time.
_session = functools.cache(boto3.session.Session)
_one_at_a_time = threading.Lock()  # sessions are not made for several threads
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
_CHANGED = {"412", "PreconditionFailed"}


class StorageError(Exception):
    """The store did not do what was asked."""


class StorageUnavailableError(StorageError):
    """The store cannot be reached, is failing, or refuses our credentials: worth another try."""


class ObjectNotFoundError(StorageError):
    """There is no such object."""


class ObjectChangedError(StorageError):
    """The object is no longer the one that was looked at."""


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What the store says of an object. `size` in bytes; `etag` without quotes."""

    size: int
    content_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """A URL that takes one PUT, with exactly these headers, until `expires_at`."""

    url: str
    headers: dict[str, str]
    expires_at: datetime


class Storage:
    """One S3 account. Safe to share between tasks; close it at the end."""

    def __init__(self, settings: Settings, *, transfer_timeout_seconds: float = 60.0) -> None:
        """Questions to the store time out after `dependency_timeout_seconds`, copies and writes later."""
        self._settings = settings
        self._client = self._make(settings.s3_endpoint_url, settings.dependency_timeout_seconds)
        self._patient = self._make(settings.s3_endpoint_url, transfer_timeout_seconds)
        public = settings.s3_public_endpoint_url or settings.s3_endpoint_url
        self._public_url = public.rstrip("/")
        self._signer = self._make(public, settings.dependency_timeout_seconds)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="storage")

    def close(self) -> None:
        """Close the connections; what runs is waited for."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for client in (self._client, self._patient, self._signer):
            client.close()

    def object_url(self, bucket: str, key: str) -> str:
        """The object's plain address; without a signature it opens nothing."""
        return f"{self._public_url}/{bucket}/{quote(key)}"

    def presign_put(
        self,
        bucket: str,
        key: str,
        content_type: str,
        content_length: int | None = None,
        *,
        expires: int = 900,
    ) -> PresignedPut:
        """Sign one upload for `expires` seconds. Another type, or another length when given, gets a 403."""
        params: dict[str, Any] = {"Bucket": bucket, "Key": key, "ContentType": content_type}
        headers = {"Content-Type": content_type}
        if content_length is not None:
            params["ContentLength"] = content_length
            headers["Content-Length"] = str(content_length)
        expires_at = utcnow() + timedelta(seconds=expires)
        url = self._signer.generate_presigned_url("put_object", Params=params, ExpiresIn=expires)
        return PresignedPut(url=url, headers=headers, expires_at=expires_at)

    def presign_get(
        self, bucket: str, key: str, *, filename: str, content_type: str, expires: int = 300
    ) -> str:
        """Sign a download that a browser saves and never shows, under this name, for `expires` seconds."""
        params = {
            "Bucket": bucket,
            "Key": key,
            "ResponseContentDisposition": attachment(filename),
            "ResponseContentType": content_type,
            "ResponseCacheControl": "private, no-store",
        }
        return self._signer.generate_presigned_url("get_object", Params=params, ExpiresIn=expires)

    async def head(self, bucket: str, key: str) -> ObjectHead:
        """Size, type and etag.

        Raises:
            ObjectNotFoundError, StorageUnavailableError
        """
        answer = await self._call(lambda: self._client.head_object(Bucket=bucket, Key=key))
        return ObjectHead(
            size=answer["ContentLength"],
            content_type=answer.get("ContentType", ""),
            etag=answer["ETag"].strip('"'),
        )

    async def read_prefix(self, bucket: str, key: str, length: int, *, etag: str) -> bytes:
        """The first `length` bytes of the object that has this etag (all of it, if it is shorter).

        Raises:
            ObjectChangedError, ObjectNotFoundError, StorageUnavailableError
        """

        def read() -> bytes:
            answer = self._client.get_object(
                Bucket=bucket, Key=key, Range=f"bytes=0-{length - 1}", IfMatch=f'"{etag}"'
            )
            with answer["Body"] as body:
                return body.read(length)

        return await self._call(read)

    async def copy(self, bucket: str, source: str, target: str, *, etag: str, content_type: str) -> None:
        """Copy the object that has this etag, inside its bucket. Repeatable.

        Raises:
            ObjectChangedError, ObjectNotFoundError, StorageUnavailableError
        """
        await self._call(
            lambda: self._patient.copy_object(
                Bucket=bucket,
                Key=target,
                CopySource={"Bucket": bucket, "Key": source},
                CopySourceIfMatch=f'"{etag}"',
                MetadataDirective="REPLACE",
                ContentType=content_type,
            )
        )

    async def put_object(
        self, bucket: str, key: str, body: bytes, *, content_type: str = "application/json"
    ) -> str:
        """Write an object of our own (an archive); returns its etag. Repeatable.

        Raises:
            StorageUnavailableError
        """
        answer = await self._call(
            lambda: self._patient.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        )
        return answer["ETag"].strip('"')

    async def delete(self, bucket: str, key: str) -> None:
        """Delete the object; none there is as good.

        Raises:
            StorageUnavailableError
        """
        await self._call(lambda: self._client.delete_object(Bucket=bucket, Key=key))

    async def ping(self) -> None:
        """Ask for the uploads bucket.

        Raises:
            StorageError: the store, or the bucket, is not there.
        """
        await self._call(lambda: self._client.head_bucket(Bucket=self._settings.s3_bucket_uploads))

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except ClientError as error:
            raise _translated(error) from None
        except (BotoCoreError, OSError) as error:
            raise StorageUnavailableError(f"no storage: {type(error).__name__}") from None

    def _make(self, endpoint: str, read_timeout: float) -> S3Client:
        settings = self._settings
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=settings.dependency_timeout_seconds,
            read_timeout=read_timeout,
            retries={"total_max_attempts": 1},  # the caller retries: a request within its 2 seconds
            # A checksum that the uploader would have to compute cannot be part of a presigned PUT.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        with _one_at_a_time:
            return _session().client(
                "s3",
                endpoint_url=endpoint,
                region_name=settings.s3_region,
                aws_access_key_id=settings.s3_access_key_id.get_secret_value(),
                aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
                config=config,
            )


def attachment(filename: str) -> str:
    """A Content-Disposition that saves under `filename` (RFC 6266), in ASCII for old browsers as well."""
    ascii_name = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    ascii_name = re.sub(r"[^A-Za-z0-9 ._-]", "_", ascii_name).strip() or "file"
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _translated(error: ClientError) -> StorageError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _MISSING:
        return ObjectNotFoundError("no such object")
    if code in _CHANGED:
        return ObjectChangedError("the object changed")
    return StorageUnavailableError(f"the storage answered {code or 'with an error'}")
