"""`mreg`: global options, the list of commands, and the one place where failures become exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from registry_grpc import __version__
from registry_grpc.cli.accounts import app as accounts
from registry_grpc.cli.accounts import tokens
from registry_grpc.cli.aliases import app as aliases
from registry_grpc.cli.audit import app as audit
from registry_grpc.cli.bindings import app as bindings
from registry_grpc.cli.cards import app as cards
from registry_grpc.cli.comparing import bom, compare, deps
from registry_grpc.cli.completion import completion, prepare_completion
from registry_grpc.cli.context import Globals, Output
from registry_grpc.cli.contexts import app as contexts
from registry_grpc.cli.controller import controller
from registry_grpc.cli.database import app as database
from registry_grpc.cli.deployments import app as deployments
from registry_grpc.cli.deployments import consumers, drift
from registry_grpc.cli.diagnosis import doctor
from registry_grpc.cli.evidence import app as evidence
from registry_grpc.cli.evidence import scan
from registry_grpc.cli.failures import ExitCode, report
from registry_grpc.cli.garbage import gc
from registry_grpc.cli.lineage import FORMS, runs
from registry_grpc.cli.lineage import app as lineage
from registry_grpc.cli.login import login, logout, whoami
from registry_grpc.cli.models import app as models
from registry_grpc.cli.policies import app as policies
from registry_grpc.cli.projects import app as projects
from registry_grpc.cli.requests import app as requests
from registry_grpc.cli.roles import app as roles
from registry_grpc.cli.roles import can
from registry_grpc.cli.searching import best, search
from registry_grpc.cli.serving import SERVE_CONTEXT, serve
from registry_grpc.cli.signing import sign, signatures, signers, verify
from registry_grpc.cli.slo import slo
from registry_grpc.cli.stage_gates import app as stage_gates
from registry_grpc.cli.stages import history, promote, resolve, rollback
from registry_grpc.cli.transfer import pull, push
from registry_grpc.cli.versions import app as versions
from registry_grpc.cli.watching import watch
from registry_grpc.cli.webhooks import app as webhooks

HELP = """A registry for machine-learning models.

References: fraud, fraud/7, fraud@production, fraud@champion, fraud/7@sha256:…, project:fraud…, mreg://project/fraud….

Environment: MREG_ENDPOINT, MREG_TOKEN, MREG_TOKEN_FILE, MREG_CA_FILE, MREG_PROJECT, MREG_CACHE_DIR, MREG_OUTPUT,
MREG_CONTEXT.

Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 denied, 5 conflict, 6 unavailable, 7 integrity, 130 interrupted.
"""
WITH_VALUE = frozenset({"-o", "--output", "--endpoint", "--project", "--token-file", "--timeout", "--context"})
_OWN_FORMS = frozenset(f"--output={form}" for form in FORMS)
FLAGS = frozenset({"-q", "--quiet", "-v", "--verbose", "--no-progress", "--insecure"})


class Commands(TyperGroup):
    """The commands; turns what the SDK raises into a line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- the signature it overrides
        """The result of the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("mreg: interrupted", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except Exception as error:
            # The SDK is loaded only when a command used it: without it this cannot be one of its errors.
            known = sys.modules.get("registry_grpc.client.errors")
            if known is None or not isinstance(error, known.RegistryError):
                raise
            chosen: Globals = ctx.obj or Globals()
            raise typer.Exit(report(error, chosen.where, verbose=chosen.verbose)) from None


app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wished: bool) -> None:
    """Print the version of this program and exit, when it is wished."""
    if wished:
        print(f"mreg {__version__}")
        raise typer.Exit(ExitCode.OK)


@app.callback()
def options(
    ctx: typer.Context,
    *,
    output: Annotated[
        Output, typer.Option("-o", "--output", envvar="MREG_OUTPUT", help="Form of what is printed.")
    ] = Output.TABLE,
    endpoint: Annotated[str | None, typer.Option(help="host:port of the registry.", show_default=False)] = None,
    project: Annotated[str | None, typer.Option(help="Project of references that name none.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the bearer token.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Deadline of one call, seconds.")] = 30.0,
    context: Annotated[str | None, typer.Option(help="A server you logged in to; see `mreg contexts`.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Plaintext to another machine.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No notes on stderr.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Reasons and facts of errors.")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="No progress bars.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Global options; they may stand anywhere in the command."""
    ctx.obj = Globals(
        output=output,
        endpoint=endpoint,
        project=project,
        token_file=token_file,
        timeout_s=timeout,
        insecure=insecure,
        context=context,
        quiet=quiet,
        verbose=verbose,
        no_progress=no_progress,
    )


options.__doc__ = HELP

for command in (
    *(login, logout, whoami, push, pull, resolve, promote, rollback, history, drift, consumers, watch, doctor),
    *(can, gc, slo, sign, verify, scan, controller, search, best, compare, deps, bom, completion),
):
    app.command()(command)
app.command(context_settings=SERVE_CONTEXT, add_help_option=False)(serve)
for name, group in {
    "models": models,
    "versions": versions,
    "aliases": aliases,
    "projects": projects,
    "roles": roles,
    "bindings": bindings,
    "accounts": accounts,
    "tokens": tokens,
    "deployments": deployments,
    "card": cards,
    "evidence": evidence,
    "lineage": lineage,
    "runs": runs,
    "signatures": signatures,
    "signers": signers,
    "policies": policies,
    "policy": policies,
    "requests": requests,
    "stages": stage_gates,
    "webhooks": webhooks,
    "audit": audit,
    "contexts": contexts,
    "db": database,
}.items():
    app.add_typer(group, name=name)


def with_globals_first(arguments: list[str]) -> list[str]:
    """The arguments with the global options moved to the front, so that `mreg models list -o json` works too."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            return [*front, *rest, argument, *waiting]
        name = argument.partition("=")[0]
        if argument in WITH_VALUE:
            value = next(waiting, None)
            place = rest if value in FORMS else front
            place += [argument, *([value] if value is not None else [])]
        elif argument in FLAGS or (name in WITH_VALUE and name.startswith("--") and argument not in _OWN_FORMS):
            front.append(argument)
        else:
            rest.append(argument)
    return [*front, *rest]


def main() -> None:
    """Entry point of `mreg`."""
    prepare_completion()
    app(with_globals_first(sys.argv[1:]), prog_name="mreg")
