"""How clients come to their credits: they pay for a tier on Stripe's page, and Stripe tells the platform."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2

from app.settings import Settings
from app.subscriptions.tiers import TierName
from demo.browser import Browser, PageError
from demo.door import Json, LateError, Person, RefusedError, until

CARD = "4242424242424242"
_GRANTED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was opened to pay on: where it is, and what stands on its button."""

    url: str
    session_id: str
    button: str


class Till:
    """Buys tiers as a person does: through the platform's API, then on the page that it answers with."""

    def __init__(self, settings: Settings) -> None:
        self._browser = Browser()
        self._stripe = httpx2.AsyncClient(
            base_url=settings.stripe_api_base,
            headers={"Authorization": f"Bearer {settings.stripe_api_key.get_secret_value()}"},
            timeout=20,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._browser.close()
        await self._stripe.aclose()

    async def choose(self, client: Person, tier: TierName) -> Page:
        """Ask for a tier, and look at the page to pay on."""
        answer = await client.post("/subscriptions", {"tier": tier.value})
        form = await self._browser.open(answer["url"])
        return Page(answer["url"], answer["sessionId"], form.button)

    async def pay(self, client: Person, page: Page, *, card: str = CARD) -> str:
        """Type in the card and press the button; where Stripe leads back to.

        Raises:
            demo.browser.PageError: Stripe did not take the payment, or leads elsewhere.
        """
        form = await self._browser.open(page.url)
        back = await self._browser.send(
            form,
            email=client.email,
            cardNumber=card,
            cardExpiry="12/34",
            cardCvc="123",
            billingName=client.name,
        )
        if page.session_id not in back:
            raise PageError(f"{page.url} led to {back}")
        return back

    async def granted(self, client: Person) -> Json:
        """Wait until the platform has heard of it and granted the credits; the client's subscription.

        Raises:
            LateError: it did not hear of it, or granted nothing.
        """
        found = await until(
            partial(_subscription, client),
            lambda seen: seen is not None and seen["available"] > 0,
            f"the credits of {client.email}",
            seconds=_GRANTED_SECONDS,
        )
        if found is None:  # for the type checker: the condition above says so
            raise LateError("no subscription")
        return found

    async def subscribe(self, client: Person, tier: TierName) -> Json:
        """All of it at once."""
        await self.pay(client, await self.choose(client, tier))
        return await self.granted(client)

    async def events(self, page: Page) -> list[str]:
        """The types of the events about this customer that the platform has taken in, oldest first."""
        session = await self._read(f"/v1/checkout/sessions/{page.session_id}")
        found = (await self._read("/v1/events", limit="100", delivery_success="true"))["data"]
        about = [event for event in found if session["customer"] in _whom(event["data"]["object"])]
        return [event["type"] for event in reversed(about)]

    async def _read(self, path: str, **query: str) -> Any:
        answer = await self._stripe.get(path, params=query)
        answer.raise_for_status()
        return answer.json()


async def _subscription(client: Person) -> Json | None:
    """None: the platform does not know of one yet."""
    try:
        return await client.get("/subscriptions/me")
    except RefusedError as refused:
        if refused.code != "subscription-not-found":
            raise
        return None


def _whom(found: dict[str, Any]) -> tuple[str | None, str | None]:
    """The ids by which an object says whose it is."""
    return found.get("customer"), found.get("id")
