"""What the platform leans on in the embedded MongoDB: durable acknowledged writes and atomic guarded updates."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import DuplicateKeyError, PyMongoError

from devstack.stack import Stack

_SECONDS = 2.5
_WRITERS = 4


def _write_until_refused(uri: str, writer: int, acknowledged: list[str], begin: threading.Event) -> None:
    """Insert and update documents one at a time, noting each only once its answer has come."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=2000, retryWrites=False)
    collection = client["durability"]["writes"]
    begin.wait()
    number = 0
    try:
        while True:
            key = f"{writer}:{number}"
            collection.insert_one({"_id": key, "state": "inserted", "text": "x" * 200})
            collection.update_one({"_id": key}, {"$set": {"state": "updated"}})
            acknowledged.append(key)
            number += 1
    except PyMongoError:
        return  # the server is gone: what it had not yet answered may or may not be there
    finally:
        client.close()


@pytest.mark.parametrize("crash", range(2))
def test_acknowledged_writes_survive_a_crash(tmp_path: Path, crash: int) -> None:
    """`kill -9` in the middle of writes from several connections: every acknowledged one is there afterwards."""
    with Stack(tmp_path, given={}) as own:
        own.require("mongodb")
        uri = own.environment()["NIMMIT_MONGODB_URI"]
        acknowledged: list[list[str]] = [[] for _ in range(_WRITERS)]
        begin = threading.Event()
        threads = [
            threading.Thread(target=_write_until_refused, args=(uri, writer, done, begin))
            for writer, done in enumerate(acknowledged)
        ]
        for thread in threads:
            thread.start()
        begin.set()
        time.sleep(_SECONDS)
        own.kill("mongodb")
        for thread in threads:
            thread.join()
        expected = {key for done in acknowledged for key in done}
        assert len(expected) > 100, "too few writes to show anything"

        own.restart("mongodb")
        client: MongoClient[dict[str, Any]] = MongoClient(uri)
        try:
            found = {row["_id"]: row["state"] for row in client["durability"]["writes"].find()}
        finally:
            client.close()
    lost = [key for key in expected if found.get(key) != "updated"]
    assert lost == [], f"{len(lost)} of {len(expected)} acknowledged writes were lost"


async def test_a_partly_failed_bulk_write_keeps_what_it_wrote(tmp_path: Path) -> None:
    with Stack(tmp_path, given={}) as own:
        own.require("mongodb")
        uri = own.environment()["NIMMIT_MONGODB_URI"]
        async with AsyncMongoClient[dict[str, Any]](uri) as client:
            with pytest.raises(PyMongoError):
                await client["durability"]["bulk"].insert_many(
                    [{"_id": 1}, {"_id": 2}, {"_id": 2}, {"_id": 3}]
                )
            own.kill("mongodb")
        own.restart("mongodb")
        async with AsyncMongoClient[dict[str, Any]](uri) as client:
            rows = await client["durability"]["bulk"].find().to_list()
    assert sorted(row["_id"] for row in rows) == [1, 2]


async def test_racing_guarded_decrements_let_exactly_the_balance_through(
    mongo: AsyncMongoClient[dict[str, Any]],
) -> None:
    collection = mongo["test_races"]["balances"]
    try:
        await collection.insert_one({"_id": "book", "balance": 50})
        spends = (
            collection.update_one({"_id": "book", "balance": {"$gte": 1}}, {"$inc": {"balance": -1}})
            for _ in range(200)
        )
        results = await asyncio.gather(*spends)
        assert sum(result.modified_count for result in results) == 50
        assert await collection.find_one({"_id": "book"}) == {"_id": "book", "balance": 0}
    finally:
        await mongo.drop_database("test_races")


async def test_racing_inserts_of_one_key_have_one_winner(mongo: AsyncMongoClient[dict[str, Any]]) -> None:
    collection = mongo["test_unique"]["rows"]
    try:
        await collection.create_index("key", unique=True)
        inserts = (collection.insert_one({"_id": number, "key": "same"}) for number in range(50))
        results = await asyncio.gather(*inserts, return_exceptions=True)
        assert sum(isinstance(result, DuplicateKeyError) for result in results) == 49
        assert await collection.count_documents({}) == 1
    finally:
        await mongo.drop_database("test_unique")
