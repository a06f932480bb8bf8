"""The SDK against PostgreSQL and S3: what differs from the embedded store as a client sees it."""

import os
import urllib.request

from registry_grpc.client import Phase, Registry
from tests.kit.server import distributed, running

MIB = 1 << 20


def test_bytes_go_round_over_s3_and_urls_are_signed(postgres_url, minio_bucket, tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(os.urandom(40 * MIB))
    restarted = []
    settings = distributed(postgres_url, minio_bucket) | {"s3_public_endpoint": minio_bucket.endpoint}
    with running(settings) as server:

        def restart(progress):
            if progress.phase is Phase.UPLOAD and progress.done_bytes > 24 * MIB and not restarted:
                restarted.append(True)
                server.kill()
                server.start()

        with Registry(server.endpoint, token=server.token, cache_dir=tmp_path / "cache") as registry:
            version = registry.push("fraud", path, progress=restart)
            assert restarted
            assert (registry.pull(version.location) / "w.bin").read_bytes() == path.read_bytes()
            signed = registry.sign_url(version.location, "w.bin", ttl_s=60)
            with urllib.request.urlopen(signed.url, timeout=10) as answer:
                assert answer.read() == path.read_bytes()
            assert "artifacts.sign_url" in registry.server_info().features
