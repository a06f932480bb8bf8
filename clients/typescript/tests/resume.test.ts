/** Against the server of the environment, through a proxy that is cut: transfers and watches go on. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "@registry-grpc/client";
import type { Change } from "@registry-grpc/client";
import { MIB, Scratch, fresh, freshProject, realServer, sha256, until } from "./kit/kit.js";
import { Proxy } from "./kit/proxy.js";

/** Cut now, and stay away for a moment. */
function outage(proxy: Proxy): void {
  proxy.isDown = true;
  proxy.cut();
  setTimeout(() => {
    proxy.isDown = false;
  }, 700);
}

test("a push goes on behind a cut, and sends only the rest", async () => {
  await using scratch = await Scratch.make();
  await using proxy = await Proxy.before(realServer().endpoint);
  using registry = await freshProject({ endpoint: proxy.endpoint });
  const content = fresh(80 * MIB);
  await writeFile(scratch.join("w"), content);
  let cuts = 0;
  const version = await registry.push(
    "fraud",
    scratch.join("w"),
    {},
    {
      progress: ({ phase, doneBytes }) => {
        if (phase === "upload" && doneBytes > (cuts + 1) * 30 * MIB && cuts < 2) {
          cuts += 1;
          outage(proxy);
        }
      },
    },
  );
  assert.equal(cuts, 2);
  assert.equal((await registry.artifact(version.name, "w")).digest?.sha256, sha256(content));
  // At most two parts that were not safe, and what lay in buffers, come twice for each cut.
  assert.ok(proxy.sentBytes < content.length + 2 * 52 * MIB, `${String(proxy.sentBytes / MIB)} MiB were sent`);
});

test("a stream that comes once goes on behind a cut", async () => {
  await using proxy = await Proxy.before(realServer().endpoint);
  using registry = await freshProject({ endpoint: proxy.endpoint });
  const parent = registry.projectName();
  await registry.models.createModel({ parent, modelId: "fraud", model: {} });
  await registry.models.createVersion({ parent: `${parent}/models/fraud`, version: {} });
  const content = fresh(70 * MIB);
  let isCut = false;
  function* source(): Generator<Buffer> {
    for (let at = 0; at < content.length; at += 3 * MIB) {
      if (at > 50 * MIB && !isCut) {
        isCut = true;
        outage(proxy);
      }
      yield content.subarray(at, at + 3 * MIB);
    }
  }
  const artifact = await registry.uploadStream("fraud/1", "w", source(), content.length);
  assert.equal(isCut, true);
  assert.equal(artifact.digest?.sha256, sha256(content));
});

test("a read goes on behind a cut", async () => {
  await using scratch = await Scratch.make();
  await using proxy = await Proxy.before(realServer().endpoint);
  using registry = await freshProject({ endpoint: proxy.endpoint });
  const content = fresh(40 * MIB);
  await writeFile(scratch.join("w"), content);
  await registry.push("fraud", scratch.join("w"));
  let isCut = false;
  const chunks: Uint8Array[] = [];
  for await (const chunk of registry.read(await registry.artifact("fraud", "w"))) {
    chunks.push(chunk);
    if (!isCut) {
      isCut = true;
      outage(proxy);
    }
  }
  assert.equal(sha256(Buffer.concat(chunks)), sha256(content));
});

test("a watch goes on behind cuts, and misses and repeats nothing", async () => {
  await using proxy = await Proxy.before(realServer().endpoint);
  using direct = await freshProject();
  using cut = new Registry({ ...realServer(), endpoint: proxy.endpoint, project: direct.project });
  const watch = cut.watch(undefined, { types: ["Model"] });
  const seen: Change[] = [];
  const reading = (async () => {
    for await (const change of watch) {
      seen.push(change);
    }
  })();
  await until(() => seen.some(({ kind }) => kind === "synced"), "the state is told");
  const parent = direct.projectName();
  const names = Array.from({ length: 30 }, (_, number) => `m${number.toString().padStart(2, "0")}`);
  for (const [at, modelId] of names.entries()) {
    await direct.models.createModel({ parent, modelId, model: {} });
    if (at % 10 === 5) {
      outage(proxy);
      await sleep(200);
    }
  }
  await until(() => seen.length > names.length, "every model is told");
  await sleep(300);
  watch.close();
  await reading;
  const told = seen.filter(({ kind }) => kind === "event").map(({ event }) => event?.name.split("/").at(-1));
  assert.deepEqual(told, names);
  const last = cut.watch(undefined, { types: ["Model"], resumeToken: seen[10]?.resumeToken ?? "" });
  const first = await last.next();
  assert.equal(first.value?.event?.name, `${parent}/models/${names[10] ?? ""}`);
  await last.return();
});
