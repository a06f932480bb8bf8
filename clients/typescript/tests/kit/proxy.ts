/** A TCP proxy that a test cuts: what a killed server and a broken network look like to a client. */

import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** Passes bytes on to one endpoint until it is told not to. */
export class Proxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were made. */
  connections = 0;
  /** Bytes that went to the server. */
  sentBytes = 0;
  /** Refuse connections: nobody listens. */
  isDown = false;

  private constructor(endpoint: string) {
    const at = endpoint.lastIndexOf(":");
    const [host, port] = [endpoint.slice(0, at), Number(endpoint.slice(at + 1))];
    this.#server = createServer((client) => {
      if (this.isDown) {
        client.destroy();
        return;
      }
      this.connections += 1;
      const server = connect(port, host);
      this.#join(client, server);
      client.on("data", (bytes) => {
        this.sentBytes += bytes.length;
      });
    });
  }

  /** A proxy in front of `endpoint`. */
  static async before(endpoint: string): Promise<Proxy> {
    const proxy = new Proxy(endpoint);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get endpoint(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port.toString()}`;
  }

  /** End every connection at once. */
  cut(): void {
    for (const socket of this.#sockets) {
      socket.resetAndDestroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, server: Socket): void {
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => undefined);
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
