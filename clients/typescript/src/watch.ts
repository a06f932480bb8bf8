/** Watching: changes as they happen, over restarts, cuts and replicas, none missed and none twice. */

import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { InvalidArgumentError, RegistryError, UnavailableError } from "./errors.js";
import { EventService, WatchRequestSchema, WatchResponse_Kind as Kind } from "./gen/registry_grpc/v1/events_pb.js";
import type { Event, WatchRequest, WatchResponse } from "./gen/registry_grpc/v1/events_pb.js";
import { ServerService } from "./gen/registry_grpc/v1/server_pb.js";
import type { Session } from "./session.js";
import { isTransient, pause, spread } from "./waiting.js";

/** A target: every project the caller may see. */
export const EVERYTHING = "projects/-";
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
const BEGIN_ANEW = new Set(["HISTORY_CHANGED", "REVISION_COMPACTED"]);

/**
 * One thing a watch tells: a resource that is there (`state`, part of what a watch begins with), that the state is
 * complete (`synced`: whatever was known before and did not come is gone), or something that happened (`event`).
 */
export type Change = StateChange | SyncedChange;

/** A resource as it is, or as it became. */
export interface StateChange {
  /** Whether it was there, or happened. */
  readonly kind: "state" | "event";
  /** Revision of the state, or of what happened. */
  readonly revision: bigint;
  /** The resource, and what became of it. */
  readonly event: Event;
  /** Where to go on once this was dealt with; empty while more of its revision, or of the state, is to come. */
  readonly resumeToken: string;
}

/** The state is complete. */
export interface SyncedChange {
  /** The state is complete. */
  readonly kind: "synced";
  /** Revision of the state. */
  readonly revision: bigint;
  /** There is none. */
  readonly event?: undefined;
  /** Where to go on. */
  readonly resumeToken: string;
}

/** What to watch, and from where. */
export interface WatchOptions {
  /** Types wanted, as `Event.resourceType`; all when empty. */
  readonly types?: readonly string[] | undefined;
  /** Of stages only these; all when empty. */
  readonly stages?: readonly string[] | undefined;
  /** Begin with the present state; on unless it is false or there is a token. */
  readonly state?: boolean | undefined;
  /** Go on where a watch stood. */
  readonly resumeToken?: string | undefined;
  /** How often the server says that it is there, 5 to 60 s. */
  readonly progressMs?: number | undefined;
  /** Ends the watch with CancelledError. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Changes, in order; ends when closed. One reader.
 *
 * When the stream breaks it comes back by itself, wherever a replica answers, for as long as that takes. When the
 * registry no longer knows the place (after a restore, or after too long) it begins anew with the state, which ends
 * with `synced`, unless it was told not to begin with the state.
 */
export class Watch implements AsyncIterableIterator<Change>, AsyncDisposable {
  readonly #session: Session;
  readonly #request: WatchRequest;
  readonly #anew: boolean;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #changes: AsyncGenerator<Change, void, undefined>;
  /** Of a revision that did not come whole yet. */
  #held: Event[] = [];
  #pauseMs = FIRST_PAUSE_MS;
  /** The last stream was refused for its token, and none has said anything since. */
  #isExpired = false;

  /** Nothing is connected before the first change is asked for. */
  constructor(session: Session, parent: string, options: WatchOptions = {}) {
    this.#session = session;
    this.#anew = options.state !== false;
    const resumeToken = options.resumeToken ?? "";
    this.#request = create(WatchRequestSchema, {
      parent,
      resourceTypes: [...(options.types ?? [])],
      stages: [...(options.stages ?? [])],
      resumeToken,
      sendInitialState: this.#anew && resumeToken === "",
      progressInterval: durationFromMs(options.progressMs ?? 10_000),
    });
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    this.#changes = this.#run(options.signal);
  }

  /** Where this watch stands; give it to a new one to go on there. Empty until the first place is known. */
  get resumeToken(): string {
    return this.#request.resumeToken;
  }

  /** The watch itself: there is one reader. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next change; waits for it. Throws RegistryError for what does not pass by itself. */
  async next(): Promise<IteratorResult<Change, void>> {
    return this.#changes.next();
  }

  /** End the watch; what a loop does when it is left. */
  async return(): Promise<IteratorResult<Change, void>> {
    this.close();
    return this.#changes.return();
  }

  /** End the watch; a reader that waits is let go. */
  close(): void {
    this.#stop.abort();
  }

  #isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Ends the watch at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async *#run(outer: AbortSignal | undefined): AsyncGenerator<Change, void, undefined> {
    while (!this.#isClosed()) {
      try {
        yield* this.#stream();
      } catch (error) {
        if (this.#isClosed()) {
          return;
        }
        if (!(error instanceof RegistryError) || outer?.aborted === true) {
          throw error;
        }
        await this.#survive(error);
      }
    }
  }

  /** One call, to its end. */
  async *#stream(): AsyncGenerator<Change, void, undefined> {
    this.#held = [];
    await this.#fixPlace();
    const messages = this.#session.connection.serverStream(EventService.method.watch, this.#request, {
      signal: this.#signal,
      waitForReady: true,
    });
    let isTold = false;
    for await (const message of messages) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#isExpired = false;
      yield* this.#changesOf(message);
      if (message.kind === Kind.CLOSING) {
        isTold = true;
        const wait = message.reconnectAfter;
        await pause(Number(wait?.seconds ?? 0n) * 1000 + (wait?.nanos ?? 0) / 1e6, this.#signal);
      }
    }
    if (!isTold) {
      throw new UnavailableError("the watch ended without a word; somebody between us and the registry ends streams");
    }
  }

  /** "From now on" is a revision: else what happens between a cut and the first message would be missed. */
  async #fixPlace(): Promise<void> {
    const request = this.#request;
    if (request.sendInitialState || request.resumeToken !== "" || request.afterRevision > 0n) {
      return;
    }
    const info = await this.#session.connection.unary(ServerService.method.getServerInfo, {}, { signal: this.#signal });
    request.afterRevision = info.currentRevision;
  }

  *#changesOf(message: WatchResponse): Generator<Change, void, undefined> {
    const { revision, resumeToken } = message;
    switch (message.kind) {
      case Kind.INITIAL_STATE:
        for (const event of message.events) {
          yield { kind: "state", revision, event, resumeToken: "" };
        }
        return;
      case Kind.INITIAL_STATE_END:
        this.#stand(resumeToken);
        yield { kind: "synced", revision, resumeToken };
        return;
      case Kind.EVENTS:
        this.#held.push(...message.events);
        if (!message.partial) {
          yield* this.#wholeRevision(message);
        }
        return;
      default:
        if (resumeToken !== "") {
          this.#stand(resumeToken);
        }
    }
  }

  *#wholeRevision({ revision, resumeToken }: WatchResponse): Generator<Change, void, undefined> {
    const events = this.#held;
    this.#held = [];
    for (const [at, event] of events.entries()) {
      yield { kind: "event", revision, event, resumeToken: at === events.length - 1 ? resumeToken : "" };
    }
    // Only now: whoever stops in the middle of a revision gets all of it again from a watch made anew.
    this.#stand(resumeToken);
  }

  #stand(resumeToken: string): void {
    this.#request.sendInitialState = false;
    this.#request.afterRevision = 0n;
    this.#request.resumeToken = resumeToken;
  }

  /** Wait until it is worth coming back. Throws `error` when it is not. */
  async #survive(error: RegistryError): Promise<void> {
    if (BEGIN_ANEW.has(error.reason) && this.#anew) {
      this.#request.resumeToken = "";
      this.#request.sendInitialState = true;
      return;
    }
    // The next stream takes the token that a rotated file has by now; once, because one that was given ends for good.
    const isRenewed = error.reason === "TOKEN_EXPIRED" && !this.#isExpired;
    this.#isExpired = isRenewed;
    if (!isTransient(error) && !isRenewed) {
      throw error;
    }
    const pauseMs = spread(Math.max(error.retryAfterMs ?? 0, this.#pauseMs));
    this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    await pause(pauseMs, this.#signal).catch((stopped: unknown) => {
      if (!this.#isClosed()) {
        throw stopped;
      }
    });
  }
}

/** What to watch for a target people give. */
export interface WatchTarget {
  /** A resource name. */
  readonly parent: string;
  readonly types: readonly string[];
  readonly stages: readonly string[];
}

/**
 * A model, a model with a stage, `projects/{project}`, `projects/-`, or undefined for the project of this client.
 *
 * @throws InvalidArgumentError for a version.
 */
export function watchTarget(session: Session, target: string | undefined, options: WatchOptions): WatchTarget {
  const types = options.types ?? [];
  const stages = options.stages ?? [];
  if (target === undefined || /^projects\/[^/]*$/.test(target)) {
    return { parent: target === EVERYTHING ? target : session.projectName(target), types, stages };
  }
  const found = session.reference(target);
  if ((found.number ?? found.digest) !== undefined) {
    throw new InvalidArgumentError(`${target} is a version, which never changes; watch ${found.model} or a stage`);
  }
  if (found.pointer === undefined) {
    return { parent: found.modelName, types, stages };
  }
  return { parent: found.modelName, types: types.length > 0 ? types : ["Stage"], stages: [...stages, found.pointer] };
}
