/** Unary calls against a server in this process: retries, request ids, read-your-writes, errors, deadlines. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CancelledError,
  ConflictError,
  DeadlineExceededError,
  InternalError,
  NotFoundError,
  OutOfRangeError,
  Registry,
  ResourceExhaustedError,
  SERVICES,
  UnauthenticatedError,
  UnavailableError,
} from "@registry-grpc/client";
import { ModelService } from "@registry-grpc/client/v1/models";
import { ServerService } from "@registry-grpc/client/v1/server";
import { serviceConfig } from "#internal/channel";
import { FakeServer, Failure } from "./kit/fake.js";
import type { Handlers } from "./kit/fake.js";
import { collected } from "./kit/kit.js";

const PARENT = "projects/default";

/** A server and its client, which end together. */
class Served implements AsyncDisposable {
  readonly fake: FakeServer;
  readonly registry: Registry;

  constructor(fake: FakeServer) {
    this.fake = fake;
    this.registry = new Registry({ endpoint: fake.endpoint, token: "t0ken", timeoutMs: 20_000 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.registry.close();
    this.fake.stop();
    return Promise.resolve();
  }
}

async function models(handlers: Handlers<typeof ModelService>): Promise<Served> {
  return new Served(await new FakeServer().serve(ModelService, handlers).start());
}

test("a call carries its token and an id, and a mutation a request_id of its own", async () => {
  const seen: string[] = [];
  await using served = await models({
    createModel: (request, { metadata }) => {
      assert.deepEqual(metadata.get("authorization"), ["Bearer t0ken"]);
      assert.match(String(metadata.get("user-agent")[0]), /^mreg-typescript\//);
      assert.equal(metadata.get("x-request-id").length, 1);
      seen.push(request.requestId);
      return { name: request.modelId };
    },
  });
  const { registry } = served;
  const request = { parent: PARENT, modelId: "m", model: {} };
  await registry.models.createModel(request);
  await registry.models.createModel(request);
  await registry.models.createModel({ ...request, requestId: "mine" });
  assert.equal(new Set(seen).size, 3);
  assert.equal(seen[2], "mine");
  assert.match(seen[0] ?? "", /^[0-9a-f-]{36}$/);
});

test("a mutation is repeated under one request_id", async () => {
  const seen: string[] = [];
  await using served = await models({
    createModel: (request) => {
      seen.push(request.requestId);
      if (seen.length < 3) {
        throw new Failure("UNAVAILABLE", "DATABASE_UNAVAILABLE");
      }
      if (seen.length < 5) {
        throw new Failure("ABORTED", "TRANSACTION_CONFLICT", {}, 0.01);
      }
      return { name: "made" };
    },
  });
  const { registry } = served;
  assert.equal((await registry.models.createModel({ parent: PARENT, modelId: "m" })).name, "made");
  assert.equal(seen.length, 5);
  assert.equal(new Set(seen).size, 1);
});

test("a conflict that is not the transaction's, and a quota, are told at once", async () => {
  await using served = await models({
    getModel: () => {
      throw new Failure("ABORTED", "ETAG_MISMATCH", { currentEtag: "e" });
    },
    getVersion: () => {
      throw new Failure("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", { limit: "1" }, 7.5);
    },
  });
  const { registry } = served;
  await assert.rejects(registry.models.getModel({ name: "n" }), (error: unknown) => {
    assert.ok(error instanceof ConflictError);
    assert.deepEqual([error.code, error.reason, error.metadata], ["ABORTED", "ETAG_MISMATCH", { currentEtag: "e" }]);
    assert.equal(error.name, "ConflictError");
    assert.equal(error.retryAfterMs, undefined);
    return true;
  });
  await assert.rejects(registry.models.getVersion({ name: "n" }), (error: unknown) => {
    assert.ok(error instanceof ResourceExhaustedError);
    assert.equal(error.retryAfterMs, 7500);
    return true;
  });
  assert.deepEqual(served.fake.calls, ["ModelService.GetModel", "ModelService.GetVersion"]);
});

test("a read asks for what was written, and forgets it when another registry answers", async () => {
  const asked: unknown[][] = [];
  await using served = await models({
    createModel: (request, { trailers }) => {
      trailers.set("x-registry-revision", "41");
      return { name: request.modelId };
    },
    getModel: (request, { metadata }) => {
      asked.push(metadata.get("x-registry-min-revision"));
      if (metadata.get("x-registry-min-revision").length > 0 && request.name === "strange") {
        throw new Failure("OUT_OF_RANGE", "REVISION_UNKNOWN");
      }
      return { name: request.name };
    },
  });
  const { registry } = served;
  await registry.models.getModel({ name: "before" });
  await registry.models.createModel({ parent: PARENT, modelId: "m" });
  await registry.models.getModel({ name: "after" });
  await registry.models.getModel({ name: "strange" });
  await registry.models.getModel({ name: "later" });
  assert.deepEqual(asked, [[], ["41"], ["41"], [], []]);
});

test("reads that asked for it together all forget it", async () => {
  let asked = 0;
  await using served = await models({
    createModel: (request, { trailers }) => {
      trailers.set("x-registry-revision", "41");
      return { name: request.modelId };
    },
    getModel: (request, { metadata }) => {
      if (metadata.get("x-registry-min-revision").length > 0) {
        asked += 1;
        throw new Failure("OUT_OF_RANGE", "REVISION_UNKNOWN");
      }
      return { name: request.name };
    },
  });
  const { registry } = served;
  await registry.models.createModel({ parent: PARENT, modelId: "m" });
  const found = await Promise.all([1, 2, 3, 4].map(() => registry.models.getModel({ name: "n" })));
  assert.equal(found.length, 4);
  assert.equal(asked, 4);
});

test("a revision nobody wrote is not asked for twice", async () => {
  await using served = await models({
    getModel: () => {
      throw new Failure("OUT_OF_RANGE", "REVISION_UNKNOWN");
    },
  });
  const { registry } = served;
  await assert.rejects(registry.models.getModel({ name: "n" }), OutOfRangeError);
  assert.equal(served.fake.calls.length, 1);
});

test("a list is read page by page, and only as far as it is wanted", async () => {
  const tokens: string[] = [];
  await using served = await models({
    listModels: (request) => {
      tokens.push(request.pageToken);
      const page = Number(request.pageToken || "0");
      const models = [{ name: `m${page.toString()}` }, { name: `n${page.toString()}` }];
      return { models, nextPageToken: page < 2 ? String(page + 1) : "" };
    },
  });
  const { registry } = served;
  const method = ModelService.method.listModels;
  const names = (await collected(registry.all(method, { parent: PARENT }))).map(({ name }) => name);
  assert.deepEqual(names, ["m0", "n0", "m1", "n1", "m2", "n2"]);
  assert.deepEqual(tokens, ["", "1", "2"]);
  for await (const model of registry.all(method, { parent: PARENT })) {
    assert.equal(model.name, "m0");
    break;
  }
  assert.equal(tokens.length, 4);
});

test("what comes in no pages is refused as a list", async () => {
  using registry = new Registry({ endpoint: "127.0.0.1:1", token: "t" });
  await assert.rejects(collected(registry.all(ModelService.method.getModel, { name: "n" })), /does not come in pages/);
});

test("a deadline, a signal and a timeout signal end a call as what they are", async () => {
  await using served = await models({ getModel: () => new Promise(() => undefined) });
  const { registry } = served;
  await assert.rejects(registry.models.getModel({ name: "n" }, { timeoutMs: 100 }), DeadlineExceededError);
  const abort = new AbortController();
  const pending = registry.models.getModel({ name: "n" }, { signal: abort.signal });
  setTimeout(() => {
    abort.abort("enough");
  }, 100);
  await assert.rejects(pending, (error: unknown) => error instanceof CancelledError && error.cause === "enough");
  await assert.rejects(registry.models.getModel({ name: "n" }, { signal: abort.signal }), CancelledError);
  await assert.rejects(
    registry.models.getModel({ name: "n" }, { signal: AbortSignal.timeout(100) }),
    DeadlineExceededError,
  );
  assert.equal(served.fake.calls.length, 3);
});

test("closing ends what is open, and a later call connects again", async () => {
  let isSilent = true;
  await using served = await models({
    getModel: (request) => (isSilent ? new Promise(() => undefined) : { name: request.name }),
  });
  const { registry } = served;
  const pending = registry.models.getModel({ name: "n" });
  setTimeout(() => {
    registry.close();
  }, 200);
  await assert.rejects(pending, CancelledError);
  isSilent = false;
  assert.equal((await registry.models.getModel({ name: "n" })).name, "n");
  registry.close();
});

test("nobody there is Unavailable, once the retries are used up", async () => {
  await using served = await models({});
  const { registry } = served;
  served.fake.stop();
  await assert.rejects(registry.serverInfo({ timeoutMs: 8000 }), UnavailableError);
});

test("what is no registry's error has no reason, and a broken detail is left out", async () => {
  await using served = await models({
    getModel: () => {
      throw new Error("a defect");
    },
    getVersion: () => {
      throw new Failure("NOT_FOUND", "");
    },
  });
  const { registry } = served;
  await assert.rejects(registry.models.getModel({ name: "n" }), (error: unknown) => {
    assert.ok(error instanceof InternalError);
    assert.deepEqual([error.reason, error.message], ["", "a defect"]);
    assert.notEqual(error.requestId, "");
    return true;
  });
  await assert.rejects(registry.models.getVersion({ name: "n" }), NotFoundError);
});

test("a token file that is gone is told before anything is sent", async () => {
  await using served = await models({ getModel: () => ({}) });
  const { registry } = served;
  registry.close();
  using other = new Registry({ endpoint: served.fake.endpoint, tokenFile: "/nowhere/token" });
  await assert.rejects(other.models.getModel({ name: "n" }), UnauthenticatedError);
  assert.deepEqual(served.fake.calls, []);
});

test("several endpoints take turns, and one that is away is left out", async () => {
  const handlers = { getServerInfo: () => ({ serverVersion: "1" }) };
  await using first = await new FakeServer().serve(ServerService, handlers).start();
  await using second = await new FakeServer().serve(ServerService, handlers).start();
  using registry = new Registry({ endpoint: `${first.endpoint},${second.endpoint}`, token: "t" });
  for (let call = 0; call < 20; call += 1) {
    await registry.serverInfo();
  }
  assert.ok(first.calls.length > 0 && second.calls.length > 0, "both are asked");
  first.stop();
  for (let call = 0; call < 5; call += 1) {
    await registry.serverInfo();
  }
});

test("every unary call of the contract is retried and no stream", () => {
  const config = JSON.parse(serviceConfig()) as {
    readonly methodConfig: readonly {
      readonly name: readonly { readonly service: string; readonly method: string }[];
    }[];
  };
  const retried = new Set(config.methodConfig[0]?.name.map(({ service, method }) => `${service}/${method}`));
  for (const service of SERVICES) {
    for (const method of service.methods) {
      const isUnary = method.methodKind === "unary";
      assert.equal(retried.has(`${service.typeName}/${method.name}`), isUnary, method.name);
    }
  }
  assert.equal(SERVICES.flatMap(({ methods }) => methods).filter(({ methodKind }) => methodKind !== "unary").length, 4);
});
