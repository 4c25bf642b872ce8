"""A mail server of a test's own, on a real socket, that can be told to refuse."""

from __future__ import annotations

import asyncio
import email
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP
from pydantic import SecretStr

from app.gateways.mail import SmtpMailGateway


@dataclass
class Inbox:
    """What arrived, and how to answer by recipient (an SMTP answer instead of "250 OK").

    `closing` is how many more envelopes are answered by 421, `hangs_up` whether the line goes dead once a mail was
    taken, before the answer.
    """

    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    closing: int = 0
    hangs_up: bool = False
    seconds_to_accept: float = 0.0
    lines: list[SMTP] = field(default_factory=list)  # every connection that there was
    gateways: list[SmtpMailGateway] = field(default_factory=list)

    @property
    def open_lines(self) -> int:
        """Connections that are open now."""
        return sum(line.transport is not None and not line.transport.is_closing() for line in self.lines)

    def hang_up(self) -> None:
        """End every connection from the server's side."""
        for line in self.lines:
            if line.transport is not None:
                line.transport.close()

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if self.closing and self.messages:
            self.closing -= 1
            return "421 closing"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        answer = self.answers.get(address)
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        await asyncio.sleep(self.seconds_to_accept)
        self.messages.append(email.message_from_bytes(envelope.content, policy=default))
        self.recipients.extend(envelope.rcpt_tos)
        if self.hangs_up:
            server.transport.abort()
        return "250 OK"

    def count_by_message_id(self) -> Counter[str]:
        return Counter(str(message["Message-ID"]) for message in self.messages)

    def gateway(self, **options: Any) -> SmtpMailGateway:
        url = SecretStr(f"smtp://127.0.0.1:{self.port}")
        gateway = SmtpMailGateway(url, sender="Nimmit <no-reply@nimmit.example>", **options)
        self.gateways.append(gateway)
        return gateway


@asynccontextmanager
async def mail_server(port: int = 0) -> AsyncIterator[Inbox]:
    """Listens on this port (any free one by default) while the block runs."""
    inbox = Inbox()
    loop = asyncio.get_running_loop()

    def answer() -> SMTP:
        inbox.lines.append(SMTP(inbox, enable_SMTPUTF8=True, loop=loop))
        return inbox.lines[-1]

    server = await loop.create_server(answer, "127.0.0.1", port)
    try:
        inbox.port = server.sockets[0].getsockname()[1]
        yield inbox
    finally:
        for gateway in inbox.gateways:
            await gateway.aclose()
        server.close()
        inbox.hang_up()
