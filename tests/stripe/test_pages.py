"""The pages, used as a browser without JavaScript uses them: forms sent, redirects followed by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
import stripe

from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe import billing
from tests.stripe.billing import DAY, MONTH

SUCCESS = "https://shop.example/done?session_id={CHECKOUT_SESSION_ID}"


async def session_of(
    sdk: stripe.StripeClient, price: str, mode: str = "subscription", **more: Any
) -> stripe.checkout.Session:
    params: Any = {
        "mode": mode,
        "line_items": [{"price": price, "quantity": 1}],
        "success_url": SUCCESS,
        "cancel_url": "https://shop.example/plans",
        **more,
    }
    return await sdk.v1.checkout.sessions.create_async(params)


def card(number: str = "4242 4242 4242 4242") -> dict[str, str]:
    return {
        "email": "dara@example.com",
        "cardNumber": number,
        "cardExpiry": "12/34",
        "cardCvc": "123",
        "billingName": "Dara <b>",
    }


async def test_a_subscription_is_bought_on_the_page(
    sdk: stripe.StripeClient, control: SandboxControl
) -> None:
    pro = await billing.price(sdk, 4_900)
    session = await session_of(
        sdk, pro.id, client_reference_id="client-7", subscription_data={"metadata": {"client": "7"}}
    )
    assert (session.status, session.payment_status, session.subscription) == ("open", "unpaid", None)
    shown = await control.browse(str(session.url))
    assert shown.status_code == 200
    assert "USD 49.00 / month" in shown.text
    assert 'href="https://shop.example/plans"' in shown.text
    assert "<script" not in shown.text
    paid = await control.browse(str(session.url), card())
    assert (paid.status_code, paid.headers["location"]) == (
        303,
        SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id),
    )
    again = await control.browse(str(session.url), card())
    assert again.headers["location"] == paid.headers["location"], "a second press pays nothing"
    done = await sdk.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["subscription", "invoice"]})
    assert (done.status, done.payment_status, done.client_reference_id) == ("complete", "paid", "client-7")
    assert isinstance(done.subscription, stripe.Subscription)
    assert (done.subscription.status, done.subscription.metadata.to_dict()) == ("active", {"client": "7"})
    assert isinstance(done.invoice, stripe.Invoice)
    assert (done.invoice.status, done.invoice.amount_paid) == ("paid", 4_900)
    assert done.customer_details is not None
    assert done.customer_details.email == "dara@example.com"
    assert len((await sdk.v1.charges.list_async()).data) == 1
    assert (await billing.event_types(sdk))[-1] == "checkout.session.completed"


@pytest.mark.parametrize("mode", ["subscription", "payment"])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("4000000000000002", "Your card was declined."),
        ("4000000000009995", "insufficient funds"),
        ("4000000000000341", "Your card was declined."),
        ("1234", "Your card number is incorrect."),
    ],
)
async def test_a_declined_card_is_told_and_another_one_pays(
    sdk: stripe.StripeClient, control: SandboxControl, mode: str, number: str, message: str
) -> None:
    params: Any = {"currency": "usd", "unit_amount": 900, "product_data": {"name": "Pack"}}
    if mode == "subscription":
        params["recurring"] = {"interval": "month"}
    price = await sdk.v1.prices.create_async(params)
    session = await session_of(sdk, price.id, mode)
    declined = await control.browse(str(session.url), card(number))
    assert declined.status_code == 402
    assert message in declined.text
    assert 'value="Dara &lt;b&gt;"' in declined.text, "only the card is typed in again"
    assert (await sdk.v1.checkout.sessions.retrieve_async(session.id)).status == "open"
    assert (await sdk.v1.subscriptions.list_async({"status": "all"})).data == []
    assert (await control.browse(str(session.url), card())).status_code == 303
    done = await sdk.v1.checkout.sessions.retrieve_async(session.id)
    assert (done.payment_status, (await sdk.v1.balance.retrieve_async()).available[0].amount) == ("paid", 844)


@pytest.mark.parametrize("mode", ["subscription", "payment"])
async def test_a_card_that_must_be_authenticated(
    sdk: stripe.StripeClient, control: SandboxControl, mode: str
) -> None:
    params: Any = {"currency": "usd", "unit_amount": 900, "product_data": {"name": "Pack"}}
    if mode == "subscription":
        params["recurring"] = {"interval": "month"}
    session = await session_of(sdk, (await sdk.v1.prices.create_async(params)).id, mode)
    asked = await control.browse(str(session.url), card("4000002500003155"))
    action = re.search(r'action="([^"]+/authenticate)"', asked.text)
    assert action is not None
    failed = await control.browse(action[1], {"outcome": "fail"})
    assert (failed.status_code, "unable to authenticate" in failed.text) == (402, True)
    passed = await control.browse(action[1], {"outcome": "complete"})
    assert passed.status_code == 303
    assert (await sdk.v1.checkout.sessions.retrieve_async(session.id)).payment_status == "paid"


async def test_sessions_expire_and_name_what_they_sell(
    sdk: stripe.StripeClient, control: SandboxControl
) -> None:
    pro = await billing.price(sdk, 4_900, name="<Pro>")
    session = await session_of(sdk, pro.id)
    items = await sdk.v1.checkout.sessions.line_items.list_async(session.id)
    assert [(item.description, item.amount_total) for item in items.data] == [("<Pro>", 4_900)]
    assert "<Pro>" not in (await control.browse(str(session.url))).text
    await sdk.v1.checkout.sessions.expire_async(session.id)
    assert (await control.browse(str(session.url), card())).status_code == 410
    with pytest.raises(stripe.InvalidRequestError, match="recurring price"):
        await session_of(sdk, pro.id, "payment")
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await sdk.v1.checkout.sessions.create_async({"mode": "payment", "success_url": SUCCESS})
    assert missing.value.param == "line_items"
    assert (await control.browse("/c/pay/cs_test_none")).status_code == 410


async def test_the_portal_cancels_resumes_and_changes_the_card(
    sdk: stripe.StripeClient, control: SandboxControl
) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 4_900)).id)
    session = await sdk.v1.billing_portal.sessions.create_async(
        {"customer": client.id, "return_url": "https://shop.example/account"}
    )
    assert "Cancel plan" in (await control.browse(session.url)).text
    await control.browse(session.url, {"action": "cancel", "subscription": made.id})
    leaving = await sdk.v1.subscriptions.retrieve_async(made.id)
    assert (leaving.cancel_at_period_end, leaving.cancel_at) == (True, MONTH + 31 * DAY)
    assert "Keep plan" in (await control.browse(session.url)).text
    await control.browse(session.url, {"action": "resume", "subscription": made.id})
    assert not (await sdk.v1.subscriptions.retrieve_async(made.id)).cancel_at_period_end
    refused = await control.browse(session.url, {"action": "card", **card("4000000000000002")})
    assert refused.status_code == 402
    await control.browse(session.url, {"action": "card", **card("5555555555554444")})
    updated = await sdk.v1.customers.retrieve_async(
        client.id, {"expand": ["invoice_settings.default_payment_method"]}
    )
    assert updated.invoice_settings is not None
    default = updated.invoice_settings.default_payment_method
    assert isinstance(default, stripe.PaymentMethod)
    assert default.card is not None
    assert default.card.brand == "mastercard"


async def test_an_unpaid_invoice_is_paid_on_its_page(
    sdk: stripe.StripeClient, control: SandboxControl
) -> None:
    client = await billing.customer(sdk, "pm_card_chargeCustomerFail")
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 4_900)).id)
    invoice = (await billing.invoices(sdk, made.id))[-1]
    page = str(invoice.hosted_invoice_url)
    assert "Pay USD 49.00" in (await control.browse(page)).text
    asked = await control.browse(page, card("4000002500003155"))
    assert "/3ds/" in asked.headers["location"]
    await control.browse(asked.headers["location"], {"outcome": "complete"})
    assert (await sdk.v1.invoices.retrieve_async(invoice.id)).status == "paid"
    assert (await sdk.v1.subscriptions.retrieve_async(made.id)).status == "active"
    assert (await control.browse(str(invoice.invoice_pdf))).content.startswith(b"%PDF-1.4")
    charge = (await sdk.v1.charges.list_async()).data[0]
    assert "USD 49.00" in (await control.browse(str(charge.receipt_url))).text


async def test_a_one_off_beside_a_subscription_is_on_the_first_invoice(
    sdk: stripe.StripeClient, control: SandboxControl
) -> None:
    pro = await billing.price(sdk, 4_900)
    session = await session_of(
        sdk,
        pro.id,
        line_items=[
            {"price": pro.id, "quantity": 1},
            {
                "price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Setup"}},
                "quantity": 2,
            },
        ],
    )
    assert session.amount_total == 5_900
    await control.browse(str(session.url), card())
    done = await sdk.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["invoice"]})
    assert isinstance(done.invoice, stripe.Invoice)
    assert sorted(line.amount for line in done.invoice.lines.data) == [1_000, 4_900]
