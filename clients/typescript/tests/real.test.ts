/** Against the server of the environment. */

import assert from "node:assert/strict";
import { mkdir, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AlreadyExistsError,
  CancelledError,
  InvalidArgumentError,
  NotFoundError,
  PUSH_KEY,
  Registry,
  UnauthenticatedError,
  errorFromStatus,
  parameters,
} from "@registry-grpc/client";
import type { Progress } from "@registry-grpc/client";
import { Upload_State as State } from "@registry-grpc/client/v1/artifacts";
import { ModelService } from "@registry-grpc/client/v1/models";
import { VersionState } from "@registry-grpc/client/v1/versions";
import { MIB, Scratch, collected, fresh, freshProject, realServer, sha256 } from "./kit/kit.js";

/** A directory with a few files, two of them equal, one empty, one in a directory with a name of its own. */
async function tree(scratch: Scratch): Promise<string> {
  const root = scratch.join("tree");
  await mkdir(`${root}/größe/.hidden`, { recursive: true });
  await mkdir(`${root}/.git`);
  const weights = fresh(3 * MIB + 7);
  await writeFile(`${root}/weights.bin`, weights);
  await writeFile(`${root}/größe/twin.bin`, weights);
  await writeFile(`${root}/größe/.hidden/empty`, "");
  await writeFile(`${root}/.git/config`, "left out");
  await symlink("weights.bin", `${root}/link.bin`);
  return root;
}

test("what is pushed comes back the same, and is not sent again", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const root = await tree(scratch);
  const seen: Progress[] = [];
  const phases = (phase: string): Set<string> =>
    new Set(seen.filter((progress) => progress.phase === phase).map(({ path }) => path));
  const options = { progress: (progress: Progress) => seen.push(progress) };
  const fields = {
    metrics: [{ name: "auc", value: 0.93 }],
    parameters: parameters({ depth: 2n ** 60n, rate: 1, shuffled: true, solver: "lbfgs" }),
    tags: { team: "risk" },
  };
  const version = await registry.push("fraud", root, fields, options);
  assert.equal(version.state, VersionState.READY);
  assert.equal(version.fileCount, 4);
  const kinds = Object.entries(version.parameters).map(([name, { kind }]) => [name, kind.case, kind.value]);
  assert.deepEqual(kinds.sort(), [
    ["depth", "int64Value", 2n ** 60n],
    ["rate", "doubleValue", 1],
    ["shuffled", "boolValue", true],
    ["solver", "stringValue", "lbfgs"],
  ]);
  assert.throws(() => parameters({ depth: 2n ** 64n }), InvalidArgumentError);
  assert.equal(phases("upload").size + phases("attach").size, 4);
  assert.ok(phases("upload").size <= 2, "equal files are sent once");

  seen.length = 0;
  const again = await registry.push("fraud", root, fields, options);
  assert.equal(again.name, version.name);
  assert.deepEqual(new Set(seen.map(({ phase }) => phase)), new Set(["hash"]));
  const other = await registry.push("fraud", root, { ...fields, metrics: [{ name: "auc", value: 0.94 }] }, options);
  assert.equal(other.number, 2n);
  assert.deepEqual(phases("upload"), new Set());
  const forced = await registry.push("fraud", root, fields, { ...options, forceNew: true });
  assert.deepEqual([forced.number, forced.manifestDigest], [3n, version.manifestDigest]);

  for (const ref of ["fraud", "fraud/1", `fraud/1@${version.manifestDigest}`, version.location, version.name]) {
    const out = await registry.pull(ref, scratch.join("out", ref.replace(/[^a-z0-9]/g, "_")), { parallel: 3 });
    for (const path of ["weights.bin", "link.bin", "größe/twin.bin", "größe/.hidden/empty"]) {
      assert.deepEqual(await readFile(`${out}/${path}`), await readFile(`${root}/${path}`), `${ref} ${path}`);
    }
  }
});

test("a draft is left open, and finished by the same push", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const root = await tree(scratch);
  const draft = await registry.push("fraud", root, {}, { finalize: false });
  assert.equal(draft.state, VersionState.DRAFT);
  const ready = await registry.push("fraud", root);
  assert.deepEqual([ready.name, ready.state], [draft.name, VersionState.READY]);
});

test("an upload of an earlier run is gone on with, one of other bytes is cancelled", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const content = fresh(120 * MIB);
  await writeFile(scratch.join("w"), content);
  const draft = registry.reference("fraud/1").versionName;
  const abort = new AbortController();
  const stopped = registry.push("fraud", scratch.join("w"), {}, { signal: abort.signal });
  void abortOnceSafe(registry, draft, abort);
  await assert.rejects(stopped, CancelledError);
  const lost = await registry.artifacts.startUpload({ parent: draft, path: "w", sizeBytes: 5n });
  const offsets: number[] = [];
  const progress = ({ phase, doneBytes }: Progress): void => {
    if (phase === "upload") {
      offsets.push(doneBytes);
    }
  };
  const version = await registry.push("fraud", scratch.join("w"), {}, { progress });
  assert.equal(version.name, draft);
  assert.ok((offsets[0] ?? 0) >= 16 * MIB, `went on at ${String(offsets[0])}`);
  assert.equal((await registry.artifacts.getUpload({ name: lost.name })).state, State.CANCELLED);
  assert.equal((await registry.artifact("fraud", "w")).digest?.sha256, sha256(content));
});

/** Aborts when the first part of an upload into `draft` is safe. */
async function abortOnceSafe(registry: Registry, draft: string, abort: AbortController): Promise<void> {
  for (;;) {
    const uploads = await registry.artifacts.listUploads({ parent: draft }).catch(() => ({ uploads: [] }));
    if (uploads.uploads.some(({ writeStatus }) => writeStatus.case === "persistedSize" && writeStatus.value > 0n)) {
      abort.abort();
      return;
    }
    await sleep(10);
  }
}

test("files and streams are uploaded into a draft, and read in ranges", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const parent = registry.projectName();
  await registry.models.createModel({ parent, modelId: "fraud", model: {} });
  const draft = await registry.models.createVersion({ parent: `${parent}/models/fraud`, version: {} });
  const content = fresh(20 * MIB + 3);
  await writeFile(scratch.join("w"), content);
  const file = await registry.uploadFile(draft.name, "dir/file.bin", scratch.join("w"), {
    mediaType: "application/x-w",
  });
  const halves = [content.subarray(0, 7), content.subarray(7)];
  const stream = await registry.uploadStream("fraud/1", "stream.bin", halves, content.length);
  assert.deepEqual(
    [file.mediaType, file.digest?.sha256, stream.digest?.sha256],
    ["application/x-w", sha256(content), sha256(content)],
  );
  const part = Buffer.concat(await collected(registry.read(stream, { offset: 5 * MIB, length: 9 * MIB })));
  assert.deepEqual(part, content.subarray(5 * MIB, 14 * MIB));
  assert.equal(Buffer.concat(await collected(registry.read(file.name))).equals(content), true);
  await assert.rejects(collected(registry.read(file.name, { offset: content.length + 1 })), InvalidArgumentError);
  await assert.rejects(registry.uploadFile(draft.name, "../x", scratch.join("w")), InvalidArgumentError);
  await assert.rejects(registry.uploadFile("fraud", "x", scratch.join("w")), InvalidArgumentError);
});

test("errors are told by their class, with reason and metadata", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  await assert.rejects(registry.resolve("absent@production"), (error: unknown) => {
    assert.ok(error instanceof NotFoundError);
    assert.deepEqual([error.code, error.reason], ["NOT_FOUND", "MODEL_NOT_FOUND"]);
    assert.match(error.metadata["resource"] ?? "", /models\/absent$/);
    assert.notEqual(error.requestId, "");
    return true;
  });
  const parent = registry.projectName();
  await registry.models.createModel({ parent, modelId: "m", model: {} });
  await assert.rejects(registry.models.createModel({ parent, modelId: "m", model: {} }), AlreadyExistsError);
  await assert.rejects(registry.models.createModel({ parent, modelId: "NO", model: {} }), (error: unknown) => {
    assert.ok(error instanceof InvalidArgumentError);
    assert.equal(error.violations[0]?.subject, "model_id");
    return true;
  });
  using stranger = new Registry({ endpoint: registry.endpoint, token: "mreg_wrong" });
  await assert.rejects(stranger.serverInfo(), UnauthenticatedError);
  await assert.rejects(registry.push("m", scratch.path), /no file to push/);
  await assert.rejects(registry.push("m", scratch.join("absent")), /does not exist/);
  await assert.rejects(registry.push("n", "/etc/hostname", {}, { createModel: false }), NotFoundError);
  await assert.rejects(registry.push("m", "/etc/hostname", { annotations: { [PUSH_KEY]: "x" } }), InvalidArgumentError);
});

test("each answer of a batch is a version or an error like any other", async () => {
  using registry = await freshProject();
  const parent = registry.projectName();
  const { results } = await registry.stages.batchResolve({
    parent,
    requests: [{ name: `${parent}/models/absent`, selector: { case: "version", value: 1n } }],
  });
  const result = results[0]?.result;
  assert.equal(result?.case, "error");
  assert.ok(errorFromStatus(result.value) instanceof NotFoundError);
});

test("a list comes in as many pages as it takes", async () => {
  using registry = await freshProject();
  const parent = registry.projectName();
  for (let number = 0; number < 5; number += 1) {
    await registry.models.createModel({ parent, modelId: `m${String(number)}`, model: {} });
  }
  const models = await collected(registry.all(ModelService.method.listModels, { parent, pageSize: 2 }));
  assert.deepEqual(
    models.map(({ name }) => name.split("/").at(-1)),
    ["m0", "m1", "m2", "m3", "m4"],
  );
});

test("a file that changes after it was hashed is noticed though nothing is sent", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const path = scratch.join("w");
  await writeFile(path, fresh(10));
  await registry.push("one", path);
  const pushed = registry.push(
    "two",
    path,
    {},
    {
      progress: ({ phase }) => {
        if (phase === "attach") {
          void utimes(path, 1, 1);
        }
      },
    },
  );
  await assert.rejects(pushed, /changed while it was pushed/);
});

test("who this client is comes from the token", async () => {
  using registry = new Registry(realServer());
  const info = await registry.serverInfo();
  assert.equal(info.caller, "user:admin");
  assert.equal(typeof info.currentRevision, "bigint");
});
