import json

from registry_grpc.cli.failures import ExitCode


def test_what_runs_is_reported_listed_compared_and_retired(connected, tree):
    for _ in range(2):
        (tree / "config.json").write_text(f'{{"at": "{(tree / "config.json").read_text()!r:.5}"}}')
        assert connected("push", tree, "drifting", "--force-new").code == 0
    for stage in ("staging", "production"):
        assert connected("promote", "drifting/1", "--to", stage).code == 0

    made = connected("deployments", "report", "drifting@production", "api", "-e", "prod", "--ttl", "90s", "-o", "json")
    assert made.code == 0, made.err
    deployment = json.loads(made.out)
    assert (deployment["stage"], deployment["heartbeat_ttl"]) == ("production", "90s")
    clean = connected("drift", "drifting")
    assert (clean.code, clean.out) == (0, "nothing differs: every deployment runs what it should\n")
    assert (connected("drift", "-o", "json").code, connected("drift", "-o", "json").out) == (0, "[]\n")

    for stage in ("staging", "production"):
        assert connected("promote", "drifting/2", "--to", stage).code == 0
    drift = connected("drift", "drifting")
    assert drift.code == 3
    assert "drifting/1  drifting/2" in drift.out
    assert "version_differs, version_withdrawn" in drift.out
    shown = connected("drift", "-o", "json")
    assert (shown.code, json.loads(shown.out)[0]["desired_version"].rpartition("/")[2]) == (3, "2")

    assert "drifting/1" in connected("deployments", "list", "drifting/1", "--state", "serving").out
    assert connected("deployments", "list", "drifting/2", "-o", "name").out == ""
    assert connected("deployments", "list", "--stale", "-o", "name").out == ""
    short = deployment["name"].rpartition("/")[2]
    assert connected("deployments", "retire", short, "--etag", "0" * 16).code == ExitCode.CONFLICT
    retired = connected("deployments", "retire", short)
    assert (retired.code, retired.out) == (0, "")
    assert "is retired" in retired.err
    runs = connected("deployments", "runs", "drifting", "-e", "prod", "--from", "2026-01-01T00:00:00Z")
    assert "drifting/1" in runs.out
    both = connected("deployments", "runs", "--at", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z")
    assert both.code == ExitCode.USAGE
    assert connected("deployments", "retire", "0" * 20).code == ExitCode.NOT_FOUND


def test_consumers_of_a_model_nobody_used_are_none(connected):
    assert connected("models", "create", "idle").code == 0
    idle = connected("consumers", "idle")
    assert (idle.code, idle.out.split()) == (0, ["DAY", "PRINCIPAL", "VERSION", "USE", "COUNT"])
    assert connected("consumers", "none-such").code == ExitCode.NOT_FOUND
