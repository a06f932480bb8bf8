"""`make clients`: builds and tests every client beside the Python one, against a real server."""

from __future__ import annotations

import subprocess
import sys

from tests.conformance.running import LANGUAGES, ROOT, environment_of
from tests.kit.server import running


def main() -> int:
    """0 when every language passed; one after the other, all of them."""
    wanted = sys.argv[1:] or [language for language in LANGUAGES if language != "python"]
    failed = []
    for language in wanted:
        place = ROOT / "clients" / language
        with running() as server:
            env = environment_of(server.endpoint, server.token)
            for script in (["generate", "--check"], ["check"]):
                print(f"== {language}: {' '.join(script)}", flush=True)
                if subprocess.run([place / script[0], *script[1:]], env=env, cwd=place, check=False).returncode:
                    failed.append(f"{language}: {script[0]}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
