/** The driver of tests/conformance/README.md: does the steps through the library and prints what came of them. */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Registry } from "@registry-grpc/client";
import { failure } from "./outcome.js";
import type { Outcome } from "./outcome.js";
import { VERBS } from "./verbs.js";
import type { Step, Tools } from "./verbs.js";
import type { OpenWatch } from "./watches.js";

interface Case {
  readonly name: string;
  readonly steps: readonly JsonObject[];
}

async function main(path: string): Promise<void> {
  const { cases } = JSON.parse(readFileSync(path, "utf8")) as { readonly cases: readonly Case[] };
  const client = new Registry();
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const readLine = async (): Promise<void> => {
    await lines.next();
  };
  for (const each of cases) {
    await runCase(each, client, readLine);
  }
  client.close();
}

async function runCase(each: Case, client: Registry, readLine: () => Promise<void>): Promise<void> {
  const variables = new Map<string, JsonValue>();
  const watches = new Map<string, OpenWatch>();
  for (const [index, raw] of each.steps.entries()) {
    const print = (line: Record<string, JsonValue>): void => {
      process.stdout.write(`${JSON.stringify({ case: each.name, step: index, ...line })}\n`);
    };
    variables.set("now", now());
    const step = replaced(raw, variables) as Step;
    const outcome = await outcomeOf(step, client, { print, readLine, watches });
    save(raw["save"], outcome, variables);
    print({ outcome });
  }
  for (const watch of watches.values()) {
    await watch.close();
  }
}

async function outcomeOf(step: Step, shared: Registry, tools: Omit<Tools, "client" | "ownClient">): Promise<Outcome> {
  const verb = Object.keys(VERBS).find((name) => name in step && !(name === "close" && typeof step[name] !== "string"));
  const run = verb === undefined ? undefined : VERBS[verb];
  if (verb === undefined || run === undefined) {
    return { defect: `no verb of ${Object.keys(step).join(", ")} is known` };
  }
  const ownClient = step.token !== undefined || step.endpoint !== undefined;
  let client = shared;
  let keep = false;
  try {
    client = ownClient ? new Registry({ token: step.token, endpoint: step.endpoint }) : shared;
    const reply = await run(step, { ...tools, client, ownClient });
    keep = verb === "watch";
    return { reply };
  } catch (error) {
    return failure(error);
  } finally {
    if (ownClient && !keep) {
      client.close();
    }
  }
}

/** `${name}` in every string; a string that is only that becomes the value as it is. */
function replaced(value: JsonValue, variables: ReadonlyMap<string, JsonValue>): JsonValue {
  if (typeof value === "string") {
    const only = /^\$\{([^}]*)\}$/.exec(value)?.[1];
    if (only !== undefined) {
      return variables.get(only) ?? value;
    }
    return value.replace(/\$\{([^}]*)\}/g, (whole, name: string) => shown(variables.get(name), whole));
  }
  if (Array.isArray(value)) {
    return value.map((item) => replaced(item, variables));
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, variables)]));
  }
  return value;
}

function shown(value: JsonValue | undefined, otherwise: string): string {
  if (value === undefined) {
    return otherwise;
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

function save(wanted: JsonValue | undefined, outcome: Outcome, variables: Map<string, JsonValue>): void {
  if (typeof wanted !== "object" || wanted === null || Array.isArray(wanted)) {
    return;
  }
  for (const [variable, path] of Object.entries(wanted)) {
    let value: JsonValue | undefined = outcome["reply"];
    for (const part of (typeof path === "string" ? path : "").split(".")) {
      value = typeof value === "object" && value !== null ? (value as JsonObject)[part] : undefined;
    }
    if (value !== undefined) {
      variables.set(variable, value);
    }
  }
}

/** RFC 3339 in UTC with microseconds. */
function now(): string {
  const microseconds = Math.trunc((performance.timeOrigin + performance.now()) * 1000);
  const whole = new Date(Math.trunc(microseconds / 1000)).toISOString().slice(0, -5);
  return `${whole}.${(microseconds % 1_000_000).toString().padStart(6, "0")}Z`;
}

const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write("usage: run CASES.json\n");
  process.exitCode = 2;
} else {
  await main(path);
  // Standard input may still be open; nobody writes to it any more.
  process.stdin.destroy();
}
