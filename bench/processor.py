"""Processor time by process: what a job costs the machine, which moves far less with its load than times do."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil

DRIVER = "driver"


class Processors:
    """The processes of a stack by name, and this one, which drives them."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        """Look at these."""
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._processes[DRIVER] = psutil.Process(os.getpid())

    def seconds(self) -> dict[str, float]:
        """Seconds of processor time that each has used so far, with its children."""
        return {name: _used(process, deep=name != DRIVER) for name, process in self._processes.items()}


def _used(process: psutil.Process, *, deep: bool) -> float:
    family = [process, *(process.children(recursive=True) if deep else [])]
    times = [member.cpu_times() for member in family]
    return float(sum(time.user + time.system for time in times))


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two looks."""
    return {name: after[name] - before[name] for name in after}
