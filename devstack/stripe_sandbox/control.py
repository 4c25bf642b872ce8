"""The sandbox's controls, for tests and demos: faults, time, money, webhooks, disputes and accounts."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Literal, Self

import httpx2


class SandboxControl:
    """Talks to one running sandbox. Never used by the platform itself, which knows only Stripe's API."""

    def __init__(self, base_url: str, *, timeout_seconds: float = 10.0) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, timeout=timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def fund_platform(self, api_key: str, amount_cents: int) -> None:
        """Adds USD cents to the balance of this key's platform account, by a top-up that is settled at once."""
        form = {"amount": str(amount_cents), "currency": "usd"}
        await self._post("/v1/topups", data=form, headers={"Authorization": f"Bearer {api_key}"})
        await self.advance_clock(0)

    async def complete_onboarding(self, account_id: str, *, account_number: str | None = None) -> None:
        """Does what the account's holder does on the hosted form; some test account numbers make payouts fail."""
        body = {} if account_number is None else {"account_number": account_number}
        await self._post(f"/_sandbox/accounts/{account_id}/onboard", json=body)

    async def advance_clock(self, seconds: float) -> None:
        """Moves the sandbox's time forward and settles what has become due."""
        await self._post("/_sandbox/clock", json={"seconds": seconds})

    async def advance_test_clock(self, clock_id: str, frozen_time: int) -> None:
        """Moves a test clock to a time (seconds since 1970), and waits for all that lies between."""
        await self._post(f"/_sandbox/test_clocks/{clock_id}", json={"frozen_time": frozen_time})

    async def require(self, account_id: str, *fields: str) -> None:
        """Makes a connected account incomplete: Stripe asks for these fields again."""
        await self._post(f"/_sandbox/accounts/{account_id}/require", json={"fields": fields})

    async def deauthorize(self, account_id: str) -> None:
        """The account's holder leaves the platform."""
        await self._post(f"/_sandbox/accounts/{account_id}/deauthorize")

    async def open_dispute(
        self, charge_or_intent: str, *, reason: str = "fraudulent", amount: int | None = None
    ) -> str:
        """Disputes a charge, or that of a payment intent, in whole or in part (cents). Returns the dispute's id."""
        name = "payment_intent" if charge_or_intent.startswith("pi_") else "charge"
        body = {name: charge_or_intent, "reason": reason, "amount": amount}
        return str((await self._post("/_sandbox/disputes", json=body))["id"])

    async def close_dispute(self, dispute_id: str, outcome: Literal["won", "lost"]) -> None:
        """The bank's ruling."""
        await self._post(f"/_sandbox/disputes/{dispute_id}/close", json={"outcome": outcome})

    async def change_card(self, payment_method_id: str, number: str) -> None:
        """Gives a saved payment method the behaviour of another test card, as when a bank begins to decline."""
        await self._post(f"/_sandbox/payment_methods/{payment_method_id}/card", json={"number": number})

    async def add_webhook(
        self,
        api_key: str,
        url: str,
        *,
        secret: str | None = None,
        connect: bool = False,
        enabled_events: list[str] | None = None,
    ) -> tuple[str, str]:
        """Registers an endpoint of this key's platform; returns its id and its secret."""
        body = {
            "api_key": api_key,
            "url": url,
            "secret": secret,
            "connect": connect,
            "enabled_events": enabled_events or ["*"],
        }
        made = await self._post("/_sandbox/webhooks", json=body)
        return made["id"], made["secret"]

    async def roll_webhook_secret(
        self, endpoint_id: str, *, secret: str | None = None, overlap_seconds: float = 86_400
    ) -> str:
        """A new secret, beside which the old one signs for a while. Returns the new one."""
        body = {"secret": secret, "overlap_seconds": overlap_seconds}
        return str((await self._post(f"/_sandbox/webhooks/{endpoint_id}/roll", json=body))["secret"])

    async def set_delivery(self, api_key: str | None = None, **mode: Any) -> None:
        """How events are delivered from now on; the fields are those of `deliveries.Mode`."""
        await self._post("/_sandbox/webhooks/mode", json={"api_key": api_key, **mode})

    async def flush(self, api_key: str | None = None, *, with_dropped: bool = False) -> None:
        """Sends what is held or delayed, and waits until each of it has been tried."""
        await self._post("/_sandbox/webhooks/flush", json={"api_key": api_key, "with_dropped": with_dropped})

    async def resend(self, event_id: str) -> None:
        """Sends an event once more."""
        await self._post(f"/_sandbox/webhooks/resend/{event_id}")

    async def deliveries(
        self, api_key: str | None = None, *, event: str | None = None
    ) -> list[dict[str, Any]]:
        """Every delivery, oldest first, with its `state`, `attempt`, `response` and `endpoint`."""
        query = {name: value for name, value in (("api_key", api_key), ("event", event)) if value}
        answer = await self._http.get("/_sandbox/webhooks/deliveries", params=query)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    async def add_fault(self, **fault: Any) -> None:
        """Adds a fault; its fields are those of `devstack.stripe_sandbox.faults.Fault`."""
        await self._post("/_sandbox/faults", json=fault)

    async def clear_faults(self) -> None:
        (await self._http.delete("/_sandbox/faults")).raise_for_status()

    async def browse(self, url: str, form: dict[str, str] | None = None) -> httpx2.Response:
        """Opens a page of the sandbox, or sends its form, as a browser does; redirects are left to the caller."""
        return await (self._http.get(url) if form is None else self._http.post(url, data=form))

    async def _post(self, path: str, **request: Any) -> Any:
        response = await self._http.post(path, **request)
        if response.is_error:
            raise RuntimeError(f"the sandbox refused {path}: {response.status_code} {response.text}")
        return response.json()
