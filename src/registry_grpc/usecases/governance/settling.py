"""How promotion requests end: with the move they asked for, with one that makes them pointless, or with their time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from registry_grpc.domain.calls import SYSTEM, Call
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.promotion import RequestState
from registry_grpc.domain.resources import Project

if TYPE_CHECKING:
    from registry_grpc.domain.governance_names import PromotionRequestName
    from registry_grpc.domain.promotion import PromotionRequest
    from registry_grpc.domain.resources import Model
    from registry_grpc.ports.store import Store, Unit
    from registry_grpc.usecases.governance.gate import Judgement

BATCH = 100


def settle_requests(
    unit: Unit, judgement: Judgement, revision: int, committed: PromotionRequest | None, *, exclusive: bool
) -> None:
    """End what a move into a stage fulfils, or makes pointless. After `Unit.advance`, in the same transaction."""
    if committed is not None:
        end_request(unit, committed, RequestState.COMMITTED, revision)
    elif judgement.request is not None:
        end_request(unit, judgement.request, RequestState.SUPERSEDED, revision)
    if exclusive:
        for other in judgement.others:
            end_request(unit, other, RequestState.SUPERSEDED, revision)


def end_request(unit: Unit, request: PromotionRequest, state: RequestState, revision: int) -> PromotionRequest:
    """Write how a request ended. After `Unit.advance`."""
    ended = replace(request, state=state, update_time=unit.now, end_time=unit.now, revision=revision)
    unit.promotion_requests.update(ended)
    unit.record(Action(state.value), ended)
    return ended


@dataclass(frozen=True, slots=True)
class ExpireRequests:
    """Ends promotion requests whose time is over."""

    store: Store

    def __call__(self) -> int:
        """How many ended. Raises: DATABASE_UNAVAILABLE."""
        due = self.store.read(lambda reader: reader.promotion_requests.expired(BATCH))
        return sum(self._expire(request.name) for request in due)

    def _expire(self, name: PromotionRequestName) -> int:
        def work(unit: Unit) -> int:
            try:
                unit.models.lock(name.parent)
            except RegistryError:
                return 0  # deleted with its project: it ends with the purge
            request = unit.promotion_requests.get(name)
            if request is None or not request.open or request.expire_time > unit.now:
                return 0
            end_request(unit, request, RequestState.EXPIRED, unit.advance(str(name)))
            return 1

        return self.store.write(work, Call(principal=SYSTEM, method="system.ExpirePromotionRequests")).get()


def remove_governance(unit: Unit, gone: Project | Model) -> None:
    """Remove the policies of a project that is purged, and the requests in it, or of a model. After `Unit.advance`."""
    revision = unit.feed.head()
    if isinstance(gone, Project):
        for policy in unit.policies.delete_all(gone.name.project):
            unit.record(Action.PURGED, replace(policy, revision=revision))
        unit.promotion_requests.delete_of(gone.name.project, None)
    else:
        unit.promotion_requests.delete_of(gone.name.project, [gone.uid])
