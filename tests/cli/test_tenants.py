import json

import pytest

from registry_grpc.cli.options import byte_size, period


def usage(connected, project):
    return json.loads(connected("projects", "usage", project, "-o", "json").out)


def test_a_project_is_limited_used_deleted_brought_back_and_purged(connected, tree):
    assert connected("projects", "create", "team").code == 0
    changed = connected(
        *("projects", "update", "team", "--max-stored-bytes", "1MiB", "--max-models", "2"),
        *("--undelete-window", "3d", "-o", "json"),
    )
    assert changed.code == 0, changed.err
    project = json.loads(changed.out)
    assert project["quotas"] == {"max_stored_bytes": 1 << 20, "max_models": 2}
    assert project["retention"] == {"undelete_window": "259200s"}
    # What is not named stays; 0 takes a limit away.
    again = json.loads(connected("projects", "edit", "team", "--max-models", "0", "-o", "json").out)
    assert again["quotas"] == {"max_stored_bytes": 1 << 20}

    assert connected("push", tree, "team:fraud").code == 0
    used = usage(connected, "team")
    assert (used["models"], used["versions"], used["stored_bytes"]) == (1, 1, 7002)
    assert "6.8 KiB of 1.0 MiB" in connected("projects", "usage", "team").out

    assert connected("models", "create", "fraud-prod").code == 0
    copied = connected("versions", "copy", "team:fraud/1", "default:fraud-prod", "--label", "1.0", "-o", "json")
    assert copied.code == 0, copied.err
    assert json.loads(copied.out)["copied_from"] == "projects/team/models/fraud/versions/1"

    assert connected("projects", "delete", "team").code != 0
    assert connected("projects", "delete", "team", "--force").code == 0
    assert "projects/team\n" not in connected("projects", "list", "-o", "name").out
    assert "projects/team\n" in connected("projects", "list", "--deleted", "-o", "name").out
    assert connected("projects", "undelete", "team").code == 0
    assert connected("projects", "purge", "team").code != 0
    assert connected("projects", "delete", "team", "--force").code == 0
    gone = connected("projects", "purge", "team")
    assert (gone.code, gone.out) == (0, "")
    assert connected("projects", "get", "team").code != 0
    assert connected("pull", "fraud-prod/1").code == 0


def test_versions_and_models_are_purged(connected, tree):
    assert connected("push", tree, "short").code == 0
    assert connected("versions", "purge", "short/1").code != 0
    assert connected("versions", "delete", "short/1").code == 0
    assert connected("versions", "purge", "short/1").code == 0
    assert connected("versions", "get", "short/1").code != 0
    assert connected("models", "delete", "short").code == 0
    assert connected("models", "purge", "short").code == 0
    assert connected("models", "get", "short").code != 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("1KiB", 1024), ("1.5k", 1536), ("2 MB", 2_000_000), ("3TiB", 3 << 40), ("1g", 1 << 30)],
)
def test_sizes_people_write(text, size):
    assert byte_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "GiB", "1 parsec", "1e9", "0x10"])
def test_what_is_no_size_or_time_is_refused(text):
    for read in (byte_size, period):
        with pytest.raises(Exception, match="is no"):
            read(text)


def test_times_people_write():
    assert [period(text).total_seconds() for text in ("0", "90s", "15m", "12h", "30d")] == [0, 90, 900, 43200, 2592000]
