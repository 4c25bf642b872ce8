"""Writes `docs/openapi.json`: `python -m api.openapi_doc [--check]`. The file is what clients are generated from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api.main import create_app
from app.generated_file import keep
from app.settings import Settings

FILE = Path(__file__).parents[1] / "docs" / "openapi.json"


def render() -> str:
    """The OpenAPI document of the API, with sorted keys."""
    document = create_app(Settings(_env_file=None)).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(keep(FILE, render(), made_by="python -m api.openapi_doc", arguments=sys.argv[1:]))
