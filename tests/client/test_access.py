"""The SDK's calls about access, against a real server; names and retries without one."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.client import InvalidArgument, NotFound, PermissionDenied, Registry
from registry_grpc.client.access import REGISTRY


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("ci", "projects/team/serviceAccounts/ci"),
        ("serviceAccount:ci", "serviceAccounts/ci"),
        ("serviceAccount:risk/ci", "projects/risk/serviceAccounts/ci"),
        ("serviceAccounts/ci", "serviceAccounts/ci"),
        ("projects/risk/serviceAccounts/ci", "projects/risk/serviceAccounts/ci"),
    ],
)
def test_an_account_is_known_in_every_form(given, name):
    assert Registry("127.0.0.1:1", token="t", project="team").account_name(given) == name


def test_a_time_without_a_zone_is_refused_before_anything_is_sent():
    with pytest.raises(InvalidArgument, match="no time zone"):
        Registry("127.0.0.1:1", token="t").issue_token("ci", expire_time=datetime(2030, 1, 1))  # noqa: DTZ001


def test_a_token_whose_text_was_lost_on_the_way_is_replaced(registry, monkeypatch):
    registry.create_service_account("lost")
    issue, secrets = registry.connection.stubs.access.IssueToken, []

    class Lossy:
        """Says to every first answer what a retry would get: no secret."""

        def with_call(self, request, **kwargs):
            answer, call = issue.with_call(request, **kwargs)
            secrets.append(answer.secret)
            if len(secrets) == 1:
                answer.secret = ""
            return answer, call

    monkeypatch.setattr(registry.connection.stubs.access, "IssueToken", Lossy())
    issued = registry.issue_token("lost")
    assert issued.secret == secrets[1] != secrets[0]
    tokens = {token.name: token.HasField("revoke_time") for token in registry.list_tokens("lost")}
    assert sorted(tokens.values()) == [False, True]
    assert tokens[issued.token.name] is False


def test_who_may_stage_may_not_production(registry, tmp_path):
    (tmp_path / "w.bin").write_bytes(b"weights")
    version = registry.push("guarded", tmp_path / "w.bin")
    registry.create_service_account("stager")
    registry.create_role_binding("deployer", ["serviceAccount:default/stager"], stages=["staging"])
    secret = registry.issue_token("stager", expire_time=datetime.now(UTC) + timedelta(hours=1)).secret
    with Registry(registry.endpoint, token=secret) as stager:
        assert stager.test_permissions("stages.promote", stage="production") == []
        assert stager.test_permissions("stages.promote", stage="staging") == ["stages.promote"]
        assert stager.test_permissions("stages.promote", resource=REGISTRY) == []
        stager.promote(version.location, "staging")
        with pytest.raises(PermissionDenied) as refused:
            stager.promote(version.location, "production")
        assert refused.value.reason == "PERMISSION_MISSING"
        with pytest.raises(NotFound):
            stager.get_project("elsewhere")
    registry.promote(version.location, "production")
    with Registry(registry.endpoint, token=secret) as stager, pytest.raises(PermissionDenied):
        # Staging accepts it, but it would take production away.
        stager.vacate("guarded", "production")
