package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What endpoints mean: {@code host:port}, several {@code IP:port} with commas between, or any gRPC target. */
final class Endpoints {
  private static final Pattern SCHEME = Pattern.compile("^(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):.*");
  private static final Pattern PREFIX = Pattern.compile("^[a-z][a-z0-9+.-]*:/*");
  private static final Pattern IPV4 = Pattern.compile("(?:\\d{1,3}\\.){3}\\d{1,3}");
  private static final Pattern IP_AND_PORT = Pattern.compile("(" + IPV4 + "|\\[[0-9a-fA-F:.]+\\]):(\\d{1,5})");

  private Endpoints() {}

  /** Whether it can only be this machine: a Unix socket, {@code localhost}, 127.0.0.0/8 or ::1. */
  static boolean isLoopback(String endpoint) {
    return Arrays.stream(endpoint.replaceFirst("^ipv[46]:", "").split(",")).allMatch(Endpoints::isOneLoopback);
  }

  private static boolean isOneLoopback(String endpoint) {
    if (endpoint.startsWith("unix:") || endpoint.startsWith("unix-abstract:")) {
      return true;
    }
    String host = endpoint.contains("//") ? PREFIX.matcher(endpoint).replaceFirst("") : endpoint;
    int colon = host.lastIndexOf(':');
    if (!host.endsWith("]") && colon >= 0) {
      host = host.substring(0, colon);
    }
    host = host.replaceAll("^\\[|\\]$", "");
    if (host.equals("localhost")) {
      return true;
    }
    boolean isNumeric = IPV4.matcher(host).matches() || host.contains(":");
    return isNumeric && isLoopbackAddress(host);
  }

  private static boolean isLoopbackAddress(String numeric) {
    try {
      return InetAddress.getByName(numeric).isLoopbackAddress();
    } catch (UnknownHostException noAddress) {
      return false;
    }
  }

  /**
   * The gRPC target; calls take turns over several addresses, and leave out those that are away.
   *
   * @throws InvalidArgumentException when several are given and not all are {@code IP:port} of one kind
   */
  static String target(String endpoint) {
    if (!endpoint.contains(",") || SCHEME.matcher(endpoint).matches()) {
      return endpoint;
    }
    List<InetSocketAddress> found = addresses(endpoint);
    long kinds = found.stream().map(each -> each.getAddress().getClass()).distinct().count();
    if (kinds != 1) {
      throw severalNames(endpoint);
    }
    return (endpoint.startsWith("[") ? "ipv6:" : "ipv4:") + endpoint;
  }

  /** The addresses of {@code IP:port,IP:port}. */
  static List<InetSocketAddress> addresses(String list) {
    return Arrays.stream(list.split(",", -1)).map(each -> address(each, list)).toList();
  }

  private static InetSocketAddress address(String text, String list) {
    Matcher match = IP_AND_PORT.matcher(text);
    try {
      if (match.matches()) {
        // Never looks a name up: the pattern takes numbers only.
        return new InetSocketAddress(InetAddress.getByName(match.group(1)), Integer.parseInt(match.group(2)));
      }
    } catch (UnknownHostException | IllegalArgumentException noAddress) {
      throw severalNames(list);
    }
    throw severalNames(list);
  }

  private static InvalidArgumentException severalNames(String endpoint) {
    return new InvalidArgumentException(
        "endpoint '" + endpoint + "': several endpoints must all be IPv4:port or all [IPv6]:port; for names give one"
            + " name that has all the addresses, as dns:///name:port");
  }
}
