/** Uploads over cuts, take-overs and slow completions, against a server that breaks off where it is told. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { test } from "node:test";
import {
  CancelledError,
  ConflictError,
  FailedPreconditionError,
  IntegrityError,
  InvalidArgumentError,
} from "@registry-grpc/client";
import type { Progress } from "@registry-grpc/client";
import { Upload_State as State } from "@registry-grpc/client/v1/artifacts";
import { Failure } from "./kit/fake.js";
import { MIB, Scratch, fresh, sha256 } from "./kit/kit.js";
import { Uploads } from "./kit/uploads.js";

const DRAFT = "fraud/1";

/** Breaks the first stream off once it has sent so much. */
function cutAt(uploads: Uploads, bytes: number): void {
  uploads.onMessage = (message, stream) => {
    if (stream === 0 && Number(message.writeOffset) >= bytes) {
      throw new Failure("UNAVAILABLE", "SHUTTING_DOWN");
    }
  };
}

test("a file arrives whole, with its digest declared and its progress told", async () => {
  await using scratch = await Scratch.make();
  await using uploads = new Uploads();
  using registry = await uploads.start();
  const content = fresh(3 * MIB + 17);
  await writeFile(scratch.join("w"), content);
  const seen: Progress[] = [];
  const artifact = await registry.uploadFile(DRAFT, "dir/w", scratch.join("w"), {
    mediaType: "application/x",
    progress: (progress) => seen.push(progress),
  });
  assert.equal(artifact.path, "dir/w");
  assert.deepEqual(uploads.received, content);
  const [start] = uploads.starts;
  assert.deepEqual([start?.sha256, start?.sizeBytes, start?.mediaType], [sha256(content), 3145745n, "application/x"]);
  assert.deepEqual(seen.at(-1), {
    phase: "upload",
    path: "dir/w",
    doneBytes: content.length,
    sizeBytes: content.length,
  });
  assert.ok(seen.some(({ phase }) => phase === "hash"));
});

test("an empty file is a file", async () => {
  await using scratch = await Scratch.make();
  await using uploads = new Uploads();
  using registry = await uploads.start();
  await writeFile(scratch.join("empty"), "");
  assert.equal((await registry.uploadFile(DRAFT, "empty", scratch.join("empty"))).path, "empty");
  assert.equal((await registry.uploadStream(DRAFT, "none", [], 0)).path, "none");
});

test("a cut file goes on at the offset that is safe", async () => {
  await using scratch = await Scratch.make();
  await using uploads = new Uploads();
  using registry = await uploads.start();
  uploads.partBytes = 2 * MIB;
  cutAt(uploads, 5 * MIB);
  const content = fresh(8 * MIB + 1);
  await writeFile(scratch.join("w"), content);
  await registry.uploadFile(DRAFT, "w", scratch.join("w"));
  assert.deepEqual(uploads.offsets, [0n, BigInt(4 * MIB)]);
  assert.deepEqual(uploads.received, content);
  assert.equal(uploads.starts.length, 1);
});

test("a cut stream sends again what it kept, and takes its source once", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  uploads.partBytes = 16 * MIB;
  cutAt(uploads, 36 * MIB);
  const content = fresh(40 * MIB + 5);
  let taken = 0;
  const source = Readable.from(
    (function* () {
      for (let at = 0; at < content.length; at += 700_000) {
        taken += 1;
        yield content.subarray(at, at + 700_000);
      }
    })(),
  );
  await registry.uploadStream(DRAFT, "w", source as AsyncIterable<Uint8Array>, content.length);
  assert.deepEqual(uploads.offsets, [0n, BigInt(32 * MIB)]);
  assert.equal(sha256(uploads.received), sha256(content));
  assert.equal(taken, Math.ceil(content.length / 700_000));
});

test("a stream waits for what is not safe, and is sent again in full when it was cut meanwhile", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  uploads.partBytes = 16 * MIB;
  uploads.lagBytes = 64 * MIB;
  let ahead = 0;
  uploads.onLook = () => {
    if (uploads.lagBytes === 0) {
      return;
    }
    ahead = Math.max(ahead, uploads.received.length);
    if (ahead > 31 * MIB) {
      uploads.cut();
      uploads.lagBytes = 0;
      uploads.received = Buffer.alloc(0);
    }
  };
  const content = fresh(48 * MIB);
  const pieces = Array.from({ length: 48 }, (_, at) => content.subarray(at * MIB, (at + 1) * MIB));
  await registry.uploadStream(DRAFT, "w", pieces, content.length);
  assert.deepEqual(uploads.offsets, [0n, 0n]);
  assert.equal(sha256(uploads.received), sha256(content));
  assert.ok(ahead <= 34 * MIB, `${String(ahead)} bytes were sent ahead`);
});

test("a stream of another size than was said is refused, and its source is ended", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  for (const [size, pattern] of [
    [11, /fewer than the 11/],
    [9, /more than the 9/],
    [4, /more than the 4/],
  ] as const) {
    let ended = false;
    const source = (function* () {
      try {
        yield Buffer.from("01234");
        yield Buffer.from("56789");
      } finally {
        ended = true;
      }
    })();
    await assert.rejects(registry.uploadStream(DRAFT, "w", source, size), (error: unknown) => {
      assert.ok(error instanceof InvalidArgumentError);
      assert.match(error.message, pattern);
      return true;
    });
    assert.equal(ended, true);
    assert.notEqual(uploads.state, State.COMMITTED);
  }
  await assert.rejects(registry.uploadStream(DRAFT, "w", [], -1), InvalidArgumentError);
});

test("the failure of a source is the caller's own", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  const source = (function* () {
    yield Buffer.from("0");
    throw new TypeError("of the source");
  })();
  await assert.rejects(registry.uploadStream(DRAFT, "w", source, 5), TypeError);
});

test("while the server completes it is asked, until the file is there", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  uploads.onFinish = () => {
    uploads.state = State.FINALIZING;
    throw new Failure("UNAVAILABLE", "SHUTTING_DOWN");
  };
  uploads.onLook = (looks) => {
    if (looks === 3) {
      uploads.commit();
    }
  };
  await registry.uploadStream(DRAFT, "w", [fresh(100)], 100);
  assert.deepEqual([uploads.looks, uploads.offsets.length], [3, 1]);
});

test("an upload that is gone is started again from a file, and is the end of a stream", async () => {
  await using scratch = await Scratch.make();
  await using uploads = new Uploads();
  using registry = await uploads.start();
  await writeFile(scratch.join("w"), fresh(100));
  uploads.onMessage = (_, stream) => {
    if (stream === 0) {
      throw new Failure("FAILED_PRECONDITION", "UPLOAD_CLOSED");
    }
  };
  await registry.uploadFile(DRAFT, "w", scratch.join("w"));
  assert.equal(uploads.starts.length, 2);
  uploads.onMessage = () => {
    throw new Failure("NOT_FOUND", "UPLOAD_NOT_FOUND");
  };
  await assert.rejects(registry.uploadStream(DRAFT, "w", [fresh(100)], 100), /UPLOAD_NOT_FOUND/);
  assert.equal(uploads.starts.length, 3);
});

test("an upload that failed says why", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  uploads.failure = "the disk is full";
  uploads.onFinish = () => {
    uploads.state = State.FAILED;
    throw new Failure("UNAVAILABLE", "SHUTTING_DOWN");
  };
  await assert.rejects(registry.uploadStream(DRAFT, "w", [fresh(10)], 10), (error: unknown) => {
    assert.ok(error instanceof FailedPreconditionError);
    assert.match(error.message, /FAILED: the disk is full/);
    return true;
  });
});

test("a superseded writer gives way", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  uploads.onMessage = () => {
    throw new Failure("ABORTED", "UPLOAD_SUPERSEDED", { persistedSize: "0" });
  };
  await assert.rejects(registry.uploadStream(DRAFT, "w", [fresh(10)], 10), (error: unknown) => {
    assert.ok(error instanceof ConflictError);
    assert.equal(error.reason, "UPLOAD_SUPERSEDED");
    return true;
  });
  assert.equal(uploads.offsets.length, 1);
});

test("a file that changes while it is sent is noticed", async () => {
  await using scratch = await Scratch.make();
  await using uploads = new Uploads();
  using registry = await uploads.start();
  await writeFile(scratch.join("w"), fresh(4 * MIB));
  uploads.onMessage = (message) => {
    if (message.writeOffset === 0n) {
      writeFileSync(scratch.join("w"), fresh(4 * MIB - 1));
    }
  };
  await assert.rejects(registry.uploadFile(DRAFT, "w", scratch.join("w")), changed);
  assert.notEqual(uploads.state, State.COMMITTED);
});

test("bytes that change behind an unchanged date are noticed by the server", async () => {
  await using scratch = await Scratch.make();
  await using uploads = new Uploads();
  using registry = await uploads.start();
  await writeFile(scratch.join("w"), fresh(10));
  uploads.onFinish = () => {
    throw new Failure("FAILED_PRECONDITION", "DIGEST_MISMATCH");
  };
  await assert.rejects(registry.uploadFile(DRAFT, "w", scratch.join("w")), changed);
});

function changed(error: unknown): boolean {
  assert.ok(error instanceof IntegrityError, String(error));
  assert.match(error.message, /changed while it was pushed/);
  assert.deepEqual(error.metadata, { path: "w" });
  return true;
}

test("an aborted upload ends at once", async () => {
  await using uploads = new Uploads();
  using registry = await uploads.start();
  const abort = new AbortController();
  uploads.onMessage = () => {
    abort.abort();
  };
  const source = [fresh(MIB), fresh(MIB)];
  await assert.rejects(registry.uploadStream(DRAFT, "w", source, 2 * MIB, { signal: abort.signal }), CancelledError);
});
