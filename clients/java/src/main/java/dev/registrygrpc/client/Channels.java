package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** Makes channels: credentials, retries, keepalive and message limits. */
final class Channels {
  /** Answers: a page of versions with model cards may pass gRPC's 4 MiB. */
  private static final int MAX_MESSAGE_BYTES = 16 << 20;

  private static final int KEEPALIVE_S = 30;
  private static final int KEEPALIVE_TIMEOUT_S = 10;

  private Channels() {}

  /**
   * A channel that connects when first used.
   *
   * @throws InvalidArgumentException when a certificate file cannot be used
   */
  static ManagedChannel open(Settings settings) {
    AddressList.register();
    return Grpc.newChannelBuilder(AddressList.asUri(Endpoints.target(settings.endpoint())), credentials(settings))
        .defaultServiceConfig(Services.serviceConfig())
        .enableRetry()
        .keepAliveTime(KEEPALIVE_S, TimeUnit.SECONDS)
        .keepAliveTimeout(KEEPALIVE_TIMEOUT_S, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(false)
        .maxInboundMessageSize(MAX_MESSAGE_BYTES)
        .userAgent("mreg-java/" + Registry.VERSION)
        .build();
  }

  private static ChannelCredentials credentials(Settings settings) {
    if (!settings.tls()) {
      return InsecureChannelCredentials.create();
    }
    TlsChannelCredentials.Builder made = TlsChannelCredentials.newBuilder();
    Path file = settings.caFile();
    try {
      if (file != null) {
        made.trustManager(file.toFile());
      }
      if (settings.clientCert() != null) {
        file = settings.clientCert();
        made.keyManager(settings.clientCert().toFile(), settings.clientKey().toFile());
      }
      return made.build();
    } catch (IOException unreadable) {
      throw new InvalidArgumentException(
          file + " cannot be read: " + FileFaults.why(unreadable) + "; check the certificate settings");
    }
  }
}
