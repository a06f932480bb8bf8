package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.StatusOr;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Resolves {@code ipv4:IP:port,IP:port} and {@code ipv6:…}, which gRPC for Java does not know. */
final class AddressList extends NameResolverProvider {
  private static final Pattern LIST = Pattern.compile("(ipv[46]):/*(.+)");

  private final String scheme;

  private AddressList(String scheme) {
    this.scheme = scheme;
  }

  /** Makes both schemes known, unless somebody did. */
  static synchronized void register() {
    NameResolverRegistry registry = NameResolverRegistry.getDefaultRegistry();
    for (String scheme : List.of("ipv4", "ipv6")) {
      if (registry.getProviderForScheme(scheme) == null) {
        registry.register(new AddressList(scheme));
      }
    }
  }

  /** A target in the form this takes: Java's URIs have no brackets behind a scheme. Another target is left as it is. */
  static String asUri(String target) {
    Matcher match = LIST.matcher(target);
    if (!match.matches()) {
      return target;
    }
    try {
      return new URI(match.group(1), "", "/" + match.group(2), null).toString();
    } catch (URISyntaxException unusable) {
      throw new InvalidArgumentException("endpoint '" + target + "' is no list of addresses: " + unusable.getReason());
    }
  }

  @Override
  public NameResolver newNameResolver(URI target, NameResolver.Args args) {
    return scheme.equals(target.getScheme()) ? new Fixed(target.getPath().substring(1)) : null;
  }

  @Override
  public String getDefaultScheme() {
    return scheme;
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return 5;
  }

  private static final class Fixed extends NameResolver {
    private final String list;

    Fixed(String list) {
      this.list = list;
    }

    @Override
    public String getServiceAuthority() {
      // One name for all of them, or the list itself would be the name that certificates are held against.
      return list.split(",")[0];
    }

    @Override
    public void start(Listener2 listener) {
      List<EquivalentAddressGroup> groups =
          Endpoints.addresses(list).stream().map(EquivalentAddressGroup::new).toList();
      listener.onResult(
          ResolutionResult.newBuilder().setAddressesOrError(StatusOr.fromValue(groups)).build());
    }

    @Override
    public void shutdown() {
      // Nothing was opened.
    }
  }
}
