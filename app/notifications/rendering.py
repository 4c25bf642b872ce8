"""Turns a catalogue entry and a context into the in-app text and the mail, in plain text and in HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, TemplateError
from markupsafe import Markup

from app.notifications.catalogue import CATALOGUE
from app.notifications.entry import Entry
from app.notifications.notices import Context

# By plain text: a row's template may be of another version of the program.
_ENTRIES: dict[tuple[str, str], Entry] = {
    (str(type_), role): entry for (type_, role), entry in CATALOGUE.items()
}

_OPTIONS: dict[str, Any] = {
    "loader": PackageLoader("app.notifications", "templates"),
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
    "auto_reload": False,  # else each mail looks whether the files have changed
}


class RenderingError(Exception):
    """There are no such words for this person, or what they need is missing. Trying again will not help."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The words of one notice, ready to be stored and sent."""

    title: str
    message: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)


def render(
    template: str,
    role: str,
    *,
    context: Context,
    portal_url: str,
    name: str = "",
    job_id: str | None = None,
    job_title: str = "your job",
    zone: str = "UTC",
) -> Rendered:
    """Fill in the entry of this template and role.

    Raises:
        RenderingError: no such entry, or a value it needs is missing or of the wrong kind.
    """
    entry = _ENTRIES.get((template, role))
    if entry is None:
        raise RenderingError(f"no words of {template} for {role or 'nobody'}")
    values: dict[str, Any] = {
        **context,
        "name": name,
        "job_id": job_id or "",
        "job_title": " ".join(job_title.split())[:120],
        "job_url": f"{portal_url}/jobs/{job_id}" if job_id else portal_url,
        "portal_url": portal_url,
        "zone": zone,
    }
    try:
        return _fill(entry, values)
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise RenderingError(f"{template} for {role}: {type(error).__name__}") from None


def _fill(entry: Entry, values: dict[str, Any]) -> Rendered:
    title, message, link = (_plain(part, values) for part in (entry.title, entry.message, entry.link))
    if not link.startswith(("https://", "http://")):
        raise ValueError("a mail links to web pages only")
    frame = {"name": values["name"], "title": title, "action": entry.action, "link": link}
    body = (entry.message, *entry.more)
    text = [part for part in (_plain(source, values) for source in body) if part]
    html = [part for part in (_html(source, values) for source in body) if part]
    return Rendered(
        title=title,
        message=message,
        text=_text_environment().get_template("mail.txt.jinja").render(frame, paragraphs=text),
        html=_html_environment().get_template("mail.html.jinja").render(frame, paragraphs=html),
    )


def _plain(source: str, values: dict[str, Any]) -> str:
    return _text_template(source).render(values).strip()


def _html(source: str, values: dict[str, Any]) -> Markup:
    """The filled-in source, whose values the environment has escaped."""
    return Markup(_html_template(source).render(values).strip())  # noqa: S704


@lru_cache(maxsize=1)
def _text_environment() -> Environment:
    return _with_filters(Environment(autoescape=False, **_OPTIONS))  # noqa: S701  # plain text has no markup


@lru_cache(maxsize=1)
def _html_environment() -> Environment:
    return _with_filters(Environment(autoescape=True, **_OPTIONS))


@lru_cache(maxsize=256)
def _text_template(source: str) -> Template:
    return _text_environment().from_string(source)


@lru_cache(maxsize=256)
def _html_template(source: str) -> Template:
    return _html_environment().from_string(source)


def _with_filters(environment: Environment) -> Environment:
    environment.filters.update(credits=_credits, usd=_usd, when=_when)
    return environment


def _credits(hundredths: int) -> str:
    whole, rest = divmod(int(hundredths), 100)
    number = str(whole) if rest == 0 else f"{whole}.{rest:02}"
    return f"{number} {'credit' if hundredths == 100 else 'credits'}"


def _usd(cents: int) -> str:
    return f"${int(cents) // 100:,}.{int(cents) % 100:02}"


def _when(value: datetime | str, zone: str) -> str:
    """A time in the person's own time zone, with its name, as `22 Nov 2026, 17:15 (Asia/Phnom_Penh)`."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    try:
        local = moment.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        local, zone = moment.astimezone(ZoneInfo("UTC")), "UTC"
    return f"{local.day} {local:%b %Y, %H:%M} ({zone})"
