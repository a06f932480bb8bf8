package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Duration;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import dev.registrygrpc.client.errors.CancelledException;
import dev.registrygrpc.client.errors.ConflictException;
import dev.registrygrpc.client.errors.DeadlineExceededException;
import dev.registrygrpc.client.errors.Failures;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.NotFoundException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.client.errors.UnauthenticatedException;
import dev.registrygrpc.client.errors.UnavailableException;
import dev.registrygrpc.client.errors.Violation;
import dev.registrygrpc.v1.CreateModelRequest;
import dev.registrygrpc.v1.GetModelRequest;
import dev.registrygrpc.v1.Model;
import dev.registrygrpc.v1.ModelServiceGrpc;
import io.grpc.Context;
import io.grpc.Status;
import java.nio.channels.ClosedChannelException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class CallsTest {
  private final FakeModels models = new FakeModels();
  private FakeServer server;
  private Registry registry;

  @BeforeEach
  void start() throws Exception {
    server = new FakeServer(models);
    registry = server.client().build();
  }

  @AfterEach
  void stop() throws Exception {
    registry.close();
    server.close();
  }

  private Model get() {
    return registry.call(
        ModelServiceGrpc.getGetModelMethod(), GetModelRequest.newBuilder().setName("x").build());
  }

  private Model create() {
    return registry.call(ModelServiceGrpc.getCreateModelMethod(), CreateModelRequest.getDefaultInstance());
  }

  private List<String> minRevisions() {
    return server.headers.stream()
        .map(each -> each.get(FakeServer.MIN_REVISION))
        .map(String::valueOf)
        .collect(Collectors.toList());
  }

  @Test
  void everyCallSaysWhoAsksAndHasAnId() {
    get();
    assertEquals("Bearer secret", server.headers.get(0).get(FakeServer.AUTHORIZATION));
    assertEquals(36, server.headers.get(0).get(FakeServer.CALL_ID).length());
  }

  @Test
  void anUnavailableRegistryIsAskedAgainWithTheSameRequestId() {
    models.failures.add(Status.UNAVAILABLE.asRuntimeException());
    models.failures.add(Status.UNAVAILABLE.asRuntimeException());
    create();
    assertEquals(3, models.created.size());
    assertEquals(1, models.created.stream().map(CreateModelRequest::getRequestId).distinct().count());
    assertEquals(36, models.created.get(0).getRequestId().length());
  }

  @Test
  void aConflictThatPassesIsRepeatedAndAnotherIsNot() {
    models.failures.add(FakeServer.error(Status.Code.ABORTED, "TRANSACTION_CONFLICT"));
    create();
    assertEquals(2, models.created.size());
    assertEquals(models.created.get(0).getRequestId(), models.created.get(1).getRequestId());
    models.failures.add(FakeServer.error(Status.Code.ABORTED, "STAGE_MOVED", Map.of("currentVersion", "7")));
    var error = assertThrows(ConflictException.class, this::create);
    assertEquals("STAGE_MOVED", error.reason());
    assertEquals(Map.of("currentVersion", "7"), error.metadata());
    assertEquals(3, models.created.size());
  }

  @Test
  void aCallThatAStoppingServerCancelsIsRepeated() {
    models.failures.add(Status.CANCELLED.asRuntimeException());
    assertEquals("x", get().getName());
  }

  @Test
  void aReadIsAsFreshAsTheLastWrite() {
    get();
    server.revision = 41;
    create();
    server.revision = 7;
    create();
    get();
    assertEquals(List.of("null", "null", "null", "41"), minRevisions());
  }

  @Test
  void aRevisionNobodyKnowsIsForgotten() {
    server.revision = 41;
    create();
    models.failures.add(FakeServer.error(Status.Code.OUT_OF_RANGE, "REVISION_UNKNOWN"));
    assertEquals("x", get().getName());
    assertEquals(List.of("null", "41", "null"), minRevisions());
  }

  @Test
  void aRevisionNobodyKnowsIsForgottenByEveryoneWhoAskedForIt() throws Exception {
    server.revision = 41;
    create();
    models.failures.addAll(
        Collections.nCopies(4, FakeServer.error(Status.Code.OUT_OF_RANGE, "REVISION_UNKNOWN")));
    models.together = new CyclicBarrier(4);
    ExecutorService pool = Executors.newFixedThreadPool(4);
    for (Future<Model> each : pool.invokeAll(Collections.<Callable<Model>>nCopies(4, this::get))) {
      assertEquals("x", each.get().getName());
    }
    pool.shutdown();
    assertEquals(4, Collections.frequency(minRevisions(), "41"));
  }

  @Test
  void anErrorHasAllTheServerSaid() {
    models.failures.add(
        FakeServer.error(
            Status.Code.NOT_FOUND,
            "MODEL_NOT_FOUND",
            Map.of("resource", "x"),
            BadRequest.newBuilder()
                .addFieldViolations(BadRequest.FieldViolation.newBuilder().setField("name").setDescription("wrong"))
                .build(),
            RetryInfo.newBuilder().setRetryDelay(Duration.newBuilder().setSeconds(2)).build()));
    var error = assertThrows(NotFoundException.class, this::get);
    assertEquals("MODEL_NOT_FOUND", error.reason());
    assertEquals(Map.of("resource", "x"), error.metadata());
    assertEquals(List.of(new Violation("name", "wrong")), error.violations());
    assertEquals(java.time.Duration.ofSeconds(2), error.retryAfter().orElseThrow());
    assertEquals(server.headers.get(0).get(FakeServer.CALL_ID), error.requestId());
    assertEquals(Status.Code.NOT_FOUND, error.code());
  }

  @Test
  void damagedBytesAreAnIntegrityErrorWhateverTheStatus() {
    models.failures.add(FakeServer.error(Status.Code.INVALID_ARGUMENT, "DIGEST_MISMATCH"));
    assertThrows(IntegrityException.class, this::get);
  }

  @Test
  void anErrorOfAProxyHasNoReason() {
    models.failures.add(Status.UNKNOWN.withDescription("teapot").asRuntimeException());
    var error = assertThrows(RegistryException.class, this::get);
    assertEquals(RegistryException.class, error.getClass());
    assertEquals("", error.reason());
    assertEquals("teapot", error.getMessage());
  }

  @Test
  void aConnectionThatWasCutIsUnavailableWhateverGrpcCallsIt() {
    Status status = Status.UNKNOWN.withDescription("channel closed").withCause(new ClosedChannelException());
    var error = Failures.of(status, null, "");
    assertEquals(UnavailableException.class, error.getClass());
    assertTrue(Patience.isTransient(error));
    assertEquals(RegistryException.class, Failures.of(Status.UNKNOWN, null, "").getClass());
  }

  @Test
  void aDeadlineEndsACall() {
    models.isSilent = true;
    registry = registry.withTimeout(java.time.Duration.ofMillis(200));
    assertThrows(DeadlineExceededException.class, this::get);
  }

  @Test
  void anInterruptEndsACallAndStaysVisible() {
    models.isSilent = true;
    Thread.currentThread().interrupt();
    assertThrows(CancelledException.class, this::get);
    assertTrue(Thread.interrupted());
  }

  @Test
  void aCancelledContextEndsACall() throws Exception {
    models.isSilent = true;
    Context.CancellableContext context = Context.current().withCancellation();
    new Thread(
            () -> {
              while (server.headers.isEmpty()) {
                Thread.onSpinWait();
              }
              context.cancel(null);
            })
        .start();
    context.call(() -> assertThrows(CancelledException.class, this::get));
    assertEquals(1, server.headers.size());
  }

  @Test
  void aClosedRegistryCannotBeUsed() {
    registry.close();
    assertThrows(CancelledException.class, this::get);
  }

  @Test
  void aTokenFileThatCannotBeReadIsSaidBeforeAnythingIsSent() {
    try (Registry unknown = server.client().token(null).tokenFile(Path.of("/nowhere/token")).build()) {
      assertThrows(UnauthenticatedException.class, unknown::serverInfo);
      try (Watch watch = unknown.watch(WatchTarget.everything())) {
        assertThrows(UnauthenticatedException.class, watch::next);
      }
    }
    assertTrue(server.headers.isEmpty());
  }

  @Test
  void aRegistryThatIsAwayIsUnavailable() throws Exception {
    server.close();
    assertThrows(UnavailableException.class, this::get);
  }
}
