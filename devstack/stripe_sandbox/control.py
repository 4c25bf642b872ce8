"""The sandbox's controls, for tests and demos: faults, time, money, and onboarding done at once."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

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

    async def add_fault(self, **fault: Any) -> None:
        """Adds a fault; its fields are those of `devstack.stripe_sandbox.faults.Fault`."""
        await self._post("/_sandbox/faults", json=fault)

    async def clear_faults(self) -> None:
        (await self._http.delete("/_sandbox/faults")).raise_for_status()

    async def browse(self, url: str, form: dict[str, str] | None = None) -> httpx2.Response:
        """Opens a page of the sandbox, or sends its form, as a browser does; redirects are left to the caller."""
        return await (self._http.get(url) if form is None else self._http.post(url, data=form))

    async def _post(self, path: str, **request: Any) -> None:
        response = await self._http.post(path, **request)
        if response.is_error:
            raise RuntimeError(f"the sandbox refused {path}: {response.status_code} {response.text}")
