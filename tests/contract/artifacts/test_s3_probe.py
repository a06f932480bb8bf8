"""The probe tells a server that keeps the guarantees from one that does not."""

from registry_grpc.storage.artifacts.s3_probe import probe
from tests.contract.artifacts.conftest import s3_store


def test_minio_keeps_every_guarantee_and_the_probe_leaves_nothing(minio_bucket):
    assert [found.name for found in probe(s3_store(minio_bucket)) if not found.kept] == []
    client = minio_bucket.client()
    assert not list(client.list_objects(bucket_name=minio_bucket.name, recursive=True))


def test_a_server_that_overwrites_is_found_out(minio_bucket, monkeypatch):
    monkeypatch.setattr("registry_grpc.storage.artifacts.s3._ONLY_NEW", {})
    lost = {found.name for found in probe(s3_store(minio_bucket)) if not found.kept}
    assert lost == {"conditional-put", "conditional-complete"}
