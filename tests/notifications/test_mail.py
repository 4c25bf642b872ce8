"""The mail gateway against a real SMTP conversation."""

from __future__ import annotations

import asyncio
import socket

import pytest
from pydantic import SecretStr

from app.gateways.mail import (
    Mail,
    MailRefusedError,
    MailServerAwayError,
    MailUnavailableError,
    SmtpMailGateway,
    message_id_of,
)
from app.gateways.mail_message import one_line
from tests.notifications.smtp import mail_server

SENDER = "Nimmit <no-reply@nimmit.example>"


def a_mail(**changes: str) -> Mail:
    fields = {
        "to": "sokha@example.com",
        "subject": "Hello",
        "text": "plain",
        "html": "<p>html</p>",
        "message_id": "<a.1@nimmit>",
    }
    return Mail(**(fields | changes))


async def test_a_mail_arrives_with_both_bodies_and_its_message_id() -> None:
    async with mail_server() as inbox:
        await inbox.gateway().send(a_mail(subject="ជំរាបសួរ “work”"))
    [message] = inbox.messages
    assert message["Message-ID"] == "<a.1@nimmit>"
    assert message["Subject"] == "ជំរាបសួរ “work”"
    assert message["From"] == SENDER
    assert message["Auto-Submitted"] == "auto-generated"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().strip() == "plain"
    assert html.get_content().strip() == "<p>html</p>"
    assert inbox.recipients == ["sokha@example.com"]


@pytest.mark.parametrize("evil", ["a\r\nBcc: all@example.com", "a\nX: 1", "a\x0bb\u2028Bcc: x@example.com"])
async def test_a_subject_cannot_begin_another_header(evil: str) -> None:
    async with mail_server() as inbox:
        await inbox.gateway().send(a_mail(subject=evil))
    [message] = inbox.messages
    assert "Bcc" not in message
    assert "X" not in message
    assert inbox.recipients == ["sokha@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com\r\nRCPT TO:<b@example.com>",
        "a@example.com,b@example.com",
        "a b@example.com",
        "nobody",
        "",
    ],
)
async def test_what_is_no_address_is_refused_before_anything_is_sent(address: str) -> None:
    async with mail_server() as inbox:
        gateway = inbox.gateway()
        with pytest.raises(MailRefusedError):
            await gateway.send(a_mail(to=address))
    assert inbox.messages == []


async def test_a_5xx_answer_is_for_good_and_a_4xx_is_not() -> None:
    async with mail_server() as inbox:
        inbox.answers = {"gone@example.com": "550 no such mailbox", "busy@example.com": "451 try later"}
        with pytest.raises(MailRefusedError) as refused:
            await inbox.gateway().send(a_mail(to="gone@example.com"))
        with pytest.raises(MailUnavailableError):
            await inbox.gateway().send(a_mail(to="busy@example.com"))
    assert "example.com" not in str(refused.value)


async def test_no_server_is_unavailable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        gateway = SmtpMailGateway(SecretStr(f"smtp://127.0.0.1:{port}"), sender=SENDER)
        with pytest.raises(MailUnavailableError):
            await gateway.send(a_mail())
        with pytest.raises(MailUnavailableError):
            await gateway.ping()


async def test_a_server_that_never_greets_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        gateway = SmtpMailGateway(SecretStr(f"smtp://127.0.0.1:{port}"), sender=SENDER, timeout_seconds=0.3)
        with pytest.raises(MailUnavailableError):
            await gateway.send(a_mail())


async def test_mails_share_connections_and_never_more_than_so_many() -> None:
    async with mail_server() as inbox:
        gateway = inbox.gateway(connections=3)
        await asyncio.gather(*(gateway.send(a_mail(message_id=f"<a.{n}@nimmit>")) for n in range(20)))
        for n in range(20, 30):
            await gateway.send(a_mail(message_id=f"<a.{n}@nimmit>"))
        assert len(inbox.lines) <= 3
    assert inbox.count_by_message_id() == {f"<a.{n}@nimmit>": 1 for n in range(30)}


async def test_a_connection_carries_so_many_mails_and_is_left() -> None:
    async with mail_server() as inbox:
        gateway = inbox.gateway(mails_per_connection=2)
        for _ in range(5):
            await gateway.send(a_mail())
        assert (len(inbox.lines), inbox.open_lines) == (3, 1)


async def test_an_idle_connection_is_left() -> None:
    async with mail_server() as inbox:
        gateway = inbox.gateway(idle_seconds=0.1)
        await gateway.send(a_mail())
        assert inbox.open_lines == 1
        async with asyncio.timeout(5):
            while inbox.open_lines:  # noqa: ASYNC110  # the gateway leaves by itself
                await asyncio.sleep(0.02)
        await gateway.send(a_mail())
    assert len(inbox.messages) == 2


@pytest.mark.parametrize("how", ["closes", "says 421"])
async def test_a_server_that_hung_up_is_called_again_and_gets_the_mail_once(how: str) -> None:
    async with mail_server() as inbox:
        gateway = inbox.gateway()
        await gateway.send(a_mail(message_id="<a.1@nimmit>"))
        if how == "closes":
            inbox.hang_up()
        else:
            inbox.closing = 1
        await gateway.send(a_mail(message_id="<a.2@nimmit>"))
        assert len(inbox.lines) == 2
    assert inbox.count_by_message_id() == {"<a.1@nimmit>": 1, "<a.2@nimmit>": 1}


async def test_nothing_is_repeated_once_content_was_sent() -> None:
    """The server took the mail and the line went dead: whether it did is unknown, and for the caller to repeat."""
    async with mail_server() as inbox:
        gateway = inbox.gateway()
        await gateway.send(a_mail(message_id="<a.1@nimmit>"))
        inbox.hangs_up = True
        with pytest.raises(MailServerAwayError):
            await gateway.send(a_mail(message_id="<a.2@nimmit>"))
        inbox.hangs_up = False
        await gateway.send(a_mail(message_id="<a.3@nimmit>"))
    assert inbox.count_by_message_id() == {f"<a.{n}@nimmit>": 1 for n in (1, 2, 3)}


async def test_a_refused_mail_leaves_the_connection_to_the_next() -> None:
    async with mail_server() as inbox:
        inbox.answers = {"gone@example.com": "550 no such mailbox"}
        gateway = inbox.gateway()
        with pytest.raises(MailRefusedError):
            await gateway.send(a_mail(to="gone@example.com"))
        await gateway.send(a_mail())
        assert len(inbox.lines) == 1
    assert inbox.recipients == ["sokha@example.com"]


async def test_an_address_of_other_letters_arrives() -> None:
    async with mail_server() as inbox:
        await inbox.gateway().send(a_mail(to="សុខា@example.com"))
    assert inbox.recipients == ["សុខា@example.com"]
    assert inbox.messages[0]["To"] == "សុខា@example.com"


@pytest.mark.parametrize(
    "body",
    ["a\n.\nb\n..c\n", "\n\nx  \t\n", "é" * 400 + "\n" + "=" * 200, "--=_x\r\none\rtwo\n", "From me\n", ""],
)
async def test_a_body_arrives_as_it_was_written(body: str) -> None:
    async with mail_server() as inbox:
        await inbox.gateway().send(a_mail(text=body, html=body))
    expected = body.replace("\r\n", "\n").replace("\r", "\n")
    for kind in ("plain", "html"):
        part = inbox.messages[0].get_body((kind,))
        assert part is not None
        assert part.get_content().replace("\r\n", "\n") == expected


async def test_starttls_is_required_when_asked_for() -> None:
    async with mail_server() as inbox:
        url = SecretStr(f"smtp://127.0.0.1:{inbox.port}?starttls=true")
        gateway = SmtpMailGateway(url, sender=SENDER)
        with pytest.raises(
            MailUnavailableError
        ):  # this server offers no TLS, so nothing is sent in the clear
            await gateway.send(a_mail())
    assert inbox.messages == []


async def test_ping_greets() -> None:
    async with mail_server() as inbox:
        await inbox.gateway().ping()


@pytest.mark.parametrize("url", ["http://127.0.0.1:25", "smtp://", "127.0.0.1:25"])
def test_an_address_that_is_not_smtp_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="mail address"):
        SmtpMailGateway(SecretStr(url), sender=SENDER)


def test_headers_are_one_line_and_message_ids_are_stable() -> None:
    assert one_line("  a\r\n b\x00c ") == "a b c"
    assert message_id_of("65f0:12:0") == "<65f0.12.0@nimmit>"
    long = [f"{'6' * 24}:2:0:job-quote:{'7' * 23}{last}" for last in "01"]
    assert len({message_id_of(key) for key in long}) == 2
    assert all(len(f"Message-ID: {message_id_of(key)}") <= 78 for key in long)
