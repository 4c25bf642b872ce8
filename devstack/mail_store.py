"""Mails on disk, one JSON file each, so that they outlive the sink that took them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path


@dataclass(frozen=True)
class Envelope:
    """A mail as it was received; `recipients` are in lower case, and blind copies are among them.

    `raw` is kept as text that any bytes fit into (`surrogateescape`). It is taken apart when somebody looks at it:
    few mails of a run are looked at, and taking one apart costs more than receiving it.
    """

    id: str
    received_at: str
    sender: str
    recipients: list[str]
    raw: str

    @classmethod
    def of(cls, sender: str, recipients: Sequence[str], raw: bytes) -> Envelope:
        """What an SMTP server was handed."""
        return cls(
            id=uuid.uuid4().hex,
            received_at=datetime.now(UTC).isoformat(),
            sender=sender,
            recipients=[address.lower() for address in recipients],
            raw=raw.decode(errors="surrogateescape"),
        )


@dataclass(frozen=True)
class Mail:
    """One received mail, taken apart; `recipients` are the envelope's."""

    id: str
    received_at: str
    sender: str
    recipients: list[str]
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    attachments: list[str]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, KeyError):  # a charset or a type that Python does not know
        return ""


def read_mail(envelope: Envelope) -> Mail:
    """Take a mail apart."""
    raw = envelope.raw.encode(errors="surrogateescape")
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(raw)
    return Mail(
        id=envelope.id,
        received_at=envelope.received_at,
        sender=envelope.sender,
        recipients=envelope.recipients,
        subject=str(message.get("Subject", "")),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers={name: str(value) for name, value in message.items()},
        attachments=[part.get_filename() or "" for part in message.iter_attachments()],
    )


class MailStore:
    """The mails of one folder, newest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mails = [Envelope(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
        self._read: dict[str, Mail] = {}
        self._next = 1 + max((int(path.stem) for path in folder.glob("*.json")), default=0)

    def add(self, mail: Envelope) -> None:
        """Keep a mail; it is on disk when this returns."""
        name = f"{self._next:08d}"
        self._next += 1
        draft = self._folder / f"{name}.draft"
        draft.write_text(json.dumps(asdict(mail)))
        draft.rename(self._folder / f"{name}.json")
        self._mails.append(mail)

    def list(self, recipient: str | None = None) -> list[Envelope]:
        """All mails, or those to one address, newest first."""
        wanted = recipient.strip().lower() if recipient else None
        return [mail for mail in reversed(self._mails) if wanted is None or wanted in mail.recipients]

    def read(self, envelope: Envelope) -> Mail:
        """One of them, taken apart."""
        if envelope.id not in self._read:
            self._read[envelope.id] = read_mail(envelope)
        return self._read[envelope.id]

    def get(self, mail_id: str) -> Mail | None:
        """One mail, or None."""
        return next((self.read(mail) for mail in self._mails if mail.id == mail_id), None)

    def clear(self) -> int:
        """Forget every mail and say how many there were."""
        for path in self._folder.glob("*.json"):
            path.unlink()
        count = len(self._mails)
        self._mails.clear()
        self._read.clear()
        return count
