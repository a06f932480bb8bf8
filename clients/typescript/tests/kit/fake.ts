/** A gRPC server in this process that answers what a test tells it to, also what no healthy registry would. */

import { anyPack } from "@bufbuild/protobuf/wkt";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, status as codes } from "@grpc/grpc-js";
import type {
  ServerErrorResponse,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  StatusObject,
  UntypedHandleCall,
} from "@grpc/grpc-js";
import type { StatusCode } from "@registry-grpc/client";
import { ErrorInfoSchema, RetryInfoSchema } from "@registry-grpc/client/google/rpc/error_details";
import { StatusSchema } from "@registry-grpc/client/google/rpc/status";

/** What a handler sees of its call. */
export interface Seen {
  readonly metadata: Metadata;
  readonly trailers: Metadata;
}

type Answer<O extends DescMessage> = MessageInitShape<O>;

/** A handler by the kind of its method. */
export type Handler<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: MessageShape<M["input"]>, seen: Seen) => Answer<M["output"]> | Promise<Answer<M["output"]>>
  : M["methodKind"] extends "server_streaming"
    ? (request: MessageShape<M["input"]>, seen: Seen) => AsyncIterable<Answer<M["output"]>>
    : (requests: AsyncIterable<MessageShape<M["input"]>>, seen: Seen) => Promise<Answer<M["output"]>>;

/** Handlers of some methods of a service. */
export type Handlers<S extends DescService> = { readonly [K in keyof S["method"]]?: Handler<S["method"][K]> };

/** Thrown by a handler: a failure as the registry reports it. */
export class Failure extends Error {
  readonly code: StatusCode;
  readonly reason: string;
  readonly facts: Record<string, string>;
  readonly retryAfterS: number | undefined;

  constructor(code: StatusCode, reason: string, facts: Record<string, string> = {}, retryAfterS?: number) {
    super(`${code} ${reason}`);
    this.code = code;
    this.reason = reason;
    this.facts = facts;
    this.retryAfterS = retryAfterS;
  }
}

/** A server with the handlers of any number of services. */
export class FakeServer implements AsyncDisposable {
  readonly #server = new Server({ "grpc.max_receive_message_length": 16 << 20 });
  /** `Service.Method` of every call that came. */
  readonly calls: string[] = [];
  port = 0;

  get endpoint(): string {
    return `127.0.0.1:${this.port.toString()}`;
  }

  /** Answer these methods; the others are UNIMPLEMENTED. */
  serve<S extends DescService>(service: S, handlers: Handlers<S>): this {
    const definition: Record<string, ServiceDefinition[string]> = {};
    const implementation: Record<string, UntypedHandleCall> = {};
    for (const method of service.methods) {
      const handler = (handlers as Record<string, unknown>)[method.localName];
      definition[method.localName] = definitionOf(method);
      if (handler !== undefined) {
        implementation[method.localName] = this.#adapted(method, handler);
      }
    }
    this.#server.addService(definition, implementation);
    return this;
  }

  /** Listen, on a free port unless one is given. */
  async start(port = 0, credentials = ServerCredentials.createInsecure()): Promise<this> {
    this.port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port.toString()}`, credentials, (error, bound) => {
        if (error) {
          reject(error);
        } else {
          resolve(bound);
        }
      });
    });
    return this;
  }

  /** End at once, as if it were killed. */
  stop(): void {
    this.#server.forceShutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    return Promise.resolve();
  }

  #adapted(method: DescMethod, handler: unknown): UntypedHandleCall {
    const note = (): void => {
      this.calls.push(`${method.parent.name}.${method.name}`);
    };
    switch (method.methodKind) {
      case "unary":
        return unary(note, handler as Handler<DescMethod & { methodKind: "unary" }>);
      case "server_streaming":
        return streaming(note, handler as Handler<DescMethod & { methodKind: "server_streaming" }>);
      default:
        return collecting(note, handler as Handler<DescMethod & { methodKind: "client_streaming" }>);
    }
  }
}

type Message = MessageShape<DescMessage>;
type Init = MessageInitShape<DescMessage>;

function unary(note: () => void, handler: Handler<DescMethod & { methodKind: "unary" }>): UntypedHandleCall {
  return (
    call: ServerUnaryCall<Message, Init>,
    answer: (error: ServerErrorResponse | null, value?: Init, trailers?: Metadata) => void,
  ) => {
    note();
    const seen = { metadata: call.metadata, trailers: new Metadata() };
    void Promise.resolve()
      .then(() => handler(call.request, seen))
      .then(
        (value) => {
          answer(null, value, seen.trailers);
        },
        (error: unknown) => {
          answer(statusOf(error) as ServerErrorResponse);
        },
      );
  };
}

function streaming(
  note: () => void,
  handler: Handler<DescMethod & { methodKind: "server_streaming" }>,
): UntypedHandleCall {
  return (call: ServerWritableStream<Message, Init>) => {
    note();
    const send = async (): Promise<void> => {
      for await (const message of handler(call.request, { metadata: call.metadata, trailers: new Metadata() })) {
        if (call.cancelled) {
          return;
        }
        if (!call.write(message)) {
          await new Promise((resolve) => {
            call.once("drain", resolve);
            call.once("cancelled", resolve);
          });
        }
      }
      call.end();
    };
    send().catch((error: unknown) => call.emit("error", statusOf(error)));
  };
}

function collecting(
  note: () => void,
  handler: Handler<DescMethod & { methodKind: "client_streaming" }>,
): UntypedHandleCall {
  return (
    call: ServerReadableStream<Message, Init>,
    answer: (error: ServerErrorResponse | null, value?: Init, trailers?: Metadata) => void,
  ) => {
    note();
    const seen = { metadata: call.metadata, trailers: new Metadata() };
    void handler(call as AsyncIterable<Message>, seen).then(
      (value) => {
        answer(null, value, seen.trailers);
      },
      (error: unknown) => {
        answer(statusOf(error) as ServerErrorResponse);
      },
    );
  };
}

function definitionOf(method: DescMethod): ServiceDefinition[string] {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming",
    responseStream: method.methodKind === "server_streaming",
    requestSerialize: (value: Init) => Buffer.from(toBinary(method.input, create(method.input, value))),
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
    responseSerialize: (value: Init) => Buffer.from(toBinary(method.output, create(method.output, value))),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

function statusOf(error: unknown): Partial<StatusObject> {
  if (!(error instanceof Failure)) {
    return { code: codes.INTERNAL, details: error instanceof Error ? error.message : "a handler failed" };
  }
  const info = create(ErrorInfoSchema, { domain: "registry-grpc", reason: error.reason, metadata: error.facts });
  const details = [anyPack(ErrorInfoSchema, info)];
  if (error.retryAfterS !== undefined) {
    const retry = {
      retryDelay: { seconds: BigInt(Math.trunc(error.retryAfterS)), nanos: (error.retryAfterS % 1) * 1e9 },
    };
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, retry)));
  }
  const packed = toBinary(
    StatusSchema,
    create(StatusSchema, { code: codes[error.code], message: error.message, details }),
  );
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(packed));
  return { code: codes[error.code], details: error.message, metadata };
}
