"""What Stripe's users see: error classes and shapes, lists, expansion, metadata, events."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import stripe

from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe.processes import Service


def body_of(error: stripe.StripeError) -> dict[str, Any]:
    assert isinstance(error.json_body, dict)
    body: dict[str, Any] = error.json_body["error"]
    return body


async def raw(sdk: stripe.StripeClient, method: str, path: str, **params: Any) -> Any:
    return await sdk.raw_request_async(method, path, **params)


@pytest.mark.parametrize(
    ("path", "params", "code", "param"),
    [
        ("/v1/transfers", {"amount": 1, "destination": "acct_x"}, "parameter_missing", "currency"),
        ("/v1/transfers", {"currency": "usd"}, "parameter_missing", "amount"),
        ("/v1/topups", {"amount": 1, "currency": "usd", "colour": "red"}, "parameter_unknown", "colour"),
        ("/v1/topups", {"amount": "1.5", "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ("/v1/topups", {"amount": "", "currency": "usd"}, "parameter_invalid_empty", "amount"),
        ("/v1/topups", {"amount": 100_000_000, "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ("/v1/topups", {"amount": 1, "currency": "zzz"}, None, "currency"),
        (
            "/v1/topups",
            {"amount": 1, "currency": "usd", "metadata": "x"},
            "parameter_invalid_hash",
            "metadata",
        ),
        (
            "/v1/accounts",
            {"controller": {"losses": {"payments": "me"}}},
            None,
            "controller[losses][payments]",
        ),
        ("/v1/accounts", {"individual": {"dob": {"eon": 1}}}, "parameter_unknown", "individual[dob][eon]"),
    ],
)
async def test_a_wrong_parameter_is_named(
    sdk: stripe.StripeClient, path: str, params: dict[str, Any], code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await raw(sdk, "post", path, **params)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    body = body_of(refused.value)
    assert body["type"] == "invalid_request_error"
    assert refused.value.request_id is not None
    assert body["request_log_url"].endswith(refused.value.request_id)


async def test_an_object_that_is_not_there_is_404(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await sdk.v1.transfers.retrieve_async("tr_none")
    assert (missing.value.http_status, missing.value.code, missing.value.param) == (
        404,
        "resource_missing",
        "id",
    )


async def test_a_path_that_is_not_there_is_404(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as missing:
        await raw(sdk, "get", "/v1/unicorns")
    assert missing.value.http_status == 404


async def test_a_missing_or_wrong_api_key_is_401(stripe_sandbox: Service) -> None:
    async with httpx2.AsyncClient(base_url=stripe_sandbox.base_url) as http:
        none = await http.get("/v1/balance")
        wrong = await http.get("/v1/balance", headers={"Authorization": "Bearer sk_live_0123456789"})
        basic = await http.get("/v1/balance", auth=("sk_test_basic", ""))
    assert none.status_code == wrong.status_code == 401
    assert "did not provide an API key" in none.json()["error"]["message"]
    assert wrong.json()["error"]["message"].endswith("*6789")
    assert "sk_live_" not in wrong.text
    assert basic.status_code == 200


async def test_another_platforms_account_is_403(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.PermissionError) as refused:
        await sdk.v1.balance.retrieve_async(options={"stripe_account": "acct_none"})
    assert body_of(refused.value)["code"] == "account_invalid"


@pytest.mark.parametrize("name", ["a[b][c][d][e][f][g][h][i][j][k]", "a[b", "[]", "a]["])
async def test_odd_brackets_are_a_fault_and_not_a_crash(stripe_sandbox: Service, name: str) -> None:
    headers = {"Authorization": "Bearer sk_test_odd"}
    async with httpx2.AsyncClient(base_url=stripe_sandbox.base_url, headers=headers) as http:
        answer = await http.post("/v1/topups", data={name: "1"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        clash = await http.post("/v1/topups", content="a=1&a[b]=2")
        assert clash.status_code == 400
        bytes_that_are_no_text = await http.post("/v1/topups", content=b"\xff\xfe=1")
        assert bytes_that_are_no_text.status_code == 400
        too_long = await http.post("/v1/topups", data={"amount": "1"}, headers={"Idempotency-Key": "k" * 256})
        assert too_long.status_code == 400


async def test_lists_are_newest_first_and_page_both_ways(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    made = [
        (await gateway.create_transfer(worker, 100, f"job-{n}", idempotency_key=f"k{n}")).id for n in range(7)
    ]
    made.reverse()
    first = await sdk.v1.transfers.list_async({"limit": 3})
    assert ([t.id for t in first.data], first.has_more, first.url) == (made[:3], True, "/v1/transfers")
    second = await sdk.v1.transfers.list_async({"limit": 3, "starting_after": made[2]})
    assert ([t.id for t in second.data], second.has_more) == (made[3:6], True)
    last = await sdk.v1.transfers.list_async({"limit": 3, "starting_after": made[5]})
    assert ([t.id for t in last.data], last.has_more) == (made[6:], False)
    back = await sdk.v1.transfers.list_async({"limit": 3, "ending_before": made[4]})
    assert ([t.id for t in back.data], back.has_more) == (made[1:4], True)
    everything = await sdk.v1.transfers.list_async({"limit": 2})
    assert [t.id async for t in everything.auto_paging_iter()] == made
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        await sdk.v1.transfers.list_async({"starting_after": "tr_none"})
    assert unknown.value.param == "starting_after"
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.transfers.list_async({"limit": 101})


async def test_lists_filter(sdk: stripe.StripeClient, gateway: StripeGateway, worker: str) -> None:
    one = await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k1")
    await gateway.create_transfer(worker, 100, "job-2", idempotency_key="k2")

    async def ids(**params: Any) -> list[str]:
        return [t["id"] for t in (await raw(sdk, "get", "/v1/transfers", **params)).data["data"]]

    assert await ids(transfer_group="job_job-1") == [one.id]
    assert len(await ids(destination=worker)) == 2
    assert await ids(destination="acct_other") == []
    assert len(await ids(created={"gte": int(one.created_at.timestamp())})) == 2
    assert await ids(created={"lt": int(one.created_at.timestamp())}) == []


async def test_expand_fills_in_the_objects_that_ids_name(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    made = await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k1")
    one = await sdk.v1.transfers.retrieve_async(made.id, {"expand": ["balance_transaction", "destination"]})
    assert isinstance(one.balance_transaction, stripe.BalanceTransaction)
    assert (one.balance_transaction.net, one.balance_transaction.type) == (-100, "transfer")
    assert isinstance(one.destination, stripe.Account)
    many = await sdk.v1.transfers.list_async({"expand": ["data.destination"]})
    assert isinstance(many.data[0].destination, stripe.Account)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        await sdk.v1.transfers.retrieve_async(made.id, {"expand": ["amount"]})


async def test_metadata_is_merged_and_unset(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    made = await gateway.create_transfer(worker, 100, "job-1", idempotency_key="k1", metadata={"a": "1"})
    changed = await sdk.v1.transfers.update_async(made.id, {"metadata": {"a": "", "b": "2"}})
    assert changed.metadata.to_dict() == {"job_id": "job-1", "b": "2"}
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.transfers.update_async(made.id, {"metadata": {"long": "x" * 501}})


async def test_each_change_of_state_is_an_event_of_the_account_it_happened_to(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    transfer = await gateway.create_transfer(worker, 4_000, "job-1", idempotency_key="k1")
    payout = await gateway.create_payout(worker, 4_000, idempotency_key="p1")
    await gateway.retrieve_payout(worker, payout.id)

    platform = (await sdk.v1.events.list_async()).data
    assert [event.type for event in platform] == ["transfer.created", "topup.succeeded", "topup.created"]
    created = platform[0].to_dict()
    assert created["data"]["object"]["id"] == transfer.id
    assert created["request"]["idempotency_key"] == "k1"
    assert "account" not in created

    theirs = (await sdk.v1.events.list_async({"limit": 100}, {"stripe_account": worker})).data
    assert [event.type for event in theirs] == [
        "payout.paid",
        "payout.created",
        "capability.updated",
        "account.updated",
        "account.external_account.created",
    ]
    assert {event.account for event in theirs} == {worker}
    only = await sdk.v1.events.list_async({"type": "payout.*"}, {"stripe_account": worker})
    assert [event.type for event in only.data] == ["payout.paid", "payout.created"]
    assert (await sdk.v1.events.retrieve_async(platform[0].id)).id == platform[0].id
    assert "000123456789" not in str([event.to_dict() for event in theirs]), "bank details are not echoed"


async def test_an_account_is_completed_by_giving_what_is_due(sdk: stripe.StripeClient) -> None:
    account = await sdk.v1.accounts.create_async(
        {
            "country": "KH",
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "requirement_collection": "application",
                "stripe_dashboard": {"type": "none"},
            },
            "capabilities": {"transfers": {"requested": True}},
            "tos_acceptance": {"service_agreement": "recipient"},
        }
    )
    assert account.capabilities is not None
    assert account.capabilities.transfers == "inactive"
    done = await sdk.v1.accounts.update_async(
        account.id,
        {
            "individual": {
                "first_name": "Sok",
                "last_name": "Dara",
                "dob": {"day": 1, "month": 2, "year": 1999},
            },
            "external_account": {
                "object": "bank_account",
                "country": "KH",
                "currency": "usd",
                "account_number": "000123456789",
            },
            "tos_acceptance": {"date": 1_700_000_000, "ip": "203.0.113.9"},
        },
    )
    assert done.requirements is not None
    assert (done.requirements.currently_due, done.payouts_enabled) == ([], True)
    assert done.capabilities is not None
    assert done.capabilities.transfers == "active"
    assert [a.id for a in (await sdk.v1.accounts.list_async()).data] == [account.id]


@pytest.mark.parametrize(
    "params",
    [
        {"country": "KH", "capabilities": {"transfers": {"requested": True}}},
        {
            "country": "KH",
            "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
            "tos_acceptance": {"service_agreement": "recipient"},
        },
        {"country": "Cambodia"},
        {"type": "express", "controller": {"stripe_dashboard": {"type": "express"}}},
    ],
)
async def test_accounts_that_stripe_would_not_open(sdk: stripe.StripeClient, params: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await raw(sdk, "post", "/v1/accounts", **params)
    assert (await sdk.v1.accounts.list_async()).data == []


async def test_a_topup_without_funds_fails_and_moves_nothing(sdk: stripe.StripeClient) -> None:
    topup = await sdk.v1.topups.create_async(
        {"amount": 500, "currency": "usd", "source": "btok_us_verified_noFunds"}
    )
    assert topup.status == "pending"
    after = await sdk.v1.topups.retrieve_async(topup.id)
    assert (after.status, after.failure_code) == ("failed", "insufficient_funds")
    assert (await sdk.v1.balance.retrieve_async()).available[0].amount == 0


async def test_every_balance_is_the_sum_of_its_transactions(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    for n in range(5):
        await gateway.create_transfer(worker, 1_000 + n, f"job-{n}", idempotency_key=f"k{n}")
    await gateway.create_payout(worker, 3_500, idempotency_key="p1")
    for account in (None, worker):
        options: Any = {} if account is None else {"stripe_account": account}
        page = await sdk.v1.balance_transactions.list_async({"limit": 100}, options)
        assert sum(entry.net for entry in page.data) == await gateway.available_cents(account)


async def test_a_fault_that_does_nothing_is_refused(control: SandboxControl) -> None:
    with pytest.raises(RuntimeError, match="422"):
        await control.add_fault(method="POST")
    with pytest.raises(RuntimeError, match="422"):
        await control.add_fault(status=500, colour="red")
