"""What replies of an S3 server mean: error codes, and the few XML documents the store needs."""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from registry_grpc.domain.artifacts import UploadPart
from registry_grpc.ports.artifacts import MissingObjectError
from registry_grpc.storage.artifacts.faults import broken, storage_full, unavailable
from registry_grpc.storage.artifacts.s3_http import MAX_REPLY_BYTES, NoAnswer, Reply

_META = "x-amz-meta-"
_GONE = {"NoSuchKey", "NoSuchUpload"}
_FULL = {
    "EntityTooLargeForQuota",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioStorageFull",
}
_BUSY = {
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "ConditionalRequestConflict",
    "TooManyRequests",
    "XMinioServerNotInitialized",
}
_REFUSED = {
    "AccessDenied": "the store denies the registry access; check the policy of its access key",
    "InvalidAccessKeyId": "the store does not know the access key",
    "NoSuchBucket": "the bucket does not exist; create it or correct its name",
    "PermanentRedirect": "the bucket is in another region; correct the endpoint and region",
    "AuthorizationHeaderMalformed": "the bucket is in another region; correct the region",
    "AuthorizationQueryParametersError": "the bucket is in another region; correct the region",
    "RequestTimeTooSkewed": "the clocks of the registry and the store differ too much",
    "SignatureDoesNotMatch": "the store refuses the signature; check the secret key",
}
_BY_STATUS = {
    401: "AccessDenied",
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "OperationAborted",
    412: "PreconditionFailed",
    429: "SlowDown",
    507: "XMinioStorageFull",
}


def parse(body: bytes) -> ET.Element | None:
    """The root of a small XML document without a DTD; None when it is anything else."""
    if len(body) > MAX_REPLY_BYTES or b"<!" in body:
        return None
    try:
        return ET.fromstring(body.strip())  # noqa: S314 -- bounded, and entities need the DTD refused above
    except ET.ParseError:
        return None


def text_of(root: ET.Element | None, name: str) -> str:
    """The text of a direct child, whatever the namespace; empty when there is none."""
    if root is None:
        return ""
    return next((child.text or "" for child in root if child.tag.endswith(name)), "")


def code_of(reply: Reply) -> str:
    """The S3 error code; empty for a success. A `complete` may fail under status 200."""
    root = parse(reply.body)
    is_error = root is not None and root.tag.endswith("Error")
    if reply.status < 300 and not is_error:  # noqa: PLR2004 -- the success range
        return ""
    code = text_of(root, "Code") if is_error else reply.headers.get("X-Minio-Error-Code", "")
    if code:
        return code
    return _BY_STATUS.get(reply.status, "ServiceUnavailable" if reply.status >= 500 else "Unknown")  # noqa: PLR2004


def upload_ids(body: bytes, name: str) -> list[str]:
    """The ids in a list of multipart uploads, of those whose object has exactly this name."""
    root = parse(body)
    uploads = () if root is None else (child for child in root if child.tag.endswith("Upload"))
    return [text_of(upload, "UploadId") for upload in uploads if text_of(upload, "Key") == name]


def is_gone(code: str) -> bool:
    """Whether the code says that there is no such object or upload."""
    return code in _GONE


def is_taken(code: str) -> bool:
    """Whether the code says that a conditional write found the key in use."""
    return code == "PreconditionFailed"


def may_pass(answer: Reply | NoAnswer) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(answer, NoAnswer):
        return True
    code = code_of(answer)
    return code in _BUSY or (answer.status >= 500 and code not in _FULL)  # noqa: PLR2004


def failure(answer: Reply | NoAnswer) -> Exception:
    """The registry's error for a request that failed."""
    if isinstance(answer, NoAnswer):
        return unavailable("the object store does not answer")
    code = code_of(answer)
    shown = code if code.isalnum() and len(code) <= 64 else "Unknown"  # noqa: PLR2004
    if is_gone(shown):
        return MissingObjectError()
    if shown in _FULL:
        return storage_full(store_code=shown)
    if shown in _REFUSED:
        return unavailable(f"{_REFUSED[shown]} ({shown})", store_code=shown)
    if may_pass(answer):
        return unavailable(f"the object store is busy or failing ({shown})", store_code=shown)
    return broken(f"the object store refused a request ({shown})", store_code=shown)


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The metadata given when the object was made; keys in lower case."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    return {name.removeprefix(_META): value for name, value in lowered if name.startswith(_META)}


def metadata_query(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as signed query parameters: a presigned URL signs no headers but the host."""
    return {_META + name: value for name, value in metadata.items()}


def completion(parts: Sequence[UploadPart]) -> bytes:
    """The document that lists the parts of an object."""
    root = ET.Element("CompleteMultipartUpload")
    for part in parts:
        listed = ET.SubElement(root, "Part")
        ET.SubElement(listed, "PartNumber").text = str(part.number)
        ET.SubElement(listed, "ETag").text = part.etag
    return ET.tostring(root)
