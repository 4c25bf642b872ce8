"""Readiness checks: each says whether a service answers as itself, not merely that its port is open."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

from pymongo import MongoClient
from pymongo.errors import PyMongoError

_HOST = "127.0.0.1"


def http_ok(url: str, timeout: float = 2.0) -> bool:
    """Whether a GET of a local `http://` address is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310  # our own http address
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False


def redis_ok(port: int) -> bool:
    """Whether Redis answers PING (it says LOADING while it reads its file)."""
    with socket.create_connection((_HOST, port), timeout=2) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")


def mongodb_ok(port: int) -> bool:
    """Whether MongoDB answers `ping`."""
    client: MongoClient[dict[str, object]] = MongoClient(
        _HOST, port, serverSelectionTimeoutMS=1000, directConnection=True
    )
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True


def smtp_ok(port: int) -> bool:
    """Whether an SMTP server greets."""
    with socket.create_connection((_HOST, port), timeout=2) as connection:
        greeted = connection.recv(64).startswith(b"220")
        connection.sendall(b"QUIT\r\n")
        return greeted
