"""Mail over SMTP. SendGrid, Resend and a local sink all take it.

The address is one URL: `smtp://host:port`, `smtps://user:password@host:port` (TLS from the first byte), or
`smtp://user:password@host:587?starttls=true` (TLS is then required, never merely tried).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from app.documents import utcnow

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"^[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]{1,253}$")
_MESSAGE_ID = re.compile(r"^<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+>$")


class MailError(Exception):
    """A mail was not accepted. The text holds no address and no content."""


class MailUnavailableError(MailError):
    """The mail server cannot be reached, is busy, or refuses our account: worth another try."""


class MailServerAwayError(MailUnavailableError):
    """There is no mail server to talk to: what befell this mail would befall the next one too."""


class MailRefusedError(MailError):
    """The mail server refuses this mail for good (a 5xx answer), or it is not a mail at all."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one person. A stable `message_id` lets receivers fold a repeat into the first."""

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    message_id: str


_LONGEST_NAME = 48  # of a Message-ID, so that its header fits in 78 characters


class MailGateway(Protocol):
    """Anything that can send a mail."""

    async def send(self, mail: Mail) -> None:
        """Return once the mail is accepted.

        Raises:
            MailUnavailableError: try again later.
            MailRefusedError: another try would end the same.
        """

    async def ping(self) -> None:
        """Raise MailUnavailableError when the server does not greet us."""


class SmtpMailGateway:
    """Sends each mail over a connection of its own, so that one slow mail holds up no other."""

    def __init__(self, url: SecretStr, *, sender: str, timeout_seconds: float = 10.0) -> None:
        """Read the address once.

        Raises:
            ValueError: the URL or the sender is not one.
        """
        parts = urlsplit(url.get_secret_value())
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ValueError("the mail address must be smtp://host:port or smtps://host:port")
        self._host = parts.hostname
        self._use_tls = parts.scheme == "smtps"
        self._starttls = parse_qs(parts.query).get("starttls", ["false"])[0].lower() in {"1", "true", "yes"}
        self._port = parts.port or (465 if self._use_tls else 587 if self._starttls else 25)
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._timeout = timeout_seconds
        name, address = parseaddr(sender)
        self._sender = address
        self._from = _mailbox(name, address)

    async def send(self, mail: Mail) -> None:
        """Hand one mail to the server; see `MailGateway.send`."""
        message = self._compose(mail)
        client = self._client()
        try:
            await self._connect(client)
            await client.send_message(message, sender=self._sender, recipients=[mail.to])
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(error.recipients[0].code) from None
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused) as error:
            raise _refusal(error.code) from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailUnavailableError(f"the mail server answered {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise MailServerAwayError(f"no mail server: {type(error).__name__}") from None
        finally:
            await self._leave(client)

    async def ping(self) -> None:
        """Connect and greet; see `MailGateway.ping`."""
        client = self._client()
        try:
            await self._connect(client)
            await client.noop()
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise MailServerAwayError(f"no mail server: {type(error).__name__}") from None
        finally:
            await self._leave(client)

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._use_tls,
            start_tls=self._starttls,
            timeout=self._timeout,
        )

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        await client.connect()
        if self._username is not None:
            await client.login(self._username, self._password or "")

    @staticmethod
    async def _leave(client: aiosmtplib.SMTP) -> None:
        """Say goodbye; a server that hangs up first has still taken the mail."""
        if client.is_connected:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        client.close()

    def _compose(self, mail: Mail) -> EmailMessage:
        if _ADDRESS.match(mail.to) is None or _MESSAGE_ID.match(mail.message_id) is None:
            raise MailRefusedError("not a mail address")
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._from
        try:
            message["To"] = Address(addr_spec=mail.to)
        except (ValueError, IndexError):
            raise MailRefusedError("not a mail address") from None
        message["Subject"] = one_line(mail.subject)
        message["Message-ID"] = mail.message_id
        message["Date"] = format_datetime(utcnow())
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message


def one_line(value: str, limit: int = 200) -> str:
    """Text fit for a header: no line break or control character can end it and begin another header."""
    return " ".join(_CONTROL.sub(" ", value).split())[:limit]


def message_id_of(key: str) -> str:
    """The stable Message-ID of an outbox key; distinct keys give distinct ids, since a key has no dot.

    A long key is named by its digest: a header that outgrows its line is folded, which many readers of ids get wrong.
    """
    name = key.replace(":", ".")
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(key.encode()).hexdigest()[:_LONGEST_NAME]
    return f"<{name}@nimmit>"


def _mailbox(name: str, address: str) -> Address:
    if _ADDRESS.match(address) is None:
        raise ValueError("the sender must be a mail address")
    return Address(display_name=one_line(name), addr_spec=address)


def _refusal(code: int) -> MailError:
    if code >= 500:
        return MailRefusedError(f"the mail server answered {code}")
    return MailUnavailableError(f"the mail server answered {code}")
