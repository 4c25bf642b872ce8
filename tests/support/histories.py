"""Stored histories: exported without anything of the machine that made them, and read back for replay.

`python -m tests.support.record_histories` makes them anew on the embedded services.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

HISTORIES = Path(__file__).parents[1] / "histories"

# Identities and the names of sticky queues carry process ids and host names, stack traces carry paths.
_EMPTIED = {"identity": "scrubbed", "stackTrace": "", "binaryChecksum": "", "lastWorkerIdentity": "scrubbed"}
_DROPPED = frozenset({"workerVersion", "deploymentName", "stickyAttributes"})


def scrub(value: Any) -> Any:
    """`value` without identities, sticky queues, stack traces and build ids; what replay needs stays."""
    if isinstance(value, dict):
        if value.get("kind") == "TASK_QUEUE_KIND_STICKY":
            value = {**value, "name": "scrubbed"}
        return {
            key: _EMPTIED.get(key, scrub(item)) if isinstance(item, str) else scrub(item)
            for key, item in value.items()
            if key not in _DROPPED
        }
    if isinstance(value, list):
        return [scrub(item) for item in value]
    return value


def save(name: str, history: WorkflowHistory) -> Path:
    """Write a scrubbed history as `<name>.json`."""
    document = {"workflowId": history.workflow_id, "history": scrub(history.to_json_dict())}
    path = HISTORIES / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return path


def load(name: str) -> WorkflowHistory:
    """Read a stored history."""
    document = json.loads((HISTORIES / f"{name}.json").read_text())
    return WorkflowHistory.from_json(document["workflowId"], document["history"])


def stored() -> list[str]:
    """The names of all stored histories."""
    return sorted(path.stem for path in HISTORIES.glob("*.json"))
