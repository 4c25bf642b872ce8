"""Word sets, written as one line of text."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The space-separated words of `text`."""
    return frozenset(text.split())
