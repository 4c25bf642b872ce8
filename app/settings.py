"""Every setting of the platform, in one object read from `NIMMIT_*` environment variables (and `.env`).

The defaults are for development on one machine. In production the development secrets are refused, so that a
forgotten variable stops the start instead of opening the door.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT_SECRET = "development-only-secret-never-in-production"  # noqa: S105  # refused in production below


class Settings(BaseSettings):
    """Addresses, credentials and limits; durations are in the unit their name ends with."""

    model_config = SettingsConfigDict(env_prefix="NIMMIT_", env_file=".env", extra="ignore", frozen=True)

    environment: Literal["development", "test", "production"] = "development"
    log_level: str = "INFO"
    log_format: Literal["json", "console"] = "json"

    # MongoDB (a replica set or Atlas in production)
    mongodb_uri: SecretStr = SecretStr("mongodb://127.0.0.1:27017")
    mongodb_database: str = "nimmit"

    # Temporal: a self-hosted cluster, or Temporal Cloud with mTLS (certificate and key) or an API key
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_tls: bool = False
    temporal_tls_server_name: str | None = None
    temporal_tls_ca_path: str | None = None
    temporal_tls_cert_path: str | None = None
    temporal_tls_key_path: str | None = None
    temporal_api_key: SecretStr | None = None
    temporal_ui_url: str = "http://127.0.0.1:8233"
    task_queue_prefix: str = ""  # lets two stacks share one namespace
    # Worker versioning (docs/versioning.md): both or neither; the build id names one build of the workers
    worker_deployment_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{0,100}$")
    worker_build_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{0,100}$")

    # Redis (rate limits, session cache); rediss:// for Upstash
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    redis_timeout_seconds: float = 0.5

    # S3 or Cloudflare R2
    s3_endpoint_url: str = "http://127.0.0.1:7070"
    s3_public_endpoint_url: str | None = None  # what browsers reach, when it differs from the above
    s3_region: str = "auto"
    s3_access_key_id: SecretStr = SecretStr("nimmit")
    s3_secret_access_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    s3_bucket_uploads: str = "nimmit-uploads"
    s3_bucket_deliverables: str = "nimmit-deliverables"
    s3_bucket_avatars: str = "nimmit-avatars"
    s3_bucket_portfolio: str = "nimmit-portfolio"
    s3_bucket_archive: str = "nimmit-archive"

    # Mail, over SMTP (SendGrid and Resend both take it)
    smtp_url: SecretStr = SecretStr("smtp://127.0.0.1:1025")
    mail_from: str = "Nimmit <no-reply@nimmit.example>"
    # How long notices in the hands of a dispatcher that died wait for another; longer than a mail may take.
    outbox_lease_seconds: float = Field(default=60.0, ge=5.0)

    # Stripe
    stripe_api_key: SecretStr = SecretStr("sk_test_development")
    stripe_api_base: str = "https://api.stripe.com"
    # Payouts from connected accounts to banks: the least by the account's country in USD cents (Cambodia's KHR 123,000
    # are about USD 30), and what the worker is told of the fee and of the exchange into the bank's currency
    payout_minimum_usd_cents: dict[str, int] = {"KH": 3_000}
    payout_other_minimum_usd_cents: int = Field(default=100, ge=1)
    payout_fee_usd_cents: int = Field(default=0, ge=0)
    payout_exchange_basis_points: int = Field(default=200, ge=0, le=10_000)
    payout_every_days: int = Field(default=7, ge=1, le=31)  # weekly: on Mondays
    reconcile_days: int = Field(default=35, ge=1)  # how far back each night compares Stripe with the ledger
    # Signing secrets of the two webhook endpoints; while one is rolled, the old one is the previous. Empty: disabled.
    stripe_webhook_secret: SecretStr = SecretStr("")
    stripe_webhook_secret_previous: SecretStr = SecretStr("")
    stripe_connect_webhook_secret: SecretStr = SecretStr("")
    stripe_connect_webhook_secret_previous: SecretStr = SecretStr("")

    # A renewal that is not paid: reminders and the end of the grace period, counted from the first failed attempt
    dunning_reminder_seconds: list[int] = [3 * 86_400, 8 * 86_400, 14 * 86_400]
    dunning_grace_seconds: int = Field(default=21 * 86_400, gt=0)

    refund_window_days: int = Field(default=14, ge=0)  # after a payment, for what is not used of it

    # OpenAI; without a key the rule-based parser reads every brief
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    openai_model: str = "gpt-5-mini"
    openai_timeout_seconds: float = 20.0

    # Authentication
    jwt_secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    jwt_issuer: str = "https://api.nimmit.example"
    jwt_audience: str = "nimmit-api"
    access_token_minutes: int = 15
    refresh_token_days: int = 7
    verification_token_hours: int = 24
    session_cache_seconds: int = 60  # how long Redis may vouch for a session that nobody ended
    cookie_secure: bool = False  # production refuses False
    password_bcrypt_rounds: int = Field(default=12, ge=4, le=16)

    # The door
    public_url: str = "http://127.0.0.1:8000"
    portal_url: str = "http://127.0.0.1:8000"
    cors_origins: list[str] = []
    trusted_proxies: list[str] = []
    max_body_bytes: int = 256 * 1024
    login_attempts_per_minute: int = 10
    register_attempts_per_minute: int = 60
    idempotency_takeover_seconds: float = 15.0  # longer than any request; then a crashed one is run again
    dependency_timeout_seconds: float = 1.0
    update_timeout_seconds: float = 8.0

    # Time tracking: a timer without a sign of life for so long is stopped
    timer_idle_seconds: int = Field(default=15 * 60, gt=0)

    # Job policy defaults that an installation may shorten (a demo, a test)
    offer_window_seconds: int = 15 * 60
    rescue_reminder_seconds: int = 60 * 60
    auto_approve_seconds: int = 72 * 3600
    rating_window_seconds: int = 14 * 24 * 3600
    dispute_window_seconds: int = 7 * 24 * 3600

    @model_validator(mode="after")
    def _refuse_development_secrets_in_production(self) -> Self:
        if self.environment != "production":
            return self
        faults = [
            name
            for name in (
                "jwt_secret",
                "s3_secret_access_key",
                "stripe_api_key",
                "stripe_webhook_secret",
                "stripe_connect_webhook_secret",
            )
            if "development" in getattr(self, name).get_secret_value()
        ]
        if len(self.jwt_secret.get_secret_value()) < 32:
            faults.append("jwt_secret (shorter than 32 characters)")
        if not self.cookie_secure:
            faults.append("cookie_secure (must be true)")
        if faults:
            raise ValueError(f"not fit for production: {', '.join(sorted(faults))}")
        return self

    @model_validator(mode="after")
    def _refuse_half_a_version(self) -> Self:
        if bool(self.worker_deployment_name) != bool(self.worker_build_id):
            raise ValueError(
                "worker_deployment_name and worker_build_id belong together: set both or neither"
            )
        return self

    @property
    def temporal_uses_tls(self) -> bool:
        """TLS is on when asked for, and whenever a certificate or an API key is given."""
        return (
            self.temporal_tls or self.temporal_tls_cert_path is not None or self.temporal_api_key is not None
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
