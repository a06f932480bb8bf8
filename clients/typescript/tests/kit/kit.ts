/** What several tests need. */

import { createHash, randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "@registry-grpc/client";
import type { RegistryOptions } from "@registry-grpc/client";
import { ProjectService } from "@registry-grpc/client/v1/projects";

export const MIB = 1 << 20;

/** A directory that goes away with its test. */
export class Scratch implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), "mreg-ts-")));
  }

  join(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** The server of the environment. The tests that need it fail without: they are no decoration. */
export function realServer(): { readonly endpoint: string; readonly token: string } {
  const { MREG_ENDPOINT: endpoint, MREG_TOKEN: token } = process.env;
  if (!endpoint || !token) {
    throw new Error("MREG_ENDPOINT and MREG_TOKEN of a running server must be in the environment");
  }
  return { endpoint, token };
}

/** A client of the real server, in a new project of its own. */
export async function freshProject(options: RegistryOptions = {}): Promise<Registry> {
  const project = `ts-${randomUUID().slice(0, 18)}`;
  const registry = new Registry({ ...realServer(), project, ...options });
  await registry.service(ProjectService).createProject({ projectId: project, project: {} });
  return registry;
}

/** Bytes nobody has seen before. */
export function fresh(size: number): Buffer {
  return randomBytes(size);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Everything a stream gives. */
export async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) {
    all.push(item);
  }
  return all;
}

/** Waits until `done`, which must come true within 20 s. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!done()) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain until ${what}`);
    }
    await sleep(10);
  }
}

/** A file of the repository. */
export function repository(...parts: string[]): string {
  return join(import.meta.dirname, "..", "..", "..", "..", "..", ...parts);
}
