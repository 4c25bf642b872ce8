"""The mail sink keeps what it is sent, over a restart, and shows it without running any of it."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx2

from devstack.stack import Stack


def _mail(to: str, subject: str, text: str, html: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Nimmit <no-reply@nimmit.example>"
    message["To"] = to
    message["Subject"] = subject
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


async def test_mail_is_kept_shown_filtered_and_forgotten(tmp_path: Path) -> None:
    with Stack(tmp_path, given={}) as own:
        own.require("mail")
        host, _, port = own.environment()["NIMMIT_SMTP_URL"].removeprefix("smtp://").partition(":")
        first = _mail("dara@worker.example", "An offer for you", "Answer by 10:15.")
        second = _mail(
            "Sophea@client.example", "<script>alert(1)</script>", "ភាសាខ្មែរ", "<b onclick=x()>hi</b>"
        )
        for message in (first, second):
            await aiosmtplib.send(message, hostname=host, port=int(port), start_tls=False)
        own.restart("mail")

        async with httpx2.AsyncClient(base_url=own.url("Mail")) as client:
            listed = (await client.get("/messages")).json()
            assert listed["total"] == 2
            assert [mail["subject"] for mail in listed["messages"]] == [second["Subject"], first["Subject"]]
            newest = listed["messages"][0]
            assert newest["text"].strip() == "ភាសាខ្មែរ"
            assert newest["sender"] == "no-reply@nimmit.example"

            only = (await client.get("/messages", params={"recipient": "sophea@CLIENT.example"})).json()
            assert [mail["id"] for mail in only["messages"]] == [newest["id"]]
            assert (await client.get("/messages", params={"limit": "1"})).json()["messages"] == [newest]
            assert (await client.get("/messages", params={"limit": "²"})).status_code == 400

            for page in ("/", f"/mails/{newest['id']}"):
                answer = await client.get(page)
                assert answer.status_code == 200
                assert "<script" not in answer.text
                assert "<b onclick" not in answer.text
                assert "&lt;script&gt;" in answer.text
                assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert (await client.get("/mails/none")).status_code == 404

            assert (await client.delete("/messages")).json() == {"deleted": 2}
        own.restart("mail")
        async with httpx2.AsyncClient(base_url=own.url("Mail")) as client:
            assert (await client.get("/messages")).json() == {"total": 0, "messages": []}
