/** What a large file takes of memory, in a process of its own. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { platform } from "node:os";
import { test } from "node:test";
import { promisify } from "node:util";
import { MIB, Scratch, freshProject, repository } from "./kit/kit.js";

const run = promisify(execFile);
const FILE_BYTES = 256 * MIB;
const LIMIT_BYTES = 128 * MIB;

/** Prints the peak of memory above that of an idle client, bytes. */
const PROGRAM = `
import { readFileSync } from "node:fs";
import { createReadStream } from "node:fs";
import { Registry } from "@registry-grpc/client";
const memory = (what) => {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(what + ":\\\\s*(\\\\d+)").exec(status)[1]) * 1024;
};
const [what, file, size] = process.argv.slice(-3);
const registry = new Registry();
await registry.serverInfo();
const idle = memory("VmRSS");
if (what === "file") await registry.uploadFile("big/1", "file", file);
if (what === "stream") await registry.uploadStream("big/1", "stream", createReadStream(file), Number(size));
if (what === "read") for await (const _ of registry.read(await registry.artifact("big/1", "file")));
console.log(memory("VmHWM") - idle);
`;

test("a large file takes little memory up and down", { skip: platform() !== "linux" }, async (context) => {
  await using scratch = await Scratch.make();
  using registry = await freshProject();
  const parent = registry.projectName();
  await registry.models.createModel({ parent, modelId: "big", model: {} });
  await registry.models.createVersion({ parent: `${parent}/models/big`, version: {} });
  const file = await open(scratch.join("big"), "w");
  await file.truncate(FILE_BYTES); // Takes no room on the disk.
  await file.write("so that it is not only zeros");
  await file.close();
  for (const what of ["file", "read", "stream"]) {
    const { stdout } = await run(
      process.execPath,
      ["--input-type=module", "--eval", PROGRAM, what, scratch.join("big"), String(FILE_BYTES)],
      { cwd: repository("clients", "typescript"), env: { ...process.env, MREG_PROJECT: registry.project } },
    );
    context.diagnostic(`${what}: ${(Number(stdout) / MIB).toFixed(0)} MiB above idle`);
    assert.ok(Number(stdout) < LIMIT_BYTES, `${what} took ${stdout} bytes`);
  }
});
