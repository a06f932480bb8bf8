"""The Python SDK: `with Registry() as registry: registry.push("fraud", "./out", metrics={"auc": 0.93})`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from registry_grpc.client.access import AccessCalls
from registry_grpc.client.accounts import AccountCalls
from registry_grpc.client.artifacts import ArtifactCalls
from registry_grpc.client.audit import AuditCalls
from registry_grpc.client.cache import Cache
from registry_grpc.client.comparisons import ComparisonCalls
from registry_grpc.client.connection import Connection
from registry_grpc.client.deployments import DeploymentCalls
from registry_grpc.client.errors import InvalidArgument
from registry_grpc.client.evidence import EvidenceCalls, SignatureCalls, SignerCalls
from registry_grpc.client.governance import PolicyCalls, PromotionRequestCalls
from registry_grpc.client.lineage import LineageCalls, RunCalls
from registry_grpc.client.models import ModelCalls
from registry_grpc.client.progress import silent
from registry_grpc.client.projects import ProjectCalls
from registry_grpc.client.pull import Pull
from registry_grpc.client.push import Push, PushFields, push_message
from registry_grpc.client.requirements import capture
from registry_grpc.client.search import SearchCalls
from registry_grpc.client.settings import DEFAULT_TIMEOUT_S, load
from registry_grpc.client.watch import EVERYTHING, Watch, watch_request
from registry_grpc.client.webhooks import WebhookCalls
from registry_grpc.v1 import evidence_pb2, server_pb2, versions_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from registry_grpc.client.progress import Report


COLLECT_TIMEOUT_S = 30.0


class Registry(ProjectCalls, ModelCalls, ComparisonCalls, SearchCalls, ArtifactCalls, AccessCalls, AccountCalls):
    """A registry. Answers are the contract's messages; every method raises RegistryError.

    Nothing is connected before the first call. Concurrency: one Registry serves any number of threads; a process that
    forks makes its own afterwards. A read through it never misses a write made through it.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        client_cert: str | Path | None = None,
        client_key: str | Path | None = None,
        project: str | None = None,
        cache_dir: str | Path | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        insecure: bool = False,
        context: str | None = None,
    ) -> None:
        """Every argument left out is taken from its `MREG_…` variable, else the context in force, else its default.

        `context` is one that `mreg login` made; without it, and without an endpoint, it is the current one.

        `endpoint` is `host:port`, several `IP:port` with commas between, or any gRPC target. A loopback endpoint is
        plaintext unless `ca_file` is given and uses the admin token of this user's `mreg serve`; any other is TLS
        unless `insecure`. `timeout_s` is the deadline of one call, not of a push or pull.
        """
        settings = load(
            endpoint,
            token=token,
            token_file=token_file,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
            project=project,
            cache_dir=cache_dir,
            timeout_s=timeout_s,
            insecure=insecure,
            context=context,
        )
        super().__init__(Connection(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Registry({self.endpoint!r}, project={self.project!r})"

    def close(self) -> None:
        """End the connection. The Registry can still be used: it connects again."""
        self._connection.close()

    @property
    def connection(self) -> Connection:
        """The connection, for services that have no method here."""
        return self._connection

    @property
    def deployments(self) -> DeploymentCalls:
        """What runs where, how that differs from what should run, and who uses which version."""
        return DeploymentCalls(self._connection)

    @property
    def audit(self) -> AuditCalls:
        """Who did what, exports of it, and proofs."""
        return AuditCalls(self._connection)

    def server_info(self) -> server_pb2.ServerInfo:
        """Versions, limits and features of the server, and who this client is to it."""
        info = self._connection.read(self._connection.stubs.server.GetServerInfo, server_pb2.GetServerInfoRequest())
        self._connection.note_registry(info.registry_uid)
        return info

    @property
    def policies(self) -> PolicyCalls:
        """What promotions must fulfil."""
        return PolicyCalls(self._connection)

    @property
    def promotion_requests(self) -> PromotionRequestCalls:
        """Who asks for a promotion, and who said yes."""
        return PromotionRequestCalls(self._connection)

    @property
    def webhooks(self) -> WebhookCalls:
        """Where events are pushed to."""
        return WebhookCalls(self._connection)

    @property
    def lineage(self) -> LineageCalls:
        """What came from what."""
        return LineageCalls(self._connection)

    @property
    def runs(self) -> RunCalls:
        """Runs of training, preparation and evaluation."""
        return RunCalls(self._connection)

    @property
    def evidence(self) -> EvidenceCalls:
        """What tools and people found out about versions."""
        return EvidenceCalls(self._connection)

    @property
    def signatures(self) -> SignatureCalls:
        """Who signed versions."""
        return SignatureCalls(self._connection)

    @property
    def trusted_signers(self) -> SignerCalls:
        """Whose signatures count."""
        return SignerCalls(self._connection)

    def sign_version(
        self, ref: str, key: str | Path, *, password: str | None = None, certificates: str | Path | None = None
    ) -> evidence_pb2.ModelSignature:
        """As `signatures.sign`."""
        return self.signatures.sign(ref, key, password=password, certificates=certificates)

    def verify_version(self, ref: str) -> Sequence[evidence_pb2.ModelSignature]:
        """As `signatures.require_valid`."""
        return self.signatures.require_valid(ref)

    def collect_garbage(self, *, execute: bool = False, adopt_store: bool = False) -> server_pb2.CollectGarbageResponse:
        """What stored bytes nothing needs any more; with `execute` what is past its grace is removed, a part at a time.

        `adopt_store` marks the artifact store as that of this registry's database; it needs `execute`.
        """
        request = server_pb2.CollectGarbageRequest(execute=execute, adopt_store=adopt_store)
        timeout_s = max(COLLECT_TIMEOUT_S, self._connection.settings.timeout_s)
        return self._connection.write(self._connection.stubs.server.CollectGarbage, request, timeout_s=timeout_s)

    def push(
        self,
        model: str,
        path_or_paths: str | Path | Iterable[str | Path],
        *,
        create_model: bool = True,
        finalize: bool = True,
        force_new: bool = False,
        parallel: int = 2,
        progress: Report | None = None,
        requirements: str | Path | None = None,
        **fields: Unpack[PushFields],
    ) -> versions_pb2.ModelVersion:
        """A version with these files and metadata, made or found again; READY unless `finalize` is off.

        A directory gives its content, `.git` left out; of several paths a directory keeps its name. The same push again
        sends only what is missing, and once finalized returns the same version, unless `force_new`. Bytes the project
        holds are not sent. Memory: a few MiB for each of the `parallel` files.

        `requirements` is a requirements.txt, environment.yml, uv.lock or pylock.toml, or `"freeze"` for what is
        installed here: its packages become dependencies, and it is kept in the version below `requirements/`.

        Raises: IntegrityError when a file changes meanwhile.
        """
        captured = None if requirements is None else capture(requirements)
        push = Push(
            registry=self,
            connection=self._connection,
            model=model,
            metadata=push_message(fields, captured),
            requirements=captured,
            create_model=create_model,
            finalize=finalize,
            force_new=force_new,
            parallel=_positive(parallel),
            report=progress or silent,
            stop=threading.Event(),
        )
        return push.run(path_or_paths)

    def watch(
        self,
        target: str | None = None,
        *,
        types: Iterable[str] = (),
        state: bool = True,
        resume_token: str = "",
        progress_s: float = 10.0,
    ) -> Watch:
        """Changes as they happen: `for change in registry.watch("fraud@production"): ...`.

        `target` is a model, a model with a stage, None for the project of this client, or `watch.EVERYTHING`. It begins
        with the present `state` unless that is off, or goes on where `resume_token` stands; with `state` it begins anew
        when the registry no longer knows the place, without it that is raised. `types` as in the contract,
        e.g. `["Stage"]`, which is what a target with a stage means.

        Raises: InvalidArgument for a target that is a version; while it is read, NotFound, PermissionDenied and
            Unauthenticated. Whatever passes by itself is waited for.
        """
        parent, stages, kinds = self.project_name(), [], list(types)
        if target == EVERYTHING:
            parent = EVERYTHING
        elif target is not None:
            found = self.reference(target)
            if found.number is not None or found.digest:
                raise InvalidArgument(f"{target} is a version, which never changes; watch {found.model} or a stage")
            parent = found.model_name
            if found.pointer:
                stages, kinds = [found.pointer], kinds or ["Stage"]
        request = watch_request(
            parent, types=kinds, stages=stages, state=state, resume_token=resume_token, progress_s=progress_s
        )
        return Watch(self._connection.settings, request, anew=state)

    def pull(
        self,
        ref: str,
        dest: str | Path | None = None,
        *,
        verify: bool = True,
        parallel: int = 4,
        progress: Report | None = None,
    ) -> Path:
        """A directory with the files of the version `ref` stands for now, every byte checked against its digest.

        Without `dest` it is a read-only directory in the cache; with it a copy there, which appears whole or not at
        all. `verify=False` takes bytes already in the cache for right when their size is.

        Raises: IntegrityError, FailedPrecondition when `dest` holds anything else.
        """
        pull = Pull(
            registry=self,
            connection=self._connection,
            cache=Cache(self._connection.settings.cache_dir),
            verify=verify,
            parallel=_positive(parallel),
            report=progress or silent,
            stop=threading.Event(),
        )
        return pull.run(self.resolve(ref, full=True), Path(dest).absolute() if dest is not None else None)


def _positive(parallel: int) -> int:
    if parallel < 1:
        raise InvalidArgument(f"parallel is {parallel}; it must be at least 1")
    return parallel
