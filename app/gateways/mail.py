"""Mail over SMTP. SendGrid, Resend and a local sink all take it.

The address is one URL: `smtp://host:port`, `smtps://user:password@host:port` (TLS from the first byte), or
`smtp://user:password@host:587?starttls=true` (TLS is then required, never merely tried).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from app.gateways.mail_message import compose, mailbox

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


_CLOSING = 421  # "service not available, closing transmission channel"
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

    async def aclose(self) -> None:
        """Hang up; nothing can be sent any more."""


@dataclass(slots=True)
class _Line:
    """A connection to the server, and how far its present mail has come."""

    client: aiosmtplib.SMTP
    mails: int = 0
    content_sent: bool = False
    idle_since: float = 0.0

    async def hand_over(self, sender: str, to: str, content: bytes) -> None:
        """One mail's envelope and content; the server has taken it when this returns."""
        self.content_sent = False
        utf8 = not to.isascii()
        if utf8 and not self.client.supports_extension("smtputf8"):
            raise MailRefusedError("the mail server takes no such address")
        options = ["SMTPUTF8"] if utf8 else []
        if self.client.supports_extension("size"):
            options.append(f"size={len(content)}")
        encoding = "utf-8" if utf8 else "ascii"
        await self.client.mail(sender, options=options, encoding=encoding)
        await self.client.rcpt(to, encoding=encoding)
        self.content_sent = True
        await self.client.data(content)
        self.mails += 1

    @property
    def went_stale(self) -> bool:
        """Whether a failure now only means that the server had hung up on a connection that we kept."""
        return self.mails > 0 and not self.content_sent


class SmtpMailGateway:
    """Sends mails over a few connections, each one mail after another, kept for as long as there is mail."""

    def __init__(
        self,
        url: SecretStr,
        *,
        sender: str,
        timeout_seconds: float = 10.0,
        connections: int = 8,
        idle_seconds: float = 10.0,
        mails_per_connection: int = 100,
    ) -> None:
        """Read the address once. A connection is left after `idle_seconds` without a mail, or so many mails.

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
        if _ADDRESS.match(address) is None:
            raise ValueError("the sender must be a mail address")
        self._sender = address
        self._from = mailbox(name, address)
        self._gate = asyncio.Semaphore(connections)
        self._idle: deque[_Line] = deque()  # the one used last at the right
        self._idle_seconds = idle_seconds
        self._mails_per_connection = mails_per_connection
        self._reaper: asyncio.Task[None] | None = None

    async def send(self, mail: Mail) -> None:
        """Hand one mail to the server; see `MailGateway.send`."""
        content = self._compose(mail)
        async with self._gate:
            try:
                await self._transact(mail.to, content)
            except aiosmtplib.SMTPResponseException as error:
                raise _refusal(error) from None
            except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
                raise MailServerAwayError(f"no mail server: {type(error).__name__}") from None

    async def ping(self) -> None:
        """Connect and greet; see `MailGateway.ping`."""
        try:
            line = await self._connect()
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise MailServerAwayError(f"no mail server: {type(error).__name__}") from None
        await _leave(line)

    async def aclose(self) -> None:
        """Hang up politely; see `MailGateway.aclose`."""
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
            self._reaper = None
        while self._idle:
            await _leave(self._idle.pop())

    async def _transact(self, to: str, content: bytes) -> None:
        """Over a connection that is there, or else a new one. Nothing is repeated once content was sent."""
        while line := self._take():
            try:
                await self._use(line, to, content)
            except (aiosmtplib.SMTPException, OSError) as error:
                if not (line.went_stale and _hung_up(error)):
                    raise
            else:
                return
        await self._use(await self._connect(), to, content)

    async def _use(self, line: _Line, to: str, content: bytes) -> None:
        """Keep the connection after a yes, and after a no that the server goes on from; leave it after all else."""
        try:
            await line.hand_over(self._sender, to, content)
        except aiosmtplib.SMTPResponseException as error:
            if await _starts_over(line, error):
                self._keep(line)
            raise
        except BaseException:
            line.client.close()
            raise
        if line.mails < self._mails_per_connection:
            self._keep(line)
        else:
            await _leave(line)

    def _take(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.client.is_connected and time.monotonic() - line.idle_since < self._idle_seconds:
                return line
            line.client.close()
        return None

    def _keep(self, line: _Line) -> None:
        line.idle_since = time.monotonic()
        self._idle.append(line)
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.create_task(self._reap())

    async def _reap(self) -> None:
        """Leave connections that have idled for too long, until none is left."""
        while self._idle:
            await asyncio.sleep(max(0.0, self._idle[0].idle_since + self._idle_seconds - time.monotonic()))
            while self._idle and time.monotonic() - self._idle[0].idle_since >= self._idle_seconds:
                await _leave(self._idle.popleft())

    async def _connect(self) -> _Line:
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._use_tls,
            start_tls=self._starttls,
            timeout=self._timeout,
        )
        try:
            await client.connect()
            if self._username is not None:
                await client.login(self._username, self._password or "")
            elif client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except BaseException:
            client.close()
            raise
        return _Line(client)

    def _compose(self, mail: Mail) -> bytes:
        if _ADDRESS.match(mail.to) is None or _MESSAGE_ID.match(mail.message_id) is None:
            raise MailRefusedError("not a mail address")
        return compose(
            sender=self._from,
            to=mail.to,
            subject=mail.subject,
            message_id=mail.message_id,
            text=mail.text,
            html=mail.html,
        )


async def _starts_over(line: _Line, error: aiosmtplib.SMTPResponseException) -> bool:
    """Whether the server is ready for the next mail after it refused this one."""
    if error.code != _CLOSING:
        with suppress(aiosmtplib.SMTPException, OSError):
            await line.client.rset()
            return True
    line.client.close()
    return False


async def _leave(line: _Line) -> None:
    """Say goodbye; a server that hangs up first has still taken the mails."""
    if line.client.is_connected:
        with suppress(aiosmtplib.SMTPException, OSError):
            await line.client.quit()
    line.client.close()


def _hung_up(error: Exception) -> bool:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code == _CLOSING
    return isinstance(error, ConnectionError)


def message_id_of(key: str) -> str:
    """The stable Message-ID of an outbox key; distinct keys give distinct ids, since a key has no dot.

    A long key is named by its digest: a header that outgrows its line is folded, which many readers of ids get wrong.
    """
    name = key.replace(":", ".")
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(key.encode()).hexdigest()[:_LONGEST_NAME]
    return f"<{name}@nimmit>"


def _refusal(error: aiosmtplib.SMTPResponseException) -> MailError:
    """What an answer means: a 5xx to the mail itself is for good; to our greeting or account it may be mended."""
    of_mail = (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError)
    if error.code >= 500 and isinstance(error, of_mail):
        return MailRefusedError(f"the mail server answered {error.code}")
    return MailUnavailableError(f"the mail server answered {error.code}")
