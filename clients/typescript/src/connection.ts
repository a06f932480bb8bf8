/** Calls: credentials, deadlines, idempotent retries, read-your-writes, typed errors. */

import { randomUUID } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescMethod,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Channel, Metadata } from "@grpc/grpc-js";
import { openChannel } from "./channel.js";
import { CancelledError, OutOfRangeError, RegistryError } from "./errors.js";
import { Exchange } from "./exchange.js";
import type { CallSetup } from "./exchange.js";
import type { Settings } from "./settings.js";
import { REQUEST_ID_KEY } from "./status.js";
import { pause, spread } from "./waiting.js";

const REVISION_KEY = "x-registry-revision";
const MIN_REVISION_KEY = "x-registry-min-revision";
const MAX_ATTEMPTS = 5;
/** Other calls may write between a refusal and the next attempt. */
const MAX_FORGETS = 4;
const FIRST_PAUSE_MS = 100;
const REPEATABLE = new Set(["TRANSACTION_CONFLICT", "RATE_LIMITED"]);
/** Mutations without a request_id: they do no more when they come twice. */
const OTHER_WRITES = new Set(["CancelUpload", "CollectGarbage", "HeartbeatDeployments", "TestWebhook", "WriteUpload"]);

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with CancelledError, or with DeadlineExceededError for `AbortSignal.timeout`. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline of the call, retries included. Streams have none unless it is given. */
  readonly timeoutMs?: number | undefined;
}

/** A channel that is opened by the first call, and what has to be remembered between calls. */
export class Connection {
  /** How the registry is reached. */
  readonly settings: Settings;
  readonly #open = new Set<Exchange>();
  #channel: Channel | undefined;
  #lifetime = new AbortController();
  #writtenRevision = 0n;
  #registryUid = "";

  /** Connects with the first call. */
  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** The channel itself, for services outside of this contract (health). */
  get channel(): Channel {
    this.#channel ??= openChannel(this.settings);
    return this.#channel;
  }

  /** Fires when the connection is closed: what consists of several calls ends then. */
  get lifetime(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** Revision of the newest write through this connection; reads ask for it. */
  get writtenRevision(): bigint {
    return this.#writtenRevision;
  }

  /** End the channel; calls still open are cancelled. The next call opens a new one. */
  close(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#lifetime.abort(new CancelledError("the connection was closed"));
    this.#lifetime = new AbortController();
    for (const exchange of [...this.#open]) {
      exchange.cancel();
    }
    channel?.close();
  }

  /**
   * One unary call. A mutation gets a request_id here, so that it can be sent again safely; a read is at least as fresh
   * as the last write through this connection.
   *
   * @throws RegistryError
   */
  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const message = withRequestId(method.input, create(method.input, request));
    const sent = Buffer.from(toBinary(method.input, message));
    for (let attempt = 1; ; attempt += 1) {
      const wished = this.#writtenRevision;
      try {
        return fromBinary(method.output, await this.#patiently(method, sent, options));
      } catch (error) {
        if (attempt === MAX_FORGETS || !this.forgets(error, wished)) {
          throw error;
        }
      }
    }
  }

  /**
   * Whether a read that asked for `wished` failed because of that, and is worth sending again without.
   *
   * Another registry, or an older copy of this one, answers here now: what we wrote is not in it.
   */
  forgets(error: unknown, wished: bigint): boolean {
    if (!(error instanceof OutOfRangeError) || error.reason !== "REVISION_UNKNOWN" || wished === 0n) {
      return false;
    }
    // When it is another by now, another call found out before, and one may have written since.
    if (this.#writtenRevision === wished) {
      this.#writtenRevision = 0n;
    }
    return true;
  }

  /**
   * The messages of a server stream, each read when it is asked for. Leaving the loop ends the call.
   *
   * @throws RegistryError
   */
  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions & { readonly waitForReady?: boolean } = {},
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const exchange = this.exchange(method, options);
    try {
      await exchange.write(Buffer.from(toBinary(method.input, create(method.input, request))));
      exchange.halfClose();
      for (let message = await exchange.next(); message !== undefined; message = await exchange.next()) {
        yield fromBinary(method.output, message);
      }
    } finally {
      exchange.cancel();
    }
  }

  /** Open a call of any kind with the metadata every call has; retries are the caller's business. */
  exchange(method: DescMethod, options: CallOptions & { readonly waitForReady?: boolean } = {}): Exchange {
    const callId = randomUUID();
    const setup: CallSetup = {
      path: `/${method.parent.typeName}/${method.name}`,
      headers: this.#headers(method, callId),
      callId,
      deadlineMs: options.timeoutMs === undefined ? undefined : Date.now() + options.timeoutMs,
      signal: options.signal,
      waitForReady: options.waitForReady ?? false,
    };
    return this.#track(new Exchange(this.channel, setup));
  }

  /** Remember the revision a write of ours reached. */
  noteWrite(trailers: Metadata): void {
    const [value] = trailers.get(REVISION_KEY);
    if (typeof value === "string" && /^[0-9]+$/.test(value) && BigInt(value) > this.#writtenRevision) {
      this.#writtenRevision = BigInt(value);
    }
  }

  /** Forget our writes when another registry answers now: revisions compare only within one. */
  noteRegistry(uid: string): void {
    if (this.#registryUid !== "" && this.#registryUid !== uid) {
      this.#writtenRevision = 0n;
    }
    this.#registryUid = uid;
  }

  /** The serialised answer, sent again while that is safe and may help. */
  async #patiently(method: DescMethodUnary, sent: Buffer, options: CallOptions): Promise<Uint8Array> {
    const deadlineMs = Date.now() + (options.timeoutMs ?? this.settings.timeoutMs);
    const callId = randomUUID();
    const channel = this.channel;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(method, sent, { callId, deadlineMs, signal: options.signal });
      } catch (error) {
        const waitMs = error instanceof RegistryError ? pauseMs(error, attempt) : undefined;
        const isOurs = options.signal?.aborted === true || this.#channel !== channel;
        if (waitMs === undefined || isOurs || attempt === MAX_ATTEMPTS || Date.now() + waitMs >= deadlineMs) {
          throw error;
        }
        await pause(waitMs, options.signal);
      }
    }
  }

  async #once(
    method: DescMethodUnary,
    sent: Buffer,
    how: Pick<CallSetup, "callId" | "deadlineMs" | "signal">,
  ): Promise<Uint8Array> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const setup = { ...how, path, headers: this.#headers(method, how.callId) };
    const exchange = this.#track(new Exchange(this.channel, setup));
    // Not waited for: gRPC may have to send it again to another replica, and says in the end how that went.
    void exchange.write(sent);
    exchange.halfClose();
    const answer = await exchange.next();
    const { trailers } = await exchange.ending();
    if (isWrite(method)) {
      this.noteWrite(trailers);
    }
    return answer ?? new Uint8Array();
  }

  #headers(method: DescMethod, callId: string): Record<string, string> {
    const headers: Record<string, string> = { [REQUEST_ID_KEY]: callId };
    const token = this.settings.tokens.token();
    if (token !== "") {
      headers["authorization"] = `Bearer ${token}`;
    }
    // A watch stands where its token says, and has to hear of it when the registry was rewound.
    if (this.#writtenRevision > 0n && !isWrite(method) && method.name !== "Watch") {
      headers[MIN_REVISION_KEY] = this.#writtenRevision.toString();
    }
    return headers;
  }

  #track(exchange: Exchange): Exchange {
    this.#open.add(exchange);
    void exchange.over.then(() => this.#open.delete(exchange));
    return exchange;
  }
}

/** Whether a method changes anything: its request has a request_id, but for a few. */
export function isWrite(method: DescMethod): boolean {
  return method.input.field["requestId"] !== undefined || OTHER_WRITES.has(method.name);
}

function withRequestId<I extends DescMessage>(schema: I, message: MessageShape<I>): MessageShape<I> {
  const field = schema.field["requestId"];
  if (field?.fieldKind !== "scalar") {
    return message;
  }
  const fields = reflect(schema, message);
  if (fields.isSet(field)) {
    return message;
  }
  // A copy: the same request sent twice by the caller is two mutations.
  const copy = create(schema, { ...message });
  reflect(schema, copy).set(field, randomUUID());
  return copy;
}

/** How long to wait before a call is sent again; undefined when it must not be. */
function pauseMs(error: RegistryError, attempt: number): number | undefined {
  const backoffMs = FIRST_PAUSE_MS * 2 ** (attempt - 1);
  if (error instanceof CancelledError) {
    // Not by us: a call that comes in the very moment a server stops is refused in this way. Another replica answers,
    // or this one when it is back.
    return spread(backoffMs);
  }
  return REPEATABLE.has(error.reason) ? spread(error.retryAfterMs ?? backoffMs) : undefined;
}
