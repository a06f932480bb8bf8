"""Reading promotion requests; an open one is shown with its checks as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.promotion import OPEN
from registry_grpc.domain.stages import stage_of
from registry_grpc.usecases.checks import live_model, locked_model, require_etag
from registry_grpc.usecases.governance.gate import Attempt
from registry_grpc.usecases.placement import stage_pointer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from registry_grpc.domain.governance_names import PromotionRequestName
    from registry_grpc.domain.promotion import PromotionRequest, RequestState
    from registry_grpc.domain.resources import Model
    from registry_grpc.ports.store import Reader, Store, Unit
    from registry_grpc.usecases.governance.gate import Gate


def request_not_found(name: PromotionRequestName) -> RegistryError:
    """The error for an absent request."""
    return RegistryError(
        Reason.PROMOTION_REQUEST_NOT_FOUND,
        f"{name} does not exist; list the promotion requests of {name.parent}",
        resource=name,
    )


def known_request(reader: Reader, name: PromotionRequestName) -> PromotionRequest:
    """As it was last written.

    Raises: PROMOTION_REQUEST_NOT_FOUND, MODEL_NOT_FOUND, PROJECT_NOT_FOUND.
    """
    live_model(reader, name.parent)
    found = reader.promotion_requests.get(name)
    if found is None:
        raise request_not_found(name)
    return found


def held_request(unit: Unit, name: PromotionRequestName, etag: str) -> tuple[Model, PromotionRequest]:
    """The request, with its model locked.

    Raises: PROMOTION_REQUEST_NOT_FOUND, MODEL_NOT_FOUND, ETAG_MISMATCH.
    """
    model = locked_model(unit, name.parent)
    found = known_request(unit, name)
    require_etag(found, etag)
    return model, found


def attempt_of(reader: Reader, model: Model, request: PromotionRequest) -> Attempt:
    """What the request asks for, as things stand. Raises: VERSION_NOT_FOUND, STAGE_NOT_FOUND."""
    stage = stage_of(reader.projects.get(model.name.project), request.stage)
    version = reader.versions.get(request.version)
    return Attempt(model, stage, version, stage_pointer(reader, model, stage.id))


def shown(reader: Reader, gate: Gate, model: Model, request: PromotionRequest) -> PromotionRequest:
    """An open request with its checks as they are now; one that ended as it was then."""
    if not request.open or request.expire_time <= reader.now:
        return request
    try:
        attempt = attempt_of(reader, model, request)
    except RegistryError:
        return request  # the version was purged, or the stage taken out of the project
    return gate.judge(reader, attempt, with_request=request).request or request


@dataclass(frozen=True, slots=True)
class GetPromotionRequest:
    """One request."""

    store: Store
    gate: Gate

    def __call__(self, name: PromotionRequestName) -> PromotionRequest:
        """Raises: PROMOTION_REQUEST_NOT_FOUND, MODEL_NOT_FOUND."""

        def work(reader: Reader) -> PromotionRequest:
            model = live_model(reader, name.parent)
            return shown(reader, self.gate, model, known_request(reader, name))

        return self.store.read(work, snapshot=True)


@dataclass(frozen=True, slots=True)
class ListPromotionRequests:
    """Requests of a project or model, the newest first."""

    store: Store
    gate: Gate

    def __call__(
        self,
        project: str,
        model: str,
        states: Collection[RequestState],
        *,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[PromotionRequest]:
        """A keyset page by (create_time, uid), before `chosen` has picked from it.

        Raises: PROJECT_NOT_FOUND, MODEL_NOT_FOUND.
        """
        wanted = {state in OPEN for state in states}
        open_only = wanted.pop() if len(wanted) == 1 else None

        def work(reader: Reader) -> Sequence[PromotionRequest]:
            reader.projects.get(project)
            if model:
                live_model(reader, ModelName(project, model))
            found = reader.promotion_requests.list(project, model, before=before, limit=limit, open_only=open_only)
            return [self._shown(reader, request) for request in found]

        return self.store.read(work, snapshot=True)

    def _shown(self, reader: Reader, request: PromotionRequest) -> PromotionRequest:
        if not request.open:
            return request
        return shown(reader, self.gate, reader.models.get(request.name.parent), request)
