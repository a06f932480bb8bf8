"""StageService: decode, call, encode."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.domain.names import ModelName, PointerName, ProjectName, VersionName
from registry_grpc.services.codec.governance import explanation_to_wire
from registry_grpc.services.codec.pointers import assignment_to_wire, stage_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.errors import status_of
from registry_grpc.usecases.checks import require_same_project
from registry_grpc.usecases.moving import Condition
from registry_grpc.v1 import stages_pb2, stages_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry_grpc.domain.calls import Call, Committed
    from registry_grpc.services.edge import Context, Edge
    from registry_grpc.services.pages import Pages
    from registry_grpc.services.resolving import Resolver
    from registry_grpc.usecases.governance.evaluating import EvaluatePromotion
    from registry_grpc.usecases.governance.freezing import FreezeStage
    from registry_grpc.usecases.moving import StageChange
    from registry_grpc.usecases.stages import (
        GetStage,
        ListStageHistory,
        ListStages,
        PromoteVersion,
        RollbackStage,
        VacateStage,
    )

    ChangeRequest = stages_pb2.PromoteVersionRequest | stages_pb2.RollbackStageRequest | stages_pb2.VacateStageRequest

R = TypeVar(
    "R",
    stages_pb2.PromoteVersionResponse,
    stages_pb2.RollbackStageResponse,
    stages_pb2.VacateStageResponse,
)


class StageObserver(Protocol):
    """Counts changes of stages."""

    def stage_changed(self, action: str, outcome: str) -> None:
        """`action` is promote, rollback or vacate; `outcome` applied, denied, conflict or error."""


class StageServicer(stages_pb2_grpc.StageServiceServicer):
    """Stages and Resolve."""

    def __init__(  # noqa: PLR0913 - one use case a verb
        self,
        edge: Edge,
        pages: Pages,
        resolver: Resolver,
        observer: StageObserver,
        *,
        get: GetStage,
        list_stages: ListStages,
        history: ListStageHistory,
        promote: PromoteVersion,
        rollback: RollbackStage,
        vacate: VacateStage,
        evaluate: EvaluatePromotion,
        freeze: FreezeStage,
        unfreeze: FreezeStage,
    ) -> None:
        """Made by the composition root."""
        self._edge = edge
        self._pages = pages
        self._resolver = resolver
        self._observer = observer
        self._get = get
        self._list = list_stages
        self._history = history
        self._promote = promote
        self._rollback = rollback
        self._vacate = vacate
        self._evaluate = evaluate
        self._freeze = freeze
        self._unfreeze = unfreeze

    async def Resolve(self, request: stages_pb2.ResolveRequest, context: Context) -> stages_pb2.ResolveResponse:
        return await self._resolver.answer(request)  # type: ignore[return-value] # the serializer takes bytes

    async def BatchResolve(
        self, request: stages_pb2.BatchResolveRequest, context: Context
    ) -> stages_pb2.BatchResolveResponse:
        project = ProjectName.parse(request.parent, "parent").project
        for index, one in enumerate(request.requests):
            name = ModelName.parse(one.name, f"requests[{index}].name")
            require_same_project(project, name.project, f"requests[{index}].name")
        wished = call_context().min_revision
        if wished > self._edge.feed.revision:
            # Of the call, not of its questions: whoever forgets it asks all of them again. They wait for it, once.
            await self._edge.require_known(wished)
        # Together: waits for a wished revision, or for a database that is away, must not add up.
        answers = await asyncio.gather(*(self._one(one) for one in request.requests))
        # Who asks for this revision next time is told of nothing older than any of these.
        call_context().revision = max((revision for _, revision in answers), default=0)
        return stages_pb2.BatchResolveResponse(results=[result for result, _ in answers])

    async def _one(self, request: stages_pb2.ResolveRequest) -> tuple[stages_pb2.BatchResolveResult, int]:
        """The answer and its revision; 0 for an error."""
        call = call_context()
        try:
            reply = await self._resolver.answer(request)
        except RegistryError as error:
            return stages_pb2.BatchResolveResult(error=status_of(error, call.request_id)), 0
        # The others share the context, but none of them ran since the resolver set it.
        revision = call.revision
        return stages_pb2.BatchResolveResult(response=stages_pb2.ResolveResponse.FromString(reply)), revision

    async def GetStage(self, request: stages_pb2.GetStageRequest, context: Context) -> stages_pb2.Stage:
        name = PointerName.parse_stage(request.name)
        call = call_context()
        # Before the entry: see `Resolver`.
        revision = self._edge.feed.fresh_revision()
        entry = self._resolver.projection.stage(str(name.parent), name.id)
        # A vacant one is left to the database, which knows whether the project still has the stage.
        known = entry is not None and entry.reply is not None
        if entry is not None and known and revision is not None and call.min_revision <= revision:
            call.revision = revision
            return stage_to_wire(entry.pointer)
        return stage_to_wire(await self._edge.read(lambda: self._get(name)))

    async def ListStages(
        self, request: stages_pb2.ListStagesRequest, context: Context
    ) -> stages_pb2.ListStagesResponse:
        name = ModelName.parse(request.parent, "parent")
        if request.page_token:
            raise RegistryError(Reason.INVALID_PAGE_TOKEN, "page_token must be empty: every stage is on the one page")
        stages = await self._edge.read(lambda: self._list(name))
        return stages_pb2.ListStagesResponse(stages=[stage_to_wire(stage) for stage in stages])

    async def ListStageHistory(
        self, request: stages_pb2.ListStageHistoryRequest, context: Context
    ) -> stages_pb2.ListStageHistoryResponse:
        name = ModelName.parse(request.parent, "parent")
        page = self._pages.open(request)
        before = None if page.after is None else (int(page.after[0]), int(page.after[1]))
        found = await self._edge.read(
            lambda: self._history(name, request.stage, before=before, limit=page.limit),
        )
        rows, token = page.close(found, lambda row: (row.revision, row.index), assignment_to_wire)
        return stages_pb2.ListStageHistoryResponse(
            assignments=rows,
            next_page_token=token,
        )

    async def PromoteVersion(
        self, request: stages_pb2.PromoteVersionRequest, context: Context
    ) -> stages_pb2.PromoteVersionResponse:
        name = VersionName.parse(request.name)
        condition = _condition(request, name)

        return await self._counted(
            "promote",
            request,
            lambda call: self._promote(call, name, request.stage, condition, request.manifest_digest),
            _promoted,
        )

    async def RollbackStage(
        self, request: stages_pb2.RollbackStageRequest, context: Context
    ) -> stages_pb2.RollbackStageResponse:
        name = PointerName.parse_stage(request.name)
        condition = _condition(request, name)

        return await self._counted(
            "rollback",
            request,
            lambda call: self._rollback(call, name, request.target_version, condition),
            _encoder(stages_pb2.RollbackStageResponse),
        )

    async def VacateStage(
        self, request: stages_pb2.VacateStageRequest, context: Context
    ) -> stages_pb2.VacateStageResponse:
        name = PointerName.parse_stage(request.name)
        condition = _condition(request, name)

        return await self._counted(
            "vacate",
            request,
            lambda call: self._vacate(call, name, condition),
            _encoder(stages_pb2.VacateStageResponse),
        )

    async def _counted(
        self,
        action: str,
        request: ChangeRequest,
        use_case: Callable[[Call[StageChange]], Committed[StageChange]],
        to_wire: Callable[[StageChange], R],
    ) -> R:
        try:
            reply = await self._edge.mutate(request, use_case, to_wire)
        except RegistryError as error:
            self._observer.stage_changed(action, _OUTCOMES.get(error.reason, "denied"))
            raise
        if not request.validate_only:
            self._observer.stage_changed(action, "applied")
        return reply

    async def EvaluatePromotion(
        self, request: stages_pb2.EvaluatePromotionRequest, context: Context
    ) -> stages_pb2.EvaluatePromotionResponse:
        name = VersionName.parse(request.name)
        return explanation_to_wire(await self._edge.read(lambda: self._evaluate(name, request.stage)))

    async def FreezeStage(self, request: stages_pb2.FreezeStageRequest, context: Context) -> stages_pb2.Stage:
        name = PointerName.parse_stage(request.name)
        return await self._edge.mutate(
            request, lambda call: self._freeze(call, name, request.justification), stage_to_wire
        )

    async def UnfreezeStage(self, request: stages_pb2.UnfreezeStageRequest, context: Context) -> stages_pb2.Stage:
        name = PointerName.parse_stage(request.name)
        return await self._edge.mutate(
            request, lambda call: self._unfreeze(call, name, request.justification), stage_to_wire
        )


OVERRIDE = "stages.override"
_OUTCOMES = {
    Reason.STAGE_MOVED: "conflict",
    Reason.ETAG_MISMATCH: "conflict",
    Reason.TRANSACTION_CONFLICT: "conflict",
    Reason.DATABASE_UNAVAILABLE: "error",
}


def _condition(request: ChangeRequest, name: VersionName | PointerName) -> Condition:
    """Raises: PERMISSION_MISSING for breaking glass without the right to; INVALID_FIELD without a reason."""
    if getattr(request, "break_glass", False):
        rights = call_context().rights
        grant = rights.require(OVERRIDE, name.project, name.model, str(name.parent))
        stage = name.id if isinstance(name, PointerName) else getattr(request, "stage", "")
        grant.require(name, stages=(stage,))
    return Condition(
        expected=request.expected_version if request.HasField("expected_version") else None,
        etag=request.etag,
        justification=request.justification,
        break_glass=getattr(request, "break_glass", False),
    )


def _promoted(change: StageChange) -> stages_pb2.PromoteVersionResponse:
    return stages_pb2.PromoteVersionResponse(
        stage=stage_to_wire(change.after),
        previous_stage=stage_to_wire(change.before),
        revision=change.revision,
        promotion_request=change.promotion_request,
    )


def _encoder(response: type[R]) -> Callable[[StageChange], R]:
    """The answers have the same fields."""

    def encode(change: StageChange) -> R:
        return response(
            stage=stage_to_wire(change.after),
            previous_stage=stage_to_wire(change.before),
            revision=change.revision,
        )

    return encode
