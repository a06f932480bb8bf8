package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/** Settings of a {@link Registry}. What is not given is taken from its {@code MREG_…} variable, else its default. */
public final class RegistryBuilder {
  String endpoint;
  String token;
  Path tokenFile;
  Path caFile;
  Path clientCert;
  Path clientKey;
  String project;
  Duration timeout = Registry.DEFAULT_TIMEOUT;
  boolean insecure;
  private Map<String, String> environment = System.getenv();

  RegistryBuilder() {}

  /**
   * Where the registry is: {@code host:port}, several {@code IP:port} with commas between, or any gRPC target, as
   * {@code dns:///name:port} for all addresses of a name. A loopback endpoint is plaintext unless there is a CA or
   * client certificate, and uses the admin token of this user's {@code mreg serve}; any other is TLS unless {@link
   * #insecure}.
   *
   * @param value or {@code MREG_ENDPOINT}, or {@code 127.0.0.1:7470}
   * @return this
   */
  public RegistryBuilder endpoint(String value) {
    endpoint = value;
    return this;
  }

  /**
   * The bearer token.
   *
   * @param value or {@code MREG_TOKEN}
   * @return this
   */
  public RegistryBuilder token(String value) {
    token = value;
    return this;
  }

  /**
   * A file with the bearer token; read again when it changes.
   *
   * @param value or {@code MREG_TOKEN_FILE}
   * @return this
   */
  public RegistryBuilder tokenFile(Path value) {
    tokenFile = value;
    return this;
  }

  /**
   * Authorities to trust for TLS, PEM.
   *
   * @param value or {@code MREG_CA_FILE}, or those of the Java runtime
   * @return this
   */
  public RegistryBuilder caFile(Path value) {
    caFile = value;
    return this;
  }

  /**
   * The certificate to come in by (mTLS).
   *
   * @param certificate chain, PEM
   * @param key PEM, PKCS#8
   * @return this
   */
  public RegistryBuilder clientCertificate(Path certificate, Path key) {
    if (certificate == null || key == null) {
      throw new InvalidArgumentException("a client certificate and its key go together; give both or none");
    }
    clientCert = certificate;
    clientKey = key;
    return this;
  }

  /**
   * Id of the project short references are in.
   *
   * @param value or {@code MREG_PROJECT}, or {@code default}
   * @return this
   */
  public RegistryBuilder project(String value) {
    project = value;
    return this;
  }

  /**
   * Deadline of one call, not of a push or pull.
   *
   * @param value above zero
   * @return this
   */
  public RegistryBuilder timeout(Duration value) {
    if (value.isZero() || value.isNegative()) {
      throw new InvalidArgumentException("timeout is " + value + "; it must be above zero");
    }
    timeout = value;
    return this;
  }

  /**
   * Plaintext although the endpoint is not this machine.
   *
   * @return this
   */
  public RegistryBuilder insecure() {
    insecure = true;
    return this;
  }

  /** For tests. */
  RegistryBuilder environment(Map<String, String> variables) {
    environment = variables;
    return this;
  }

  /**
   * The registry; it connects when first used.
   *
   * @return the registry, to be closed
   * @throws InvalidArgumentException when settings contradict each other or a certificate cannot be read
   */
  public Registry build() {
    return new Registry(new Connection(Settings.from(this, environment)), timeout);
  }
}
