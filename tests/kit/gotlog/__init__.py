"""Go's own transparency log, `golang.org/x/mod/sumdb`, as a judge of ours; built once and kept with the tools."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import tests.kit.engines  # noqa: F401 -- makes scripts/ importable
from _services import places

HERE = Path(__file__).parent
SOURCES = ("go.mod", "go.sum", "main.go")


def judge(document):
    """What the program says, run on `document`; bytes become base64."""
    text = json.dumps(document, default=lambda raw: base64.b64encode(raw).decode())
    return subprocess.run([_program()], input=text, capture_output=True, text=True, check=False)


def _program():
    print_of = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in SOURCES)).hexdigest()[:16]
    binaries = places.cache_directory() / "bin"
    binaries.mkdir(exist_ok=True)
    program = binaries / f"gotlog-{print_of}"
    if not program.exists():
        assert shutil.which("go"), "go is not on PATH"
        unfinished = program.with_name(f"{program.name}.{os.getpid()}")
        subprocess.run(["go", "build", "-o", unfinished, "."], cwd=HERE, check=True, capture_output=True)
        unfinished.rename(program)
    return program
