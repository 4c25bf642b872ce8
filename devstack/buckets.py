"""The buckets of the platform: made where they are missing, open to browsers where the server knows CORS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NAMES = (
    "NIMMIT_S3_BUCKET_UPLOADS",
    "NIMMIT_S3_BUCKET_DELIVERABLES",
    "NIMMIT_S3_BUCKET_AVATARS",
    "NIMMIT_S3_BUCKET_PORTFOLIO",
    "NIMMIT_S3_BUCKET_ARCHIVE",
)


def _client(variables: Mapping[str, str]) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=variables["NIMMIT_S3_ENDPOINT_URL"],
        region_name=variables["NIMMIT_S3_REGION"],
        aws_access_key_id=variables["NIMMIT_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["NIMMIT_S3_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
    )


def ensure(variables: Mapping[str, str]) -> None:
    """Make every bucket named in the variables, with CORS for presigned uploads from any development origin."""
    client = _client(variables)
    try:
        present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for name in (variables[key] for key in _NAMES):
            if name not in present:
                client.create_bucket(Bucket=name)
            _allow_browsers(client, name)
    finally:
        client.close()


def _allow_browsers(client: S3Client, bucket: str) -> None:
    rule = {
        "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
        "AllowedOrigins": ["*"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 600,
    }
    try:
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})  # type: ignore[list-item]  # the stub wants its own TypedDict
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NotImplemented", "AccessDenied"):
            raise


if __name__ == "__main__":
    ensure(os.environ)
