"""A connected account's settings: when its balance is paid out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from devstack.stripe_sandbox.call import Call
from devstack.stripe_sandbox.forms import Param
from devstack.stripe_sandbox.store import Object

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SETTINGS = Param(
    "hash",
    children={
        "payments": Param("hash"),
        "branding": Param("hash"),
        "payouts": Param(
            "hash",
            children={
                "debit_negative_balances": Param("boolean"),
                "statement_descriptor": Param(max_length=22),
                "schedule": Param(
                    "hash",
                    children={
                        "delay_days": Param(),
                        "interval": Param(choices=("daily", "manual", "monthly", "weekly")),
                        "monthly_anchor": Param("integer", minimum=1, maximum=31),
                        "weekly_anchor": Param(choices=_WEEKDAYS),
                    },
                ),
            },
        ),
    },
)
DEFAULT: Object = {
    "payouts": {
        "debit_negative_balances": False,
        "schedule": {"delay_days": 2, "interval": "daily"},
        "statement_descriptor": None,
    }
}


def apply(call: Call, account: Object, given: dict[str, Any]) -> None:
    """Merges the settings of a request, and plans the next payout of a new schedule."""
    payouts = account["settings"]["payouts"]
    change = given.get("payouts", {})
    schedule = change.get("schedule", {})
    if "delay_days" in schedule:
        days = schedule["delay_days"]
        schedule = {**schedule, "delay_days": 2 if days == "minimum" else int(days)}
    if "interval" in schedule:
        payouts["schedule"] = {"delay_days": payouts["schedule"]["delay_days"], **schedule}
    else:
        payouts["schedule"] |= schedule
    payouts |= {name: value for name, value in change.items() if name != "schedule"}
    if schedule or account["_next_payout"] is None:
        plan_next(call, account, stored=False)


def plan_next(call: Call, account: Object, *, stored: bool = True) -> None:
    """Makes the account's next automatic payout due: at midnight UTC of the next day that its schedule names."""
    schedule = account["settings"]["payouts"]["schedule"]
    account["_next_payout"] = None
    if schedule["interval"] != "manual":
        day = datetime.fromtimestamp(call.now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        day += timedelta(days=1)
        while not _pays_on(schedule, day):
            day += timedelta(days=1)
        account["_next_payout"] = int(day.timestamp())
        call.schedule("account.payout", call.platform, account["id"], at=day.timestamp())
    if stored:
        call.tx.replace(account)


def _pays_on(schedule: Object, day: datetime) -> bool:
    if schedule["interval"] == "weekly":
        return bool(_WEEKDAYS[day.weekday()] == schedule.get("weekly_anchor", "friday"))
    if schedule["interval"] == "monthly":
        last = (day + timedelta(days=1)).day == 1
        anchor = int(schedule.get("monthly_anchor", 1))
        return day.day == anchor or (last and day.day < anchor)
    return True
