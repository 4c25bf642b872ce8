"""What the catalogue has for each kind of notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """The words of one notice. The mail's subject is the title; its first lines are the in-app message."""

    title: str
    message: str
    more: tuple[str, ...] = ()  # further paragraphs, in the mail alone
    action: str = "Open the job"
    link: str = "{{ job_url }}"
    reads: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    secret: bool = False  # the context holds a token: wiped when the mail is given up


def keys_of(*names: str) -> frozenset[str]:
    """Names of a context's values."""
    return frozenset(names)
