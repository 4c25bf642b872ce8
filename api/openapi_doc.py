"""Writes `docs/openapi.json`: `python -m api.openapi_doc [--check]`. The file is what clients are generated from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api.main import create_app
from app.settings import Settings

FILE = Path(__file__).parents[1] / "docs" / "openapi.json"


def render() -> str:
    """The OpenAPI document of the API, with sorted keys."""
    document = create_app(Settings(_env_file=None)).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document, or with `--check` say whether it is current."""
    if "--check" not in arguments:
        FILE.write_text(render())
        return 0
    if FILE.is_file() and FILE.read_text() == render():
        return 0
    sys.stderr.write("docs/openapi.json is not what the routes say now: run `python -m api.openapi_doc`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
