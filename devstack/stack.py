"""The real services on one machine, started when they are needed and ended without a trace.

    with Stack(Path(".nimmit/data")) as stack:
        stack.require("mongodb", "temporal")
        settings = stack.settings()

A service whose address is in the environment is used as it is and never started, stopped or killed.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.settings import Settings
from devstack.bytecode import with_bytecode
from devstack.ports import PortRegister
from devstack.process import ManagedProcess, Ready, Warden
from devstack.services import ROOT, SERVICES, Service, Site


class StackInUseError(RuntimeError):
    """Another stack runs on the same data folder."""


def _plain(value: Any) -> str:
    secret = getattr(value, "get_secret_value", None)
    return str(secret() if secret is not None else value)


# Settings the services themselves must be told, with the platform's defaults.
_SHARED = (
    "mongodb_database",
    "s3_region",
    "s3_access_key_id",
    "s3_secret_access_key",
    "s3_bucket_uploads",
    "s3_bucket_deliverables",
    "s3_bucket_avatars",
    "s3_bucket_portfolio",
    "s3_bucket_archive",
    "stripe_api_key",
)


class Stack:
    """Services and extra processes over one data folder.

    `given` is where addresses of existing services are looked for (the process environment by default).
    `usual_ports` prefers each service's usual port. Names of services are the keys of `SERVICES`.

    Raises:
        StackInUseError: another stack has the data folder.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        environment: str = "development",
        given: Mapping[str, str] | None = None,
        usual_ports: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._hold = (self.data_dir / "stack.lock").open("a")
        try:
            fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._hold.close()
            raise StackInUseError(f"another stack is running on {self.data_dir}") from error
        self._given = dict(os.environ if given is None else given)
        self._usual_ports = usual_ports
        self._ports = PortRegister()
        self._guard = threading.RLock()
        self._warden: Warden | None = None
        self._processes: dict[str, ManagedProcess] = {}
        self._ready: set[str] = set()
        self._variables = {"NIMMIT_ENVIRONMENT": environment, **(extra or {})}
        for field in _SHARED:
            key = f"NIMMIT_{field.upper()}"
            self._variables[key] = self._given.get(key) or _plain(Settings.model_fields[field].default)
        self._sites: dict[str, Site] = {}
        for service in SERVICES.values():
            self._place(service)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what the platform is told ---------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """The NIMMIT_ variables by which the platform reaches every service of this stack, started or not."""
        return dict(self._variables)

    def settings(self, **overrides: Any) -> Settings:
        """The same as one settings object; `overrides` are its fields. No `.env` file is read."""
        values = {key.removeprefix("NIMMIT_").lower(): value for key, value in self._variables.items()}
        return Settings(_env_file=None, **(values | overrides))

    def urls(self) -> dict[str, str]:
        """What a person may want to open or connect to, by title."""
        shown: dict[str, str] = {}
        for name, service in SERVICES.items():
            if name in self._sites:
                shown |= service.urls(self._sites[name])
            else:
                shown[service.title] = f"yours, from {service.given_by}"
        return shown

    def url(self, title: str) -> str:
        """One of `urls()`, such as `Mail` or `Temporal UI`."""
        return self.urls()[title]

    def is_external(self, name: str) -> bool:
        """Whether the environment gave this service's address."""
        return name not in self._sites

    def set_variable(self, key: str, value: str) -> None:
        """Tell processes started from now on one more NIMMIT_ variable."""
        self._variables[key] = value

    # -- services --------------------------------------------------------------------------------------------

    def require(self, *names: str) -> None:
        """Start these services, all together, unless they run; return when each is ready.

        Raises:
            devstack.process.StartError: one ended or did not answer.
            devstack.toolchain.MissingToolError: one is not here and cannot be built.
        """
        with self._guard:
            wanted = [name for name in names if name not in self._ready]
            for name in wanted:
                self._start(name)
            if len(wanted) == 1:
                self._await(wanted[0])
            elif wanted:
                with ThreadPoolExecutor(len(wanted)) as pool:
                    list(pool.map(self._await, wanted))
            self._ready.update(wanted)

    def start(self) -> None:
        """Start every service."""
        self.require(*SERVICES)

    def process(self, name: str) -> ManagedProcess:
        """A service's process, or one started by `spawn`.

        Raises:
            KeyError: there is none of that name, or the service is not ours.
        """
        return self._processes[name]

    def kill(self, name: str) -> None:
        """`kill -9` a service or spawned process and wait until it is gone."""
        self._processes[name].kill()

    def restart(self, name: str) -> None:
        """Start it again with the same port and data (stopping it first if it runs); return when it is ready."""
        process = self._processes[name]
        process.stop()
        process.start()
        process.wait_ready()

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        ready: Ready | None = None,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> ManagedProcess:
        """Start another process (the API, a worker) with this stack's environment, and wait until it is ready.

        It runs in the data folder with the project on its import path, so that it finds no stray `.env` file.
        """
        with self._guard:
            if name in self._processes:
                self._processes[name].stop()
            process = self._managed(name, argv, ready=ready, env=env)
            self._processes[name] = process
            process.start()
        if wait:
            process.wait_ready()
        return process

    def reserve_port(self, usual: int | None = None) -> int:
        """A free port that no other stack on this machine will take; the usual one if it is free."""
        return self._ports.reserve(usual)

    def close(self) -> None:
        """Stop everything, the last started first, and give back the ports and the data folder."""
        with self._guard:
            for process in reversed(list(self._processes.values())):
                process.stop()
            self._processes.clear()
            self._ready.clear()
            if self._warden is not None:
                self._warden.close()
                self._warden = None
            self._ports.close()
            self._hold.close()

    # -- inside ----------------------------------------------------------------------------------------------

    def _place(self, service: Service) -> None:
        address = self._given.get(service.given_by)
        if address:
            self._variables[service.given_by] = address
            return
        ports = {
            role: self._ports.reserve(usual if self._usual_ports else None)
            for role, usual in service.ports.items()
        }
        site = Site(self.data_dir / service.name, ports, self._variables)
        self._sites[service.name] = site
        self._variables.update(service.variables(site))

    def _start(self, name: str) -> None:
        if name not in self._sites:
            return
        service, site = SERVICES[name], self._sites[name]
        site.directory.mkdir(parents=True, exist_ok=True)
        if name not in self._processes:
            self._processes[name] = self._managed(
                name, service.argv(site), ready=lambda: service.ready(site), env=service.secrets(site)
            )
        self._processes[name].start()

    def _await(self, name: str) -> None:
        if name in self._processes:
            self._processes[name].wait_ready()
        SERVICES[name].after_ready(self._variables)

    def _managed(
        self, name: str, argv: Sequence[str], *, ready: Ready | None, env: Mapping[str, str] | None
    ) -> ManagedProcess:
        if self._warden is None:
            self._warden = Warden()
        return ManagedProcess(
            name,
            argv,
            env=self.child_environment() | dict(env or {}),
            cwd=self.data_dir,
            log_path=self.data_dir / "logs" / f"{name}.log",
            warden=self._warden,
            ready=ready,
        )

    def child_environment(self) -> dict[str, str]:
        """The whole environment of a process of this stack: the variables, and the project on its import path."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("NIMMIT_")}
        given = {key: value for key, value in self._given.items() if key.startswith("NIMMIT_")}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        fixed = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | with_bytecode(inherited)
        return inherited | given | self._variables | fixed
