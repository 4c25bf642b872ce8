"""The whole platform in processes of its own, which tests may kill: services, the API, a worker, and its people."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pwdlib.hashers.bcrypt import BcryptHasher
from pymongo.asynchronous.database import AsyncDatabase
from temporalio.client import Client

from app.database import connect, open_database
from app.gateways.stripe import StripeGateway
from app.ids import new_id
from app.money.credits import Credits
from app.settings import Settings
from app.subscriptions.store import open_subscription
from app.subscriptions.tiers import TierName
from app.users.hours import WEEKDAYS
from app.users.models import Role
from app.users.store import NewUser, UserStore
from devstack.checks import http_ok
from devstack.process import StartError
from devstack.stack import Stack
from tests.support.http import PASSWORD, Door, Person
from workflows.connection import connect as connect_temporal

Database = AsyncDatabase[dict[str, Any]]

SERVICES = ("mongodb", "temporal", "redis", "s3", "mail", "stripe")
SKILLS = ["microsoft-excel", "data-analysis", "dashboards", "data-visualization"]
SETTINGS = {
    "NIMMIT_PASSWORD_BCRYPT_ROUNDS": "4",
    "NIMMIT_LOGIN_ATTEMPTS_PER_MINUTE": "10000",
    "NIMMIT_REGISTER_ATTEMPTS_PER_MINUTE": "10000",
    "NIMMIT_OUTBOX_LEASE_SECONDS": "6",  # a killed dispatcher's notices wait for so long; its mails go at once here
}
_HASH = BcryptHasher(rounds=4).hash(PASSWORD)


class WorkerReady:
    """Whether the worker has said so since its last start; its log goes on from start to start."""

    def __init__(self, log: Path) -> None:
        self._log, self._seen = log, 0

    def forget(self) -> None:
        """The worker is about to be started (again)."""
        self._seen = self._count()

    def __call__(self) -> bool:
        return self._count() > self._seen

    def _count(self) -> int:
        return self._log.read_text(errors="replace").count("worker_ready") if self._log.exists() else 0


@dataclass
class Platform:
    """A running platform. `door` leads to its API; `database` and `temporal` are for looking behind the scenes."""

    stack: Stack
    settings: Settings
    door: Door
    database: Database
    temporal: Client
    payments: StripeGateway
    worker_ready: WorkerReady

    @property
    def mail_url(self) -> str:
        """The mail sink's web address."""
        return self.stack.url("Mail")

    async def kill(self, name: str) -> None:
        """`kill -9` a service, `api` or `worker`."""
        await asyncio.to_thread(self.stack.kill, name)

    async def revive(self, name: str) -> None:
        """Start what was killed again, with the same port and data, and wait until it is ready."""
        if name == "worker":
            self.worker_ready.forget()
        try:
            await asyncio.to_thread(self.stack.restart, name)
        except StartError:
            await asyncio.to_thread(self._wait_again, name)

    async def work(self, *, dying_in: str | None = None, after_writes: int = 1) -> None:
        """Start the worker anew; one that is `dying_in` an activity kills itself after so many writes of it."""
        argv = [sys.executable, "-m", "worker"]
        if dying_in:
            argv = [sys.executable, "-m", "tests.e2e.dying_worker", dying_in, str(after_writes)]
        self.worker_ready.forget()
        await self._spawn("worker", argv, self.worker_ready)

    async def serve(self, **variables: str) -> None:
        """Start the API anew with further settings; jobs get their policy (windows) from the API that takes them."""
        port = self.door.url.rpartition(":")[2]
        argv = [sys.executable, "-m", "api", "--host", "127.0.0.1", "--port", port]
        ready = f"{self.door.url}/health/live"
        await self._spawn("api", argv, lambda: http_ok(ready), SETTINGS | variables)

    async def _spawn(
        self, name: str, argv: list[str], ready: Callable[[], bool], env: dict[str, str] | None = None
    ) -> None:
        await asyncio.to_thread(self.stack.spawn, name, argv, ready=ready, env=env, wait=False)
        await asyncio.to_thread(self._wait_again, name)

    def _wait_again(self, name: str) -> None:
        """Wait for a process once more if it is alive but slow: the machine may be busy."""
        process = self.stack.process(name)
        try:
            process.wait_ready()
        except StartError:
            if not process.alive:
                raise
            process.wait_ready()

    async def heal(self) -> None:
        """Start whatever does not run."""
        for name in (*SERVICES, "worker", "api"):
            if not self.stack.process(name).alive:
                await self.revive(name)

    async def death(self, name: str, *, seconds: float = 30) -> None:
        """Wait until a process has ended by itself.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """
        await asyncio.to_thread(self.stack.process(name).wait, seconds)

    async def client(self, *, tier: TierName | None = TierName.SCALE) -> Person:
        """A client with a verified account and, unless told otherwise, a subscription by seed; logged in."""
        person = await self._account(Role.CLIENT)
        if tier is not None:
            await open_subscription(Credits(self.database), person.id, tier)
        await person.login()
        return person

    async def worker(self, *, capacity: int = 3, available: bool = True, paid: bool = True) -> Person:
        """A worker who is on shift at every hour and can do the usual brief, logged in; `paid` has an account."""
        person = await self._account(Role.WORKER)
        always = [{"start": "00:00", "end": "24:00"}]
        fields: dict[str, Any] = {
            "skills": SKILLS,
            "capacity": capacity,
            "available": available,
            "workingHours": dict.fromkeys(WEEKDAYS, always),
        }
        if paid:
            account = await self.payments.create_recipient_account(
                person.id, person.email, idempotency_key=f"account-{person.id}"
            )
            fields["stripeAccountId"] = account.id
        await self._set(person, {f"workerProfile.{name}": value for name, value in fields.items()})
        await person.login()
        return person

    async def admin(self) -> Person:
        """An admin, logged in."""
        person = await self._account(Role.CLIENT)
        await self._set(person, {"role": "admin", "clientProfile": None})
        person.role = "admin"
        await person.login()
        return person

    async def _account(self, role: Role) -> Person:
        users = UserStore(self.database)
        email = f"{role.value}-{new_id()}@example.com"
        user = await users.register(NewUser(email, role, f"Test {role.value.title()}", _HASH))
        assert user is not None
        await users.verify_email(user.id, user.registration)
        return Person(self.door, user.id, email, role.value)

    async def _set(self, person: Person, fields: dict[str, Any]) -> None:
        await self.database["users"].update_one({"_id": person.id}, {"$set": fields})


@asynccontextmanager
async def run_platform(folder: Path) -> AsyncIterator[Platform]:
    """Start everything in a folder. The services are always its own, whatever the environment has: they get killed."""
    with Stack(folder, environment="test", given={}, extra=SETTINGS) as stack:
        port = stack.reserve_port()
        url = f"http://127.0.0.1:{port}"
        for name in ("NIMMIT_PUBLIC_URL", "NIMMIT_PORTAL_URL"):
            stack.set_variable(name, url)
        await asyncio.to_thread(stack.require, *SERVICES)
        ready = WorkerReady(folder / "logs" / "worker.log")
        settings = stack.settings()
        async with connect(settings) as mongo:
            database = await open_database(mongo, settings)
            payments, door = StripeGateway.from_settings(settings), Door(url)
            temporal = await connect_temporal(settings)
            platform = Platform(stack, settings, door, database, temporal, payments, ready)
            try:
                await platform.work()
                await platform.serve()
                yield platform
            finally:
                await door.close()
                await payments.close()
