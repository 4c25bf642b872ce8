"""What may be uploaded, by whom, how large and under what name: pure functions."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from app.files.errors import rejected
from app.files.models import FilePurpose
from app.lifecycle import Status
from app.settings import Settings

MAX_FILES = 50
MAX_FILENAME = 120
UPLOAD_SECONDS = 15 * 60
DOWNLOAD_SECONDS = 5 * 60

_MB = 1024 * 1024
SIZE_CAP = {FilePurpose.BRIEF: 50 * _MB, FilePurpose.DELIVERABLE: 500 * _MB}

# Statuses in which the uploader may add files: a client until the job ends, a worker while it is theirs.
OPEN_STATUSES = {
    FilePurpose.BRIEF: frozenset(Status) - {Status.COMPLETED, Status.CANCELLED},
    FilePurpose.DELIVERABLE: frozenset({Status.ASSIGNED, Status.IN_PROGRESS, Status.REVISION}),
}


@dataclass(frozen=True, slots=True)
class FileType:
    """A MIME type that is taken: its extensions, and what its first bytes may look like.

    `looks` are MIME types as `filetype` names them, or "text". A type with none accepts no content.
    """

    mime: str
    extensions: frozenset[str]
    looks: frozenset[str] = field(default=frozenset())
    active: bool = False  # a browser would run it: never served under its own type

    @property
    def download_type(self) -> str:
        """The Content-Type of a download."""
        return "application/octet-stream" if self.active else self.mime


def _type(mime: str, extensions: str, *looks: str, active: bool = False) -> FileType:
    return FileType(mime, frozenset(extensions.split()), frozenset(looks or (mime,)), active)


_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"
_ZIP = "application/zip"
_OFFICE = {
    f"{_OOXML}.wordprocessingml.document": "docx",
    f"{_OOXML}.spreadsheetml.sheet": "xlsx",
    f"{_OOXML}.presentationml.presentation": "pptx",
    f"{_ODF}.text": "odt",
    f"{_ODF}.spreadsheet": "ods",
    f"{_ODF}.presentation": "odp",
}

TYPES: dict[str, FileType] = {
    entry.mime: entry
    for entry in (
        _type("image/png", "png", "image/png", "image/apng"),
        _type("image/jpeg", "jpg jpeg"),
        _type("image/gif", "gif"),
        _type("image/webp", "webp"),
        _type("image/tiff", "tif tiff"),
        _type("image/heic", "heic heif"),
        _type("image/avif", "avif"),
        _type("image/svg+xml", "svg", "text", active=True),
        _type("image/vnd.adobe.photoshop", "psd"),
        _type("application/postscript", "ai eps ps", "application/postscript", "application/pdf"),
        _type("application/pdf", "pdf"),
        # Office files are zip files whose parts may come in any order, so their signature may be just that.
        *(_type(mime, extension, mime, _ZIP) for mime, extension in _OFFICE.items()),
        _type("application/zip", "zip", _ZIP, *_OFFICE),
        _type("application/rtf", "rtf"),
        _type("text/plain", "txt log", "text"),
        _type("text/markdown", "md markdown", "text"),
        _type("text/csv", "csv", "text"),
        _type("text/html", "html htm", "text", active=True),
        _type("text/css", "css", "text"),
        _type("application/json", "json", "text"),
        _type("video/mp4", "mp4 m4v", "video/mp4", "video/x-m4v", "video/quicktime"),
        _type("video/quicktime", "mov"),
        _type("video/webm", "webm"),
        _type("audio/mpeg", "mp3"),
        _type("audio/mp4", "m4a"),
        _type("audio/wav", "wav", "audio/x-wav"),
        _type("audio/ogg", "ogg oga"),
        _type("font/woff2", "woff2", "application/font-woff"),
        _type("font/woff", "woff", "application/font-woff"),
        _type("font/ttf", "ttf", "application/font-sfnt"),
        _type("font/otf", "otf", "application/font-sfnt"),
    )
}


def file_type(mime_type: str) -> FileType | None:
    """The type of a declared MIME type; parameters such as `; charset=utf-8` are not part of it."""
    return TYPES.get(mime_type.split(";", maxsplit=1)[0].strip().lower())


def check_declaration(purpose: FilePurpose, filename: str, mime_type: str, size: int | None) -> FileType:
    """The declared type, if such a file is taken.

    Raises:
        FileRejectedError: the type, the extension or the size is not.
    """
    declared = file_type(mime_type)
    if declared is None:
        raise rejected("type-not-allowed")
    if _extension(filename) not in declared.extensions:
        raise rejected("extension-mismatch")
    if size is not None:
        check_size(purpose, size)
    return declared


def check_size(purpose: FilePurpose, size: int) -> None:
    """Refuse what is empty or above the purpose's cap.

    Raises:
        FileRejectedError
    """
    if size <= 0:
        raise rejected("empty")
    if size > SIZE_CAP[purpose]:
        raise rejected("too-large")


def display_name(filename: str) -> str:
    """The name to show and to save under: no path, no control or direction marks, at most 120 characters.

    It is text for people; no key, path or header is made of it without its own escaping.
    """
    name = unicodedata.normalize("NFC", filename).replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(
        c for c in name if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    )
    name = re.sub(r'[<>:"|?*\s]+', " ", name).strip(" .")
    if len(name) <= MAX_FILENAME:
        return name or "file"
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:
        return name[:MAX_FILENAME]
    return f"{stem[: MAX_FILENAME - len(extension) - 1]}.{extension}"


def bucket_of(purpose: FilePurpose, settings: Settings) -> str:
    """The bucket of a purpose."""
    if purpose is FilePurpose.BRIEF:
        return settings.s3_bucket_uploads
    return settings.s3_bucket_deliverables


def upload_key(job_id: str, file_id: str) -> str:
    """Where an upload URL writes. The bucket's lifecycle rule empties `incoming/` after a day."""
    return f"incoming/{job_id}/{file_id}"


def confirmed_key(job_id: str, file_id: str, etag: str) -> str:
    """Where the bytes with this etag are kept; other bytes get another key, so neither overwrites the other."""
    mark = re.sub(r"[^A-Za-z0-9]", "", etag)[:32] or "0"
    return f"jobs/{job_id}/{file_id}/{mark}"


def _extension(filename: str) -> str:
    return display_name(filename).rpartition(".")[2].lower()
