"""`mreg` as a program of its own, away from whatever the developer has set."""

import os
import subprocess
import sys


def mreg(*arguments, server=None):
    """Run it, against `server` where one is given."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MREG_")}
    if server is not None:
        env |= {"MREG_ENDPOINT": server.endpoint, "MREG_TOKEN": server.token}
    program = "from registry_grpc.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], env=env, capture_output=True, text=True, check=False, timeout=120
    )
