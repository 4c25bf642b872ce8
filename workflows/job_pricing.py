"""From a brief to a price that the client has agreed to and that is held: reading, clarifying, quoting."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.parsing import ParsingActivities
    from app.jobs.change import Clarification
    from app.jobs.errors import JobErrorCode
    from app.jobs.policy import BASIS
    from app.jobs.pricing import quote
    from app.lifecycle import PARSING, POSTED, Action, Actor
    from app.money.text import credits_text
    from app.parsing.models import ParsedBrief
    from app.parsing.questions import question_about
    from workflows import job_acts, job_money, job_options
    from workflows.contracts import Act, ActResult, Clarify, TaskQueue, sibling_task_queue

from workflows.job_base import JobBase


class JobPricing(JobBase):
    """Reads the brief, asks at most one question, and holds the price, with the client's consent where it is needed."""

    # --- steps

    async def _begin(self) -> None:
        async with self._lock:
            if self._state.state == POSTED:  # or a cancel was quicker
                self._state.apply(Action.START_PARSING, Actor.SYSTEM, at=workflow.now())

    async def _read_brief(self) -> None:
        """Read the brief without the lock, since a model takes its time and the client may cancel meanwhile.

        But not before the act that led here is stored: the reader takes the client's answer from the record.
        """
        async with self._lock:
            seq, projection = self._state.seq, self._state.projection
        if self._state.state != PARSING:
            return
        asked = projection.clarification
        if asked and asked.answer is None and projection.parsed:  # no answer came: the best reading has to do
            parsed = projection.parsed
        else:
            parsed = await self._parse()
        async with self._lock:
            if self._state.seq == seq:
                await self._price(parsed)

    async def _price(self, parsed: ParsedBrief) -> None:
        state, job = self._state, self._state.input
        state.projection.parsed = parsed
        if self._is_unclear(parsed):
            await self._ask(parsed)
            return
        pricing = quote(
            hours_likely=parsed.hours_likely, rate=job.rate, urgency=job.urgency, policy=job.policy
        )
        state.projection.pricing, state.projection.pay_usd_cents = pricing, pricing.pay_usd_cents
        shortfall = 0
        if job.max_credits is None or pricing.credits <= job.max_credits:
            held = await self._hold_credits(pricing.credits)
            if held.held:
                job_money.note_hold(state, pricing.credits, 1)
                state.apply(
                    Action.HOLD_CREDITS,
                    Actor.SYSTEM,
                    at=workflow.now(),
                    details=_reading(parsed),
                    money=job_money.price_of(state),
                )
                return
            shortfall = pricing.credits - held.available
        self._request_consent(parsed, shortfall)
        await self._record()

    def _is_unclear(self, parsed: ParsedBrief) -> bool:
        """Whether to ask: the reader is not sure, and has not asked before."""
        unsure = parsed.confidence * BASIS < self._state.input.policy.clarify_below_basis_points
        return unsure and self._state.projection.clarification is None

    async def _ask(self, parsed: ParsedBrief) -> None:
        state, now = self._state, workflow.now()
        deadline = now + timedelta(seconds=state.input.policy.clarification_seconds)
        question = question_about(parsed)
        state.projection.clarification = Clarification(question=question, asked_at=now)
        state.apply(
            Action.REQUEST_CLARIFICATION,
            Actor.SYSTEM,
            at=now,
            details=_reading(parsed),
            deadline=deadline,
            deadline_action=Action.EXPIRE_CLARIFICATION,
        )
        state.notify("job.clarification", state.input.client_id, question=question, expires_at=deadline)
        await self._record()

    def _request_consent(self, parsed: ParsedBrief, shortfall: int) -> None:
        state, job = self._state, self._state.input
        now = workflow.now()
        deadline = now + timedelta(seconds=job.policy.quote_consent_seconds)
        price = state.projection.pricing.credits if state.projection.pricing else 0
        state.apply(
            Action.REQUEST_CONSENT,
            Actor.SYSTEM,
            at=now,
            reason=JobErrorCode.INSUFFICIENT_CREDITS if shortfall > 0 else "above max credits",
            details=_reading(parsed),
            money=job_money.price_of(state),
            deadline=deadline,
            deadline_action=Action.EXPIRE_QUOTE,
        )
        if shortfall > 0:
            state.notify(
                "job.insufficient_credits", job.client_id, price_credits=price, shortfall_credits=shortfall
            )
        else:
            state.notify("job.quote", job.client_id, price_credits=price, expires_at=deadline)

    async def _parse(self) -> ParsedBrief:
        job = self._state.input
        if job.parse_with_openai:
            async with self._lock:
                if self._state.state == PARSING:
                    await self._record()  # reading may take a while: say that it has begun
            try:
                return await workflow.execute_activity_method(
                    ParsingActivities.parse_brief_with_openai,
                    job.job_id,
                    task_queue=sibling_task_queue(workflow.info().task_queue, TaskQueue.AI),
                    start_to_close_timeout=job_options.OPENAI_START_TO_CLOSE,
                    schedule_to_close_timeout=job_options.OPENAI_SCHEDULE_TO_CLOSE,
                    retry_policy=job_options.OPENAI_RETRY,
                    summary="Read the brief with the model",
                )
            except ActivityError:
                workflow.logger.warning("The model did not read the brief; the rules do")
        return await workflow.execute_local_activity_method(
            ParsingActivities.parse_brief_with_rules,
            job.job_id,
            **job_options.STORE,
            summary="Read the brief by rules",
        )

    async def _await_clarification(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "Go on with the best reading"):
            return
        async with self._lock:
            if self._overdue(Action.EXPIRE_CLARIFICATION):
                self._state.apply(Action.EXPIRE_CLARIFICATION, Actor.SYSTEM, at=workflow.now())
                await self._record()

    async def _await_consent(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "The client's answer to the quote"):
            return
        async with self._lock:
            if self._overdue(Action.EXPIRE_QUOTE):
                self._state.apply(Action.EXPIRE_QUOTE, Actor.SYSTEM, at=workflow.now())
                self._state.notify("job.cancelled", self._state.input.client_id, reason="quote expired")
                await self._record()

    # --- acts

    @workflow.update
    async def clarify(self, act: Clarify) -> ActResult:
        """The client answers the question; the brief is read again with the answer."""
        async with self._lock:
            job_acts.check(self._state, Action.CLARIFY, act)
            now, clarification = workflow.now(), self._state.projection.clarification
            if clarification:
                clarification.answer, clarification.answered_at = act.answer, now
            self._state.apply(Action.CLARIFY, Actor.CLIENT, at=now, act=act)
            await self._record(act, rivals=True)
            return self._state.answer(act)

    @clarify.validator
    def _validate_clarify(self, act: Clarify) -> None:
        job_acts.check(self._state, Action.CLARIFY, act)

    @workflow.update
    async def approve_quote(self, act: Act) -> ActResult:
        """The client agrees to a price above the consent given in the post; the credits are held."""
        async with self._lock:
            job_acts.check(self._state, Action.APPROVE_QUOTE, act)
            state, price = self._state, job_money.price_of(self._state)
            held = await self._hold_credits(price.credits or 0, rivals=True)
            if not held.held:
                await self._refuse(
                    act,
                    JobErrorCode.INSUFFICIENT_CREDITS,
                    f"The job needs {credits_text(price.credits or 0)}; "
                    f"{credits_text(held.available)} are available.",
                )
            job_money.note_hold(state, price.credits or 0, 1)
            state.apply(Action.APPROVE_QUOTE, Actor.CLIENT, at=workflow.now(), act=act, money=price)
            await self._record(act)
            return state.answer(act)

    @approve_quote.validator
    def _validate_approve_quote(self, act: Act) -> None:
        job_acts.check(self._state, Action.APPROVE_QUOTE, act)
        job_acts.check_patience(self._state, act, workflow.now())

    @workflow.update
    async def decline_quote(self, act: Act) -> ActResult:
        """The client says no to the price; the job ends without charge."""
        async with self._lock:
            job_acts.check(self._state, Action.DECLINE_QUOTE, act)
            self._state.apply(Action.DECLINE_QUOTE, Actor.CLIENT, at=workflow.now(), act=act)
            await self._record(act, rivals=True)
            return self._state.answer(act)

    @decline_quote.validator
    def _validate_decline_quote(self, act: Act) -> None:
        job_acts.check(self._state, Action.DECLINE_QUOTE, act)


def _reading(parsed: ParsedBrief) -> dict[str, object]:
    """What the timeline keeps of a reading: who read it, and the result."""
    return parsed.model_dump(mode="json", exclude_none=True, exclude={"summary"})
