"""The metadata store: two doors, `read` and `write`, and the repositories behind them.

Rules every implementation must keep, each with a contract test:

- A write is one transaction: all of it is durable when `write` returns, or none of it happened.
- `Unit.advance` takes the next revision under a lock held to the commit, so that revision order = commit order =
  visibility order, dense. Rows other writers may want are locked before it, rows are written after it.
- Events, the audit entry and the idempotency record are part of the same transaction.
- `work` may run several times; it must have no effect outside the unit it is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.events import Action, Change, Event, Occurrence
    from registry_grpc.domain.tenancy import Account, Usage
    from registry_grpc.ports.access import Access, Tokens
    from registry_grpc.ports.audit import Trail
    from registry_grpc.ports.deployments import Consumers, DeploymentRuns, Deployments
    from registry_grpc.ports.evidence import EvidenceItems, Signatures, TrustedSigners
    from registry_grpc.ports.garbage import Garbage
    from registry_grpc.ports.governance import Policies, PromotionRequests
    from registry_grpc.ports.lineage import Lineage, Runs
    from registry_grpc.ports.repositories import (
        Feed,
        History,
        Models,
        Pointers,
        Projects,
        Versions,
    )
    from registry_grpc.ports.search import Catalogue
    from registry_grpc.ports.stored import Artifacts, Blobs, Uploads
    from registry_grpc.ports.usage import Usages
    from registry_grpc.ports.webhooks import Deliveries, Webhooks

T = TypeVar("T")


class Reader(Protocol):
    """A consistent view for reading."""

    @property
    def now(self) -> datetime:
        """The database's clock (plus the test offset), UTC, microseconds: when the transaction first asked.

        In a write it is read again by `Unit.advance`, so that the times of rows follow the order of their revisions.
        """

    @property
    def projects(self) -> Projects:
        """Projects."""

    @property
    def models(self) -> Models:
        """Models."""

    @property
    def versions(self) -> Versions:
        """Versions."""

    @property
    def pointers(self) -> Pointers:
        """Stage, alias and latest pointers."""

    @property
    def history(self) -> History:
        """Stage history."""

    @property
    def artifacts(self) -> Artifacts:
        """Files of versions."""

    @property
    def blobs(self) -> Blobs:
        """Stored bytes."""

    @property
    def uploads(self) -> Uploads:
        """Upload sessions and parts."""

    @property
    def usage(self) -> Usages:
        """What projects use."""

    @property
    def access(self) -> Access:
        """Roles, bindings and service accounts."""

    @property
    def tokens(self) -> Tokens:
        """Access tokens."""

    @property
    def webhooks(self) -> Webhooks:
        """Webhooks."""

    @property
    def deliveries(self) -> Deliveries:
        """Deliveries of webhooks."""

    @property
    def garbage(self) -> Garbage:
        """What may be collected."""

    @property
    def deployments(self) -> Deployments:
        """What runs where."""

    @property
    def deployment_runs(self) -> DeploymentRuns:
        """What ran where and when."""

    @property
    def consumers(self) -> Consumers:
        """Who used which version."""

    @property
    def policies(self) -> Policies:
        """What promotions must fulfil."""

    @property
    def promotion_requests(self) -> PromotionRequests:
        """Wishes to promote, and what was decided on them."""

    @property
    def trusted_signers(self) -> TrustedSigners:
        """Signers whose signatures count."""

    @property
    def signatures(self) -> Signatures:
        """Signatures of versions."""

    @property
    def evidence(self) -> EvidenceItems:
        """Evidence of versions."""

    @property
    def catalogue(self) -> Catalogue:
        """The search."""

    @property
    def runs(self) -> Runs:
        """Runs of training, preparation and evaluation."""

    @property
    def lineage(self) -> Lineage:
        """What came from what."""

    @property
    def feed(self) -> Feed:
        """The event log."""

    @property
    def trail(self) -> Trail:
        """The audit trail."""


class Unit(Reader, Protocol):
    """One write transaction. Repositories reached through it may write."""

    def advance(self, resource: str) -> int:
        """Take the next revision for this transaction and return it; `resource` is what the audit entry names.

        Must be called at most once, after every check and lock, before the first row of a resource is written.
        In a validate_only call it takes nothing and returns the present revision.
        """

    def advance_using(self, resource: str, project: str, change: Usage) -> tuple[int, Account]:
        """`Usages.change` and `advance` at once, for what many writers do at the same time.

        Raises: PROJECT_NOT_FOUND for an absent project.
        """

    def record(self, action: Action, after: object) -> None:
        """Add an event to this transaction. `advance` must have been called."""

    def record_all(self, changes: Iterable[Change]) -> None:
        """Add several events in order."""


class Store(Protocol):
    """The metadata store of one registry. Blocking; safe to call from many threads."""

    @property
    def registry_uid(self) -> str:
        """UUID of this database, made once."""

    def now(self) -> datetime:
        """The database's clock (plus the test offset), UTC. Leases, grace periods and expiry use nothing else.

        Raises: DATABASE_UNAVAILABLE.
        """

    def read(self, work: Callable[[Reader], T], *, snapshot: bool = False) -> T:
        """What `work` returns. With `snapshot` every statement of `work` sees the same revision.

        Raises: DATABASE_UNAVAILABLE with a retry hint, within 2 s of the database being gone.
        """

    def write(self, work: Callable[[Unit], T], call: Call[T] | None = None) -> Committed[T]:
        """Run `work` in a transaction and commit it.

        With a `call` that has a request_id: a second call by the same principal with the same method and body
        returns the first answer as `replay` and does nothing. With `validate_only` everything is checked and rolled
        back. Without a `call` the write is the system's own and takes no idempotency record.

        Raises:
            REQUEST_ID_REUSED: the request_id was used with another body or method.
            TRANSACTION_CONFLICT: it kept colliding, after retries of the whole function.
            DATABASE_UNAVAILABLE: the database is gone; with a request_id a retry is safe.

        """

    def record_occurrences(self, occurrences: Sequence[Occurrence]) -> None:
        """Add audit entries for what took no revision, in a transaction of their own: refused calls, collected bytes.

        Raises: DATABASE_UNAVAILABLE.
        """

    def acquire_lease(self, name: str, holder: str, ttl: timedelta) -> int | None:
        """Take or renew the lease `name` for `holder`: its epoch, or None while another one holds it.

        The epoch rises whenever the holder changes, and never otherwise. Judged by the database's clock.
        """

    def release_lease(self, name: str, holder: str) -> None:
        """Give the lease back, if `holder` has it."""

    def ping(self) -> None:
        """Return when the database answers and its schema is the one this program knows.

        Raises: DATABASE_UNAVAILABLE.
        """

    def close(self) -> None:
        """Release every connection. No call may follow."""


class CommitObserver(Protocol):
    """Told of every commit of this process, before the caller gets its answer."""

    def committed(self, revision: int, events: tuple[Event, ...]) -> None:
        """Must not block or raise. Called from any thread, in no particular order."""


class WorkObserver(Protocol):
    """Told of every unit of work, also of one that failed, with its tries and the waits between them."""

    def worked(self, operation: str, seconds: float, in_use: int, idle: int) -> None:
        """`operation` is read or write; connections are counted after it. Must not block or raise; from any thread."""
