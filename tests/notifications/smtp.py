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
    """What arrived, and how to answer by recipient (an SMTP answer instead of "250 OK")."""

    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    port: int = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        answer = self.answers.get(address)
        if answer is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append(email.message_from_bytes(envelope.content, policy=default))
        self.recipients.extend(envelope.rcpt_tos)
        return "250 OK"

    def count_by_message_id(self) -> Counter[str]:
        return Counter(str(message["Message-ID"]) for message in self.messages)

    def gateway(self, **options: Any) -> SmtpMailGateway:
        return SmtpMailGateway(
            SecretStr(f"smtp://127.0.0.1:{self.port}"), sender="Nimmit <no-reply@nimmit.example>", **options
        )


@asynccontextmanager
async def mail_server(port: int = 0) -> AsyncIterator[Inbox]:
    """Listens on this port (any free one by default) while the block runs."""
    inbox = Inbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", port)
    try:
        inbox.port = server.sockets[0].getsockname()[1]
        yield inbox
    finally:
        server.close()
