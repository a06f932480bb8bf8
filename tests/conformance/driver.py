"""The driver of the Python client: does the steps of conformance cases and prints what came of each.

The protocol is in README.md beside this file. Nothing is compared here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import queue
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message

from registry_grpc.client import Registry, errors
from registry_grpc.client.connection import Connection, Pages
from registry_grpc.client.manifest import FileDigest, artifact_id, check_local, manifest_digest
from registry_grpc.client.progress import Phase, Progress
from registry_grpc.client.references import DEFAULT_PROJECT, parse_reference
from registry_grpc.client.watch import Change, Watch, watch_request
from registry_grpc.v1 import events_pb2, versions_pb2

PATIENCE_S = 20.0
REPORTED_BYTES = 16 << 20
_VARIABLE = re.compile(r"\$\{([^}]+)\}")

Step = dict[str, Any]
Reply = dict[str, Any]


@dataclass
class Case:
    """One case as it is run: its variables, its watches."""

    name: str
    variables: dict[str, Any] = field(default_factory=dict)
    watches: dict[str, Following] = field(default_factory=dict)
    step: int = 0

    def tell(self, **what: Any) -> None:
        """Print one line about the step that runs."""
        print(json.dumps({"case": self.name, "step": self.step} | what), flush=True)

    def filled(self, value: Any) -> Any:
        """`value` with its variables replaced."""
        if isinstance(value, dict):
            return {key: self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        whole = _VARIABLE.fullmatch(value)
        if whole:
            return self._value(whole)
        return _VARIABLE.sub(lambda found: str(self._value(found)), value)

    def _value(self, found: re.Match[str]) -> Any:
        if found[1] == "now":
            return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return self.variables.get(found[1], found[0])

    def save(self, wanted: dict[str, str], reply: Any) -> None:
        """Keep values of a reply."""
        for variable, path in wanted.items():
            value = reply
            with contextlib.suppress(LookupError, TypeError, ValueError):
                for key in path.split("."):
                    value = value[int(key)] if isinstance(value, list) else value[key]
                self.variables[variable] = value


class Following:
    """A watch, read in a thread of its own: who waits for its changes has a time limit."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._came: queue.Queue[Change | Exception] = queue.Queue()
        self.token = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for change in self.watch:
                self._came.put(change)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._came.put(error)

    def next(self) -> Change:
        """Raises: what ended the watch; queue.Empty when nothing came in time."""
        found = self._came.get(timeout=PATIENCE_S)
        if isinstance(found, Exception):
            raise found
        self.token = found.resume_token or self.token
        return found


def main() -> None:
    """Run the cases of a file."""
    with Registry() as registry:
        for given in json.loads(Path(sys.argv[1]).read_text())["cases"]:
            case = Case(given["name"])
            for case.step, step in enumerate(given["steps"]):
                outcome = attempt(registry, case, case.filled(step))
                case.save(step.get("save", {}), outcome.get("reply"))
                case.tell(outcome=outcome)
            for following in case.watches.values():
                following.watch.close()


def attempt(registry: Registry, case: Case, step: Step) -> Reply:
    """The outcome of a step."""
    verb = next((name for name in VERBS if name in step), None)
    if verb is None:
        return {"defect": f"no verb in {sorted(step)}"}
    try:
        if {"token", "endpoint"} & step.keys():
            settings = registry.connection.settings
            endpoint = step.get("endpoint", settings.endpoint)
            token = step.get("token") or settings.tokens.token()
            with Registry(endpoint, token=token, project=step.get("project")) as other:
                return {"reply": VERBS[verb](other, case, step)}
        return {"reply": VERBS[verb](registry, case, step)}
    except errors.RegistryError as error:
        return {"error": told(error)}
    except Exception:  # noqa: BLE001 - a defect of this driver or of the library
        return {"defect": traceback.format_exc(limit=-3)}


def told(error: errors.RegistryError) -> Reply:
    """An error as the protocol has it."""
    return {
        "kind": type(error).__name__,
        "code": error.code.name,
        "reason": error.reason,
        "metadata": error.metadata,
        "violations": [{"subject": each.subject, "description": each.description} for each in error.violations],
        "retryAfter": error.retry_after_s is not None,
    }


def as_json(message: Message) -> Any:
    """Canonical proto JSON."""
    return json_format.MessageToDict(message)


def method_of(connection: Connection, name: str) -> tuple[Any, type[Message]]:
    """The stub's method and the class of its request."""
    service, method = name.split(".")
    stubs = {type(stub).__name__: stub for stub in vars(connection.stubs).values()}
    found = Default().FindMethodByName(f"registry_grpc.v1.{name}")
    return getattr(stubs[f"{service}Stub"], method), message_factory.GetMessageClass(found.input_type)


def send(registry: Registry, step: Step, name: str, request: Message) -> Message:
    """A call through the connection, as the SDK makes its own."""
    connection = registry.connection
    stub, _ = method_of(connection, name)
    timeout_s = step["timeout_ms"] / 1000 if "timeout_ms" in step else None
    is_write = "request_id" in request.DESCRIPTOR.fields_by_name
    ask = connection.write if is_write else connection.read
    answer: Message = ask(stub, request, timeout_s=timeout_s)
    return answer


def request_of(registry: Registry, step: Step, name: str) -> Message:
    """The request of a step. What proto JSON cannot mean is the caller's mistake."""
    _, kind = method_of(registry.connection, name)
    return json_format.ParseDict(step.get("request", {}), kind())


def call(registry: Registry, _: Case, step: Step) -> Any:
    """`call: Service.Method`."""
    name = step["call"]
    return as_json(send(registry, step, name, request_of(registry, step, name)))


def every(registry: Registry, _: Case, step: Step) -> Reply:
    """`all: Service.Method`."""
    name = step["all"]
    request: Any = request_of(registry, step, name)

    def fetch(token: str) -> Message:
        request.page_token = token
        return send(registry, step, name, request)

    answer = Default().FindMethodByName(f"registry_grpc.v1.{name}").output_type
    items = next(each.name for each in answer.fields if each.is_repeated and each.message_type)
    pages: Iterator[Message] = iter(Pages[Message](fetch, items))
    return {"items": [as_json(each) for each in itertools.islice(pages, step.get("limit"))]}


def push(registry: Registry, case: Case, step: Step) -> Any:
    """`push: model`."""
    fields: Any = json_format.ParseDict(step.get("version", {}), versions_pb2.ModelVersion())
    given = {found.name: getattr(fields, found.name) for found, _ in fields.ListFields()}
    parent = step.get("parent", "projects/default").removeprefix("projects/")
    report = Reported(case) if step.get("progress") else None
    model = f"{parent}:{step['push']}"
    return as_json(registry.push(model, step["path"], finalize=step.get("finalize", True), progress=report, **given))


class Reported:
    """Prints what was sent or fetched, not too often."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._next = 0

    def __call__(self, progress: Progress) -> None:
        if progress.phase in {Phase.UPLOAD, Phase.DOWNLOAD} and progress.done_bytes >= self._next:
            self._next = progress.done_bytes + REPORTED_BYTES
            self._case.tell(progress={"sent": progress.done_bytes, "total": progress.size_bytes})


def upload(registry: Registry, case: Case, step: Step) -> Any:
    """`upload: version`: one file."""
    report = Reported(case) if step.get("progress") else None
    return as_json(registry.upload(step["upload"], step["as"], Path(step["file"]), progress=report))


def stream(registry: Registry, _: Case, step: Step) -> Any:
    """`stream: version`: bytes that are in no file."""
    return as_json(registry.upload(step["stream"], step["as"], io.BytesIO(step["text"].encode())))


def pull(registry: Registry, case: Case, step: Step) -> Reply:
    """`pull: reference`."""
    reference = parse_reference(step["pull"], step.get("project", DEFAULT_PROJECT))
    report = Reported(case) if step.get("progress") else None
    answer = registry.resolve(reference)
    path = registry.pull(str(reference), step["into"], progress=report)
    return {"version": answer.version, "path": str(path)}


def read(registry: Registry, _: Case, step: Step) -> Reply:
    """`read: artifact`."""
    digest, size = hashlib.sha256(), 0
    for chunk in registry.read(step["read"], step.get("offset", 0), step.get("length")):
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


def resolve(registry: Registry, _: Case, step: Step) -> Any:
    """`resolve: reference`."""
    return as_json(registry.resolve(parse_reference(step["resolve"], step.get("project", DEFAULT_PROJECT))))


def parse(_: Registry, __: Case, step: Step) -> Reply:
    """`parse: text`."""
    found = parse_reference(step["parse"], step.get("project", DEFAULT_PROJECT))
    number = None if found.number is None else str(found.number)
    said = {"project": found.project, "model": found.model, "number": number, "pointer": found.pointer}
    said |= {"digest": found.digest, "endpoint": found.endpoint}
    return {name: value for name, value in said.items() if value is not None}


def manifest(_: Registry, __: Case, step: Step) -> Reply:
    """`manifest: files`."""
    files = [FileDigest(each["path"], each["sha256"], int(each["size_bytes"])) for each in step["manifest"]]
    return {"digest": manifest_digest(files)}


def identify(_: Registry, __: Case, step: Step) -> Reply:
    """`artifact_id: path`."""
    return {"id": artifact_id(step["artifact_id"])}


def check_paths(_: Registry, __: Case, step: Step) -> Reply:
    """`check_paths: paths`."""
    check_local(step["check_paths"])
    return {}


def watch(registry: Registry, case: Case, step: Step) -> Reply:
    """`watch: id`."""
    state, token = step.get("state", False), step.get("resume_token", "")
    types, stages = step.get("types", []), step.get("stages", [])
    request = watch_request(step["parent"], types=types, stages=stages, state=state, resume_token=token, progress_s=10)
    case.watches[step["watch"]] = Following(Watch(registry.connection.settings, request, anew=state))
    return {}


def changes(_: Registry, case: Case, step: Step) -> Reply:
    """`changes: id`."""
    following = case.watches[step["changes"]]
    found = []
    for _number in range(step["count"]):
        change = following.next()
        found.append(change_told(change))
        if step.get("live"):
            case.tell(change=found[-1])
    return {"changes": found, "resumeToken": following.token}


def change_told(change: Change) -> Reply:
    """A change as the protocol has it."""
    said = {"kind": change.kind.name, "revision": str(change.revision)}
    if change.event is not None:
        action = events_pb2.EventAction.Name(change.event.action).removeprefix("EVENT_ACTION_")
        said |= {"type": change.event.resource_type, "action": action, "resource": change.event.name}
    return said


def close(_: Registry, case: Case, step: Step) -> Reply:
    """`close: id`."""
    case.watches.pop(step["close"]).watch.close()
    return {}


def wait(_: Registry, case: Case, step: Step) -> Reply:
    """`wait: text`."""
    case.tell(waiting=step["wait"])
    sys.stdin.readline()
    return {}


VERBS: dict[str, Callable[[Registry, Case, Step], Any]] = {
    "call": call,
    "all": every,
    "push": push,
    "upload": upload,
    "stream": stream,
    "pull": pull,
    "read": read,
    "resolve": resolve,
    "parse": parse,
    "manifest": manifest,
    "artifact_id": identify,
    "check_paths": check_paths,
    "watch": watch,
    "changes": changes,
    "close": close,
    "wait": wait,
}

if __name__ == "__main__":
    main()
