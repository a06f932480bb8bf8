"""A real Prometheus that scrapes a real server, with rules in which time passes faster."""

import contextlib
import functools
import json
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kit.engines import ROOT, places
from tests.kit.waiting import until

START_S = 60.0


@functools.cache
def tool(name: str) -> str:
    """The path of a tool, made on demand."""
    done = subprocess.run([ROOT / "scripts/tool", name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def promtool(*arguments: str | Path) -> str:
    """What promtool says; the test fails when it finds fault."""
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(path: Path, scale: int) -> Path:
    """Write the rules to `path`, with windows `scale` times as short."""
    command = [ROOT / "scripts/slo", "--rules", path, "--scale", str(scale)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str
    log: Path

    def get(self, path: str, **query: str):
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Labels of each series to its value now."""
        found = self.get("query", query=expression)["result"]
        return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in found}

    def number(self, expression: str) -> float | None:
        """The value of the only series; None when there is none."""
        found = list(self.query(expression).values())
        assert len(found) <= 1, f"{expression} is {len(found)} series"
        return found[0] if found else None

    def firing(self, **labels: str) -> list[str]:
        """Names of the alerts that fire and have these labels."""
        return sorted(
            alert["labels"]["alertname"]
            for alert in self.get("alerts")["alerts"]
            if alert["state"] == "firing" and labels.items() <= alert["labels"].items()
        )

    def sick_rules(self) -> list[str]:
        """What rules that could not be evaluated complained of."""
        groups = self.get("rules")["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}"
            for group in groups
            for rule in group["rules"]
            if rule.get("lastError")
        ]


@contextlib.contextmanager
def prometheus(target_port: int, rule_file: Path | None = None, interval: str = "1s") -> Iterator[Prometheus]:
    """One on a free port that scrapes this machine's `target_port`; ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="prometheus-") as name:
        directory, port = Path(name), places.free_port()
        config = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "rule_files": [str(rule_file)] if rule_file else [],
            "scrape_configs": [
                {"job_name": "registry", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]},
            ],
        }
        # YAML reads JSON.
        (directory / "prometheus.yml").write_text(json.dumps(config))
        command = [
            tool("prometheus"),
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        log = directory / "prometheus.log"
        with log.open("w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        started = Prometheus(f"http://127.0.0.1:{port}", log)
        try:
            until(lambda: _ready(started, process), START_S)
            yield started
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(directory / "data", ignore_errors=True)


def _ready(started: Prometheus, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, started.log.read_text()[-4000:]
    try:
        with urllib.request.urlopen(f"{started.url}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
