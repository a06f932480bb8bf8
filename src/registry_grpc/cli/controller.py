"""`mreg controller`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from registry_grpc.cli.context import Globals
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.client.registry import Registry
    from registry_grpc.controller.kubeconfig import Access
    from registry_grpc.controller.leader import Election


def controller(
    ctx: typer.Context,
    *,
    environment: Annotated[
        str, typer.Option(envvar="MREG_CONTROLLER_ENVIRONMENT", help="Environment that deployments are reported in.")
    ] = "production",
    cluster: Annotated[
        str, typer.Option(envvar="MREG_CONTROLLER_CLUSTER", help="Cluster that they are reported in.")
    ] = "",
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Namespace to follow, repeatable; that of the pod or kubeconfig when left out."),
    ] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", help="Follow every namespace.")] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Where the cluster is; $KUBECONFIG, else the pod's service account.")
    ] = None,
    metrics_listen: Annotated[
        str, typer.Option(help="host:port of /metrics, /livez and /readyz; empty for none.")
    ] = "127.0.0.1:7480",
    leader_elect: Annotated[
        bool, typer.Option("--leader-elect/--no-leader-elect", help="Work only while holding a Lease.")
    ] = True,
    lease: Annotated[
        str,
        typer.Option(metavar="[NAMESPACE/]NAME", help="The Lease; in the namespace of the pod or kubeconfig."),
    ] = "mreg-controller",
    lease_duration: Annotated[float, typer.Option(min=1, help="Seconds until others take over from a dead one.")] = 15,
    workers: Annotated[int, typer.Option(min=1, help="ModelDeployments worked on at a time.")] = 4,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="json, text or auto.")] = "auto",
) -> None:
    """Bring what stages hold into a Kubernetes cluster, as its ModelDeployments say; docs/kubernetes.md.

    The registry is that of --endpoint and --token-file, as for every command.
    """
    try:
        from registry_grpc.controller.kubeconfig import KubeconfigError, load_access
    except ImportError as error:
        _fail(f"the controller needs {error.name}: pip install 'registry-grpc[cli,controller]'")
    from registry_grpc.controller.leader import Election
    from registry_grpc.observability import logs

    chosen: Globals = ctx.obj
    if all_namespaces and namespace:
        _fail("--namespace and --all-namespaces contradict each other; leave one out", ExitCode.USAGE)
    logs.configure(log_level, log_format)
    try:
        access = load_access(kubeconfig)
    except KubeconfigError as error:
        _fail(str(error))
    election = Election(
        namespace=lease.rpartition("/")[0] or access.namespace,
        name=lease.rpartition("/")[2],
        identity=f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}",
        lease_s=lease_duration,
        renew_s=lease_duration * 2 / 3,
        retry_s=lease_duration / 7.5,
    )
    followed = (None,) if all_namespaces else tuple(namespace or [access.namespace])
    kept = _run(
        chosen,
        access,
        election if leader_elect else None,
        namespaces=followed,
        environment=environment,
        cluster=cluster,
        workers=workers,
        listen=metrics_listen,
    )
    # At once: threads that wait for a watch hold nothing, and a process whose lease is lost must not go on.
    sys.stderr.flush()
    os._exit(ExitCode.OK if kept else ExitCode.ERROR)


def _run(  # one parameter per thing that is put together
    chosen: Globals,
    access: Access,
    election: Election | None,
    *,
    namespaces: tuple[str | None, ...],
    environment: str,
    cluster: str,
    workers: int,
    listen: str,
) -> bool:
    from prometheus_client import CollectorRegistry

    from registry_grpc.controller.app import Controller, Scope
    from registry_grpc.controller.kube import Kube
    from registry_grpc.controller.leader import Leader
    from registry_grpc.controller.metrics import ControllerMetrics
    from registry_grpc.controller.reconciler import Reconciler, Where
    from registry_grpc.controller.recorder import Recorder
    from registry_grpc.controller.source import Source
    from registry_grpc.observability.http import MetricsServer

    kube, source = Kube(access), Source(lambda project: _connect(chosen, project))
    metrics = ControllerMetrics(CollectorRegistry())
    recorder = Recorder(kube, socket.gethostname())
    reconciler = Reconciler(kube, source, recorder, metrics, Where(environment, cluster))
    made = Controller(kube, source, reconciler, metrics, Scope(namespaces, workers))

    def stop(*_: Any) -> None:  # noqa: ANN401 -- what a signal handler is given
        made.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if listen:
        host, _, port = listen.rpartition(":")
        MetricsServer(metrics.registry, made.failing, host, int(port))
    if election is None:
        return made.run(None)
    # Its calls end in time, so that a leader that gets no answers stops before another one begins.
    return made.run(Leader(Kube(access, timeout_s=election.lease_s / 6), election))


def _connect(chosen: Globals, project: str) -> Registry:
    from registry_grpc.client.registry import Registry

    return Registry(
        chosen.endpoint,
        token_file=chosen.token_file,
        project=project,
        timeout_s=min(chosen.timeout_s, 5.0),
        insecure=chosen.insecure,
        context=chosen.context,
    )


def _fail(message: str, code: ExitCode = ExitCode.ERROR) -> NoReturn:
    print(f"mreg: {message}", file=sys.stderr)
    raise typer.Exit(code)
