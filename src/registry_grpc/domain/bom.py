"""What a version is made of, as a CycloneDX 1.6 bill of materials. Source: ECMA-424, bom-1.6.schema.json.

The same version at the same revision always gives the same document. What CycloneDX has no place for stands in
`properties`, whose names begin with `mreg:`. URIs are labels here: only what surely is a web address is put where a
reader expects a link.
"""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from registry_grpc.domain.filters.terms import newest_metrics
from registry_grpc.domain.metadata import CodeRevision, ModelCard, Provenance, Signature
from registry_grpc.domain.packages import exact_version, normalised_package, package_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_grpc.domain.artifacts import Artifact
    from registry_grpc.domain.metadata import DatasetVersion, Dependency, Metric, ParentModel, TensorSpec
    from registry_grpc.domain.resources import Version

    Json = dict[str, Any]

MEDIA_TYPE = "application/vnd.cyclonedx+json; version=1.6"
_MODEL = "model"
_DIGESTS = {"md5": ("MD5", 32), "sha1": ("SHA-1", 40), "sha256": ("SHA-256", 64), "sha512": ("SHA-512", 128)}
_MIME = re.compile(r"[-+a-z0-9.]+/[-+a-z0-9.]+")
_CHARS = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*"
_WEB = re.compile(rf"https?://[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?(?:/{_CHARS})?(?:\?{_CHARS})?(?:\#{_CHARS})?")


def bill_of_materials(version: Version, files: Sequence[Artifact] | None) -> str:
    """The document, JSON. `files` None: they are not told, and the document says that it is not complete."""
    provenance = version.metadata.provenance or Provenance()
    packages = [_package(at, each) for at, each in enumerate(version.metadata.dependencies, 1)]
    data = [_dataset(at, each) for at, each in enumerate(provenance.training_data, 1)]
    made = _filled(
        bomFormat="CycloneDX",
        specVersion="1.6",
        serialNumber=f"urn:uuid:{version.uid}",
        version=max(1, version.revision),
        metadata={
            "timestamp": version.update_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "registry-grpc"}]},
            "component": _model(version, files, [each["bom-ref"] for each in data]),
        },
        components=[*packages, *data],
        dependencies=[{"ref": _MODEL, "dependsOn": [each["bom-ref"] for each in packages]}],
        compositions=[{"aggregate": "incomplete" if files is None else "complete", "assemblies": [_MODEL]}],
    )
    return json.dumps(made, ensure_ascii=False, separators=(",", ":"))


def _model(version: Version, files: Sequence[Artifact] | None, data: Sequence[str]) -> Json:
    provenance = version.metadata.provenance or Provenance()
    code = provenance.code or CodeRevision()
    commit = _filled(uid=code.revision, url=_web(code.repository))
    pedigree = _filled(
        ancestors=[_parent(each) for each in provenance.parents], commits=[commit] if code.revision else []
    )
    framework = version.metadata.framework
    return _filled(
        **{"type": "machine-learning-model", "bom-ref": _MODEL},
        publisher=version.owner,
        group=version.name.project,
        name=version.name.model,
        version=str(version.name.number),
        description=version.description,
        licenses=_licenses(version.card),
        pedigree=pedigree,
        externalReferences=[{"type": "vcs", "url": code.repository}] if _web(code.repository) else [],
        components=[_file(each) for each in files or ()],
        modelCard=_card(version, data),
        properties=_properties(
            ("name", str(version.name)),
            ("state", version.state.value),
            ("version_label", version.version_label),
            ("manifest_digest", version.manifest_digest),
            ("framework", "==".join(filter(None, (framework.name, framework.version))) if framework else ""),
            ("code.repository", code.repository),
            ("code.path", code.path),
            ("run", provenance.training_run.id if provenance.training_run else ""),
            *((f"tags.{key}", value) for key, value in sorted(version.tags.items())),
        ),
    )


def _card(version: Version, data: Sequence[str]) -> Json:
    card, metadata = version.card or ModelCard(), version.metadata
    signature = metadata.signature or Signature()
    return _filled(
        modelParameters=_filled(
            task=metadata.task,
            modelArchitecture=metadata.algorithm,
            datasets=[{"ref": each} for each in data],
            inputs=[_tensor(each) for each in signature.inputs],
            outputs=[_tensor(each) for each in signature.outputs],
        ),
        quantitativeAnalysis=_filled(performanceMetrics=[_metric(each) for each in newest_metrics(metadata.metrics)]),
        considerations=_filled(
            useCases=_some(card.intended_use),
            technicalLimitations=_some(card.limitations),
            ethicalConsiderations=[{"name": each} for each in _some(card.ethical_considerations)],
        ),
        properties=_properties(
            ("card.training_data", card.training_data),
            ("card.evaluation", card.evaluation),
            ("card.citation", card.citation),
            ("card.languages", ", ".join(card.languages)),
            *(("card.contact", each) for each in card.contacts),
            ("model_card", version.model_card),
        ),
    )


def _tensor(spec: TensorSpec) -> Json:
    shape = list(spec.shape) if spec.shape else ""
    return {"format": f"{spec.name}: {spec.data_type.value}{shape}{' (optional)' if spec.optional else ''}"}


def _metric(metric: Metric) -> Json:
    measured = "@".join(filter(None, (metric.dataset, metric.dataset_version)))
    on = ", ".join(filter(None, (measured, metric.slice)))
    return _filled(type=metric.name, value=repr(metric.value), slice=on)


def _file(file: Artifact) -> Json:
    return _filled(
        **{
            "type": "file",
            "bom-ref": f"file:{file.path}",
            "mime-type": file.media_type if _MIME.fullmatch(file.media_type) else "",
        },
        name=file.path,
        hashes=[{"alg": "SHA-256", "content": file.digest.sha256}],
        properties=_properties(("size_bytes", str(file.digest.size_bytes))),
    )


def _package(at: int, each: Dependency) -> Json:
    exact = exact_version(each)
    return _filled(
        **{"type": "library", "bom-ref": f"package-{at}"},
        name=normalised_package(each.ecosystem, each.name),
        version=exact,
        purl=package_url(each),
        properties=_properties(
            ("ecosystem", each.ecosystem),
            ("version_range", "" if exact else each.version),
            ("marker", each.marker),
        ),
    )


def _dataset(at: int, each: DatasetVersion) -> Json:
    hashes, other = _hashes(each.digest)
    return _filled(
        **{"type": "data", "bom-ref": f"data-{at}"},
        name=each.name,
        version=each.version,
        hashes=hashes,
        data=[_filled(type="dataset", name=each.name, contents=_filled(url=_web(each.uri)))],
        properties=_properties(("role", each.role.value if each.role else ""), ("uri", each.uri), ("digest", other)),
    )


def _parent(each: ParentModel) -> Json:
    hashes, other = _hashes(each.digest)
    return _filled(
        type="machine-learning-model",
        name=each.version or each.uri or "unknown",
        hashes=hashes,
        externalReferences=[{"type": "distribution", "url": each.uri}] if _web(each.uri) else [],
        properties=_properties(("relation", each.relation.value), ("uri", each.uri), ("digest", other)),
    )


def _hashes(digest: str) -> tuple[list[Json], str]:
    """A digest as CycloneDX has it, or else as it is."""
    algorithm, _, content = digest.partition(":")
    name, length = _DIGESTS.get(algorithm, ("", -1))
    return ([{"alg": name, "content": content}], "") if len(content) == length else ([], digest)


def _licenses(card: ModelCard | None) -> list[Json]:
    if card is None or not card.license:
        return []
    try:
        return [{"expression": canonicalize_license_expression(card.license)}]
    except InvalidLicenseExpression:
        return [{"license": {"name": card.license}}]


def _web(uri: str) -> str:
    """A URI that is one for every reader; empty for any other."""
    return uri if _WEB.fullmatch(uri) else ""


def _some(text: str) -> list[str]:
    return [text] if text else []


def _properties(*pairs: tuple[str, str]) -> list[Json]:
    return [{"name": f"mreg:{name}", "value": value} for name, value in pairs if value]


def _filled(**fields: Any) -> Json:  # noqa: ANN401 - values of JSON
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in ("", [], {}, None)}
