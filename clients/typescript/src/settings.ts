/**
 * Where the registry is and how to be known there.
 *
 * Each from its option, else its `MREG_…` variable, else what `mreg serve` left.
 */

import { isIP, isIPv4, isIPv6 } from "node:net";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { InvalidArgumentError } from "./errors.js";
import { DEFAULT_PROJECT, isId } from "./references.js";
import { TokenFile, fixedToken } from "./tokens.js";
import type { TokenSource } from "./tokens.js";

/** Where `mreg serve` listens. */
export const DEFAULT_ENDPOINT = "127.0.0.1:7470";
/** Deadline of a call, unless it is given. */
export const DEFAULT_TIMEOUT_MS = 30_000;
const SCHEMES = ["dns:", "ipv4:", "ipv6:", "unix:"];

/** How to reach a registry. What is left out is taken from its `MREG_…` variable, else its default. */
export interface RegistryOptions {
  /** `host:port`, several `IP:port` with commas between, or any gRPC target, e.g. `dns:///name:port`. */
  readonly endpoint?: string | undefined;
  /** Bearer token. */
  readonly token?: string | undefined;
  /** File with the bearer token; read again when it changed. */
  readonly tokenFile?: string | undefined;
  /** PEM file with the certificates a server must be signed by; the system's when left out. */
  readonly caFile?: string | undefined;
  /** PEM file with this client's certificate (mTLS); with `clientKey`. */
  readonly clientCert?: string | undefined;
  /** PEM file with the key of `clientCert`. */
  readonly clientKey?: string | undefined;
  /** Plaintext to a server that is not on this machine. */
  readonly insecure?: boolean | undefined;
  /** Project of short references. */
  readonly project?: string | undefined;
  /** Deadline of one call, not of a push or pull. */
  readonly timeoutMs?: number | undefined;
}

/** How to reach one registry, all decided. */
export interface Settings {
  /** As it was given. */
  readonly endpoint: string;
  /** Asked at every call. */
  readonly tokens: TokenSource;
  /** Whether the server must prove itself. */
  readonly tls: boolean;
  /** PEM file. */
  readonly caFile: string | undefined;
  /** PEM file. */
  readonly clientCert: string | undefined;
  /** PEM file. */
  readonly clientKey: string | undefined;
  /** Project of short references. */
  readonly project: string;
  /** Deadline of one call. */
  readonly timeoutMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings, each from its option, else its `MREG_…` variable, else its default.
 *
 * @throws {@link InvalidArgumentError} when they contradict each other.
 */
export function loadSettings(options: RegistryOptions = {}, environment: Environment = process.env): Settings {
  const endpoint = options.endpoint ?? (environment["MREG_ENDPOINT"] || DEFAULT_ENDPOINT);
  targetOf(endpoint);
  const local = endpoint
    .replace(/^ipv[46]:/, "")
    .split(",")
    .every(isLoopback);
  const insecure = options.insecure ?? false;
  const caFile = path(options.caFile ?? environment["MREG_CA_FILE"]);
  const clientCert = path(options.clientCert);
  const clientKey = path(options.clientKey);
  if (insecure && (caFile ?? clientCert) !== undefined) {
    throw new InvalidArgumentError("insecure and a CA or client certificate contradict each other; leave one out");
  }
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    throw new InvalidArgumentError("clientCert and clientKey go together; give both or none");
  }
  return {
    endpoint,
    tokens: tokensOf(options, environment, local && clientCert === undefined),
    tls: !insecure && (!local || (caFile ?? clientCert) !== undefined),
    caFile,
    clientCert,
    clientKey,
    project: projectOf(options.project ?? (environment["MREG_PROJECT"] || DEFAULT_PROJECT)),
    timeoutMs: timeoutOf(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
  };
}

function projectOf(project: string): string {
  if (!isId(project)) {
    throw new InvalidArgumentError(`project '${project}' is no valid id: lower-case letters, digits, '.', '_' and '-'`);
  }
  return project;
}

function timeoutOf(timeoutMs: number): number {
  if (!(timeoutMs > 0)) {
    throw new InvalidArgumentError(`timeoutMs is ${timeoutMs.toString()}; it must be above 0`);
  }
  return timeoutMs;
}

/** `local`: nobody is named by a certificate, and the server is on this machine. */
function tokensOf(options: RegistryOptions, environment: Environment, local: boolean): TokenSource {
  if (options.token !== undefined) {
    return fixedToken(options.token);
  }
  const file = path(options.tokenFile);
  if (file !== undefined) {
    return new TokenFile(file);
  }
  if (environment["MREG_TOKEN"]) {
    return fixedToken(environment["MREG_TOKEN"]);
  }
  const named = path(environment["MREG_TOKEN_FILE"]);
  if (named !== undefined) {
    return new TokenFile(named);
  }
  // Looked for at every call: the server may not have been started yet.
  return local ? new TokenFile(join(dataDir(environment), "admin.token"), { found: true }) : fixedToken("");
}

/** Where `mreg serve` of this user keeps its data. */
function dataDir(environment: Environment): string {
  const base = environment["XDG_DATA_HOME"] || join(homedir(), ".local", "share");
  return environment["MREG_DATA_DIR"] || join(base, "mreg");
}

function path(given: string | undefined): string | undefined {
  return given ? resolve(given.replace(/^~(?=\/|$)/, homedir())) : undefined;
}

/** Whether the endpoint can only be this machine: a Unix socket, `localhost`, 127.0.0.0/8 or ::1. */
export function isLoopback(endpoint: string): boolean {
  if (endpoint.startsWith("unix:")) {
    return true;
  }
  const address = endpoint.includes("//") ? endpoint.replace(/^[a-z][a-z0-9+.-]*:\/*/, "") : endpoint;
  const host = hostOf(address);
  // IPv4 in IPv6 is left out: it is as easily written as it should be.
  return host === "localhost" || (isIPv4(host) && host.startsWith("127.")) || isIPv6Loopback(host);
}

function isIPv6Loopback(host: string): boolean {
  return isIPv6(host) && new URL(`http://[${host}]`).hostname === "[::1]";
}

function hostOf(address: string): string {
  const host = address.endsWith("]") ? address : address.replace(/:[^:]*$/, "");
  return host.replace(/^\[/, "").replace(/\]$/, "");
}

/**
 * The gRPC target of an endpoint; calls take turns over several addresses, and leave out those that are away.
 *
 * @throws {@link InvalidArgumentError} when several are given and not all are `IP:port`.
 */
export function targetOf(endpoint: string): string {
  if (!endpoint.includes(",") || SCHEMES.some((scheme) => endpoint.startsWith(scheme))) {
    return endpoint;
  }
  const kinds = new Set(endpoint.split(",").map(ipVersionOf));
  const [kind] = kinds;
  if (kinds.size > 1 || kind === undefined || kind === 0) {
    throw new InvalidArgumentError(
      `endpoint '${endpoint}': several endpoints must all be IPv4:port or all [IPv6]:port; ` +
        "for names give one name that has all the addresses, as dns:///name:port",
    );
  }
  return `ipv${kind.toString()}:${endpoint}`;
}

function ipVersionOf(endpoint: string): number {
  const parts = /^(?:\[(?<six>[^\]]*)\]|(?<four>[^:]*)):[0-9]+$/.exec(endpoint)?.groups;
  return isIP(parts?.["six"] ?? parts?.["four"] ?? "");
}
