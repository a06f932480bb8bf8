/** Reading and pulling from a server that lies, breaks off, or is slow to be read. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, symlink, writeFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { CancelledError, FailedPreconditionError, IntegrityError } from "@registry-grpc/client";
import type { Progress, Registry } from "@registry-grpc/client";
import { Failure } from "./kit/fake.js";
import { MIB, Scratch, collected, fresh } from "./kit/kit.js";
import { Liar } from "./kit/liar.js";

async function wholeOf(registry: Registry, liar: Liar): Promise<Buffer> {
  return Buffer.concat(await collected(registry.read(liar.artifact.name)));
}

test("a cut stream goes on where it ended", async () => {
  await using liar = new Liar(fresh(1000));
  liar.answer = function* (from, to, call) {
    for (const piece of liar.pieces(from, to)) {
      yield piece;
      if (call < 3) {
        throw new Failure("UNAVAILABLE", "SHUTTING_DOWN");
      }
    }
  };
  using registry = await liar.start();
  assert.deepEqual(await wholeOf(registry, liar), liar.content);
  assert.deepEqual(liar.offsets, [0, 500]);
});

test("a stream that ends early, as if it were whole, goes on too", async () => {
  await using liar = new Liar(fresh(1000));
  liar.answer = (from, to, call) => liar.pieces(from, call === 1 ? 300 : to);
  using registry = await liar.start();
  assert.deepEqual(await wholeOf(registry, liar), liar.content);
  assert.deepEqual(liar.offsets, [0, 300]);
});

test("a chunk damaged on the way is asked for again", async () => {
  await using liar = new Liar(fresh(1000));
  liar.answer = function* (from, to, call) {
    for (const piece of liar.pieces(from, to)) {
      yield call === 1 && piece.offset > 0 ? { ...piece, content: fresh(piece.content.length) } : piece;
    }
  };
  using registry = await liar.start();
  assert.deepEqual(await wholeOf(registry, liar), liar.content);
  assert.deepEqual(liar.offsets, [0, 500]);
});

test("too many bytes, and bytes from elsewhere, are refused", async () => {
  await using liar = new Liar(fresh(1000));
  using registry = await liar.start();
  liar.answer = function* () {
    yield { offset: 0, content: Buffer.concat([liar.content, fresh(1)]) };
  };
  await assert.rejects(wholeOf(registry, liar), IntegrityError);
  liar.answer = function* () {
    yield { offset: 500, content: liar.content.subarray(500) };
  };
  await assert.rejects(wholeOf(registry, liar), IntegrityError);
});

test("bytes that are not what was listed are refused at the end, and never kept", async () => {
  await using scratch = await Scratch.make();
  await using liar = new Liar(fresh(1000));
  const other = fresh(1000);
  liar.answer = function* (from) {
    yield { offset: from, content: other.subarray(from) };
  };
  using registry = await liar.start();
  await assert.rejects(wholeOf(registry, liar), (error: unknown) => {
    assert.ok(error instanceof IntegrityError);
    assert.equal(error.reason, "DIGEST_MISMATCH");
    return true;
  });
  await assert.rejects(registry.pull("fraud", scratch.join("out")), IntegrityError);
  assert.deepEqual(await readdir(scratch.path), []);
});

test("the registry's own finding in the trailer means: discard", async () => {
  await using liar = new Liar(fresh(1000));
  liar.answer = function* (from, to) {
    yield* liar.pieces(from, to);
    throw new Failure("DATA_LOSS", "ARTIFACT_CORRUPT");
  };
  using registry = await liar.start();
  await assert.rejects(wholeOf(registry, liar), IntegrityError);
});

test("a range is read, empty ones too, and as a Node stream", async () => {
  await using liar = new Liar(fresh(1000));
  using registry = await liar.start();
  const { name } = liar.artifact;
  const read = async (offset?: number, length?: number): Promise<Buffer> =>
    Buffer.concat(await collected(registry.read(name, { offset, length })));
  assert.deepEqual(await read(10, 20), liar.content.subarray(10, 30));
  assert.deepEqual(await read(990), liar.content.subarray(990));
  assert.deepEqual(await read(990, 100), liar.content.subarray(990));
  assert.equal((await read(1000)).length, 0);
  assert.equal((await read(0, 0)).length, 0);
  assert.deepEqual(await buffer(registry.openRead(name, { offset: 1 })), liar.content.subarray(1));
  await assert.rejects(read(-1), /offset is -1/);
});

test("who reads slowly holds up the server instead of memory, and who stops ends the call", async () => {
  await using liar = new Liar(fresh(64 * MIB));
  let sent = 0;
  liar.answer = function* (from, to) {
    for (let at = from; at < to; at += MIB) {
      sent += MIB;
      yield { offset: at, content: liar.content.subarray(at, at + MIB) };
    }
  };
  using registry = await liar.start();
  for await (const chunk of registry.read(liar.artifact.name)) {
    assert.equal(chunk.length, MIB);
    await new Promise((resolve) => setTimeout(resolve, 500));
    break;
  }
  // Two windows, the buffers of two sockets, and what the server's own queue takes.
  assert.ok(sent < 40 * MIB, `${String(sent / MIB)} MiB were sent`);
});

for (const path of ["../out", "/etc/passwd", "a/../../b", "C:evil", "a\\b", "nul", ".git/config"]) {
  test(`the path ${path} is never written`, async () => {
    await using scratch = await Scratch.make();
    await using liar = new Liar(fresh(10));
    liar.path = path;
    using registry = await liar.start();
    await assert.rejects(registry.pull("fraud", scratch.join("in", "out")), IntegrityError);
    assert.deepEqual(await readdir(scratch.path), []);
  });
}

test("a file list that is not what was pinned is refused", async () => {
  await using scratch = await Scratch.make();
  await using liar = new Liar(fresh(10));
  liar.manifest = `sha256:${"0".repeat(64)}`;
  using registry = await liar.start();
  await assert.rejects(registry.pull("fraud", scratch.join("out")), /manifest digest/);
  await assert.rejects(registry.resolve(`fraud/1@sha256:${"1".repeat(64)}`), IntegrityError);
  assert.deepEqual(await readdir(scratch.path), []);
});

test("a directory appears whole, is taken as it is when it is right, and is never touched when it is not", async () => {
  await using scratch = await Scratch.make();
  await using liar = new Liar(fresh(1000));
  using registry = await liar.start();
  const out = scratch.join("deep", "out");
  assert.equal(await registry.pull("fraud", out), out);
  assert.deepEqual(await readFile(`${out}/weights.bin`), liar.content);
  const seen: Progress[] = [];
  await registry.pull("fraud", out, { progress: (progress) => seen.push(progress) });
  assert.deepEqual(seen, [{ phase: "present", path: "weights.bin", doneBytes: 1000, sizeBytes: 1000 }]);
  await writeFile(`${out}/more`, "of somebody");
  await assert.rejects(registry.pull("fraud", out), FailedPreconditionError);
  await mkdir(scratch.join("empty"));
  await registry.pull("fraud", scratch.join("empty"));
  await symlink(scratch.join("empty"), scratch.join("link"));
  await assert.rejects(registry.pull("fraud", scratch.join("link")), FailedPreconditionError);
  await writeFile(scratch.join("empty", "weights.bin"), fresh(1000));
  await assert.rejects(registry.pull("fraud", scratch.join("empty")), FailedPreconditionError);
  assert.deepEqual((await readdir(scratch.path)).sort(), ["deep", "empty", "link"]);
});

test("a pull that is aborted leaves nothing behind", async () => {
  await using scratch = await Scratch.make();
  await using liar = new Liar(fresh(1000));
  using registry = await liar.start();
  const abort = new AbortController();
  const progress = (): void => {
    abort.abort();
  };
  const pull = registry.pull("fraud", scratch.join("out"), { signal: abort.signal, progress });
  await assert.rejects(pull, CancelledError);
  assert.equal(existsSync(scratch.join("out")), false);
  assert.deepEqual(await readdir(scratch.path), []);
});
