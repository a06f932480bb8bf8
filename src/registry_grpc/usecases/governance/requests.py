"""Promotion requests: ask, read, withdraw, comment, commit. Decisions are in `decisions.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.events import Action
from registry_grpc.domain.governance_names import PromotionRequestName
from registry_grpc.domain.names import ModelName
from registry_grpc.domain.pointers import StageAction
from registry_grpc.domain.promotion import (
    DEFAULT_LIFE,
    MAX_COMMENTS,
    MAX_LIFE,
    MIN_LIFE,
    Comment,
    PromotionRequest,
    RequestState,
    require_open,
)
from registry_grpc.domain.stages import require_assignable, stage_of
from registry_grpc.usecases.checks import locked_model
from registry_grpc.usecases.governance.gate import Gate
from registry_grpc.usecases.governance.looking import attempt_of, held_request, known_request, shown
from registry_grpc.usecases.governance.settling import end_request
from registry_grpc.usecases.moving import Condition, Move
from registry_grpc.usecases.placement import stage_pointer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from registry_grpc.domain.access import Grant
    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.domain.names import VersionName
    from registry_grpc.domain.resources import Model
    from registry_grpc.ports.clock import Ids
    from registry_grpc.ports.store import Store, Unit
    from registry_grpc.usecases.moving import StageChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for."""

    version: VersionName
    stage: str
    justification: str = ""
    auto_commit: bool = False
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class CreatePromotionRequest:
    """Asks for a promotion."""

    store: Store
    ids: Ids
    gate: Gate

    def __call__(self, call: Call[PromotionRequest], parent: ModelName, wish: Wish) -> Committed[PromotionRequest]:
        """One request can be open for a version and a stage.

        Raises: MODEL_NOT_FOUND, VERSION_NOT_FOUND, STAGE_NOT_FOUND, VERSION_STATE, RESOURCE_EXISTS, INVALID_FIELD,
            PERMISSION_MISSING.
        """
        uid = self.ids.uuid()
        if wish.version.parent != parent:
            raise invalid_field("promotion_request.version", f"must be a version of {parent}")

        def work(unit: Unit) -> PromotionRequest:
            model = locked_model(unit, parent)
            stage = stage_of(unit.projects.get(parent.project), wish.stage)
            version = unit.versions.get(wish.version)
            require_assignable(version)
            call.grant.require(version.name, stages=(stage.id,), tags=(model.tags, version.tags))
            before = stage_pointer(unit, model, stage.id)
            if version.stage == stage.id:
                raise RegistryError(
                    Reason.STATE_TRANSITION,
                    f"{version.name} is in {stage.id!r} already",
                    source=version.stage,
                    to=stage.id,
                )
            for other in unit.promotion_requests.open_of(model.uid, stage.id):
                if other.version == version.name and other.expire_time > unit.now:
                    raise RegistryError(
                        Reason.RESOURCE_EXISTS, f"{other.name} asks for the same and is open", resource=other.name
                    )
            request = PromotionRequest(
                uid=uid,
                model_uid=model.uid,
                name=PromotionRequestName(parent.project, parent.model, unit.promotion_requests.next_number(model.uid)),
                version=version.name,
                stage=stage.id,
                justification=wish.justification,
                manifest_digest=version.manifest_digest,
                base_version=before.number if stage.exclusive else 0,
                auto_commit=wish.auto_commit,
                creator=call.principal.name,
                creator_groups=call.principal.groups,
                create_time=unit.now,
                update_time=unit.now,
                expire_time=_expiry(wish.expire_time, unit.now),
            )
            request = replace(request, revision=unit.advance(str(request.name)))
            unit.promotion_requests.insert(request)
            unit.record(Action.CREATED, request)
            return shown(unit, self.gate, model, request)

        return self.store.write(work, call)


def _expiry(wished: datetime | None, now: datetime) -> datetime:
    if wished is None:
        return now + DEFAULT_LIFE
    if not MIN_LIFE <= wished - now <= MAX_LIFE:
        raise invalid_field("promotion_request.expire_time", f"is {wished}; must be an hour to 90 days ahead")
    return wished


@dataclass(frozen=True, slots=True)
class WithdrawPromotion:
    """Takes a request back."""

    store: Store

    def __call__(
        self,
        call: Call[PromotionRequest],
        name: PromotionRequestName,
        etag: str,
        comment: str,
        *,
        refuse_others: Callable[[], object],
    ) -> Committed[PromotionRequest]:
        """`refuse_others` is called when somebody else opened it.

        Raises: PROMOTION_REQUEST_NOT_FOUND, PROMOTION_CLOSED, ETAG_MISMATCH, PERMISSION_MISSING.
        """

        def work(unit: Unit) -> PromotionRequest:
            _, request = held_request(unit, name, etag)
            if request.creator != call.principal.name:
                refuse_others()
            require_open(request)
            revision = unit.advance(str(name))
            return end_request(unit, commented(request, call, comment, unit.now), RequestState.WITHDRAWN, revision)

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class CommentPromotion:
    """Adds a comment, also to a request that ended."""

    store: Store
    gate: Gate

    def __call__(
        self, call: Call[PromotionRequest], name: PromotionRequestName, etag: str, comment: str
    ) -> Committed[PromotionRequest]:
        """Raises: PROMOTION_REQUEST_NOT_FOUND, ETAG_MISMATCH, QUOTA_EXCEEDED."""

        def work(unit: Unit) -> PromotionRequest:
            model, request = held_request(unit, name, etag)
            after = replace(commented(request, call, comment, unit.now), revision=unit.advance(str(name)))
            unit.promotion_requests.update(after)
            unit.record(Action.COMMENTED, after)
            return shown(unit, self.gate, model, after)

        return self.store.write(work, call)


@dataclass(frozen=True, slots=True)
class CommitPromotion:
    """Does what a request asks for."""

    store: Store
    gate: Gate

    def __call__(
        self, call: Call[PromotionRequest], name: PromotionRequestName, etag: str, comment: str
    ) -> Committed[PromotionRequest]:
        """Raises: PROMOTION_REQUEST_NOT_FOUND, PROMOTION_CLOSED, and what PromoteVersion raises."""

        def work(unit: Unit) -> PromotionRequest:
            model, request = held_request(unit, name, etag)
            require_open(request)
            if request.expire_time <= unit.now:
                require_open(replace(request, state=RequestState.EXPIRED))
            commitment(unit, call, self.gate, model, commented(request, call, comment, unit.now))()
            return known_request(unit, name)

        return self.store.write(work, call)


def commitment(
    unit: Unit, call: Call[Any], gate: Gate, model: Model, request: PromotionRequest, grant: Grant | None = None
) -> Callable[[], StageChange]:
    """What promotes as the request asks; nothing refuses it any more. `grant` is what allows it, if not the call's.

    Raises: what PromoteVersion raises.
    """
    attempt = attempt_of(unit, model, request)
    require_assignable(attempt.version)
    project = unit.projects.get(model.name.project)
    condition = Condition(justification=request.justification)
    move = Move(unit, call, project, model, attempt.stage, condition, gate, grant)
    prepared = move.prepare(attempt.before, attempt.version, StageAction.PROMOTED, with_request=request)
    return lambda: move.apply(prepared)


def commented(request: PromotionRequest, call: Call[Any], text: str, now: datetime) -> PromotionRequest:
    """With a comment, unless it says nothing. Raises: QUOTA_EXCEEDED."""
    if not text:
        return request
    if len(request.comments) >= MAX_COMMENTS:
        raise RegistryError(
            Reason.QUOTA_EXCEEDED,
            f"{request.name} has {MAX_COMMENTS} comments, which is the limit",
            resource=request.name,
            quota="comments",
            limit=MAX_COMMENTS,
        )
    comment = Comment(call.principal.name, text, now)
    return replace(request, comments=(*request.comments, comment), update_time=now)
