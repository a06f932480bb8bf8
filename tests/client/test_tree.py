import os
import threading

import pytest

from registry_grpc.client import IntegrityError, InvalidArgument
from registry_grpc.client.progress import silent
from registry_grpc.client.tree import collect, hash_files


def paths(root):
    return [file.path for file in collect(root)]


def test_directories_are_kept_and_git_is_left_out(tree):
    (tree / ".git").mkdir()
    (tree / ".git" / "config").write_text("secret")
    (tree / ".gitignore").write_text("*.tmp")
    assert paths(tree) == [".gitignore", "config.json", "empty", "weights/deep/again.bin", "weights/w.bin"]


def test_a_link_inside_is_followed_and_one_outside_is_refused(tree, tmp_path):
    (tree / "latest.bin").symlink_to("weights/w.bin")
    assert "latest.bin" in paths(tree)
    (tmp_path / "secret").write_text("x")
    (tree / "leak").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidArgument, match="outside"):
        collect(tree)


def test_links_to_directories_and_to_nothing_are_refused(tree):
    (tree / "loop").symlink_to(tree)
    with pytest.raises(InvalidArgument, match="a directory"):
        collect(tree)
    (tree / "loop").unlink()
    (tree / "broken").symlink_to("nowhere")
    with pytest.raises(InvalidArgument, match="link to nothing"):
        collect(tree)


def test_what_is_no_file_is_refused(tree):
    os.mkfifo(tree / "pipe")
    with pytest.raises(InvalidArgument, match="no regular file"):
        collect(tree)


def test_names_no_other_system_can_hold_are_refused(tree):
    (tree / "aux.txt").touch()
    with pytest.raises(InvalidArgument, match="device on Windows"):
        collect(tree)
    (tree / "aux.txt").unlink()
    (tree / "Config.json").touch()
    with pytest.raises(InvalidArgument, match="differ only by case"):
        collect(tree)


def test_nothing_to_push_is_an_error(tmp_path):
    with pytest.raises(InvalidArgument, match="no file to push"):
        collect(tmp_path)


def test_two_files_of_one_name_are_refused(tree):
    (tree / "other").mkdir()
    (tree / "other" / "config.json").touch()
    with pytest.raises(InvalidArgument, match="two files"):
        collect([tree / "config.json", tree / "other" / "config.json"])


def test_a_file_that_grows_while_it_is_hashed_is_noticed(tree):
    files = collect(tree)
    (tree / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match="changed"):
        hash_files(files, 2, threading.Event(), silent)
