package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/**
 * How to reach one registry.
 *
 * @param endpoint where it is
 * @param tokens who asks
 * @param tls whether the connection is encrypted
 * @param caFile authorities to trust; null for those of the system
 * @param clientCert certificate chain to show; null for none
 * @param clientKey its key; null for none
 * @param project id of the project short names are in
 * @param timeout of one call
 */
record Settings(
    String endpoint,
    TokenSource tokens,
    boolean tls,
    Path caFile,
    Path clientCert,
    Path clientKey,
    String project,
    Duration timeout) {

  private static final String DEFAULT_ENDPOINT = "127.0.0.1:7470";

  /** Each from the builder, else from its {@code MREG_…} variable, else its default. */
  static Settings from(RegistryBuilder given, Map<String, String> environment) {
    String endpoint = first(given.endpoint, environment.get("MREG_ENDPOINT"), DEFAULT_ENDPOINT);
    Endpoints.target(endpoint);
    boolean local = Endpoints.isLoopback(endpoint);
    Path ca = given.caFile != null ? given.caFile : path(environment.get("MREG_CA_FILE"));
    boolean certified = given.clientCert != null;
    if (given.insecure && (ca != null || certified)) {
      throw new InvalidArgumentException(
          "insecure() and a CA or client certificate contradict each other; leave one out");
    }
    String project = first(given.project, environment.get("MREG_PROJECT"), Reference.DEFAULT_PROJECT);
    Reference.requireId(project);
    return new Settings(
        endpoint,
        tokens(given, environment, local && !certified),
        !given.insecure && (!local || ca != null || certified),
        ca,
        given.clientCert,
        given.clientKey,
        project,
        given.timeout);
  }

  private static TokenSource tokens(RegistryBuilder given, Map<String, String> environment, boolean mayLook) {
    if (given.token != null) {
      return TokenSource.given(given.token);
    }
    if (given.tokenFile != null) {
      return TokenSource.file(given.tokenFile);
    }
    String token = environment.get("MREG_TOKEN");
    if (isSet(token)) {
      return TokenSource.given(token);
    }
    String file = environment.get("MREG_TOKEN_FILE");
    if (isSet(file)) {
      return TokenSource.file(path(file));
    }
    // Who brings a certificate is who it says. Looked for at every call: the server may not have been started yet.
    return mayLook ? TokenSource.found(dataDirectory(environment).resolve("admin.token")) : TokenSource.given("");
  }

  /** Where {@code mreg serve} of this user keeps its data. */
  private static Path dataDirectory(Map<String, String> environment) {
    if (isSet(environment.get("MREG_DATA_DIR"))) {
      return path(environment.get("MREG_DATA_DIR"));
    }
    if (isSet(environment.get("XDG_DATA_HOME"))) {
      return Path.of(environment.get("XDG_DATA_HOME"), "mreg");
    }
    return Path.of(System.getProperty("user.home"), ".local", "share", "mreg");
  }

  private static String first(String given, String fromEnvironment, String otherwise) {
    if (isSet(given)) {
      return given;
    }
    return isSet(fromEnvironment) ? fromEnvironment : otherwise;
  }

  private static boolean isSet(String value) {
    return value != null && !value.isEmpty();
  }

  private static Path path(String value) {
    if (!isSet(value)) {
      return null;
    }
    boolean isOfHome = value.equals("~") || value.startsWith("~/");
    return isOfHome ? Path.of(System.getProperty("user.home") + value.substring(1)) : Path.of(value);
  }
}
