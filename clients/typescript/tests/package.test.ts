/** The package as it is published. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import * as client from "@registry-grpc/client";
import { repository } from "./kit/kit.js";

const HERE = repository("clients", "typescript");

function text(...path: string[]): string {
  return readFileSync(repository(...path), "utf8");
}

test("one version stands everywhere", () => {
  const { version, license } = JSON.parse(text("clients", "typescript", "package.json")) as Record<string, unknown>;
  assert.deepEqual([version, license], [client.VERSION, "Apache-2.0"]);
  assert.match(text("src", "registry_grpc", "__init__.py"), new RegExp(`__version__ = "${client.VERSION}"`));
  assert.match(text("clients", "typescript", "CHANGELOG.md"), new RegExp(`^## .*${client.VERSION}`, "m"));
  assert.equal(text("clients", "typescript", "LICENSE"), text("LICENSE"));
});

test("what is published is the library with its types, and nothing else", () => {
  const said = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts", "--silent"], { cwd: HERE });
  const answer = JSON.parse(said.toString()) as Iterable<Packed> | Readonly<Record<string, Packed>>;
  const [pack] = Symbol.iterator in answer ? answer : Object.values(answer);
  const paths = pack?.files.map(({ path }) => path) ?? [];
  for (const wanted of ["LICENSE", "README.md", "CHANGELOG.md", "package.json", "dist/index.js", "dist/index.d.ts"]) {
    assert.ok(paths.includes(wanted), wanted);
  }
  const others = paths.filter((path) => !/^(dist\/.*\.(js|d\.ts)|[A-Z]+(\.md)?|package\.json)$/.test(path));
  assert.deepEqual(others, []);
});

interface Packed {
  readonly files: readonly { readonly path: string }[];
}

test("the lock names no host", () => {
  assert.doesNotMatch(text("clients", "typescript", "package-lock.json"), /"resolved"|https?:\/\/registry/);
});

test("every service of the contract is known", () => {
  const protos = repository("proto", "registry_grpc", "v1");
  const services = readdirSync(protos).flatMap((name) =>
    Array.from(readFileSync(`${protos}/${name}`, "utf8").matchAll(/^service (\w+)/gm), (found) => found[1]),
  );
  assert.deepEqual(client.SERVICES.map(({ name }) => name).sort(), services.sort());
});

test("a failure of any status is an error of its own class", () => {
  const classes = Object.values(client).filter(
    (each) => typeof each === "function" && each.prototype instanceof client.RegistryError,
  );
  assert.equal(classes.length, 15);
});
