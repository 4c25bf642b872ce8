"""A small OpenAI endpoint on a real socket: it answers as it is told and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeOpenAI:
    """What it will answer, and the bodies (as bytes) and headers of what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    delay: threading.Event | None = None
    drip: bool = False
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def answer(self, payload: Mapping[str, Any] | str, *, status: str = "completed", **members: Any) -> None:
        """Answer with a structured output whose text is `payload`."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self.send(
            response([{"type": "output_text", "text": text, "annotations": []}], status=status, **members)
        )

    def refuse(self, words: str) -> None:
        """Answer with a refusal."""
        self.send(response([{"type": "refusal", "refusal": words}]))

    def send(self, body: Mapping[str, Any], *, status: int = 200) -> None:
        """Answer with a JSON body."""
        self.status, self.body = status, json.dumps(body).encode()

    def fail(self, status: int, *, code: str | None = None) -> None:
        """Answer with an error of OpenAI's shape."""
        self.send({"error": {"message": "no", "type": "error", "code": code, "param": None}}, status=status)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The JSON bodies that arrived."""
        return [json.loads(body) for _, _, body in self.requests]


def response(content: list[dict[str, Any]], *, status: str = "completed", **members: Any) -> dict[str, Any]:
    """A response object as the Responses API gives it."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "model": "gpt-5-mini-2025-08-07",
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": content,
            },
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1234,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 210,
            "output_tokens_details": {"reasoning_tokens": 100},
            "total_tokens": 1444,
        },
        **members,
    }


def _handler(fake: FakeOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            fake.requests.append((self.path, dict(self.headers), self.rfile.read(length)))
            if fake.delay is not None:
                fake.delay.wait(10)
            self.send_response(fake.status)
            for name, value in {**fake.headers, "content-length": str(len(fake.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self._write()
            except (BrokenPipeError, ConnectionResetError):
                return  # the caller hung up first, as a timeout test wants

        def _write(self) -> None:
            if not fake.drip:
                self.wfile.write(fake.body)
                return
            for byte in fake.body:  # slowly: no single read is slow enough for a read timeout
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if fake.delay is None and threading.Event().wait(0.05):
                    return

        def log_request(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def fake_openai() -> Iterator[FakeOpenAI]:
    """Serve until the block ends."""
    fake = FakeOpenAI()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield fake
    finally:
        if fake.delay is not None:
            fake.delay.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
