"""A mail server that delivers nothing: it keeps each mail and shows it on a web page.

    python -m devstack.mail_sink --smtp-port 1025 --web-port 8025 --data DIR

`GET /` is the page; `GET /messages?recipient=&limit=` and `DELETE /messages` are its JSON interface.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import socket
from dataclasses import asdict
from pathlib import Path

import uvicorn
from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as SmtpEnvelope
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from devstack.mail_store import Envelope, Mail, MailStore

_HEADERS = {
    # Mails carry what strangers wrote: no script runs here, and nothing is loaded from outside.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .5rem; border-bottom: 1px solid #8884; vertical-align: top; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border: 1px solid #8884; border-radius: .5rem; }
"""


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


def _row(mail: Mail) -> str:
    cells = (mail.received_at[:19].replace("T", " "), ", ".join(mail.recipients))
    subject = html.escape(mail.subject or "(no subject)")
    shown = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr>{shown}<td><a href="/mails/{html.escape(mail.id)}">{subject}</a></td></tr>'


def build_app(store: MailStore) -> Starlette:
    """The web page and the JSON interface over a store."""

    async def index(request: Request) -> Response:
        mails = store.list(request.query_params.get("recipient"))
        head = "<tr><th>Received (UTC)</th><th>To</th><th>Subject</th></tr>"
        table = (
            f"<table>{head}{''.join(_row(store.read(mail)) for mail in mails[:500])}</table>"
            if mails
            else "<p>No mail yet.</p>"
        )
        return _page("Mails", table)

    async def show(request: Request) -> Response:
        mail = store.get(request.path_params["mail_id"])
        if mail is None:
            return _page("No such mail", '<p><a href="/">All mails</a></p>', status=404)
        head = f"<p>From {html.escape(mail.sender)}<br>To {html.escape(', '.join(mail.recipients))}<br>"
        head += f"{html.escape(mail.received_at)}</p>"
        parts = f"<pre>{html.escape(mail.text)}</pre>" if mail.text else ""
        if mail.html:
            # As source, not rendered: what a client would show is the text part's job to say.
            parts += f"<h2>HTML part, as source</h2><pre>{html.escape(mail.html)}</pre>"
        return _page(mail.subject or "(no subject)", f'{head}{parts}<p><a href="/">All mails</a></p>')

    async def messages(request: Request) -> Response:
        if request.method == "DELETE":
            return JSONResponse({"deleted": store.clear()})
        limit = request.query_params.get("limit", "500")
        if not limit.isascii() or not limit.isdigit():
            return JSONResponse({"error": "limit must be a whole number"}, status_code=400)
        mails = store.list(request.query_params.get("recipient"))
        shown = [asdict(store.read(mail)) for mail in mails[: int(limit)]]
        return JSONResponse({"total": len(mails), "messages": shown})

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/mails/{mail_id}", show),
            Route("/messages", messages, methods=["GET", "DELETE"]),
            Route("/healthz", healthz),
        ]
    )


class _Handler:
    """What aiosmtpd calls for each mail; the name is its protocol's."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: SmtpEnvelope) -> str:  # noqa: N802
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else bytes(content or b"")
        self._store.add(Envelope.of(envelope.mail_from or "", list(envelope.rcpt_tos), raw))
        return "250 kept"


async def serve(smtp_port: int, web_port: int, data: Path) -> None:
    """Serve mail and web on 127.0.0.1 until a signal ends it."""
    store = MailStore(data)
    handler = _Handler(store)
    loop = asyncio.get_running_loop()
    name = await asyncio.to_thread(socket.getfqdn)  # once, not for every connection
    smtp = await loop.create_server(
        lambda: SMTP(
            handler, enable_SMTPUTF8=True, data_size_limit=25 * 1024 * 1024, hostname=name, loop=loop
        ),
        "127.0.0.1",
        smtp_port,
    )
    config = uvicorn.Config(build_app(store), host="127.0.0.1", port=web_port, log_level="warning")
    async with smtp:
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="A mail server that keeps every mail and shows it.")
    parser.add_argument("--smtp-port", type=int, default=1025)
    parser.add_argument("--web-port", type=int, default=8025)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.smtp_port, arguments.web_port, arguments.data))


if __name__ == "__main__":
    main()
