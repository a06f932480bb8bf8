/** Watches against a server that breaks off, forgets, and begins anew. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Metadata } from "@grpc/grpc-js";
import {
  CancelledError,
  EVERYTHING,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  Registry,
  UnauthenticatedError,
} from "@registry-grpc/client";
import type { Change } from "@registry-grpc/client";
import { EventService, WatchResponse_Kind as Kind } from "@registry-grpc/client/v1/events";
import type { WatchRequest } from "@registry-grpc/client/v1/events";
import { ServerService } from "@registry-grpc/client/v1/server";
import { FakeServer, Failure } from "./kit/fake.js";
import type { Handler } from "./kit/fake.js";
import { Scratch, collected } from "./kit/kit.js";

type Watching = Handler<(typeof EventService)["method"]["watch"]>;

class Feed implements AsyncDisposable {
  readonly fake = new FakeServer();
  /** Of each stream. */
  readonly requests: WatchRequest[] = [];
  readonly tokens: string[] = [];
  readonly minRevisions: unknown[][] = [];
  /** Streams stay open behind what they say. */
  holds = false;

  async start(
    script: (request: WatchRequest, stream: number) => Iterable<object> | AsyncIterable<object>,
  ): Promise<Registry> {
    const { requests, tokens, minRevisions } = this;
    const held = (): Promise<void> => (this.holds ? new Promise(() => undefined) : Promise.resolve());
    const watch: Watching = async function* (request, { metadata }) {
      requests.push(request);
      minRevisions.push(metadata.get("x-registry-min-revision"));
      tokens.push(String(metadata.get("authorization")[0]));
      yield* script(request, requests.length);
      await held();
    };
    this.fake.serve(EventService, { watch }).serve(ServerService, { getServerInfo: () => ({ currentRevision: 70n }) });
    await this.fake.start();
    return new Registry({ endpoint: this.fake.endpoint, token: "t" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fake[Symbol.asyncDispose]();
  }
}

function events(revision: bigint, names: readonly string[], partial = false): object {
  const resumeToken = partial ? "" : `after ${revision.toString()}`;
  return { kind: Kind.EVENTS, revision, events: names.map((name) => ({ name })), partial, resumeToken };
}

function told(change: Change): string {
  return `${change.kind} ${change.revision.toString()} ${change.event?.name ?? ""}`.trim();
}

/** The first `count` changes. */
async function first(watch: AsyncIterable<Change>, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const change of watch) {
    seen.push(told(change));
    if (seen.length === count) {
      break;
    }
  }
  return seen;
}

test("the state comes first, then events; a revision is told when it is whole", async () => {
  await using feed = new Feed();
  using registry = await feed.start(function* () {
    yield { kind: Kind.INITIAL_STATE, revision: 5n, events: [{ name: "a" }, { name: "b" }] };
    yield { kind: Kind.INITIAL_STATE_END, revision: 5n, resumeToken: "after 5" };
    yield events(6n, ["c"], true);
    yield events(6n, ["d"]);
    yield events(7n, ["e"]);
  });
  const watch = registry.watch("fraud");
  const seen: Change[] = [];
  for await (const change of watch) {
    seen.push(change);
    if (seen.length === 6) {
      break;
    }
  }
  assert.deepEqual(seen.map(told), ["state 5 a", "state 5 b", "synced 5", "event 6 c", "event 6 d", "event 7 e"]);
  assert.deepEqual(
    seen.map(({ resumeToken }) => resumeToken),
    ["", "", "after 5", "", "after 6", "after 7"],
  );
  assert.equal(feed.requests[0]?.sendInitialState, true);
});

test("a broken stream goes on behind the last whole revision, and tells nothing twice", async () => {
  await using feed = new Feed();
  using registry = await feed.start(function* (_, stream) {
    if (stream === 1) {
      yield { kind: Kind.INITIAL_STATE_END, revision: 5n, resumeToken: "after 5" };
      yield events(6n, ["a"]);
      yield events(7n, ["half"], true);
      throw new Failure("UNAVAILABLE", "DATABASE_UNAVAILABLE");
    }
    if (stream === 2) {
      yield { kind: Kind.PROGRESS, revision: 6n, resumeToken: "progress 6" };
      yield {
        kind: Kind.CLOSING,
        revision: 6n,
        resumeToken: "closing 6",
        reconnectAfter: { seconds: 0n, nanos: 1000 },
      };
      return;
    }
    yield events(7n, ["half", "whole"]);
  });
  assert.deepEqual(await first(registry.watch("fraud"), 4), ["synced 5", "event 6 a", "event 7 half", "event 7 whole"]);
  assert.deepEqual(
    feed.requests.map(({ resumeToken, sendInitialState }) => [resumeToken, sendInitialState]),
    [
      ["", true],
      ["after 6", false],
      ["closing 6", false],
    ],
  );
});

test("a token goes on where the change it came with was dealt with", async () => {
  await using feed = new Feed();
  using registry = await feed.start(function* () {
    yield events(8n, ["a", "b"]);
  });
  const watch = registry.watch("fraud", { resumeToken: "after 7" });
  assert.equal((await watch.next()).done, false);
  // Whoever stops in the middle of a revision gets all of it again.
  assert.equal(watch.resumeToken, "after 7");
  await watch.return();
  assert.equal(feed.requests[0]?.sendInitialState, false);
  assert.equal(feed.requests[0].resumeToken, "after 7");
});

test("from now on is a revision, so that a cut before the first message loses nothing", async () => {
  await using feed = new Feed();
  using registry = await feed.start(function* (_, stream) {
    if (stream === 1) {
      throw new Failure("UNAVAILABLE", "DATABASE_UNAVAILABLE");
    }
    yield events(71n, ["a"]);
  });
  assert.deepEqual(await first(registry.watch("fraud", { state: false }), 1), ["event 71 a"]);
  assert.deepEqual(
    feed.requests.map(({ afterRevision }) => afterRevision),
    [70n, 70n],
  );
});

for (const reason of ["HISTORY_CHANGED", "REVISION_COMPACTED"]) {
  test(`${reason} begins anew with the state, or is told`, async () => {
    await using feed = new Feed();
    using registry = await feed.start(function* (request) {
      if (request.resumeToken !== "") {
        throw new Failure("FAILED_PRECONDITION", reason);
      }
      yield { kind: Kind.INITIAL_STATE, revision: 3n, events: [{ name: "a" }] };
      yield { kind: Kind.INITIAL_STATE_END, revision: 3n, resumeToken: "after 3" };
    });
    assert.deepEqual(await first(registry.watch("fraud", { resumeToken: "old" }), 2), ["state 3 a", "synced 3"]);
    const strict = registry.watch("fraud", { resumeToken: "old", state: false });
    await assert.rejects(first(strict, 1), FailedPreconditionError);
  });
}

test("a token that ends is read again from its file, once", async () => {
  await using scratch = await Scratch.make();
  await using feed = new Feed();
  const tokenFile = scratch.join("token");
  await writeFile(tokenFile, "old");
  const other = await feed.start(async function* (_, stream) {
    if (stream === 1) {
      writeFileSync(tokenFile, "new");
    }
    if (stream === 2) {
      yield { kind: Kind.INITIAL_STATE_END, revision: 1n, resumeToken: "after 1" };
      // gRPC leaves out what comes with the failure.
      await sleep(300);
    }
    throw new Failure("UNAUTHENTICATED", "TOKEN_EXPIRED");
  });
  other.close();
  using registry = new Registry({ endpoint: feed.fake.endpoint, tokenFile });
  await assert.rejects(first(registry.watch("fraud"), 2), UnauthenticatedError);
  // The second is good for a while; the third, which is no better, ends it.
  assert.deepEqual(feed.tokens, ["Bearer old", "Bearer new", "Bearer new"]);
});

test("a watch asks for no revision: a registry that was rewound could not tell it so", async () => {
  await using feed = new Feed();
  using registry = await feed.start(function* () {
    yield events(8n, ["a"]);
  });
  const trailers = new Metadata();
  trailers.set("x-registry-revision", "9");
  registry.connection.noteWrite(trailers);
  await first(registry.watch("fraud"), 1);
  assert.deepEqual(feed.minRevisions, [[]]);
});

test("what does not pass by itself is thrown", async () => {
  await using feed = new Feed();
  using registry = await feed.start(() => {
    throw new Failure("NOT_FOUND", "MODEL_NOT_FOUND");
  });
  await assert.rejects(first(registry.watch("fraud"), 1), NotFoundError);
  assert.equal(feed.requests.length, 1);
});

test("targets are what people type", async () => {
  await using feed = new Feed();
  using registry = await feed.start(function* () {
    yield events(1n, ["a"]);
  });
  await first(registry.watch("team:fraud@production"), 1);
  await first(registry.watch(), 1);
  await first(registry.watch(EVERYTHING, { types: ["Stage"] }), 1);
  await first(registry.watch("projects/p/models/m", { progressMs: 5500 }), 1);
  assert.deepEqual(
    feed.requests.map(({ parent, resourceTypes, stages }) => [parent, resourceTypes, stages]),
    [
      ["projects/team/models/fraud", ["Stage"], ["production"]],
      ["projects/default", [], []],
      ["projects/-", ["Stage"], []],
      ["projects/p/models/m", [], []],
    ],
  );
  assert.equal(feed.requests[3]?.progressInterval?.nanos, 500_000_000);
  assert.throws(() => registry.watch("fraud/7"), InvalidArgumentError);
});

test("closing lets a reader go that waits, also for a server that is not there", async () => {
  await using feed = new Feed();
  feed.holds = true;
  using registry = await feed.start(function* () {
    yield events(1n, ["a"]);
  });
  using nowhere = new Registry({ endpoint: "127.0.0.1:1", token: "t" });
  for (const [client, count] of [
    [registry, 1],
    [nowhere, 0],
  ] as const) {
    const watch = client.watch("fraud");
    setTimeout(() => {
      watch.close();
    }, 500);
    assert.equal((await collected(watch)).length, count);
    assert.equal((await watch.next()).done, true);
  }
});

test("a signal and the end of its client end a watch with CancelledError", async () => {
  await using feed = new Feed();
  feed.holds = true;
  using registry = await feed.start(function* () {
    yield events(1n, ["a"]);
  });
  const abort = new AbortController();
  const watches = [registry.watch("fraud", { signal: abort.signal }), registry.watch("fraud")].map((watch) =>
    collected(watch),
  );
  setTimeout(() => {
    abort.abort();
    registry.close();
  }, 300);
  for (const watch of watches) {
    await assert.rejects(watch, CancelledError);
  }
});
