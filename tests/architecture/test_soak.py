"""The soak can fail: what grows is told from what comes and goes."""

import random

import pytest

from tests.soak.growth import Sample, growth
from tests.soak.steady import in_use

MINUTES, EVERY_S = 60, 15
FLAT = {"rss_mib": 170, "used_mib": 110, "objects": 900_000, "descriptors": 30, "threads": 23}


def hour(minutes=MINUTES, **growing):
    """Samples of an hour of uploads, with what grows in ten minutes."""
    chance = random.Random(4)
    for number in range(minutes * 60 // EVERY_S):
        at = number * EVERY_S / 60
        level = {name: value + growing.get(name, 0) * at / 10 for name, value in FLAT.items()}
        uploads = chance.choice([0, 0, 8, 16, 24, 40])
        yield Sample(
            at,
            level["rss_mib"] + uploads,
            level["used_mib"] + uploads,
            round(level["objects"] + chance.randint(0, 9000)),
            round(level["descriptors"] + chance.randint(0, 9)),
            round(level["threads"]),
        )


def test_uploads_that_come_and_go_are_no_growth():
    assert growth(list(hour())) == []


@pytest.mark.parametrize(
    ("what", "much", "told"),
    [
        ("used_mib", 1.5, "memory in use grew by 1.5"),
        ("objects", 20_000, "Python's objects grew by 200"),
        ("rss_mib", 1.5, "memory grew by 1.5"),
        ("descriptors", 8, "descriptors grew from "),
        ("threads", 8, "threads grew from "),
    ],
)
def test_what_grows_in_an_hour_is_told(what, much, told):
    (found,) = growth(list(hour(**{what: much})))
    assert found.startswith(told)


def test_what_c_and_python_have_in_use_is_counted():
    used, objects = in_use()
    kept = [bytearray(20 << 20), [object() for _ in range(50_000)]]
    more, more_objects = in_use()
    assert 20 <= more - used < 25
    assert 50_000 <= more_objects - objects < 55_000
    del kept
    less, less_objects = in_use()
    assert less - used < 2
    assert less_objects - objects < 5_000
