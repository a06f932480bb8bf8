/** What each verb of tests/conformance/README.md does. */

import { createHash } from "node:crypto";
import { fromJson } from "@bufbuild/protobuf";
import type { DescMethod, DescMethodUnary, JsonObject, JsonValue } from "@bufbuild/protobuf";
import {
  DEFAULT_PROJECT,
  SERVICES,
  artifactId,
  checkPaths,
  manifestDigest,
  parseReference,
} from "@registry-grpc/client";
import type { Progress, TransferOptions, Registry } from "@registry-grpc/client";
import { ArtifactSchema } from "@registry-grpc/client/v1/artifacts";
import { ResolveResponseSchema } from "@registry-grpc/client/v1/stages";
import { ModelVersionSchema } from "@registry-grpc/client/v1/versions";
import { TYPES, changeJson, messageJson } from "./outcome.js";
import { OpenWatch } from "./watches.js";

const PROGRESS_BYTES = 4 << 20;

/** A step, its variables replaced. */
export interface Step extends JsonObject {
  readonly token?: string;
  readonly endpoint?: string;
  readonly timeout_ms?: number;
}

/** What a verb may use. */
export interface Tools {
  /** The client of the step; the one of the driver unless it names a token or endpoint. */
  readonly client: Registry;
  readonly ownClient: boolean;
  /** Prints a line of the step besides its outcome. */
  readonly print: (line: Record<string, JsonValue>) => void;
  /** The next line of standard input. */
  readonly readLine: () => Promise<void>;
  /** Watches that are open, by their ids. */
  readonly watches: Map<string, OpenWatch>;
}

type Verb = (step: Step, tools: Tools) => Promise<JsonValue> | JsonValue;

/** The reply of a step. Throws what the library throws. */
export const VERBS: Readonly<Record<string, Verb>> = {
  call: async (step, { client }) => {
    const method = methodOf(text(step, "call"));
    const request = fromJson(method.input, step["request"] ?? {}, { registry: TYPES });
    return messageJson(method.output, await client.connection.unary(method, request, callOptions(step)));
  },

  all: async (step, { client }) => {
    const method = methodOf(text(step, "all"));
    const request = fromJson(method.input, step["request"] ?? {}, { registry: TYPES });
    const schema = method.output.fields.find((field) => field.fieldKind === "list")?.message;
    const limit = typeof step["limit"] === "number" ? step["limit"] : Infinity;
    const items: JsonValue[] = [];
    if (schema) {
      for await (const item of client.all(method, request, callOptions(step))) {
        if (items.length >= limit) {
          break;
        }
        items.push(messageJson(schema, item));
      }
    }
    return { items };
  },

  push: async (step, tools) => {
    const project = optional(step, "parent")?.replace("projects/", "") ?? tools.client.project;
    const fields = fromJson(ModelVersionSchema, step["version"] ?? {}, { registry: TYPES });
    const options = { ...transferOptions(step, tools), finalize: step["finalize"] !== false };
    const made = await tools.client.push(`${project}:${text(step, "push")}`, text(step, "path"), fields, options);
    return messageJson(ModelVersionSchema, made);
  },

  upload: async (step, tools) => {
    const [version, path, file] = [text(step, "upload"), text(step, "as"), text(step, "file")];
    const made = await tools.client.uploadFile(version, path, file, transferOptions(step, tools));
    return messageJson(ArtifactSchema, made);
  },

  stream: async (step, tools) => {
    const bytes = Buffer.from(text(step, "text"));
    const [version, path] = [text(step, "stream"), text(step, "as")];
    const made = await tools.client.uploadStream(version, path, [bytes], bytes.length, transferOptions(step, tools));
    return messageJson(ArtifactSchema, made);
  },

  pull: async (step, tools) => {
    const ref = referenceOf(step, "pull");
    const { version } = await tools.client.resolve(ref, callOptions(step));
    const path = await tools.client.pull(ref, text(step, "into"), transferOptions(step, tools));
    return { version, path };
  },

  read: async (step, { client }) => {
    const hash = createHash("sha256");
    const range = { offset: number(step, "offset"), length: number(step, "length") };
    let size = 0;
    for await (const chunk of client.read(text(step, "read"), range, callOptions(step))) {
      hash.update(chunk);
      size += chunk.length;
    }
    return { size, sha256: hash.digest("hex") };
  },

  resolve: async (step, { client }) =>
    messageJson(ResolveResponseSchema, await client.resolve(referenceOf(step, "resolve"), callOptions(step))),

  parse: (step) => {
    const found = referenceOf(step, "parse");
    const { project, model, pointer, digest, endpoint } = found;
    const parts = { project, model, number: found.number?.toString(), pointer, digest, endpoint };
    return Object.fromEntries(Object.entries(parts).filter((part): part is [string, string] => part[1] !== undefined));
  },

  manifest: (step) => {
    const files = step["manifest"] as readonly Readonly<Record<string, string | number>>[];
    return {
      digest: manifestDigest(
        files.map((file) => ({
          path: String(file["path"]),
          sha256: String(file["sha256"]),
          sizeBytes: BigInt(String(file["size_bytes"])),
        })),
      ),
    };
  },

  artifact_id: (step) => ({ id: artifactId(text(step, "artifact_id")) }),

  check_paths: (step) => {
    checkPaths(list(step, "check_paths"));
    return {};
  },

  watch: async (step, { client, ownClient, watches }) => {
    const watch = client.watch(optional(step, "parent"), {
      types: list(step, "types"),
      stages: list(step, "stages"),
      state: step["state"] === true,
      resumeToken: optional(step, "resume_token"),
    });
    const open = new OpenWatch(watch, ownClient ? client : undefined);
    watches.set(text(step, "watch"), open);
    await open.opened();
    return {};
  },

  changes: async (step, { watches, print }) => {
    const open = watches.get(text(step, "changes"));
    if (open === undefined) {
      throw new Error(`no watch ${text(step, "changes")} is open`);
    }
    const changes = await open.take(number(step, "count") ?? 1, (change) => {
      if (step["live"] === true) {
        print({ change: changeJson(change) });
      }
    });
    return { changes: changes.map(changeJson), resumeToken: open.resumeToken };
  },

  close: async (step, { watches }) => {
    const id = text(step, "close");
    await watches.get(id)?.close();
    watches.delete(id);
    return {};
  },

  wait: async (step, { print, readLine }) => {
    print({ waiting: text(step, "wait") });
    await readLine();
    return {};
  },
};

function methodOf(name: string): DescMethodUnary {
  const [serviceName, methodName] = name.split(".");
  const service = SERVICES.find((found) => found.name === serviceName);
  const method: DescMethod | undefined = service?.methods.find((found) => found.name === methodName);
  if (method?.methodKind !== "unary") {
    throw new Error(`${name} is no unary method of the contract`);
  }
  return method as DescMethodUnary;
}

function referenceOf(step: Step, verb: string): ReturnType<typeof parseReference> {
  return parseReference(text(step, verb), optional(step, "project") ?? DEFAULT_PROJECT);
}

function callOptions(step: Step): { timeoutMs: number | undefined } {
  return { timeoutMs: number(step, "timeout_ms") };
}

function transferOptions(step: Step, { print }: Tools): TransferOptions {
  return { ...callOptions(step), progress: step["progress"] === true ? progressLines(print) : undefined };
}

/** Of bytes that travel, and not for every chunk. */
function progressLines(print: Tools["print"]): (progress: Progress) => void {
  let told = 0;
  return ({ phase, doneBytes, sizeBytes }) => {
    const travels = phase === "upload" || phase === "download";
    if (travels && (Math.abs(doneBytes - told) >= PROGRESS_BYTES || doneBytes === sizeBytes)) {
      told = doneBytes;
      print({ progress: { sent: doneBytes, total: sizeBytes } });
    }
  };
}

function text(step: Step, key: string): string {
  const value = step[key];
  if (typeof value !== "string") {
    throw new Error(`the step has no text ${key}`);
  }
  return value;
}

function optional(step: Step, key: string): string | undefined {
  return step[key] === undefined ? undefined : text(step, key);
}

function number(step: Step, key: string): number | undefined {
  return step[key] === undefined ? undefined : Number(step[key]);
}

function list(step: Step, key: string): string[] {
  const value = step[key];
  return Array.isArray(value) ? value.map(String) : [];
}
