"""Composes mails as bytes: `multipart/alternative` of plain text and HTML, both quoted-printable.

The standard library's `EmailMessage` parses every header that it is given and folds it again when it is written, which
made composing dearer than sending. The parts of a mail of ours are known, so they are put together here.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from email.header import Header
from email.utils import format_datetime, formataddr

from app.documents import utcnow

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LINE_BREAK = re.compile(r"\r\n?")


def one_line(value: str, limit: int = 200) -> str:
    """Text fit for a header: no line break or control character can end it and begin another header."""
    return " ".join(_CONTROL.sub(" ", value).split())[:limit]


def mailbox(name: str, address: str) -> str:
    """`Name <address>` for a header, the name encoded where it has to be."""
    return formataddr((one_line(name), address))


def compose(*, sender: str, to: str, subject: str, message_id: str, text: str, html: str) -> bytes:
    """The mail in CRLF lines, as it is sent. `sender` is a `mailbox`; the caller has checked the addresses."""
    # No quoted-printable text holds "=_", so no body can end a part.
    boundary = f"=_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"
    head = (
        f"From: {sender}",
        f"To: {to}",
        f"Subject: {_words(one_line(subject))}",
        f"Message-ID: {message_id}",
        f"Date: {format_datetime(utcnow())}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
    )
    lines = [*head, ""]
    for kind, body in (("plain", text), ("html", html)):
        lines += [
            f"--{boundary}",
            f'Content-Type: text/{kind}; charset="utf-8"',
            "Content-Transfer-Encoding: quoted-printable",
            "",
            _quoted(body),
        ]
    lines += [f"--{boundary}--", ""]
    return "\r\n".join(lines).encode()


def _words(value: str) -> str:
    """A header's value, folded, and in encoded words where it is more than ASCII."""
    charset = "ascii" if value.isascii() else "utf-8"
    return Header(value, charset, header_name="Subject").encode(linesep="\r\n")


def _quoted(body: str) -> str:
    plain = _LINE_BREAK.sub("\n", body)
    return binascii.b2a_qp(plain.encode(), istext=True).decode("ascii").replace("\n", "\r\n")
