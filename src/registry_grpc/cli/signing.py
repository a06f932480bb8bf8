"""`mreg sign`, `mreg verify`, `mreg signatures` and `mreg signers`: who stands behind a version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry_grpc.cli import options
from registry_grpc.cli.context import Globals
from registry_grpc.cli.failures import ExitCode

if TYPE_CHECKING:
    from registry_grpc.domain.signing.judging import Judgement
    from registry_grpc.v1 import evidence_pb2

signatures = typer.Typer(help="Signatures of versions.", no_args_is_help=True)
signers = typer.Typer(help="Signers whose signatures count.", no_args_is_help=True)
_Ref = Annotated[str, typer.Argument(help="Version, e.g. fraud/7 or fraud@staging.")]
_Signer = Annotated[str, typer.Argument(help="ID in the project, or a resource name.")]
_READ_BYTES = 1 << 20


def _show(chosen: Globals, signature: evidence_pb2.ModelSignature) -> None:
    from registry_grpc.cli import evidence_views, output, views

    output.show_one(chosen.output, signature, evidence_views.SIGNATURE, views.name)


def sign(
    ctx: typer.Context,
    ref: _Ref,
    *,
    key: Annotated[Path, typer.Option("--key", help="Private key, PEM.")],
    certificates: Annotated[
        Path | None, typer.Option("--certificates", help="Its certificate, PEM, and those between it and an authority.")
    ] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the password of the key.")] = None,
) -> None:
    """Sign a version by the digests of its files, without fetching them; exit code 7 unless it is valid."""
    from registry_grpc.v1 import evidence_pb2

    chosen: Globals = ctx.obj
    password = _text(password_file).rstrip("\r\n") if password_file else None
    with chosen.registry() as registry:
        made = registry.signatures.sign(ref, key, password=password, certificates=certificates)
    _show(chosen, made)
    if made.verdict != evidence_pb2.ModelSignature.VERDICT_VALID:
        chosen.note(f"it does not count: {made.failure}")
        raise typer.Exit(ExitCode.INTEGRITY)


def verify(
    ctx: typer.Context,
    ref: Annotated[str, typer.Argument(help="Version to ask the registry about, or a directory to verify here.")],
    *,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Of a directory: the bundle.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Of a directory: the public key, PEM.")] = None,
    authorities: Annotated[
        Path | None, typer.Option("--authorities", help="Of a directory: certificates, PEM, to chain to.")
    ] = None,
    identity: Annotated[str, typer.Option("--identity", help="With authorities: uri:…, dns:… or email:….")] = "",
) -> None:
    """Verify who signed a version, or a directory without any server; exit code 7 when nothing valid is found."""
    from registry_grpc.cli import evidence_views, output, views

    chosen: Globals = ctx.obj
    if bundle is not None:
        found = _verified_here(Path(ref), bundle, key, authorities, identity)
        facts = {"verdict": str(found.verdict), "signer": found.signer, "failure": found.failure}
        output.data(chosen.output, {name: value for name, value in facts.items() if value})
        if found.verdict != "valid":
            raise typer.Exit(ExitCode.INTEGRITY)
        return
    if key or authorities or identity:
        raise typer.BadParameter("the registry knows whom to trust; give --bundle to verify a directory here")
    with chosen.registry() as registry:
        rows = [*registry.signatures.list(ref)]
    output.show_list(chosen.output, rows, evidence_views.SIGNATURES, views.name)
    if not any(evidence_views.verdict(row) == "valid" for row in rows):
        chosen.note(f"{ref} has no valid signature")
        raise typer.Exit(ExitCode.INTEGRITY)


def _verified_here(
    directory: Path, bundle: Path, key: Path | None, authorities: Path | None, identity: str
) -> Judgement:
    """The verdict on local files.

    Raises: typer.BadParameter.
    """
    from datetime import UTC, datetime

    from registry_grpc.client.tree import collect

    try:
        from registry_grpc.domain.errors import RegistryError
        from registry_grpc.domain.evidence import TrustedSigner
        from registry_grpc.domain.evidence_names import TrustedSignerName
        from registry_grpc.domain.signing.judging import judge, signer_fields
    except ImportError as error:
        raise typer.BadParameter(f"needs {error.name}: pip install 'registry-grpc[signing]'") from error

    if not directory.is_dir():
        raise typer.BadParameter(f"{directory} is no directory")
    now = datetime.now(UTC)
    # The bundle may lie among the files it signs.
    files = [file for file in collect(directory) if file.source.resolve() != bundle.resolve()]
    try:
        fields = signer_fields(_text(key) if key else "", _text(authorities) if authorities else "", identity)
        signer = TrustedSigner(uid="", name=TrustedSignerName("here", "given"), create_time=now, **fields)
        return judge(_bytes(bundle), {file.path: _sha256(file.source) for file in files}, [signer], now)
    except RegistryError as error:
        raise typer.BadParameter(error.message.replace("trusted_signer.", "")) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path} is no text") from error


@signatures.command("list")
def list_signatures(ctx: typer.Context, ref: _Ref) -> None:
    """List the signatures of a version, the oldest first."""
    from registry_grpc.cli import evidence_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.signatures.list(ref), evidence_views.SIGNATURES, views.name)


@signatures.command("add")
def add_signature(
    ctx: typer.Context, ref: _Ref, bundle: Annotated[Path, typer.Argument(help="Bundle of any OMS signer.")]
) -> None:
    """Add a bundle that was made elsewhere; what came of it is in its verdict."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        _show(chosen, registry.signatures.add(ref, _bytes(bundle)))


@signatures.command("bundle")
def get_bundle(ctx: typer.Context, signature: Annotated[str, typer.Argument(help="Resource name.")]) -> None:
    """Print the bundle of a signature."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        typer.echo(registry.signatures.get(signature).bundle, nl=False)


@signers.command("list")
def list_signers(ctx: typer.Context) -> None:
    """List the trusted signers of the project."""
    from registry_grpc.cli import evidence_views, output, views

    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        output.show_list(chosen.output, registry.trusted_signers.list(), evidence_views.SIGNERS, views.name)


@signers.command()
def create(
    ctx: typer.Context,
    signer: _Signer,
    *,
    key: Annotated[Path | None, typer.Option("--key", help="Public key, PEM.")] = None,
    authorities: Annotated[Path | None, typer.Option("--authorities", help="Certificates, PEM, to chain to.")] = None,
    identity: Annotated[str, typer.Option("--identity", help="With authorities: uri:…, dns:… or email:….")] = "",
    display_name: options.DisplayName = None,
) -> None:
    """Trust a public key, or whoever has a certificate of these authorities."""
    from registry_grpc.cli import evidence_views, output, views

    if (key is None) == (authorities is None):
        raise typer.BadParameter("give --key or --authorities")
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        made = registry.trusted_signers.create(
            signer,
            display_name=display_name or "",
            public_key=_text(key) if key else "",
            certificate_authorities=_text(authorities) if authorities else "",
            certificate_identity=identity,
        )
    output.show_one(chosen.output, made, evidence_views.SIGNER, views.name)


@signers.command()
def delete(ctx: typer.Context, signer: _Signer, *, etag: options.Etag = "") -> None:
    """Trust a signer no more, and so none of the signatures by it."""
    chosen: Globals = ctx.obj
    with chosen.registry() as registry:
        registry.trusted_signers.delete(signer, etag=etag)
        chosen.note(f"{registry.trusted_signers.name_of(signer)} is trusted no more")
