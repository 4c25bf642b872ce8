"""The one way to reach Temporal: a cluster of one's own, or Temporal Cloud, by settings alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, Interceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RetryConfig, TLSConfig

from app.settings import Settings


async def connect(
    settings: Settings,
    *,
    lazy: bool = False,
    identity: str | None = None,
    retry_seconds: float | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """A client with the production data converter.

    Args:
        settings: address, namespace and credentials.
        lazy: do not connect before the first call, so that the caller can start while Temporal is down.
        identity: how the caller shows in histories; the SDK's default carries the process and the host's name.
        retry_seconds: how long a call retries an unreachable server before it fails (the SDK's default: 10 s).
        interceptors: around every call.

    Raises:
        RuntimeError: not lazy, and Temporal cannot be reached.
        OSError: a certificate file cannot be read.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=settings.temporal_api_key.get_secret_value() if settings.temporal_api_key else None,
        tls=tls_config(settings),
        data_converter=pydantic_data_converter,
        interceptors=interceptors,
        identity=identity,
        lazy=lazy,
        connect_timeout=timedelta(seconds=settings.dependency_timeout_seconds),
        retry_config=_retry_config(retry_seconds),
    )


def tls_config(settings: Settings) -> TLSConfig | bool:
    """Certificates where there are some (mTLS), the system's trust where TLS is merely on, else none."""
    if not settings.temporal_uses_tls:
        return False
    return TLSConfig(
        server_root_ca_cert=_read(settings.temporal_tls_ca_path),
        domain=settings.temporal_tls_server_name,
        client_cert=_read(settings.temporal_tls_cert_path),
        client_private_key=_read(settings.temporal_tls_key_path),
    )


def _read(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _retry_config(retry_seconds: float | None) -> RetryConfig | None:
    if retry_seconds is None:
        return None
    return RetryConfig(
        initial_interval_millis=50,
        max_interval_millis=500,
        max_elapsed_time_millis=int(retry_seconds * 1000),
    )
