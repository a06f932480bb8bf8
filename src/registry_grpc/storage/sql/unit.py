"""The two views of a transaction that a `work` function is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from registry_grpc.domain.calls import SYSTEM
from registry_grpc.domain.events import Change, Event
from registry_grpc.storage.sql import journal
from registry_grpc.storage.sql.access import Access
from registry_grpc.storage.sql.artifacts import Artifacts
from registry_grpc.storage.sql.blobs import Blobs
from registry_grpc.storage.sql.changes import Seeing
from registry_grpc.storage.sql.consumers import Consumers
from registry_grpc.storage.sql.deliveries import Deliveries
from registry_grpc.storage.sql.deployment_runs import DeploymentRuns
from registry_grpc.storage.sql.deployments import Deployments
from registry_grpc.storage.sql.documents import resource_type
from registry_grpc.storage.sql.evidence import EvidenceItems
from registry_grpc.storage.sql.feed import Feed
from registry_grpc.storage.sql.garbage import Garbage
from registry_grpc.storage.sql.governance import Policies, PromotionRequests
from registry_grpc.storage.sql.history import History
from registry_grpc.storage.sql.inserts import joins_rows
from registry_grpc.storage.sql.lineage.graph import Lineage
from registry_grpc.storage.sql.models import Models
from registry_grpc.storage.sql.pointers import Pointers
from registry_grpc.storage.sql.projects import Projects
from registry_grpc.storage.sql.runs import Runs
from registry_grpc.storage.sql.search.catalogue import Catalogue
from registry_grpc.storage.sql.signatures import Signatures, TrustedSigners
from registry_grpc.storage.sql.tokens import Tokens
from registry_grpc.storage.sql.trail import AuditTrail
from registry_grpc.storage.sql.uploads import Uploads
from registry_grpc.storage.sql.usage import Usages
from registry_grpc.storage.sql.versions import Versions
from registry_grpc.storage.sql.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from registry_grpc.domain.calls import Call
    from registry_grpc.domain.events import Action
    from registry_grpc.domain.tenancy import Account, Usage
    from registry_grpc.storage.sql.session import Session


class SqlReader:
    """Implements `ports.store.Reader`."""

    def __init__(self, session: Session) -> None:
        """Everything goes through `session`."""
        self.session = session
        self.projects = Projects(session)
        self.models = Models(session)
        self.versions = Versions(session)
        self.pointers = Pointers(session)
        self.history = History(session)
        self.artifacts = Artifacts(session)
        self.blobs = Blobs(session)
        self.uploads = Uploads(session)
        self.usage = Usages(session)
        self.access = Access(session)
        self.tokens = Tokens(session)
        self.webhooks = Webhooks(session)
        self.deliveries = Deliveries(session)
        self.garbage = Garbage(session)
        self.deployments = Deployments(session)
        self.deployment_runs = DeploymentRuns(session)
        self.consumers = Consumers(session)
        self.policies = Policies(session)
        self.promotion_requests = PromotionRequests(session)
        self.trusted_signers = TrustedSigners(session)
        self.signatures = Signatures(session)
        self.evidence = EvidenceItems(session)
        self.catalogue = Catalogue(session)
        self.runs = Runs(session)
        self.lineage = Lineage(session)
        self.feed = Feed(session)
        self.trail = AuditTrail(session)

    @property
    def now(self) -> datetime:
        """See the port."""
        return self.session.now


@dataclass(frozen=True, slots=True)
class _Taken:
    """What `advance` took."""

    revision: int
    audit_index: int
    resource: str


_UNSEEN = frozenset(
    {
        *("session", "_seen", "trail", "feed", "usage", "blobs", "uploads", "history"),
        *("deliveries", "garbage", "deployment_runs", "consumers", "catalogue", "lineage"),
    }
)
"""What gives no resource that an event could be about."""


class SqlUnit(SqlReader):
    """Implements `ports.store.Unit`."""

    def __init__(self, session: Session, call: Call[Any] | None, statements: journal.Statements) -> None:
        """For one attempt at `call`."""
        super().__init__(session)
        self._seen: list[object] = []
        # What the repositories give is how things were before this write: the audit trail tells it.
        for name, repository in vars(self).items():
            if name not in _UNSEEN:
                setattr(self, name, Seeing(repository, self._seen))
        self._call = call
        self._statements = statements
        self._taken: _Taken | None = None
        self._events: list[Event] = []

    @property
    def revision(self) -> int:
        """The revision taken; 0 when none was."""
        return self._taken.revision if self._taken else 0

    @property
    def events(self) -> tuple[Event, ...]:
        """What was recorded."""
        return tuple(self._events)

    def advance(self, resource: str) -> int:
        """See the port."""
        if self.session.advanced:
            msg = "Unit.advance was called twice"
            raise RuntimeError(msg)
        self.session.advanced = True
        if self.session.validate_only:
            return journal.present_revision(self.session)
        revision, audit_index = journal.take_revision(self.session, self._statements)
        self._taken = _Taken(revision, audit_index, resource)
        return revision

    def advance_using(self, resource: str, project: str, change: Usage) -> tuple[int, Account]:
        """See the port."""
        if self.session.validate_only or not joins_rows(self.session.connection):
            account = self.usage.change(project, change)
            return self.advance(resource), account
        if self.session.advanced:
            msg = "Unit.advance was called twice"
            raise RuntimeError(msg)
        self.session.advanced = True
        revision, audit_index, account = journal.take_revision_using(self.session, self._statements, project, change)
        self._taken = _Taken(revision, audit_index, resource)
        return revision, account

    def record(self, action: Action, after: object) -> None:
        """See the port."""
        self.record_all([Change(action, cast("Any", after))])

    def record_all(self, changes: Iterable[Change]) -> None:
        """See the port."""
        if not self.session.advanced:
            msg = "an event was recorded before Unit.advance"
            raise RuntimeError(msg)
        for change in changes:
            resource_type(change.after)  # refuses what cannot be an event, where it was recorded
            self._events.append(
                Event(
                    revision=self.revision,
                    index=len(self._events),
                    action=change.action,
                    after=change.after,
                    actor=self._call.principal.name if self._call else SYSTEM.name,
                    request_id=self._call.request_id if self._call else "",
                    time=self.now,
                )
            )

    def finish(self) -> None:
        """Write the events and the audit entry, when a revision was taken."""
        if self._taken is None:
            return
        call = self._call
        principal = call.principal if call else SYSTEM
        subject = journal.AuditSubject(
            number=self._taken.audit_index,
            revision=self._taken.revision,
            actor=principal.name,
            authentication=principal.method,
            peer=call.peer if call else "",
            method=call.method if call else "",
            resource=self._taken.resource,
            request_id=call.request_id if call else "",
        )
        journal.write_log(self.session, subject, self.events, self._seen)
