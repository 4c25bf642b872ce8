"""The sandbox's state: Stripe objects as JSON in one SQLite file, committed before any answer leaves."""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.stripe_sandbox import errors

Object = dict[str, Any]

_ALPHABET = string.ascii_letters + string.digits
_COMPARISONS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
# What lists may be filtered by, as paths into the object's JSON; the indexes below serve the first two.
_FIELDS = (
    "transfer_group",
    "destination",
    "active",
    "charge",
    "client_reference_id",
    "currency",
    "customer",
    "customer_details.email",
    "email",
    "invoice",
    "lookup_key",
    "parent.subscription_details.subscription",
    "payment.payment_intent",
    "payment_intent",
    "price",
    "product",
    "source",
    "status",
    "subscription",
    "test_clock",
    "transfer",
    "type",
    "_delivered",
    "_invoice",
    "_pending",
)
_FILTERS = {name: f"json_extract(body, '$.{name}')" for name in _FIELDS}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_newest ON objects (kind, owner, seq);
CREATE INDEX IF NOT EXISTS objects_group ON objects (kind, owner, json_extract(body, '$.transfer_group'), seq);
CREATE INDEX IF NOT EXISTS objects_destination ON objects (kind, owner, json_extract(body, '$.destination'), seq);
CREATE TABLE IF NOT EXISTS balances (
    owner TEXT NOT NULL, currency TEXT NOT NULL, available INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, currency)
);
CREATE TABLE IF NOT EXISTS due (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, action TEXT NOT NULL,
    owner TEXT NOT NULL, object_id TEXT NOT NULL, clock TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, platform TEXT NOT NULL,
    at REAL NOT NULL, rank REAL NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL, response INTEGER,
    note TEXT, created REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (state, endpoint, at);
CREATE INDEX IF NOT EXISTS deliveries_platform ON deliveries (platform, seq);
CREATE TABLE IF NOT EXISTS idempotency (
    scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, request_id TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (scope, key)
);
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), ahead_seconds REAL NOT NULL);
INSERT OR IGNORE INTO clock VALUES (1, 0);
"""


def _upgrade(connection: sqlite3.Connection) -> None:
    """Brings a file of the sandbox's first version up to date: it knew no test clocks."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(due)")]
    if "clock" not in columns:
        connection.execute("ALTER TABLE due ADD COLUMN clock TEXT NOT NULL DEFAULT ''")
    connection.execute("DROP INDEX IF EXISTS due_at")
    connection.execute("CREATE INDEX IF NOT EXISTS due_by_clock ON due (clock, at)")


def new_id(prefix: str, length: int = 24) -> str:
    """An id as Stripe makes them: a prefix that names the kind, then letters and digits."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(length))}"


@dataclass(frozen=True)
class SavedAnswer:
    """What an idempotency key remembers."""

    fingerprint: str
    status: int
    body: Object
    request_id: str


@dataclass(frozen=True)
class Due:
    """An action whose time has come; `at` is when."""

    at: float
    action: str
    owner: str
    object_id: str


@dataclass(frozen=True)
class Page:
    """The page asked for: newest first, as all of Stripe's lists are."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: dict[str, int] | None = None
    since: int | None = None  # nothing older is shown


class Store:
    """One connection; the server runs one transaction at a time, so none ever waits for another."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(directory / "stripe.sqlite3", isolation_level=None)
        # With a write-ahead log and NORMAL, what is committed survives the death of this process, though not
        # that of the machine: enough for a sandbox, and it costs no disk flush per request.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        _upgrade(self._connection)

    def close(self) -> None:
        self._connection.close()

    def anything_due(self) -> bool:
        """Whether some action's time has come; looked up without a transaction, since it is asked often."""
        row = self._connection.execute(
            "SELECT 1 FROM due WHERE clock = '' AND at <= ? + (SELECT ahead_seconds FROM clock) LIMIT 1",
            (time.time(),),
        ).fetchone()
        return row is not None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Everything inside is committed together, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield Transaction(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


class Transaction:
    """Reads and writes inside one SQLite transaction. An `owner` is the account an object belongs to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT ahead_seconds FROM clock").fetchone()
        self.now: float = time.time() + float(row[0])

    def advance_clock(self, seconds: float) -> None:
        self._connection.execute("UPDATE clock SET ahead_seconds = ahead_seconds + ?", (seconds,))
        self.now += seconds

    # Objects

    def insert(self, owner: str, body: Object) -> None:
        self._connection.execute(
            "INSERT INTO objects (id, kind, owner, created, body) VALUES (?, ?, ?, ?, ?)",
            (body["id"], body["object"], owner, body.get("created", int(self.now)), json.dumps(body)),
        )

    def replace(self, body: Object) -> None:
        self._connection.execute("UPDATE objects SET body = ? WHERE id = ?", (json.dumps(body), body["id"]))

    def delete(self, object_id: str) -> None:
        self._connection.execute("DELETE FROM objects WHERE id = ?", (object_id,))

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever is written inside is taken back at the end: for previews."""
        self._connection.execute("SAVEPOINT preview")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK TO preview")
            self._connection.execute("RELEASE preview")

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What is written inside stays only if nothing is raised, whatever becomes of the transaction."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            self._connection.execute("RELEASE attempt")
            raise
        self._connection.execute("RELEASE attempt")

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Runs one statement with bound values; returns its rows."""
        return self._connection.execute(statement, values).fetchall()

    def every(self, kind: str, owner: str, **equal: Any) -> list[Object]:
        """All objects of a kind whose fields (named as in `_FIELDS`, dots as double underscores) are equal."""
        where, values = ["kind = ?", "owner = ?", "json_extract(body, '$.deleted') IS NULL"], [kind, owner]
        for name, wanted in equal.items():
            where.append(f"{_FILTERS[name if name in _FILTERS else name.replace('__', '.')]} = ?")
            values.append(wanted)
        # Every part of this text comes from the tables above; values are bound.
        query = f"SELECT body FROM objects WHERE {' AND '.join(where)} ORDER BY seq"  # noqa: S608
        return [json.loads(row[0]) for row in self._connection.execute(query, values)]

    def find(self, kind: str, object_id: str, owner: str | None = None) -> Object | None:
        """An object by its id; with `owner`, only if it belongs to that account."""
        row = self._connection.execute(
            "SELECT body, owner FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        if row is None or (owner is not None and row[1] != owner):
            return None
        body: Object = json.loads(row[0])
        return body

    def owner_of(self, object_id: str, kind: str = "account") -> str | None:
        """The account that an object belongs to; a connected account belongs to its platform."""
        row = self._connection.execute(
            "SELECT owner FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return None if row is None else str(row[0])

    def page(self, kind: str, owner: str, page: Page, filters: dict[str, Any]) -> tuple[list[Object], bool]:
        """One page, newest first, and whether there is more in the direction of travel."""
        where: list[str] = ["kind = ?", "owner = ?", "json_extract(body, '$.deleted') IS NULL"]
        values: list[Any] = [kind, owner]
        for name, wanted in filters.items():
            if isinstance(wanted, list):
                where.append(f"{_FILTERS[name]} IN ({', '.join('?' * len(wanted))})")
                values.extend(wanted)
            else:
                glob = isinstance(wanted, str) and "*" in wanted
                where.append(f"{_FILTERS[name]} {'GLOB' if glob else '='} ?")
                values.append(wanted)
        for bound, at in (page.created or {}).items():
            where.append(f"created {_COMPARISONS[bound]} ?")
            values.append(str(at))
        if page.since is not None:
            where.append("created >= ?")
            values.append(page.since)
        order = "DESC"
        if page.starting_after is not None:
            where.append("seq < ?")
            values.append(self._seq(kind, owner, page.starting_after, "starting_after"))
        if page.ending_before is not None:
            where.append("seq > ?")
            values.append(self._seq(kind, owner, page.ending_before, "ending_before"))
            order = "ASC"
        # Every part of this text comes from the tables above; values are bound.
        query = f"SELECT body FROM objects WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"  # noqa: S608
        rows = self._connection.execute(query, (*values, page.limit + 1)).fetchall()
        found: list[Object] = [json.loads(row[0]) for row in rows[: page.limit]]
        if order == "ASC":
            found.reverse()
        return found, len(rows) > page.limit

    def _seq(self, kind: str, owner: str, object_id: str, param: str) -> Any:
        row = self._connection.execute(
            "SELECT seq FROM objects WHERE id = ? AND kind = ? AND owner = ?", (object_id, kind, owner)
        ).fetchone()
        if row is None:
            raise errors.no_such(kind, object_id, param=param, status=400)
        return row[0]

    # Balances

    def balances(self, owner: str) -> dict[str, tuple[int, int]]:
        """(available, pending) in the smallest unit, by currency."""
        rows = self._connection.execute(
            "SELECT currency, available, pending FROM balances WHERE owner = ? ORDER BY currency", (owner,)
        )
        return {currency: (available, pending) for currency, available, pending in rows}

    def move(self, owner: str, currency: str, *, available: int = 0, pending: int = 0) -> None:
        self._connection.execute(
            "INSERT INTO balances (owner, currency, available, pending) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET available = available + excluded.available, "
            "pending = pending + excluded.pending",
            (owner, currency, available, pending),
        )

    # Things that happen later

    def schedule(self, action: str, owner: str, object_id: str, *, at: float, clock: str = "") -> None:
        """Makes an action due at a time of the sandbox's clock, or of the test clock named."""
        self._connection.execute(
            "INSERT INTO due (at, action, owner, object_id, clock) VALUES (?, ?, ?, ?, ?)",
            (at, action, owner, object_id, clock),
        )

    def take_due(self, *, until: float, clock: str = "") -> Due | None:
        """The oldest action whose time has come; it is removed."""
        row = self._connection.execute(
            "SELECT seq, at, action, owner, object_id FROM due WHERE clock = ? AND at <= ? "
            "ORDER BY at, seq LIMIT 1",
            (clock, until),
        ).fetchone()
        if row is None:
            return None
        self._connection.execute("DELETE FROM due WHERE seq = ?", (row[0],))
        return Due(*row[1:])

    # Idempotency keys

    def saved_answer(self, scope: str, key: str, *, max_age_seconds: float) -> SavedAnswer | None:
        """The answer remembered for a key; older ones are forgotten, as Stripe may do after 24 hours."""
        row = self._connection.execute(
            "SELECT fingerprint, status, body, request_id, at FROM idempotency WHERE scope = ? AND key = ?",
            (scope, key),
        ).fetchone()
        if row is None or row[4] < self.now - max_age_seconds:
            return None
        return SavedAnswer(row[0], row[1], json.loads(row[2]), row[3])

    def save_answer(self, scope: str, key: str, answer: SavedAnswer) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO idempotency (scope, key, fingerprint, status, body, request_id, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                scope,
                key,
                answer.fingerprint,
                answer.status,
                json.dumps(answer.body),
                answer.request_id,
                self.now,
            ),
        )
