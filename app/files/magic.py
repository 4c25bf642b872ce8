"""Whether a file's first bytes agree with its declared type.

Binary types are told by their signatures. Text has none: it is what no signature matches and what reads as text.
That shows the wrong kind of file, an executable named `.png`; it does not show a malicious file of the right kind.
"""

from __future__ import annotations

import codecs
import re

import filetype

from app.files.rules import FileType

PREFIX_BYTES = 8192  # what `filetype` looks at

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SVG = re.compile(r"<svg[\s>]", re.IGNORECASE)
_HTML = re.compile(
    r"<(!doctype\s+html|html|head|body|div|p|h[1-6]|span|section|meta|title|!--)", re.IGNORECASE
)
_JSON = re.compile(r'^\s*([{\["]|-?\d|true|false|null)')
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_TEXT_FORMATS = {"application/pdf", "application/rtf", "application/postscript"}
_DEMANDS = {"image/svg+xml": _SVG, "text/html": _HTML, "application/json": _JSON}


def agrees(declared: FileType, prefix: bytes) -> bool:
    """Whether the first bytes (up to `PREFIX_BYTES`) can be of the declared type."""
    kind = filetype.guess(prefix)
    looks = kind.mime if kind is not None else None
    if "text" not in declared.looks:
        return looks in declared.looks
    # A signature of two letters proves nothing against text: "BMW, ..." would be a bitmap, "MZ, ..." a program.
    text = _as_text(prefix)
    if text is None or looks in _TEXT_FORMATS:
        return False
    demand = _DEMANDS.get(declared.mime)
    return demand is None or demand.search(text) is not None


def _as_text(prefix: bytes) -> str | None:
    """The prefix as text, cut where it may be cut inside a character; None when it is not text."""
    for mark, encoding in _MARKS.items():
        if prefix.startswith(mark):
            return _decoded(prefix, encoding)
    if _CONTROL.search(prefix):
        return None
    text = _decoded(prefix, "utf-8")
    return text if text is not None else _decoded(prefix, "cp1252")


def _decoded(prefix: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(prefix, final=False)
    except UnicodeDecodeError:
        return None
