"""Processes of a stack keep bytecode where the shell allows none beside the sources, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.bytecode import with_bytecode
from devstack.cache import cache_root


def test_a_module_is_compiled_once_and_not_beside_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "probe.py").write_text("")
    forbidden = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    forbidden |= {"PYTHONDONTWRITEBYTECODE": "1"}
    kept = with_bytecode(forbidden)
    subprocess.run([sys.executable, "-c", "import probe"], cwd=tmp_path, env=forbidden | kept, check=True)
    assert not (tmp_path / "__pycache__").exists()
    assert [path.name.split(".")[0] for path in cache_root().rglob("probe*.pyc")] == ["probe"]


@pytest.mark.parametrize(
    "environment", [{}, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/elsewhere"}]
)
def test_what_somebody_has_decided_stands(environment: dict[str, str]) -> None:
    assert with_bytecode(environment) == {}
