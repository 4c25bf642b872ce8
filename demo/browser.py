"""A person at a browser, as far as it takes to pay: open a page, fill in its form, press the button."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2


class PageError(Exception):
    """A page is not what it should be, or said no."""


@dataclass(slots=True)
class Form:
    """The first form of a page: where it goes, what its fields hold, and what stands on its button."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    button: str = ""


class Browser:
    """Keeps nothing between pages but its connections. Redirects are told, not followed."""

    def __init__(self) -> None:
        self._http = httpx2.AsyncClient(timeout=30)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def open(self, url: str) -> Form:
        """Look at a page; its form as it stands.

        Raises:
            PageError: there is no such page, or it has no form.
        """
        answer = await self._http.get(url)
        if answer.status_code != 200:
            raise PageError(f"{url} answered {answer.status_code}")
        reader = _FormReader()
        reader.feed(answer.text)
        if not reader.form.action:
            raise PageError(f"{url} has no form")
        reader.form.action = urljoin(url, reader.form.action)
        return reader.form

    async def send(self, form: Form, **typed: str) -> str:
        """Fill in what is asked for and press the button; the address that the page leads on to.

        Fields of the form that are not typed keep what they hold; what the form has no field for is not sent.

        Raises:
            PageError: the page refused.
        """
        sent = form.fields | {name: value for name, value in typed.items() if name in form.fields}
        answer = await self._http.post(form.action, data=sent)
        if answer.status_code != 303:
            raise PageError(f"{form.action} answered {answer.status_code}")
        return str(answer.headers["location"])


class _FormReader(HTMLParser):
    """Reads the first form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.form = Form()
        self._inside = self._done = self._on_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and not self._done:
            self._inside, self.form.action = True, found.get("action", "")
        elif self._inside and tag == "input" and "name" in found:
            self.form.fields[found["name"]] = found.get("value", "")
        elif self._inside and tag == "button" and not self.form.button:
            self._on_button = True
            if "name" in found:
                self.form.fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._inside:
            self._inside, self._done = False, True
        elif tag == "button":
            self._on_button = False

    def handle_data(self, data: str) -> None:
        if self._on_button:
            self.form.button += data
