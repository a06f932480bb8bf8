"""What the server is told, read once: flag, then `MREG_…` environment, then TOML file, then default."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from registry_grpc.auth.bootstrap import FILE_NAME
from registry_grpc.server.audit_settings import audit_faults
from registry_grpc.server.issuers import Issuers, issuer_faults
from registry_grpc.server.listeners import Listener, TlsMode, existing, parse_listener
from registry_grpc.server.secret_settings import store_faults, token_faults
from registry_grpc.server.webhook_settings import webhook_faults

MIB = 1 << 20
DAY_S = 86_400.0
OFF = "off"


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/mreg`, else `~/.local/share/mreg`."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(home) / "mreg"


def _split(value: object) -> object:
    """`a,b` as the environment has it."""
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


ExpandedPath = Annotated[Path, BeforeValidator(_expanded)]
Addresses = Annotated[tuple[str, ...], BeforeValidator(_split)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """All settings of a server. Its `repr` shows no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: ExpandedPath = Field(default_factory=default_data_dir)
    """Holds the admin token, and database and artifacts when they are embedded."""

    listen: Addresses = ("127.0.0.1:7470",)
    """`[tls|mtls|plaintext://]host:port`; without a mode TLS when there is a certificate, else plaintext."""
    insecure_plaintext: bool = False
    """Allow plaintext where other machines can reach it."""
    health_listen: str | None = None
    """A plaintext listener with nothing but grpc.health.v1, for kubelets."""
    metrics_listen: str = "127.0.0.1:7471"
    """`host:port` of `/metrics` and `/livez`, or `off`."""
    tls_cert: ExpandedPath | None = None
    tls_key: ExpandedPath | None = None
    tls_client_ca: ExpandedPath | None = None

    admin_token_file: ExpandedPath | None = None
    """Holds the first token, where the server shall make none; looked at only while the registry has no token."""
    issuers: Issuers = ()
    """Whose JWTs are believed; `[[issuers]]` in the file, a JSON list in the environment."""

    database_url: SecretStr | None = None
    """SQLAlchemy URL; SQLite in `data_dir` when unset."""
    database_url_file: ExpandedPath | None = None
    db_pool_size: Count = 8

    artifact_store: Literal["file", "s3"] = "file"
    s3_endpoint: str | None = None
    s3_public_endpoint: str | None = None
    """Where clients reach the store for signed URLs, when that differs."""
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_secret_key_file: ExpandedPath | None = None
    s3_bucket: str = "mreg"
    s3_region: str = "us-east-1"
    s3_secure: bool = True
    storage_capacity_bytes: Annotated[int, Field(ge=0)] = 0
    """What the artifact store can hold: S3 does not tell. 0: unknown there, otherwise as the file system says."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the listeners; more than one needs PostgreSQL."""
    control_threads: Count = 8
    transfer_threads: Count = 8
    max_in_flight: Count = 4096
    """Most calls open at once; a fuse for memory."""
    max_in_flight_per_principal: Count = 1024
    """Most of them by one principal, so that one cannot take them all."""
    calls_per_second_per_principal: Annotated[int, Field(ge=0)] = 0
    """Calls a second of one principal to each process, two seconds' worth at once; 0 for no limit."""
    max_streams_per_principal: Annotated[int, Field(ge=0)] = 2000
    """Streams of one principal open at once at each process; 0 for no limit."""
    max_uploads: Count = 64
    """Most upload streams open at once; each holds up to three parts of 16 MiB, and a quarter of one, in memory."""
    max_open_uploads: Count = 1000
    """Most unfinished uploads of one principal."""
    upload_idle_s: Seconds = 60.0
    """An upload stream that sends nothing for so long is ended; it can be resumed."""
    upload_min_bytes_per_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1024.0
    """One that sends less, over `upload_idle_s`, is ended too, unless it says by an empty chunk that it is there."""
    scrub_bytes_per_s: Annotated[int, Field(ge=0)] = 20 * MIB
    """How fast stored bytes are hashed again to find rot; 0 for never."""
    scrub_pass_s: Seconds = 7 * DAY_S
    """A blob is hashed again so long after the last time, when the rate allows it."""

    max_staleness_s: Seconds = 2.0
    drain_s: Seconds = 25.0
    """Longest time running calls get at shutdown."""
    drain_wait_s: Annotated[float, Field(ge=0, le=60)] = 3.0
    """How long balancers get to notice before that; 0 is used when only this machine can reach the server."""
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Most connections of one listener, in each process; more are closed as soon as they come."""
    max_connection_age_s: Seconds = 1800.0
    max_connection_age_grace_s: Seconds = 600.0
    """What calls of a connection past its age still get; then they are cut, half-sent ones too."""
    max_message_bytes: Annotated[int, Field(ge=3 * MIB, le=64 * MIB)] = 5 * MIB
    draft_retention_s: Seconds = 7 * DAY_S
    upload_retention_s: Seconds = 7 * DAY_S
    event_retention_s: Seconds = 7 * DAY_S
    """How long events can be watched and listed; the audit trail is kept for good."""
    garbage_grace_s: Annotated[float, Field(ge=3600, allow_inf_nan=False)] = 7 * DAY_S
    """How long bytes that nothing needs are kept, so that a backup finds them; at least `upload_retention_s`."""
    watch_max_age_s: Seconds = 1800.0
    """About how long one watch lasts; then its reader is told to come back, perhaps to another replica."""

    secrets_key_file: ExpandedPath | None = None
    """32 bytes in base64 that secrets of webhooks are sealed with, the same on every replica; an embedded server makes
    its own in `data_dir`. Without it there are no webhooks."""
    webhook_allow_networks: Addresses = ()
    """Networks, in CIDR form, that webhooks may reach besides public addresses; metadata services never."""
    webhook_ca_file: ExpandedPath | None = None
    """Authorities of receivers, besides those of the system."""

    audit_key_file: ExpandedPath | None = None
    """Ed25519 key that checkpoints of the audit trail are signed with, PEM or a C2SP signer key, the same on every
    replica; an embedded server makes its own in `data_dir`. Without it nothing is signed."""
    audit_former_keys: Addresses = ()
    """Verifier keys of former ones, whose last checkpoint the first of the new key goes on from."""
    audit_checkpoints: bool = True
    """Off: nothing is signed, although there is a key."""
    compact_events: bool = True
    """Off where the database role may not delete events: somebody else does, see docs/operations.md."""

    loop_stall_s: Seconds = 2.0
    """A loop that is stuck for longer is logged, with where it is stuck."""
    reflection: bool = True
    uvloop: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Parsed `listen`."""
        default = TlsMode.TLS if self.tls_cert else TlsMode.PLAINTEXT
        return tuple(parse_listener(text, default=default) for text in self.listen)

    @property
    def health_listener(self) -> Listener | None:
        """Parsed `health_listen`."""
        if self.health_listen is None:
            return None
        return parse_listener(self.health_listen, default=TlsMode.PLAINTEXT)

    @property
    def metrics_listener(self) -> Listener | None:
        """Parsed `metrics_listen`; None when it is off."""
        if self.metrics_listen == OFF:
            return None
        return parse_listener(self.metrics_listen, default=TlsMode.PLAINTEXT)

    @property
    def database(self) -> SecretStr:
        """The database URL in force.

        Raises: OSError, when the file that holds it cannot be read.
        """
        if self.database_url_file is not None:
            return SecretStr(self.database_url_file.read_text().strip())
        return self.database_url or SecretStr(f"sqlite:///{self.data_dir / 'registry.db'}")

    @property
    def first_token_file(self) -> Path:
        """Where the admin token is, or will be."""
        return self.admin_token_file or self.data_dir / FILE_NAME

    @property
    def embedded(self) -> bool:
        """Whether the database is the one in the data directory."""
        return self.database_url is None and self.database_url_file is None

    @property
    def s3_secret(self) -> SecretStr | None:
        """The secret key in force.

        Raises: OSError, when the file that holds it cannot be read.
        """
        if self.s3_secret_key_file is not None:
            return SecretStr(self.s3_secret_key_file.read_text().strip())
        return self.s3_secret_key

    @property
    def garbage_grace(self) -> timedelta:
        """The grace in force: nothing goes while an upload that rests may still come back to it."""
        return timedelta(seconds=max(self.garbage_grace_s, self.upload_retention_s))

    @property
    def artifact_dir(self) -> Path:
        """Where the `file` store keeps bytes."""
        return self.data_dir / "artifacts"

    @model_validator(mode="after")
    def _together(self) -> Self:
        faults = [
            *self._address_faults(),
            *self._tls_faults(),
            *token_faults(self.admin_token_file),
            *issuer_faults(self.issuers),
            *store_faults(self),
            *self._worker_faults(),
            *webhook_faults(self.webhook_allow_networks, self.webhook_ca_file, self.secrets_key_file),
            *audit_faults(self.audit_key_file, self.audit_former_keys),
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _address_faults(self) -> list[str]:
        faults = []
        if not self.listen:
            faults.append("listen: needs at least one address")
        named = [("listen", text) for text in self.listen]
        if self.health_listen is not None:
            named.append(("health_listen", self.health_listen))
        if self.metrics_listen != OFF:
            named.append(("metrics_listen", self.metrics_listen))
        for name, text in named:
            try:
                listener = parse_listener(text, default=self._default_mode(name))
            except ValueError as error:
                faults.append(f"{name}: {error}")
                continue
            faults += self._listener_faults(name, listener)
        return faults

    def _default_mode(self, name: str) -> TlsMode:
        return TlsMode.TLS if name == "listen" and self.tls_cert else TlsMode.PLAINTEXT

    def _listener_faults(self, name: str, listener: Listener) -> list[str]:
        plain = listener.mode is TlsMode.PLAINTEXT
        if name != "listen":
            # No secret passes these: health and counters, which have no names in them.
            return [] if plain else [f"{name}: has no TLS; write host:port"]
        if not plain and not (self.tls_cert and self.tls_key):
            return [f"listen: {listener} needs tls_cert and tls_key"]
        if listener.mode is TlsMode.MTLS and not self.tls_client_ca:
            return [f"listen: {listener} needs tls_client_ca"]
        if plain and not listener.is_loopback and not self.insecure_plaintext:
            return [
                (
                    f"listen: {listener} would send tokens in the clear; "
                    "use tls://, or insecure_plaintext if something else encrypts"
                )
            ]
        return []

    def _tls_faults(self) -> list[str]:
        faults = []
        if bool(self.tls_cert) != bool(self.tls_key):
            faults.append("tls_cert and tls_key: give both or neither")
        for name in ("tls_cert", "tls_key", "tls_client_ca", "database_url_file", "s3_secret_key_file"):
            try:
                existing(getattr(self, name))
            except ValueError as error:
                faults.append(f"{name}: {error}")
        return faults

    def _worker_faults(self) -> list[str]:
        if self.workers == 1 or self.database_url_file is not None:
            return []
        if self.database_url is not None and not self.database_url.get_secret_value().startswith("sqlite"):
            return []
        return [
            (
                f"workers: {self.workers} processes need PostgreSQL, because a SQLite file belongs to one process; "
                "give database_url, or leave workers at 1"
            )
        ]
