package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.UnavailableException;
import dev.registrygrpc.v1.GetServerInfoRequest;
import dev.registrygrpc.v1.ServerInfo;
import dev.registrygrpc.v1.ServerServiceGrpc;
import io.grpc.ServerCredentials;
import io.grpc.TlsServerCredentials;
import io.grpc.TlsServerCredentials.ClientAuth;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class TlsTest {
  @TempDir static Path directory;

  private static final class Info extends ServerServiceGrpc.ServerServiceImplBase {
    @Override
    public void getServerInfo(GetServerInfoRequest request, StreamObserver<ServerInfo> answers) {
      answers.onNext(ServerInfo.newBuilder().setRegistryUid("here").build());
      answers.onCompleted();
    }
  }

  @BeforeAll
  static void makeCertificates() throws Exception {
    authority("ca");
    authority("other");
    leaf("server", "ca");
    leaf("client", "ca");
    leaf("stranger", "other");
  }

  private static void authority(String name) throws Exception {
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name,
        "-keyout", name + ".key", "-out", name + ".crt");
  }

  private static void leaf(String name, String issuer) throws Exception {
    Files.writeString(directory.resolve("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost");
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name,
        "-keyout", name + ".key", "-out", name + ".csr");
    openssl("x509", "-req", "-in", name + ".csr", "-CA", issuer + ".crt", "-CAkey", issuer + ".key", "-days", "2",
        "-CAcreateserial", "-extfile", "names", "-out", name + ".crt");
  }

  private static void openssl(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("openssl"));
    command.addAll(List.of(arguments));
    File log = directory.resolve("log").toFile();
    Process process =
        new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true).redirectOutput(log).start();
    assertEquals(0, process.waitFor(), () -> read(log));
  }

  private static String read(File log) {
    try {
      return Files.readString(log.toPath());
    } catch (IOException error) {
      return error.toString();
    }
  }

  private static Path file(String name) {
    return directory.resolve(name);
  }

  private static ServerCredentials credentials(ClientAuth auth) throws IOException {
    return TlsServerCredentials.newBuilder()
        .keyManager(file("server.crt").toFile(), file("server.key").toFile())
        .trustManager(file("ca.crt").toFile())
        .clientAuth(auth)
        .build();
  }

  private static RegistryBuilder client(FakeServer server) {
    return Registry.builder().environment(Map.of()).endpoint("127.0.0.1:" + server.port());
  }

  @Test
  void aServerIsKnownByItsAuthority() throws IOException {
    try (FakeServer server = new FakeServer(credentials(ClientAuth.NONE), new Info());
        Registry known = client(server).caFile(file("ca.crt")).token("t").build();
        Registry unknown = client(server).caFile(file("other.crt")).token("t").build()) {
      assertEquals("here", known.serverInfo().getRegistryUid());
      assertThrows(UnavailableException.class, unknown::serverInfo);
      assertEquals(1, server.headers.size(), "no token goes to a stranger");
    }
  }

  @Test
  void severalAddressesAreHeldAgainstOneName() throws IOException {
    try (FakeServer server = new FakeServer(credentials(ClientAuth.NONE), new Info());
        FakeServer other = new FakeServer(credentials(ClientAuth.NONE), new Info());
        Registry both =
            client(server)
                .endpoint("127.0.0.1:" + server.port() + ",127.0.0.1:" + other.port())
                .caFile(file("ca.crt"))
                .build()) {
      assertEquals("here", both.serverInfo().getRegistryUid());
    }
  }

  @Test
  void anEnvironmentVariableNamesTheAuthority() throws IOException {
    try (FakeServer server = new FakeServer(credentials(ClientAuth.NONE), new Info());
        Registry known = client(server).environment(Map.of("MREG_CA_FILE", file("ca.crt").toString())).build()) {
      assertEquals("here", known.serverInfo().getRegistryUid());
    }
  }

  @Test
  void aClientComesInByItsCertificate() throws IOException {
    try (FakeServer server = new FakeServer(credentials(ClientAuth.REQUIRE), new Info());
        Registry known = mutual(server, "client");
        Registry stranger = mutual(server, "stranger");
        Registry nobody = client(server).caFile(file("ca.crt")).build()) {
      assertEquals("here", known.serverInfo().getRegistryUid());
      assertThrows(UnavailableException.class, stranger::serverInfo);
      assertThrows(UnavailableException.class, nobody::serverInfo);
      assertTrue(server.headers.stream().noneMatch(each -> each.containsKey(FakeServer.AUTHORIZATION)));
    }
  }

  private static Registry mutual(FakeServer server, String name) {
    return client(server)
        .caFile(file("ca.crt"))
        .clientCertificate(file(name + ".crt"), file(name + ".key"))
        .build();
  }
}
