"""`.env.example`, made from the settings themselves so that it cannot fall behind: `python -m devstack.env_example`."""

from __future__ import annotations

import json
from typing import Any

from app.settings import Settings
from devstack.services import ROOT

FILE = ROOT / ".env.example"
_HEAD = """\
# Every setting with its default, made by `python -m devstack.env_example`. Copy the lines you change to `.env`.
# `make dev` and `make demo` start a service only when its address is not set here or in the environment:
# NIMMIT_MONGODB_URI, NIMMIT_TEMPORAL_ADDRESS, NIMMIT_REDIS_URL, NIMMIT_S3_ENDPOINT_URL, NIMMIT_SMTP_URL,
# NIMMIT_STRIPE_API_BASE. Production (NIMMIT_ENVIRONMENT=production) refuses the development secrets below.
"""


def _shown(value: Any) -> str:
    if value is None:
        return ""
    secret = getattr(value, "get_secret_value", None)
    plain = secret() if secret is not None else value
    return plain if isinstance(plain, str) else json.dumps(plain)


def render() -> str:
    """The file's text."""
    lines = [
        f"# NIMMIT_{name.upper()}={_shown(field.get_default(call_default_factory=False))}"
        for name, field in Settings.model_fields.items()
    ]
    return _HEAD + "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
