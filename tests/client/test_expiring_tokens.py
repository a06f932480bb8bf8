"""A push, and a watch, that last longer than the token they began with."""

import json
import os
import threading
import time

import pytest

from registry_grpc.client import Registry, Unauthenticated
from tests.kit.jwts import Forger, jwks, rsa_key
from tests.kit.proxy import Proxy
from tests.kit.server import running
from tests.kit.waiting import until

SIZE = 40 << 20


@pytest.fixture
def forger(tmp_path):
    key = rsa_key()
    (tmp_path / "jwks.json").write_bytes(jwks(key))
    return Forger("https://issuer.example", "mreg", key)


@pytest.fixture
def issuers(tmp_path, forger):
    """The setting of a server that trusts it."""
    file = str(tmp_path / "jwks.json")
    return json.dumps([{"id": "k8s", "issuer": forger.issuer, "audience": "mreg", "jwks_file": file}])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rotated", [True, False])
def test_a_watch_goes_on_with_the_next_token_and_ends_without_one(tmp_path, forger, issuers, rotated):
    token_file = tmp_path / "token"
    # Past its end, but the leeway of a minute has 8 s left.
    token_file.write_text(forger.token(exp=time.time() - 52))
    with running({"issuers": issuers}) as server, Registry(server.endpoint, token=server.token) as admin:
        admin.create_role_binding("viewer", ["user:k8s/ada"])
        with Registry(server.endpoint, token_file=token_file) as registry, registry.watch(types=["Model"]) as watch:
            assert next(watch).kind == "synced"
            if rotated:
                token_file.write_text(forger.token())
            until(lambda: '"reason":"TOKEN_EXPIRED"' in server.log, within_s=90)
            if rotated:
                made = admin.create_model("later")
                assert next(watch).event.name == made.name
            else:
                with pytest.raises(Unauthenticated) as ended:
                    next(watch)
                assert ended.value.reason == "TOKEN_EXPIRED"


@pytest.mark.timeout(240)
def test_a_push_goes_on_with_the_next_token_when_the_one_it_began_with_ends(tmp_path, forger, issuers):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
    token_file = tmp_path / "token"
    # Past its end, but the leeway of a minute has 15 s left.
    token_file.write_text(forger.token(exp=time.time() - 45))
    with running({"issuers": issuers}) as server, Proxy(server.endpoint) as proxy:
        with Registry(server.endpoint, token=server.token) as admin:
            admin.create_role_binding("contributor", ["user:k8s/ada"])
        proxy.fault(bytes_per_s=1.2e6)
        made = []
        with Registry(proxy.endpoint, token_file=token_file, cache_dir=tmp_path / "cache") as registry:
            push = threading.Thread(target=lambda: made.append(registry.push("slow", weights)))
            push.start()
            until(lambda: proxy.sent > 4 << 20, within_s=60)
            token_file.write_text(forger.token())
            until(lambda: '"reason":"TOKEN_EXPIRED"' in server.log, within_s=90)
            proxy.heal()
            push.join(120)
            assert made, server.log[-2000:]
            assert registry.get_version(made[0].name).total_size_bytes == SIZE
        [ended] = [line for line in server.log.splitlines() if "TOKEN_EXPIRED" in line]
        assert json.loads(ended)["method"] == "ArtifactService.WriteUpload"
