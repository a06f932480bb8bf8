"""`mreg policies`: what promotions must fulfil."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals, version_name
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.v1 import governance_pb2, versions_pb2

app = typer.Typer(help="Policies: what promotions must fulfil.", no_args_is_help=True)
_Policy = Annotated[str, typer.Argument(help="ID in the project, or a resource name.")]
_File = Annotated[Path, typer.Argument(help="YAML or JSON with the fields of a policy.", exists=True, dir_okay=False)]
_Version = Annotated[
    Path | None, typer.Option("--version-file", help="What `mreg versions get REF -o json` printed.", exists=True)
]
_Holder = Annotated[
    Path | None, typer.Option("--holder-file", help="The same of the version that holds the stage.", exists=True)
]


def _show(chosen: Globals, policy: governance_pb2.Policy) -> None:
    from registry_grpc.cli import governance_views, output, views

    output.show_one(chosen.output, policy, governance_views.POLICY, views.name)


def read_policy(path: Path) -> governance_pb2.Policy:
    """The policy in a file. Raises: BadParameter."""
    import yaml
    from google.protobuf.json_format import ParseDict, ParseError

    from registry_grpc.v1 import governance_pb2

    try:
        values: Any = yaml.safe_load(path.read_text())
        return ParseDict(values, governance_pb2.Policy())
    except (ParseError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        raise typer.BadParameter(f"{path} is no policy: {error}", param_hint="FILE") from None


@app.command("list")
def list_policies(ctx: typer.Context) -> None:
    """List the policies of the project."""
    from registry_grpc.cli import governance_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.policies.list(), governance_views.POLICIES, views.name)


@app.command()
def get(
    ctx: typer.Context,
    policy: _Policy,
    *,
    version: Annotated[int, typer.Option("--version", min=0, help="As it was then; 0 for now.")] = 0,
) -> None:
    """Show one policy; `-o yaml` shows all of its rules."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.policies.get(policy, version=version))


@app.command()
def versions(ctx: typer.Context, policy: _Policy) -> None:
    """List every version of a policy, the newest first."""
    from registry_grpc.cli import governance_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.policies.versions(policy), governance_views.POLICIES, views.name)


@app.command("apply")
def apply_policy(ctx: typer.Context, policy: _Policy, file: _File) -> None:
    """Create a policy from a file, or replace it: a new version, under which approvals are given anew."""
    from registry_grpc.client import NotFound

    chosen: Globals = ctx.obj
    wanted = read_policy(file)
    names = ("display_name", "description", "models", "stages", "rules", "disabled", "fast_rollback")
    with chosen.registry() as registry:
        try:
            etag = registry.policies.get(policy).etag
        except NotFound:
            given = {field.name: value for field, value in wanted.ListFields() if field.name in names}
            _show(chosen, registry.policies.create(policy, **given))
            return
        fields = {name: getattr(wanted, name) for name in names}
        _show(chosen, registry.policies.update(policy, etag=etag, **fields))


@app.command()
def delete(ctx: typer.Context, policy: _Policy, *, etag: options.Etag = "") -> None:
    """Delete a policy. Its versions can still be read."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.policies.delete(policy, etag=etag)
        chosen.note(f"{registry.policies.name_of(policy)} is deleted")


@app.command("test")
def hold(
    ctx: typer.Context,
    file: _File,
    ref: Annotated[str, typer.Argument(help="Version to ask the registry for; none with --version-file.")] = "",
    *,
    stage: Annotated[str, typer.Option("--stage", help="Stage; the first of the policy when left out.")] = "",
    version_file: _Version = None,
    holder_file: _Holder = None,
) -> None:
    """Hold a version to a policy in a file, with files alone or a version of the registry; exit code 1 when it fails.

    Approvals, evidence, signatures and time in a stage are left to the registry.
    """
    from registry_grpc.cli import governance_views, output
    from registry_grpc.cli.policy_trial import try_policy

    chosen: Globals = ctx.obj
    policy = read_policy(file)
    if bool(ref) == (version_file is not None):
        raise typer.BadParameter("give a version, or --version-file")
    if version_file is not None:
        version = _read_version(version_file)
    else:
        with chosen.registry() as registry:
            version = registry.get_version(version_name(registry, ref))
    holder = _read_version(holder_file) if holder_file else None
    checks = try_policy(policy, version, holder, stage)
    output.show_list(chosen.output, checks, governance_views.CHECKS, lambda check: check.rule)
    if any(not check.passed and not check.advisory for check in checks):
        raise typer.Exit(ExitCode.ERROR)


def _read_version(path: Path) -> versions_pb2.ModelVersion:
    from google.protobuf.json_format import Parse, ParseError

    from registry_grpc.v1 import versions_pb2

    try:
        return Parse(path.read_text(), versions_pb2.ModelVersion(), ignore_unknown_fields=True)
    except (ParseError, ValueError) as error:
        raise typer.BadParameter(f"{path} is no version: {error}") from None
