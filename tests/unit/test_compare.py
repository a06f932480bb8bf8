"""Versions side by side, as pure functions; and the names of packages."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.domain.compare import MAX_CELLS, Side, compared
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.metadata import (
    DataType,
    Dependency,
    Direction,
    Metadata,
    Metric,
    Parameter,
    Signature,
    TensorSpec,
)
from registry_grpc.domain.names import VersionName
from registry_grpc.domain.packages import exact_version, normalised_package, package_url
from registry_grpc.domain.resources import Version

NOW = datetime(2026, 11, 21, tzinfo=UTC)
UP, DOWN = Direction.MAXIMISE, Direction.MINIMISE
NAN, INF = math.nan, math.inf


def side(number=1, files=None, findings=None, owner="", tags=None, **metadata):
    version = Version(
        uid=f"v{number}",
        model_uid="m",
        name=VersionName("p", "m", number),
        owner=owner,
        tags=tags or {},
        metadata=Metadata(**metadata),
        create_time=NOW,
        update_time=NOW,
    )
    return Side(version, files, findings or {})


def auc(value, direction=UP, **more):
    return Metric("auc", value, direction=direction, **more)


def metric_row(*metrics):
    sides = [side(at, metrics=() if one is None else (one,)) for at, one in enumerate(metrics, 1)]
    (row,) = compared(sides).metrics
    return row


@pytest.mark.parametrize(
    ("metrics", "best"),
    [
        ((auc(0.5), auc(0.7), auc(0.6)), 1),
        ((auc(0.5, DOWN), auc(0.7, DOWN)), 0),
        ((auc(0.5), auc(0.5)), 0),
        ((auc(0.7, None), auc(0.5, DOWN)), 1),
        ((auc(0.7, UP), auc(0.5, DOWN)), -1),
        ((auc(0.7, None), auc(0.5, None)), -1),
        ((auc(NAN), auc(0.5), auc(0.4)), 1),
        ((auc(NAN), auc(0.5)), -1),
        ((None, auc(0.5), auc(0.6)), 2),
        ((None, auc(0.5)), -1),
        ((auc(INF), auc(-INF)), 0),
    ],
)
def test_the_best_is_told_where_it_can_be(metrics, best):
    assert metric_row(*metrics).best == best


@pytest.mark.parametrize(
    ("metrics", "delta", "better"),
    [
        ((auc(0.5), auc(0.75)), 0.25, True),
        ((auc(0.75), auc(0.5)), -0.25, False),
        ((auc(0.75, DOWN), auc(0.5, DOWN)), -0.25, True),
        ((auc(0.5), auc(0.5)), 0.0, None),
        ((auc(0.5, None), auc(0.75, None)), 0.25, None),
        ((auc(0.5, UP), auc(0.75, DOWN)), 0.25, None),
        ((None, auc(0.5)), None, None),
        ((auc(0.5), None), None, None),
        ((auc(NAN), auc(0.5)), None, None),
        ((auc(0.5), auc(NAN)), None, None),
        ((auc(INF), auc(INF)), None, None),
        ((auc(0.5), auc(INF)), INF, True),
    ],
)
def test_deltas_are_against_the_first(metrics, delta, better):
    first, second = metric_row(*metrics).cells
    assert (first.delta, first.better) == (None, None)
    assert (second.delta, second.better) == (delta, better)


def test_only_the_newest_value_counts_and_equal_ones_do_not_differ():
    old, new = auc(0.1, measure_time=NOW), auc(0.9, measure_time=NOW + timedelta(seconds=1))
    row = compared([side(1, metrics=(new, old)), side(2, metrics=(old,))]).metrics[0]
    assert [cell.value for cell in row.cells] == [0.9, 0.1]
    assert not metric_row(auc(NAN), auc(NAN)).differs
    assert metric_row(auc(NAN), None).differs
    assert metric_row(auc(0.0), auc(0.1)).differs


def test_metrics_of_other_data_are_other_rows():
    found = compared([side(1, metrics=(auc(0.1), auc(0.2, dataset="q3"), auc(0.3, slice="de"))), side(2)]).metrics
    assert [(row.dataset, row.slice) for row in found] == [("", ""), ("", "de"), ("q3", "")]


def test_values_are_shown_as_they_were_written():
    parameters = (
        Parameter("a", double=0.1),
        Parameter("b", int64=2**60),
        Parameter("c", boolean=False),
        Parameter("d", text="x"),
        Parameter("e", text=""),
    )
    rows = compared([side(1, parameters=parameters), side(2)]).parameters
    assert {row.field: row.values[0] for row in rows} == {
        "a": "0.1",
        "b": str(2**60),
        "c": "false",
        "d": "x",
        "e": '""',
    }
    assert all(row.values[1] == "" for row in rows)


def test_a_tag_without_a_value_is_there():
    found = {row.field: row.values for row in compared([side(1, tags={"a": ""}), side(2)]).fields}
    assert found["tags.a"] == ("(set)", "")


def test_packages_are_one_whatever_their_name_is_written_like():
    mine = (Dependency("pypi", "Scikit_Learn", "1.5"), Dependency("npm", "Left-Pad", "1"))
    theirs = (Dependency("pypi", "scikit-learn", "1.6", "a"), Dependency("pypi", "scikit.learn", "1.5", "b"))
    rows = {
        row.field: row.values
        for row in compared([side(1, dependencies=mine), side(2, dependencies=theirs)]).dependencies
    }
    assert rows == {"pypi:scikit-learn": ("1.5", "1.6 ; a | 1.5 ; b"), "npm:left-pad": ("1", "")}


def test_a_table_too_large_to_read_is_refused():
    rows = MAX_CELLS // 2
    most = {f"f{at}": "x" for at in range(rows)}
    assert len(compared([side(1, findings=most), side(2)]).findings) == rows
    with pytest.raises(RegistryError, match=f"{rows + 1} evidence"):
        compared([side(1, findings=most), side(2, findings={"more": "x"})])


def test_signatures_say_what_came_and_went():
    spec = TensorSpec("x", DataType.FLOAT32, (-1, 3))
    mine = Signature(inputs=(spec,), outputs=(TensorSpec("y", DataType.INT8),), parameters=(spec,))
    theirs = Signature(
        inputs=(TensorSpec("x", DataType.FLOAT64, (-1, 3), optional=True), TensorSpec("z", spec.data_type))
    )
    (found,) = compared([side(1, signature=mine), side(2, signature=theirs)]).content
    change = found.signature
    assert change.added == ("input:z",)
    assert change.removed == ("output:y", "parameter:x")
    assert change.changed == ("input:x is float64[-1, 3] optional, was float32[-1, 3]",)
    assert change.reason
    (same,) = compared([side(1, signature=mine), side(2, signature=mine)]).content
    assert same.signature == type(change)("", (), (), ())
    (mute,) = compared([side(1), side(2, signature=mine)]).content
    assert not mute.signature.reason


def test_files_share_the_bytes_that_both_have():
    def digest(letter, size):
        return Digest(letter * 64, size)

    first = {"a": digest("a", 10), "b": digest("b", 5), "c": digest("b", 5), "d": digest("d", 1)}
    other = {"a": digest("a", 10), "b": digest("c", 7), "e": digest("b", 5), "f": digest("b", 5), "g": digest("b", 5)}
    (found,) = compared([side(1, first), side(2, other)]).content
    change = found.files
    assert (change.same_count, change.shared_bytes, change.truncated) == (1, 20, False)
    assert (change.changed, change.added, change.removed) == (("b",), ("e", "f", "g"), ("c", "d"))
    many = {f"f{at:03}": digest("a", 1) for at in range(101)}
    (cut,) = compared([side(1, {}), side(2, many)]).content
    assert (len(cut.files.added), cut.files.truncated) == (100, True)
    assert compared([side(1, first), side(2)]).content[0].files is None


@pytest.mark.parametrize(
    ("ecosystem", "name", "normalised"),
    [
        ("pypi", "Zope.Interface__X", "zope-interface-x"),
        ("PyPI", "A--B", "a-b"),
        ("conda", "Python_abi", "python_abi"),
        ("maven", "Org.Example", "Org.Example"),
    ],
)
def test_names_of_packages(ecosystem, name, normalised):
    assert normalised_package(ecosystem, name) == normalised


@pytest.mark.parametrize(
    ("dependency", "exact", "url"),
    [
        (Dependency("pypi", "NumPy", "2.1.0"), "2.1.0", "pkg:pypi/numpy@2.1.0"),
        (Dependency("pypi", "torch", "2.5.1+cu121"), "2.5.1+cu121", "pkg:pypi/torch@2.5.1%2Bcu121"),
        (Dependency("pypi", "x", "== 1.0"), "1.0", "pkg:pypi/x@1.0"),
        (Dependency("pypi", "x", "==1.*"), "", "pkg:pypi/x"),
        (Dependency("pypi", "x", ">=1,<2"), "", "pkg:pypi/x"),
        (Dependency("npm", "@scope/Name", "1"), "1", "pkg:npm/%40scope/name@1"),
        (Dependency("my thing", "x", "1"), "1", ""),
    ],
)
def test_package_urls(dependency, exact, url):
    assert exact_version(dependency) == exact
    assert package_url(dependency) == url
