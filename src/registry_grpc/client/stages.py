"""Stages: resolve, promote, roll back, look back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_grpc.client.connection import Pages
from registry_grpc.client.errors import IntegrityError, InvalidArgument
from registry_grpc.client.metadata import timestamp
from registry_grpc.client.session import Session
from registry_grpc.v1 import stages_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from registry_grpc.client.references import Reference


class StageCalls(Session):
    """Which version a reference stands for, and moving versions through stages. Every method raises RegistryError."""

    def version_name(self, ref: str | Reference) -> str:
        """Resource name of the version `ref` stands for now. A number is taken as it is: it may be that of a draft."""
        found = self.reference(ref)
        if found.number is not None and not found.digest:
            return found.version_name
        return self.resolve(found).version

    def resolve(
        self,
        ref: str | Reference,
        *,
        as_of: datetime | None = None,
        if_changed_since: int = 0,
        full: bool = False,
    ) -> stages_pb2.ResolveResponse:
        """The version `ref` stands for now, or stood for at `as_of`; a bare model name means its newest READY version.

        Raises: IntegrityError when a pinned digest is not that of the version; `full` adds the first 1000 files.
        """
        found = self.reference(ref)
        request = stages_pb2.ResolveRequest(
            name=found.model_name,
            if_changed_since=if_changed_since,
            view=stages_pb2.RESOLVE_VIEW_FULL if full else stages_pb2.RESOLVE_VIEW_BASIC,
        )
        if found.number is not None:
            request.version = found.number
        elif found.digest:
            request.manifest_digest = found.digest
        elif as_of is not None and found.pointer:
            request.stage = found.pointer
        elif found.pointer:
            request.reference = found.pointer
        else:
            request.alias = "latest"
        if as_of is not None:
            request.as_of.CopyFrom(timestamp(as_of, "as_of"))
        answer = self._connection.read(self._connection.stubs.stages.Resolve, request)
        if found.digest and not answer.unchanged and answer.manifest_digest != found.digest:
            raise IntegrityError(
                f"{answer.version} has manifest digest {answer.manifest_digest}, {found!s} pins another; "
                "do not load it, and find out who changed the reference or the registry",
                reason="DIGEST_MISMATCH",
                metadata={"expected": found.digest, "actual": answer.manifest_digest},
            )
        return answer

    def get_stage(self, model: str, stage: str) -> stages_pb2.Stage:
        """One stage of a model: its holder, or vacant."""
        request = stages_pb2.GetStageRequest(name=f"{self.model_name(model)}/stages/{stage}")
        return self._connection.read(self._connection.stubs.stages.GetStage, request)

    def list_stages(self, model: str) -> list[stages_pb2.Stage]:
        """Every stage of a model, in the project's order."""
        request = stages_pb2.ListStagesRequest(parent=self.model_name(model))
        return list(self._connection.read(self._connection.stubs.stages.ListStages, request).stages)

    def promote(
        self,
        ref: str | Reference,
        stage: str,
        *,
        expected: int | None = None,
        etag: str = "",
        reason: str = "",
        validate_only: bool = False,
        break_glass: bool = False,
    ) -> stages_pb2.PromoteVersionResponse:
        """Move a version into a stage; `expected` is the number that must hold it now, 0 for vacant.

        `break_glass` goes past policies, approvals and a freeze; it needs a `reason` and a permission of its own.

        A reference that is not a number is resolved first and pinned by its digest, so that what was meant is moved.
        """
        name, digest = self._pinned(ref)
        request = stages_pb2.PromoteVersionRequest(
            name=name,
            stage=stage,
            expected_version=expected,
            etag=etag,
            manifest_digest=digest,
            justification=reason,
            validate_only=validate_only,
            break_glass=break_glass,
        )
        return self._connection.write(self._connection.stubs.stages.PromoteVersion, request)

    def evaluate(self, version: str, stage: str) -> stages_pb2.EvaluatePromotionResponse:
        """What `promote` would say of a version, given as its resource name, rule by rule."""
        request = stages_pb2.EvaluatePromotionRequest(name=version, stage=stage)
        return self._connection.read(self._connection.stubs.stages.EvaluatePromotion, request)

    def freeze(self, model: str, stage: str, reason: str) -> stages_pb2.Stage:
        """Let nothing move in or out of a stage."""
        name = f"{self.model_name(model)}/stages/{stage}"
        request = stages_pb2.FreezeStageRequest(name=name, justification=reason)
        return self._connection.write(self._connection.stubs.stages.FreezeStage, request)

    def unfreeze(self, model: str, stage: str, reason: str = "") -> stages_pb2.Stage:
        """Let things move again."""
        name = f"{self.model_name(model)}/stages/{stage}"
        request = stages_pb2.UnfreezeStageRequest(name=name, justification=reason)
        return self._connection.write(self._connection.stubs.stages.UnfreezeStage, request)

    def rollback(
        self,
        model: str,
        stage: str,
        *,
        to: int | None = None,
        expected: int | None = None,
        etag: str = "",
        reason: str = "",
    ) -> stages_pb2.RollbackStageResponse:
        """Give a stage back to the version before, past those already rolled back from, or to version `to`."""
        request = stages_pb2.RollbackStageRequest(
            name=f"{self.model_name(model)}/stages/{stage}",
            target_version=to or 0,
            expected_version=expected,
            etag=etag,
            justification=reason,
        )
        return self._connection.write(self._connection.stubs.stages.RollbackStage, request)

    def vacate(
        self, model: str, stage: str, *, expected: int | None = None, etag: str = "", reason: str = ""
    ) -> stages_pb2.VacateStageResponse:
        """Take the holder out of a stage and leave it vacant."""
        request = stages_pb2.VacateStageRequest(
            name=f"{self.model_name(model)}/stages/{stage}",
            expected_version=expected,
            etag=etag,
            justification=reason,
        )
        return self._connection.write(self._connection.stubs.stages.VacateStage, request)

    def history(self, model: str, stage: str = "", *, page_size: int = 0) -> Iterable[stages_pb2.StageAssignment]:
        """Who came to which stage and when, newest first; fetched page by page."""
        parent = self.model_name(model)

        def fetch(token: str) -> stages_pb2.ListStageHistoryResponse:
            request = stages_pb2.ListStageHistoryRequest(
                parent=parent, stage=stage, page_size=page_size, page_token=token
            )
            return self._connection.read(self._connection.stubs.stages.ListStageHistory, request)

        return Pages[stages_pb2.StageAssignment](fetch, "assignments")

    def _pinned(self, ref: str | Reference) -> tuple[str, str]:
        """Version name, and the manifest digest it must have when `ref` says or implies one."""
        found = self.reference(ref)
        if found.number is not None:
            return found.version_name, found.digest or ""
        if not found.digest and not found.pointer:
            raise InvalidArgument(f"{found!s} names a model; say which version, e.g. {found!s}/7 or {found!s}@latest")
        answer = self.resolve(found)
        return answer.version, answer.manifest_digest
