package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.UnauthenticatedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SettingsTest {
  @TempDir Path directory;

  private static Settings of(RegistryBuilder given, Map<String, String> environment) {
    return Settings.from(given, environment);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"127.0.0.1:7470", "localhost:1", "[::1]:1", "127.8.9.1:1", "127.0.0.1:1,127.0.0.1:2", "unix:/run/x"})
  void aLoopbackEndpointIsPlaintext(String endpoint) {
    assertFalse(of(Registry.builder().endpoint(endpoint), Map.of()).tls());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "models.example.com:443", "10.0.0.1:1", "127.0.0.1:1,10.0.0.1:1", "dns:///models:443",
        "localhost.evil.example:1", "127.0.0.1.evil.example:1"
      })
  void anyOtherIsEncrypted(String endpoint) {
    Settings settings = of(Registry.builder().endpoint(endpoint), Map.of());
    assertTrue(settings.tls());
    assertEquals("", settings.tokens().token(), "no token that was merely found leaves this machine");
    assertFalse(of(Registry.builder().endpoint(endpoint).insecure(), Map.of()).tls());
  }

  @Test
  void whatIsGivenWinsOverTheEnvironment() {
    Map<String, String> environment = Map.of("MREG_ENDPOINT", "a:1", "MREG_TOKEN", "x", "MREG_PROJECT", "risk");
    Settings settings = of(Registry.builder().endpoint("b:2").token("y"), environment);
    assertEquals("b:2", settings.endpoint());
    assertEquals("y", settings.tokens().token());
    assertEquals("risk", settings.project());
  }

  @Test
  void settingsThatContradictEachOtherAreRefused() {
    Path file = directory.resolve("x");
    assertThrows(
        InvalidArgumentException.class, () -> of(Registry.builder().insecure().caFile(file), Map.of()));
    assertThrows(InvalidArgumentException.class, () -> Registry.builder().clientCertificate(file, null));
    assertThrows(InvalidArgumentException.class, () -> of(Registry.builder().project("NO"), Map.of()));
    assertThrows(InvalidArgumentException.class, () -> Registry.builder().caFile(file).build());
  }

  @Test
  void severalEndpointsAreAddressesOfOneKind() {
    assertEquals("ipv4:10.0.0.1:1,10.0.0.2:1", Endpoints.target("10.0.0.1:1,10.0.0.2:1"));
    assertEquals("ipv6:[::1]:1,[::2]:1", Endpoints.target("[::1]:1,[::2]:1"));
    assertEquals("dns:///a:1", Endpoints.target("dns:///a:1"));
    for (String wrong : new String[] {"a:1,b:1", "10.0.0.1:1,[::1]:1", "10.0.0.1,10.0.0.2", "10.0.0.1:1,"}) {
      assertThrows(InvalidArgumentException.class, () -> Endpoints.target(wrong), wrong);
    }
  }

  @Test
  void aTokenFileIsReadAgainWhenItIsReplaced() throws IOException {
    Path file = Files.writeString(directory.resolve("token"), "first\n");
    TokenSource tokens = TokenSource.file(file);
    assertEquals("first", tokens.token());
    Path next = Files.writeString(directory.resolve("next"), "other\n");
    Files.setLastModifiedTime(next, Files.getLastModifiedTime(file));
    Files.move(next, file, StandardCopyOption.REPLACE_EXISTING);
    assertEquals("other", tokens.token());
    assertEquals(file.toString(), tokens.toString());
  }

  @Test
  void aTokenFileThatIsNotThereIsSaid() {
    TokenSource tokens = TokenSource.file(directory.resolve("none"));
    var error = assertThrows(UnauthenticatedException.class, tokens::token);
    assertTrue(error.getMessage().contains("no such file"), error.getMessage());
  }

  @Test
  void theTokenOfAServerHereIsFoundUnlessOthersCanReadIt() throws IOException {
    Map<String, String> environment = Map.of("MREG_DATA_DIR", directory.toString());
    Settings settings = of(Registry.builder(), environment);
    assertEquals("", settings.tokens().token());
    Path file = Files.writeString(directory.resolve("admin.token"), "found");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    assertEquals("found", settings.tokens().token());
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
    assertThrows(UnauthenticatedException.class, settings.tokens()::token);
  }
}
