"""Files that are made from the code and kept beside it: written by a command, checked to be current by `--check`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def keep(file: Path, text: str, *, made_by: str, arguments: Sequence[str]) -> int:
    """Write `text`, or with `--check` say whether the file has it; the exit status. `made_by` is the command."""
    if "--check" not in arguments:
        file.write_text(text)
        return 0
    if file.is_file() and file.read_text() == text:
        return 0
    sys.stderr.write(f"docs/{file.name} is not what the code says now: run `{made_by}`\n")
    return 1
