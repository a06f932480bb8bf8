"""What a client needs of memory for a file that is much larger."""

import threading

import pytest

from tests.clients.driven import Driver, driving
from tests.conformance.cases import sha256_of, write
from tests.conformance.running import LANGUAGES
from tests.kit.server import running

pytestmark = pytest.mark.timeout(600)
SIZE = 2 << 30
MOST_MIB = 128


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_gib_up_and_down_take_little_memory(language, tmp_path):
    file = tmp_path / "files" / "weights.bin"
    write(file, {"size": SIZE, "seed": language})
    steps = [
        {"call": "ServerService.GetServerInfo", "request": {}},
        {"wait": "idle"},
        {"push": "m", "parent": "projects/default", "path": str(file.parent)},
        {"wait": "pushed"},
        {"pull": "m/1", "into": str(tmp_path / "out")},
        {"wait": "pulled"},
    ]
    with running() as server, driving(language, server.endpoint, server.token, steps, tmp_path) as driver:
        driver.waiting()
        idle = driver.rss_mib()
        up = _peak(driver) - idle
        down = _peak(driver) - idle
    print(f"{language}: idle {idle:.0f} MiB, upload {up:+.0f}, download {down:+.0f}")
    assert sha256_of(tmp_path / "out" / "weights.bin") == sha256_of(file)
    assert up < MOST_MIB
    assert down < MOST_MIB


def _peak(driver: Driver) -> float:
    """The most memory from here to where it waits again, MiB."""
    done, peak = threading.Event(), [0.0]

    def look() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], driver.rss_mib())

    looking = threading.Thread(target=look)
    looking.start()
    driver.go()
    driver.waiting()
    done.set()
    looking.join()
    return peak[0]
