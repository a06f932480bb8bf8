/** The programs beside the library: the example, the README's first one, and the driver of the conformance cases. */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { Scratch, fresh, freshProject, repository, until } from "./kit/kit.js";

const run = promisify(execFile);
const BUILT = repository("clients", "typescript", ".build");

async function output(program: string, ...rest: readonly string[]): Promise<string> {
  return (await run(process.execPath, [`${BUILT}/${program}`, ...rest])).stdout;
}

test("the example lists models and compares two versions", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  await writeFile(scratch.join("w"), fresh(10));
  const metric = (value: number): object => ({ name: "auc", value, direction: 1, dataset: "cards" });
  await registry.push("fraud", scratch.join("w"), { metrics: [metric(0.9)], algorithm: "trees" });
  await registry.push("fraud", scratch.join("w"), { metrics: [metric(0.95)], algorithm: "forest" });
  await registry.models.createModel({ parent: registry.projectName(), modelId: "empty", model: { owner: "ada" } });
  const { project } = registry;
  assert.equal(
    await output("examples/compare.js", "models", project),
    "empty\tno version yet\tada\nfraud\tversion 2, development\n",
  );
  const table = await output("examples/compare.js", "compare", `${project}:fraud/1`, `${project}:fraud@latest`);
  assert.match(table, /^algorithm\ttrees\tforest$/m);
  assert.match(table, /^auc\t0.9\t0.95 \*$/m);
  await assert.rejects(
    output("examples/compare.js", "compare", `${project}:fraud/1`, `${project}:fraud/9`),
    /NOT_FOUND/,
  );
  await assert.rejects(output("examples/compare.js"), /usage/);
});

interface Line {
  readonly step: number;
  readonly outcome: { readonly reply?: Record<string, unknown>; readonly error?: { readonly kind: string } };
}

test("the driver goes through its steps, whatever fails, with numbers as proto JSON has them", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const parent = registry.projectName();
  const steps = [
    {
      call: "ModelService.CreateModel",
      request: { parent, modelId: "m", model: {} },
      save: { model: "name", r: "revision" },
    },
    { call: "ModelService.GetModel", request: { name: "${model}" } },
    { call: "EventService.ListEvents", request: { parent, afterRevision: "9007199254740993" } },
    { parse: "m/999999999999999999", project: "p" },
    { parse: "no reference" },
    { unheard: "of" },
    { call: "ModelService.GetModel", request: { name: "${model}" }, token: "wrong" },
    { watch: "w", parent, state: true, types: ["Model"] },
    { changes: "w", count: 2 },
    { close: "w" },
  ];
  await writeFile(scratch.join("cases.json"), JSON.stringify({ cases: [{ name: "a", steps }] }));
  const lines = (await output("conformance/driver.js", scratch.join("cases.json"))).trim().split("\n");
  const outcomes = lines.map((line) => (JSON.parse(line) as Line).outcome);
  assert.equal(outcomes.length, steps.length);
  assert.equal(outcomes[1]?.reply?.["name"], `${parent}/models/m`);
  assert.equal(typeof outcomes[1].reply["revision"], "string");
  assert.equal(outcomes[2]?.error?.kind, "OutOfRange");
  assert.deepEqual(outcomes[3]?.reply, { project: "p", model: "m", number: "999999999999999999" });
  assert.equal(outcomes[4]?.error?.kind, "InvalidArgument");
  assert.ok("defect" in (outcomes[5] ?? {}));
  assert.equal(outcomes[6]?.error?.kind, "Unauthenticated");
  assert.equal((outcomes[8]?.reply?.["changes"] as unknown[]).length, 2);
});

test("the README begins with a program that runs: resolve, pull, watch", async () => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const readme = await readFile(repository("clients", "typescript", "README.md"), "utf8");
  const source = await readFile(repository("clients", "typescript", "examples", "first.ts"), "utf8");
  assert.equal(/```ts\n([\s\S]*?)```/.exec(readme)?.[1], source);
  await writeFile(scratch.join("w"), fresh(10));
  const { name } = await registry.push("fraud", scratch.join("w"));
  for (const stage of ["staging", "production"]) {
    await registry.stages.promoteVersion({ name, stage });
  }
  const program = spawn(process.execPath, [`${BUILT}/examples/first.js`], {
    cwd: scratch.path,
    env: { ...process.env, MREG_PROJECT: registry.project },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  program.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  try {
    await until(() => /^synced /m.test(said), "the state is told");
  } finally {
    program.kill();
  }
  assert.ok(said.startsWith(`${name}\nstate ${registry.projectName()}/models/fraud/stages/production`), said);
  assert.deepEqual(await readFile(scratch.join("model", "w")), await readFile(scratch.join("w")));
});
