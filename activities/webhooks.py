"""What mends the webhooks: pulls what did not reach us, and hands on what was left lying in the inbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from temporalio import activity
from temporalio.client import Client

from app.gateways.billing import BillingGateway, EventSeen
from app.gateways.payments import AccountCannotReceive, InvalidPaymentRequest
from app.notifications.notices import Notice, OutboxEntry
from app.notifications.outbox import enqueue
from app.payouts.accounts import accounts_after
from app.settings import Settings
from app.webhooks import inbox, pulls
from app.webhooks.models import (
    PLATFORM_PULL,
    EventFacts,
    EventStatus,
    WebhookEndpoint,
    WebhookEvent,
    facts_of,
)
from workflows.billing import (
    BillingActivity,
    EventsRetried,
    PullAccounts,
    Pulled,
    PulledAccounts,
    PullEvents,
    TellOfWebhooks,
    hand_over,
    receive,
)

_ACCOUNTS = 50
_MOST_PAGES = 10  # of one account in one go; the next pull goes on from there
_MOMENT = timedelta(seconds=1)
_HOPELESS = 10  # tries, half an hour apart


class WebhookActivities:
    """Each may run again: an event is kept by its id, and who is handed it twice looks twice."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        billing: BillingGateway,
        *,
        client: Client,
        settings: Settings,
    ) -> None:
        """Take events in as the door does: by the same function and the same settings."""
        self._database, self._billing = database, billing
        self._client, self._settings = client, settings

    @activity.defn(name=BillingActivity.RETRY_EVENTS)
    async def retry_events(self, at: datetime) -> EventsRetried:
        """Hand over again what was never handed over, and what was and is still not handled long after.

        Raises:
            temporalio.service.RPCError: Temporal does not answer; the next attempt goes through them all again.
        """
        result = EventsRetried()
        async for event in inbox.stuck(self._database, at=at):
            await self._hand_over(event)
            await inbox.mark_handed(self._database, event.id)
            result.stuck += 1
        async for event in inbox.unhandled(self._database, at=at):
            await self._hand_over(event, again=True)
            await inbox.mark_handed_again(self._database, event.id)
            result.unhandled += 1
            if event.retries >= _HOPELESS:
                result.hopeless += 1
                activity.logger.error("an event is not handled", extra={"event_id": event.id})
        return result

    async def _hand_over(self, event: WebhookEvent, *, again: bool = False) -> None:
        activity.heartbeat()
        await hand_over(self._client, self._settings, self._database, event.facts, again=again)

    @activity.defn(name=BillingActivity.PULL_EVENTS)
    async def pull_events(self, request: PullEvents) -> Pulled:
        """Take in what is not in the inbox yet of a page of the platform's own events.

        Whether Stripe calls an event delivered does not count: to an endpoint that is disabled it does not even try.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; the next attempt goes on from where it was.
            temporalio.service.RPCError: repeat; what was read is kept.
        """
        return await self._pull(PLATFORM_PULL, request, WebhookEndpoint.PLATFORM)

    @activity.defn(name=BillingActivity.PULL_ACCOUNTS)
    async def pull_accounts(self, request: PullAccounts) -> PulledAccounts:
        """The same for the next connected accounts; not for those pulled of late.

        Raises:
            app.gateways.payments.PaymentError: Stripe does not answer; repeat.
            temporalio.service.RPCError: repeat; what was read is kept.
        """
        result = PulledAccounts()
        page = await accounts_after(self._database, request.after, limit=_ACCOUNTS)
        for worker_id, account_id in page:
            result.last = worker_id
            last = await pulls.pulled_to(self._database, account_id)
            if last is not None and (request.until - last).total_seconds() < request.every_seconds:
                continue
            result.accounts += 1
            try:
                for _ in range(_MOST_PAGES):
                    pulled = await self._pull(account_id, request, WebhookEndpoint.CONNECT)
                    result.pulled.add(pulled)
                    if not pulled.has_more:
                        break
            except AccountCannotReceive:
                result.gone += 1
        return result

    async def _pull(self, owner: str, request: PullEvents, endpoint: WebhookEndpoint) -> Pulled:
        pull = await pulls.begin(self._database, owner, at=request.at, until=request.until)
        try:
            page = await self._billing.list_events(
                since=pull.pulled_to,
                until=pull.until or pull.pulled_to,
                after=pull.after,
                account_id=None if owner == PLATFORM_PULL else owner,
            )
        except AccountCannotReceive:
            await pulls.note_end(self._database, pull)
            raise
        except InvalidPaymentRequest:
            if pull.after is None:
                raise
            await pulls.begin_again(self._database, pull)
            return Pulled(has_more=True)
        result = Pulled(has_more=page.has_more)
        for event in page.events:
            activity.heartbeat()
            if await inbox.status_of(self._database, event.id) not in (None, EventStatus.RECEIVED):
                result.known += 1
                continue
            kept = await receive(self._client, self._settings, self._database, _facts(event), endpoint)
            if kept.status is EventStatus.IGNORED:
                result.ignored += 1
            else:
                result.new += 1
        if page.has_more:
            await pulls.note_page(self._database, pull, page.events[-1].id)
        else:
            await pulls.note_end(self._database, pull)
            # It was one that had been broken off: this sweep's own comes next.
            result.has_more = pull.until is not None and request.until - pull.until > _MOMENT
        return result

    @activity.defn(name=BillingActivity.TELL_OF_WEBHOOKS)
    async def tell_of_webhooks(self, request: TellOfWebhooks) -> None:
        """Tell the admins, once a day."""
        notice = Notice(
            type="billing.webhooks",
            context={"undelivered": request.undelivered, "unhandled": request.unhandled},
        )
        key = f"webhooks:{request.at:%Y-%m-%d}"
        await enqueue(self._database, [OutboxEntry.of(notice, key=key)])

    @activity.defn(name=BillingActivity.PURGE_EVENTS)
    async def purge_events(self, at: datetime) -> int:
        """Remove events past their lifetime; how many."""
        return await inbox.purge_expired(self._database, at=at)


def _facts(event: EventSeen) -> EventFacts:
    return facts_of(event.id, event.type, event.created_at, event.account, event.object)
