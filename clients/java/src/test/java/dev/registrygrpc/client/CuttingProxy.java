package dev.registrygrpc.client;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** A TCP proxy before a real registry that drops every connection when told to, or after so many bytes. */
final class CuttingProxy implements AutoCloseable {
  private final ServerSocket listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<Socket> open = new CopyOnWriteArrayList<>();
  private final AtomicLong left = new AtomicLong(Long.MAX_VALUE);
  private final String host;
  private final int port;

  CuttingProxy(String endpoint) throws IOException {
    int colon = endpoint.lastIndexOf(':');
    host = endpoint.substring(0, colon);
    port = Integer.parseInt(endpoint.substring(colon + 1));
    daemon(this::accept);
  }

  String endpoint() {
    return "127.0.0.1:" + listening.getLocalPort();
  }

  /** Drops all connections once so many more bytes went through; those that come afterwards are not cut. */
  void cutAfter(long bytes) {
    left.set(bytes);
  }

  boolean wasCut() {
    return left.get() == Long.MAX_VALUE;
  }

  void cut() {
    left.set(Long.MAX_VALUE);
    open.forEach(CuttingProxy::drop);
    open.clear();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listening.accept();
        Socket server = new Socket(host, port);
        open.add(client);
        open.add(server);
        daemon(() -> copy(client, server));
        daemon(() -> copy(server, client));
      }
    } catch (IOException closed) {
      open.forEach(CuttingProxy::drop);
    }
  }

  private void copy(Socket from, Socket to) {
    byte[] block = new byte[1 << 16];
    try {
      InputStream source = from.getInputStream();
      OutputStream target = to.getOutputStream();
      for (int count = source.read(block); count >= 0; count = source.read(block)) {
        if (left.get() != Long.MAX_VALUE && left.addAndGet(-count) <= 0) {
          cut();
          return;
        }
        target.write(block, 0, count);
      }
    } catch (IOException ended) {
      // One of them went away: so does the other.
    } finally {
      drop(from);
      drop(to);
    }
  }

  private static void drop(Socket socket) {
    try {
      socket.close();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static void daemon(Runnable task) {
    Thread thread = new Thread(task, "proxy");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() throws IOException {
    listening.close();
    cut();
  }
}
