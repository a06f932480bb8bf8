/** The golden vectors that hold every client and the server together. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  InvalidArgumentError,
  artifactId,
  checkPaths,
  manifestDigest,
  parseReference,
  pathFault,
} from "@registry-grpc/client";
import { parse } from "yaml";
import { repository } from "./kit/kit.js";

interface Manifests {
  readonly manifests: readonly {
    readonly digest: string;
    readonly files: readonly { readonly path: string; readonly sha256: string; readonly size_bytes: number }[];
  }[];
  readonly artifact_ids: readonly { readonly path: string; readonly id: string }[];
  readonly valid_paths: readonly string[];
  readonly invalid_paths: readonly string[];
  readonly collisions: readonly (readonly string[])[];
  readonly no_collisions: readonly (readonly string[])[];
}

interface References {
  readonly valid: readonly {
    readonly text: string;
    readonly default_project?: string;
    readonly project?: string;
    readonly model: string;
    readonly number?: bigint;
    readonly pointer?: string;
    readonly digest?: string;
    readonly endpoint?: string;
  }[];
  readonly invalid: readonly string[];
}

function vectors(name: string): unknown {
  return parse(readFileSync(repository("tests", "conformance", name), "utf8"), { intAsBigInt: true });
}

const MANIFESTS = vectors("manifests.yaml") as Manifests;
const REFERENCES = vectors("references.yaml") as References;

test("a reference means the same everywhere", () => {
  for (const wanted of REFERENCES.valid) {
    const found = parseReference(wanted.text, wanted.default_project);
    assert.deepEqual(
      Object.fromEntries(Object.entries(found)),
      {
        project: wanted.project ?? "default",
        model: wanted.model,
        number: wanted.number,
        digest: wanted.digest,
        pointer: wanted.pointer,
        endpoint: wanted.endpoint,
      },
      wanted.text,
    );
  }
});

test("what is no reference is refused", () => {
  for (const text of REFERENCES.invalid) {
    assert.throws(() => parseReference(text), InvalidArgumentError, JSON.stringify(text));
  }
});

test("a reference is written as people type it", () => {
  for (const text of ["fraud", "team:fraud/7", "fraud@production", `fraud/7@sha256:${"0".repeat(64)}`]) {
    assert.equal(parseReference(text).toString(), text);
  }
});

test("manifest digests and artifact ids are the same everywhere", () => {
  for (const { files, digest } of MANIFESTS.manifests) {
    const given = files.map((file) => ({ ...file, sizeBytes: BigInt(file.size_bytes) }));
    assert.equal(manifestDigest(given), digest);
  }
  for (const { path, id } of MANIFESTS.artifact_ids) {
    assert.equal(artifactId(path), id);
  }
});

test("good paths are good and bad ones are bad everywhere", () => {
  for (const path of MANIFESTS.valid_paths) {
    assert.equal(pathFault(path), "", JSON.stringify(path));
  }
  for (const path of [...MANIFESTS.invalid_paths, "\ud800", "a/".repeat(40) + "a", "é".repeat(513)]) {
    assert.notEqual(pathFault(path), "", JSON.stringify(path));
  }
});

test("paths that some file system takes for one collide", () => {
  for (const paths of MANIFESTS.collisions) {
    assert.throws(() => {
      checkPaths(paths);
    }, InvalidArgumentError);
    assert.throws(() => {
      checkPaths([...paths].reverse());
    }, InvalidArgumentError);
  }
  for (const paths of [...MANIFESTS.no_collisions, ["ı", "i"]]) {
    checkPaths(paths);
  }
});
