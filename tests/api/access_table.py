"""Who may call what, and whose things they reach: every route of the API has a row here.

A new route without a row fails `test_access.py`, which also calls each route as everyone who may not. Routes of one
job have rows in `JOB_TABLE` besides: what each party, and everyone who is none, is answered in each state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.users.models import Role

Route = tuple[str, str]


class Owner(StrEnum):
    """Whose the thing is that the route reaches."""

    NOBODY = "nobody"  # public, or the platform's own
    SELF = "self"  # the caller's, found by the token: another's cannot be named
    JOB_CLIENT = "the job's client"
    JOB_WORKER = "the job's worker, or the one it is offered to"
    JOB_PARTY = "the job's client or worker"
    ANY = "anyone's"  # admins


@dataclass(frozen=True)
class Access:
    """`roles` is None for a route that needs no token."""

    roles: frozenset[Role] | None
    owner: Owner


PUBLIC = Access(None, Owner.NOBODY)
COOKIE = Access(None, Owner.SELF)  # the refresh cookie says who
EVERYONE_SELF = Access(frozenset(Role), Owner.SELF)


def only(*roles: Role, owner: Owner) -> Access:
    """A route for these roles."""
    return Access(frozenset(roles), owner)


CLIENT_ACT = only(Role.CLIENT, owner=Owner.JOB_CLIENT)
WORKER_ACT = only(Role.WORKER, owner=Owner.JOB_WORKER)
PARTY = only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY)
CLIENT_OR_ADMIN = only(Role.CLIENT, Role.ADMIN, owner=Owner.JOB_CLIENT)
PARTY_OR_ADMIN = only(*Role, owner=Owner.JOB_PARTY)  # and admins, who see every job
ADMIN = only(Role.ADMIN, owner=Owner.ANY)

ACCESS: dict[Route, Access] = {
    ("GET", "/health/live"): PUBLIC,
    ("GET", "/health/ready"): PUBLIC,
    ("POST", "/auth/register"): PUBLIC,
    ("POST", "/auth/verify-email"): PUBLIC,
    ("POST", "/auth/login"): PUBLIC,
    ("POST", "/auth/refresh"): COOKIE,
    ("POST", "/auth/logout"): COOKIE,
    ("GET", "/users/me"): EVERYONE_SELF,
    ("PATCH", "/users/me"): EVERYONE_SELF,
    ("GET", "/skills"): PUBLIC,
    ("POST", "/jobs"): only(Role.CLIENT, owner=Owner.SELF),
    ("GET", "/jobs"): EVERYONE_SELF,
    ("GET", "/jobs/{job_id}"): PARTY_OR_ADMIN,
    ("GET", "/jobs/{job_id}/state"): PARTY_OR_ADMIN,
    ("POST", "/jobs/{job_id}/offer/accept"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/offer/decline"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/quote/approve"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/quote/decline"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/clarify"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/raise-price"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/price/approve"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/price/decline"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/revision-quote"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/revision-quote/approve"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/revision-quote/decline"): CLIENT_ACT,
    ("GET", "/jobs/{job_id}/cancel-preview"): CLIENT_OR_ADMIN,
    ("POST", "/jobs/{job_id}/cancel"): CLIENT_OR_ADMIN,
    ("GET", "/jobs/{job_id}/withdraw-preview"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/withdraw"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/extend-review"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/dispute"): PARTY,
    ("GET", "/jobs/{job_id}/dispute"): PARTY_OR_ADMIN,
    ("POST", "/jobs/{job_id}/dispute/evidence"): PARTY,
    ("POST", "/jobs/{job_id}/dispute/withdraw"): PARTY,
    ("POST", "/jobs/{job_id}/start"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/submit"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/approve"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/request-revision"): CLIENT_ACT,
    ("POST", "/jobs/{job_id}/reviews"): only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY),
    ("POST", "/jobs/{job_id}/files/upload-url"): only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY),
    ("POST", "/jobs/{job_id}/files"): only(Role.CLIENT, Role.WORKER, owner=Owner.JOB_PARTY),
    ("GET", "/jobs/{job_id}/files"): PARTY_OR_ADMIN,
    ("GET", "/jobs/{job_id}/files/{file_id}/download-url"): PARTY_OR_ADMIN,
    ("POST", "/jobs/{job_id}/time/start"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/time/heartbeat"): WORKER_ACT,
    ("POST", "/jobs/{job_id}/time/stop"): WORKER_ACT,
    ("GET", "/jobs/{job_id}/time"): PARTY_OR_ADMIN,
    ("GET", "/notifications"): EVERYONE_SELF,
    ("POST", "/notifications/read-all"): EVERYONE_SELF,
    ("POST", "/notifications/{notification_id}/read"): EVERYONE_SELF,
    ("GET", "/offers"): only(Role.WORKER, owner=Owner.SELF),
    ("POST", "/payments/onboarding"): only(Role.WORKER, owner=Owner.SELF),
    ("GET", "/payments/account"): only(Role.WORKER, owner=Owner.SELF),
    ("GET", "/payments/payouts"): only(Role.WORKER, owner=Owner.SELF),
    ("GET", "/payments/transactions"): only(Role.CLIENT, Role.WORKER, owner=Owner.SELF),
    ("GET", "/payments/statements/{month}.csv"): only(Role.CLIENT, Role.WORKER, owner=Owner.SELF),
    ("GET", "/subscriptions/tiers"): PUBLIC,
    ("POST", "/subscriptions"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/subs"): only(Role.CLIENT, owner=Owner.SELF),
    ("GET", "/subscriptions/me"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/subscriptions/me/change"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/subscriptions/me/cancel"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/subscriptions/me/resume"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/subscriptions/me/portal"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/subscriptions/top-ups"): only(Role.CLIENT, owner=Owner.SELF),
    ("GET", "/subscriptions/invoices"): only(Role.CLIENT, owner=Owner.SELF),
    ("GET", "/subscriptions/receipts"): only(Role.CLIENT, owner=Owner.SELF),
    ("POST", "/payments/webhooks/stripe"): PUBLIC,  # Stripe, by its signature
    ("POST", "/payments/webhooks/stripe-connect"): PUBLIC,
    ("GET", "/admin/jobs"): ADMIN,
    ("GET", "/admin/jobs/{job_id}"): ADMIN,
    ("GET", "/admin/jobs/{job_id}/timeline"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/assign"): ADMIN,
    ("POST", "/admin/clients/{client_id}/credits"): ADMIN,
    ("GET", "/admin/clients/{client_id}/payments"): ADMIN,
    ("POST", "/admin/clients/{client_id}/refunds"): ADMIN,
    ("GET", "/admin/payments/disputes"): ADMIN,
    ("GET", "/admin/payments/disputes/{dispute_id}"): ADMIN,
    ("POST", "/admin/payments/disputes/{dispute_id}/evidence"): ADMIN,
    ("POST", "/admin/payments/disputes/{dispute_id}/concede"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/reassign"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/extend-deadline"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/propose-price"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/policy"): ADMIN,
    ("GET", "/admin/jobs/{job_id}/dispute/ruling-preview"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/dispute/rule"): ADMIN,
    ("POST", "/admin/jobs/{job_id}/dispute/dismiss"): ADMIN,
    ("POST", "/admin/payouts/run"): ADMIN,
    ("GET", "/admin/reconciliations"): ADMIN,
    ("GET", "/admin/reconciliations/{report_id}"): ADMIN,
    ("POST", "/admin/reconciliations/{report_id}/repairs/{number}/apply"): ADMIN,
    ("GET", "/admin/policies"): ADMIN,
    ("GET", "/admin/policies/{version}"): ADMIN,
    ("POST", "/admin/policies"): ADMIN,
}


class Caller(StrEnum):
    """Who stands how to a job. Its worker is the one it is offered to while it is offered, then the assigned one."""

    OWNER = "owner"
    CLIENT = "client"  # another one
    WORKER = "worker"
    LAPSED = "lapsed"  # was asked before, and let the offer lapse
    DECLINED = "declined"  # was asked before, and said no
    STRANGER = "stranger"  # a worker who was never asked
    ADMIN = "admin"

    @property
    def role(self) -> Role:
        """The caller's role."""
        if self in (Caller.OWNER, Caller.CLIENT):
            return Role.CLIENT
        return Role.ADMIN if self is Caller.ADMIN else Role.WORKER


class Scene(StrEnum):
    """The states of the jobs that are called."""

    CLARIFYING = "clarifying"
    QUOTING = "quoting"
    RESCUE = "rescue"
    REPRICING = "repricing"
    QUOTING_REVISION = "quoting_revision"
    DISPUTED = "disputed"
    OFFERING = "offering"
    READY = "ready"
    WORKING = "working"
    REVIEW = "review"
    COMPLETED = "completed"


MAIN_SCENES = (Scene.OFFERING, Scene.WORKING, Scene.REVIEW, Scene.COMPLETED)  # "any", in the table

# The words of the table. `yes` is whatever the route answers to whom it serves.
ANSWERS: dict[str, tuple[int, str]] = {
    "gone": (404, "not-found"),
    "never": (404, "offer-not-found"),
    "role": (403, "wrong-role"),
    "state": (409, "wrong-state"),
    "late": (409, "offer-expired"),
    "no": (409, "offer-declined"),
    "none": (404, "not-found"),  # of what is the caller's own to see, when it is not there
    "shut": (409, "evidence-closed"),
    "bare": (409, "no-deliverable"),
    "unsent": (409, "file-not-uploaded"),
    "closed": (409, "rating-window-closed"),
    "over": (409, "dispute-window-closed"),
}
ABSENT = frozenset({"gone", "never"})  # answered exactly as if there were no such job

# A row is for the states it names. Files: `confirm` is of the client's own pending file, `download` of the brief.
# Time: the worker's timer runs on the job that is `working`.
JOB_TABLE = """
                                                                   owner  client worker lapsed declined stranger admin
GET  /jobs/{job_id}                          any                   yes    gone   yes    gone   gone     gone     yes
GET  /jobs/{job_id}/state                    any                   yes    gone   yes    gone   gone     gone     yes
GET  /jobs/{job_id}/files                    any                   yes    gone   yes    gone   gone     gone     yes
GET  /jobs/{job_id}/files/{file_id}/download-url any               yes    gone   yes    gone   gone     gone     yes
GET  /admin/jobs/{job_id}                    any                   role   role   role   role   role     role     yes
GET  /admin/jobs/{job_id}/timeline           any                   role   role   role   role   role     role     yes
POST /jobs/{job_id}/offer/accept             offering              role   role   yes    late   no       never    role
POST /jobs/{job_id}/offer/accept             working,review,completed role role  state  late   no       never    role
POST /jobs/{job_id}/offer/decline            offering              role   role   yes    late   no       never    role
POST /jobs/{job_id}/offer/decline            working,review,completed role role  state  late   no       never    role
POST /jobs/{job_id}/quote/approve            quoting               yes    gone   role   role   role     role     role
POST /jobs/{job_id}/quote/approve            any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/quote/decline            quoting               yes    gone   role   role   role     role     role
POST /jobs/{job_id}/quote/decline            any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/clarify                  clarifying            yes    gone   role   role   role     role     role
POST /jobs/{job_id}/clarify                  any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/raise-price              rescue                yes    gone   role   role   role     role     role
POST /jobs/{job_id}/raise-price              any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/price/approve            repricing             yes    gone   role   role   role     role     role
POST /jobs/{job_id}/price/approve            any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/price/decline            repricing             yes    gone   role   role   role     role     role
POST /jobs/{job_id}/price/decline            any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/revision-quote           quoting_revision      role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/revision-quote           any                   role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/revision-quote/approve   quoting_revision      yes    gone   role   role   role     role     role
POST /jobs/{job_id}/revision-quote/approve   any                   state  gone   role   role   role     role     role
POST /jobs/{job_id}/revision-quote/decline   quoting_revision      yes    gone   role   role   role     role     role
POST /jobs/{job_id}/revision-quote/decline   any                   state  gone   role   role   role     role     role
GET  /jobs/{job_id}/cancel-preview           offering,working,review yes  gone   role   role   role     role     yes
GET  /jobs/{job_id}/cancel-preview           completed             state  gone   role   role   role     role     state
POST /jobs/{job_id}/cancel                   offering,working,review yes  gone   role   role   role     role     yes
POST /jobs/{job_id}/cancel                   completed             state  gone   role   role   role     role     state
GET  /jobs/{job_id}/withdraw-preview         working,review        role   role   yes    gone   gone     gone     role
GET  /jobs/{job_id}/withdraw-preview         offering,completed    role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/withdraw                 offering              role   role   gone   gone   gone     gone     role
POST /jobs/{job_id}/withdraw                 working,review        role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/withdraw                 completed             role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/extend-review            review                yes    gone   role   role   role     role     role
POST /jobs/{job_id}/extend-review            offering,working,completed state gone role role   role     role     role
POST /jobs/{job_id}/dispute                  offering              state  gone   state  gone   gone     gone     role
POST /jobs/{job_id}/dispute                  working,review        yes    gone   yes    gone   gone     gone     role
POST /jobs/{job_id}/dispute                  completed             over   gone   over   gone   gone     gone     role
GET  /jobs/{job_id}/dispute                  disputed              yes    gone   yes    gone   gone     gone     yes
GET  /jobs/{job_id}/dispute                  any                   none   gone   none   gone   gone     gone     none
POST /jobs/{job_id}/dispute/evidence         disputed              yes    gone   yes    gone   gone     gone     role
POST /jobs/{job_id}/dispute/evidence         any                   shut   gone   shut   gone   gone     gone     role
POST /jobs/{job_id}/dispute/withdraw         disputed              yes    gone   yes    gone   gone     gone     role
POST /jobs/{job_id}/dispute/withdraw         any                   state  gone   state  gone   gone     gone     role
POST /jobs/{job_id}/start                    ready                 role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/start                    any                   role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/submit                   offering              role   role   bare   gone   gone     gone     role
POST /jobs/{job_id}/submit                   working               role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/submit                   review,completed      role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/approve                  review                yes    gone   role   role   role     role     role
POST /jobs/{job_id}/approve                  offering,working,completed state gone role role   role     role     role
POST /jobs/{job_id}/request-revision         review                yes    gone   role   role   role     role     role
POST /jobs/{job_id}/request-revision         offering,working,completed state gone role role   role     role     role
POST /jobs/{job_id}/reviews                  offering,working,review state gone  state  gone   gone     gone     role
POST /jobs/{job_id}/reviews                  completed             closed gone   closed gone   gone     gone     role
POST /jobs/{job_id}/files/upload-url         offering              yes    gone   gone   gone   gone     gone     role
POST /jobs/{job_id}/files/upload-url         working               yes    gone   yes    gone   gone     gone     role
POST /jobs/{job_id}/files/upload-url         review                yes    gone   state  gone   gone     gone     role
POST /jobs/{job_id}/files/upload-url         completed             state  gone   state  gone   gone     gone     role
POST /jobs/{job_id}/files                    any                   unsent gone   gone   gone   gone     gone     role
GET  /jobs/{job_id}/time                     offering              yes    gone   gone   gone   gone     gone     yes
GET  /jobs/{job_id}/time                     working,review,completed yes gone   yes    gone   gone     gone     yes
POST /jobs/{job_id}/time/start               offering              role   role   gone   gone   gone     gone     role
POST /jobs/{job_id}/time/start               working               role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/time/start               review,completed      role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/time/heartbeat           offering              role   role   gone   gone   gone     gone     role
POST /jobs/{job_id}/time/heartbeat           working               role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/time/heartbeat           review,completed      role   role   state  gone   gone     gone     role
POST /jobs/{job_id}/time/stop                offering              role   role   gone   gone   gone     gone     role
POST /jobs/{job_id}/time/stop                working               role   role   yes    gone   gone     gone     role
POST /jobs/{job_id}/time/stop                review,completed      role   role   state  gone   gone     gone     role
POST /admin/jobs/{job_id}/assign             offering              role   role   role   role   role     role     yes
POST /admin/jobs/{job_id}/reassign           working,review        role   role   role   role   role     role     yes
POST /admin/jobs/{job_id}/reassign           offering,completed    role   role   role   role   role     role     state
POST /admin/jobs/{job_id}/extend-deadline    offering,working,review role role   role   role   role     role     yes
POST /admin/jobs/{job_id}/extend-deadline    completed             role   role   role   role   role     role     state
POST /admin/jobs/{job_id}/propose-price      rescue                role   role   role   role   role     role     yes
POST /admin/jobs/{job_id}/propose-price      any                   role   role   role   role   role     role     state
POST /admin/jobs/{job_id}/policy             offering,working,review role role   role   role   role     role     yes
POST /admin/jobs/{job_id}/policy             completed             role   role   role   role   role     role     state
GET  /admin/jobs/{job_id}/dispute/ruling-preview disputed          role   role   role   role   role     role     yes
GET  /admin/jobs/{job_id}/dispute/ruling-preview any               role   role   role   role   role     role     state
POST /admin/jobs/{job_id}/dispute/rule       disputed              role   role   role   role   role     role     yes
POST /admin/jobs/{job_id}/dispute/rule       any                   role   role   role   role   role     role     state
POST /admin/jobs/{job_id}/dispute/dismiss    disputed              role   role   role   role   role     role     yes
POST /admin/jobs/{job_id}/dispute/dismiss    any                   role   role   role   role   role     role     state
POST /admin/jobs/{job_id}/assign             working,review,completed role role  role   role   role     role     state
"""


def job_rows() -> dict[tuple[Route, Scene], dict[Caller, str]]:
    """`JOB_TABLE`, read: the word for each caller, by route and state."""
    head, *lines = JOB_TABLE.strip("\n").splitlines()
    callers = [Caller(name) for name in head.split()]
    rows: dict[tuple[Route, Scene], dict[Caller, str]] = {}
    for line in lines:
        method, path, scenes, *words = line.split()
        assert len(words) == len(callers), line
        for scene in MAIN_SCENES if scenes == "any" else [Scene(name) for name in scenes.split(",")]:
            assert ((method, path), scene) not in rows, line
            rows[(method, path), scene] = dict(zip(callers, words, strict=True))
    return rows
