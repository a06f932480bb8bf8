/** Any service of the contract as an object of typed methods, and any list as an iteration. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  DescField,
  DescMessage,
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { CallOptions, Connection } from "./connection.js";
import { InvalidArgumentError } from "./errors.js";

/** Messages of a client stream. */
export type Messages<I extends DescMessage> = AsyncIterable<MessageInitShape<I>> | Iterable<MessageInitShape<I>>;

/** A method of a service as it is called. */
export type Call<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncGenerator<MessageShape<O>, void, undefined>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: Messages<I>, options?: CallOptions) => Promise<MessageShape<O>>
        : never;

/** A service of the contract: its methods by their names in lower camel case. Every call throws RegistryError. */
export type ServiceClient<S extends DescService> = { readonly [K in keyof S["method"]]: Call<S["method"][K]> };

/** The service over a connection. */
export function serviceClient<S extends DescService>(connection: Connection, service: S): ServiceClient<S> {
  const calls = Object.fromEntries(service.methods.map((method) => [method.localName, callOf(connection, method)]));
  // What the type says of each method is what its descriptor says.
  return calls as ServiceClient<S>;
}

function callOf(connection: Connection, method: DescMethod): unknown {
  switch (method.methodKind) {
    case "unary":
      return (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        connection.unary(method as DescMethodUnary, request, options);
    case "server_streaming":
      return (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        connection.serverStream(method as DescMethodServerStreaming, request, options);
    case "client_streaming":
      return (requests: Messages<DescMessage>, options?: CallOptions) =>
        clientStream(connection, method as DescMethodClientStreaming, requests, options);
    case "bidi_streaming":
      return () => {
        throw new InvalidArgumentError(`${method.name} streams both ways, which this client does not`);
      };
  }
}

/** Sends messages no faster than they are taken; the answer may come before the last one. */
async function clientStream<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  method: DescMethodClientStreaming<I, O>,
  requests: Messages<I>,
  options: CallOptions = {},
): Promise<MessageShape<O>> {
  const exchange = connection.exchange(method, options);
  try {
    for await (const request of requests) {
      await exchange.write(Buffer.from(toBinary(method.input, create(method.input, request))));
      if (exchange.isOver) {
        break;
      }
    }
    exchange.halfClose();
    const answer = await exchange.next();
    const { trailers } = await exchange.ending();
    connection.noteWrite(trailers);
    return fromBinary(method.output, answer ?? new Uint8Array());
  } finally {
    exchange.cancel();
  }
}

/** An answer that comes in pages. */
export type Page = Message & { readonly nextPageToken: string };
/** The items of a page; counts of a search are none. */
export type Item<P> = {
  [K in Exclude<keyof P, "facets">]: P[K] extends readonly (infer E extends Message)[] ? E : never;
}[Exclude<keyof P, "facets">];
/** A method that answers in pages. */
export type ListMethod<I extends DescMessage, O extends DescMessage> = DescMethodUnary<I, O>;

/**
 * Every item of a list, fetched page by page as the loop gets there.
 *
 * @throws RegistryError while it is read.
 */
export async function* allItems<I extends DescMessage, O extends DescMessage>(
  connection: Connection,
  method: ListMethod<I, O>,
  request: MessageInitShape<I>,
  options?: CallOptions,
): AsyncGenerator<Item<MessageShape<O>>, void, undefined> {
  const token = scalarField(method.input, "pageToken");
  const next = scalarField(method.output, "nextPageToken");
  const items = method.output.fields.find((field) => field.fieldKind === "list");
  if (items === undefined) {
    throw new InvalidArgumentError(`${method.name} answers no list`);
  }
  // Not the caller's own message, which must stay as it is.
  const query = create(method.input, { ...create(method.input, request) });
  for (;;) {
    const page = await connection.unary(method, query, options);
    yield* (page as unknown as Record<string, Iterable<Item<MessageShape<O>>>>)[items.localName] ?? [];
    const following = reflect(method.output, page).get(next) as string;
    if (following === "") {
      return;
    }
    reflect(method.input, query).set(token, following);
  }
}

function scalarField(schema: DescMessage, name: string): DescField & { readonly fieldKind: "scalar" } {
  const field = schema.field[name];
  if (field?.fieldKind !== "scalar") {
    throw new InvalidArgumentError(`${schema.name} has no ${name}: this call does not come in pages`);
  }
  return field;
}
