package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.Failures;
import dev.registrygrpc.v1.CreateModelRequest;
import dev.registrygrpc.v1.GetModelRequest;
import dev.registrygrpc.v1.ListModelsRequest;
import dev.registrygrpc.v1.ListModelsResponse;
import dev.registrygrpc.v1.Model;
import dev.registrygrpc.v1.ModelServiceGrpc;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the channel does for generated stubs, over several addresses, and page by page. */
@Timeout(60)
class ChannelTest {
  private final FakeModels models = new FakeModels();
  private FakeServer server;
  private Registry registry;

  @BeforeEach
  void start() throws IOException {
    server = new FakeServer(models);
    registry = server.client().build();
  }

  @AfterEach
  void stop() {
    registry.close();
    server.close();
  }

  @Test
  void pagesAreFetchedAsTheyAreNeeded() {
    Pages<Model> pages =
        registry.all(
            ModelServiceGrpc.getListModelsMethod(),
            ListModelsRequest.getDefaultInstance(),
            ListModelsResponse::getModelsList);
    assertTrue(server.headers.isEmpty());
    assertEquals("m0", pages.iterator().next().getName());
    assertEquals("m0", pages.stream().findFirst().orElseThrow().getName());
    assertEquals(2, server.headers.size());
    List<String> names = new ArrayList<>();
    pages.forEach(model -> names.add(model.getName()));
    assertEquals(List.of("m0", "m2"), names);
    assertEquals(5, server.headers.size());
  }

  @Test
  void generatedStubsGetTheSame() {
    server.revision = 41;
    var stub = ModelServiceGrpc.newBlockingStub(registry.channel());
    stub.createModel(CreateModelRequest.getDefaultInstance());
    assertFalse(models.created.get(0).getRequestId().isEmpty());
    stub.getModel(GetModelRequest.getDefaultInstance());
    assertNull(server.headers.get(0).get(FakeServer.MIN_REVISION));
    assertEquals("41", server.headers.get(1).get(FakeServer.MIN_REVISION));
    models.failures.add(FakeServer.error(Status.Code.NOT_FOUND, "MODEL_NOT_FOUND"));
    var thrown =
        assertThrows(StatusRuntimeException.class, () -> stub.getModel(GetModelRequest.getDefaultInstance()));
    assertEquals("MODEL_NOT_FOUND", Failures.of(thrown).reason());
  }

  @Test
  void callsTakeTurnsOverSeveralAddressesAndLeaveOutThoseThatAreAway() throws Exception {
    try (FakeServer other = new FakeServer(new FakeModels())) {
      String endpoints = "127.0.0.1:" + server.port() + ",127.0.0.1:" + other.port();
      try (Registry both = server.client().endpoint(endpoints).build()) {
        for (int count = 0; other.headers.isEmpty() || server.headers.isEmpty(); count++) {
          assertTrue(count < 1000, "calls go to one of two");
          both.call(ModelServiceGrpc.getGetModelMethod(), GetModelRequest.getDefaultInstance());
        }
        server.close();
        for (int count = 0; count < 10; count++) {
          both.call(ModelServiceGrpc.getGetModelMethod(), GetModelRequest.getDefaultInstance());
        }
      }
    }
  }

  @Test
  void addressesMayBeOfTheSixthVersion() {
    String endpoint = "[::1]:" + server.port();
    try (Registry both = server.client().endpoint(endpoint + "," + endpoint).build()) {
      both.call(ModelServiceGrpc.getGetModelMethod(), GetModelRequest.getDefaultInstance());
    }
  }

  @Test
  void aRegistryThatIsAwayIsLookedForAboutEverySecond() throws Exception {
    try (ServerSocket away = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Registry looking = server.client().endpoint("127.0.0.1:" + away.getLocalPort()).build()) {
      away.setSoTimeout(20_000);
      looking.watch(WatchTarget.everything()).listen(change -> {});
      long began = System.nanoTime();
      for (int count = 0; count < 8; count++) {
        away.accept().close();
      }
      // gRPC alone would have looked for the eighth time after 26 s.
      assertTrue(System.nanoTime() - began < 20_000_000_000L);
    }
  }
}
