"""Names, types and content: the pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.files.errors import FileRejectedError
from app.files.magic import agrees
from app.files.models import FilePurpose
from app.files.rules import (
    MAX_FILENAME,
    SIZE_CAP,
    TYPES,
    check_declaration,
    confirmed_key,
    display_name,
    file_type,
    upload_key,
)
from app.gateways.storage import attachment
from tests.files.conftest import PDF, PNG, zip_of

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("brief.pdf", "brief.pdf"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("..\\..\\windows\\system.txt", "system.txt"),
        ("C:\\Users\\me\\logo.png", "logo.png"),
        ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie x=1.png"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("a\x00b.png", "ab.png"),
        ('we"ird<name>.png', "we ird name .png"),
        (".htaccess", "htaccess"),
        ("", "file"),
        ("///", "file"),
        ("កម្ពុជា.pdf", "កម្ពុជា.pdf"),
        ("x" * 300 + ".jpeg", "x" * (MAX_FILENAME - 5) + ".jpeg"),
    ],
)
def test_a_name_is_only_a_name(sent: str, shown: str) -> None:
    assert display_name(sent) == shown


@given(st.text(max_size=400))
def test_no_name_holds_a_path_or_a_control_character(sent: str) -> None:
    name = display_name(sent)
    assert 1 <= len(name) <= MAX_FILENAME
    assert not set(name) & set('/\\:"<>|?*\r\n\x00\u202e')
    assert name not in {".", ".."}
    assert not set(attachment(sent)) & set("\r\n\x00")
    assert attachment(sent).isascii()


@pytest.mark.parametrize(
    ("name", "mime", "size", "fault"),
    [
        ("a.exe", "application/x-msdownload", None, "type-not-allowed"),
        ("a.png", "image/png\r\nx: y", None, "type-not-allowed"),
        ("a.png", "", None, "type-not-allowed"),
        ("a.exe", "image/png", None, "extension-mismatch"),
        ("png", "image/png", None, None),
        ("noext", "image/png", None, "extension-mismatch"),
        ("a.png", "image/png", 0, "empty"),
        ("a.png", "image/png", -1, "empty"),
        ("a.png", "image/png", SIZE_CAP[FilePurpose.BRIEF] + 1, "too-large"),
        ("a.png", "image/png", SIZE_CAP[FilePurpose.BRIEF], None),
        ("A.PNG", "IMAGE/PNG; charset=binary", 5, None),
    ],
)
def test_a_declaration(name: str, mime: str, size: int | None, fault: str | None) -> None:
    if fault is None:
        assert check_declaration(FilePurpose.BRIEF, name, mime, size).mime == "image/png"
        return
    with pytest.raises(FileRejectedError) as refused:
        check_declaration(FilePurpose.BRIEF, name, mime, size)
    assert refused.value.fault == fault


@pytest.mark.parametrize(
    ("mime", "content", "fits"),
    [
        ("image/png", PNG, True),
        ("image/jpeg", PNG, False),
        ("image/png", b"MZ\x90\x00\x03" + bytes(60), False),
        ("image/png", b"<script>alert(1)</script>", False),
        ("application/pdf", PDF, True),
        ("text/plain", PDF, False),
        ("text/plain", b"hello", True),
        ("text/plain", "ជំរាបសួរ".encode()[:-1], True),  # cut inside a character
        ("text/plain", b"MZ\x90\x00\x03" + bytes(60), False),
        ("text/plain", b"\x7fELF\x02\x01\x01" + bytes(60), False),
        ("text/plain", PNG, False),
        ("text/csv", b"BMW,Audi\n1,2\n", True),  # the signature of a bitmap
        ("text/csv", "prix;\u20ac".encode("cp1252"), True),
        ("text/csv", "a,b".encode("utf-16"), True),
        ("text/html", b"<!DOCTYPE html><p>x", True),
        ("text/html", b"hello", False),
        ("image/svg+xml", b'<?xml version="1.0"?><svg xmlns="x">', True),
        ("image/svg+xml", b"<html>", False),
        ("application/json", b' {"a": 1}', True),
        ("application/json", b"hello", False),
        ("application/zip", zip_of("a.txt"), True),
        ("application/zip", zip_of("[Content_Types].xml", "word/document.xml"), True),
        (DOCX, zip_of("[Content_Types].xml", "_rels/.rels", "word/document.xml"), True),
        (DOCX, zip_of("custom.xml", "word/document.xml"), True),
        (DOCX, PDF, False),
        ("image/png", zip_of("a.txt"), False),
        ("video/mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", True),
        ("audio/wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", True),
    ],
)
def test_content_agrees_with_its_type(mime: str, content: bytes, fits: bool) -> None:
    declared = file_type(mime)
    assert declared is not None
    assert agrees(declared, content) is fits


def test_what_a_browser_would_run_is_never_served_as_such() -> None:
    for mime in ("text/html", "image/svg+xml"):
        assert TYPES[mime].download_type == "application/octet-stream"
    assert TYPES["image/png"].download_type == "image/png"


def test_keys_hold_no_text_of_a_user() -> None:
    assert upload_key("j", "f") == "incoming/j/f"
    assert confirmed_key("j", "f", 'a/../"b-2') == "jobs/j/f/ab2"
