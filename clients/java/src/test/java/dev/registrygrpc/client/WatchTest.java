package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.CancelledException;
import dev.registrygrpc.client.errors.FailedPreconditionException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.PermissionDeniedException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.client.errors.UnauthenticatedException;
import dev.registrygrpc.v1.Event;
import dev.registrygrpc.v1.EventServiceGrpc;
import dev.registrygrpc.v1.WatchRequest;
import dev.registrygrpc.v1.WatchResponse;
import dev.registrygrpc.v1.WatchResponse.Kind;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class WatchTest {
  private final Events events = new Events();
  private FakeServer server;
  private Registry registry;

  /** Each stream does what the next script says; without one it stays silent. */
  private static final class Events extends EventServiceGrpc.EventServiceImplBase {
    final Queue<Consumer<StreamObserver<WatchResponse>>> scripts = new ConcurrentLinkedQueue<>();
    final List<WatchRequest> requests = new CopyOnWriteArrayList<>();

    @Override
    public void watch(WatchRequest request, StreamObserver<WatchResponse> answers) {
      requests.add(request);
      Consumer<StreamObserver<WatchResponse>> script = scripts.poll();
      if (script != null) {
        script.accept(answers);
      }
    }

    void say(WatchResponse... messages) {
      scripts.add(answers -> List.of(messages).forEach(answers::onNext));
    }

    void sayThenFail(RuntimeException error, WatchResponse... messages) {
      scripts.add(
          answers -> {
            List.of(messages).forEach(answers::onNext);
            answers.onError(error);
          });
    }
  }

  @BeforeEach
  void start() throws IOException {
    server = new FakeServer(events);
    registry = server.client().build();
  }

  @AfterEach
  void stop() {
    registry.close();
    server.close();
  }

  private static WatchResponse message(Kind kind, long revision, String token, String... names) {
    WatchResponse.Builder made = WatchResponse.newBuilder().setKind(kind).setRevision(revision).setResumeToken(token);
    for (String name : names) {
      made.addEvents(Event.newBuilder().setName(name));
    }
    return made.build();
  }

  private static WatchResponse part(long revision, String... names) {
    return message(Kind.KIND_EVENTS, revision, "", names).toBuilder().setPartial(true).build();
  }

  private static List<String> take(Watch watch, int count) {
    List<String> names = new ArrayList<>();
    for (int at = 0; at < count; at++) {
      names.add(watch.next().event().map(Event::getName).orElse("synced"));
    }
    return names;
  }

  @Test
  void theStateComesFirstAndEnds() {
    events.say(
        message(Kind.KIND_INITIAL_STATE, 3, "", "a", "b"),
        message(Kind.KIND_INITIAL_STATE_END, 3, "t3"),
        message(Kind.KIND_EVENTS, 4, "t4", "c"));
    try (Watch watch = registry.watch(WatchTarget.of("m@production").withState())) {
      assertEquals("", watch.resumeToken());
      assertEquals(new Change(Change.Kind.STATE, 3, event("a"), Optional.empty()), watch.next());
      watch.next();
      assertEquals(new Change(Change.Kind.SYNCED, 3, Optional.empty(), Optional.of("t3")), watch.next());
      assertEquals(new Change(Change.Kind.EVENT, 4, event("c"), Optional.of("t4")), watch.next());
      assertEquals("t3", watch.resumeToken(), "the event may not have been dealt with yet");
    }
    WatchRequest request = events.requests.get(0);
    assertTrue(request.getSendInitialState());
    assertEquals("projects/default/models/m", request.getParent());
    assertEquals(List.of("production"), request.getStagesList());
    assertEquals(List.of("Stage"), request.getResourceTypesList());
  }

  private static Optional<Event> event(String name) {
    return Optional.of(Event.newBuilder().setName(name).build());
  }

  @Test
  void aCutStreamGoesOnBehindTheLastWholeRevision() {
    // Part of revision 5 came before the cut: none of it may be told twice.
    events.sayThenFail(
        Status.UNAVAILABLE.asRuntimeException(), message(Kind.KIND_EVENTS, 4, "t4", "a", "b"), part(5, "c"));
    events.say(part(5, "c"), message(Kind.KIND_EVENTS, 5, "t5", "d"));
    try (Watch watch = registry.watch(WatchTarget.of("m").from("t3"))) {
      assertEquals(List.of("a", "b", "c", "d"), take(watch, 4));
    }
    assertEquals(List.of("t3", "t4"), events.requests.stream().map(WatchRequest::getResumeToken).toList());
  }

  @Test
  void progressMovesThePlace() {
    events.sayThenFail(Status.UNAVAILABLE.asRuntimeException(), message(Kind.KIND_PROGRESS, 9, "t9"));
    events.say(message(Kind.KIND_EVENTS, 10, "t10", "a"));
    try (Watch watch = registry.watch(WatchTarget.of("m"))) {
      watch.next();
      assertEquals("t9", watch.resumeToken());
    }
    assertEquals("t9", events.requests.get(1).getResumeToken());
  }

  @Test
  void aServerThatClosesIsComeBackTo() {
    events.scripts.add(
        answers -> {
          answers.onNext(message(Kind.KIND_CLOSING, 4, "t4"));
          answers.onCompleted();
        });
    events.say(message(Kind.KIND_EVENTS, 5, "t5", "a"));
    try (Watch watch = registry.watch(WatchTarget.of("m"))) {
      assertEquals(List.of("a"), take(watch, 1));
    }
    assertEquals("t4", events.requests.get(1).getResumeToken());
  }

  @Test
  void aPlaceNobodyKnowsBeginsAnewWithTheState() {
    events.sayThenFail(FakeServer.error(Status.Code.FAILED_PRECONDITION, "HISTORY_CHANGED"));
    events.say(message(Kind.KIND_INITIAL_STATE_END, 3, "t3"));
    try (Watch watch = registry.watch(WatchTarget.of("m").from("old").withState())) {
      assertEquals(Change.Kind.SYNCED, watch.next().kind());
    }
    assertEquals("old", events.requests.get(0).getResumeToken());
    assertFalse(events.requests.get(0).getSendInitialState());
    assertTrue(events.requests.get(1).getSendInitialState());
    assertEquals("", events.requests.get(1).getResumeToken());
  }

  @Test
  void withoutStateAPlaceNobodyKnowsIsSaid() {
    events.sayThenFail(FakeServer.error(Status.Code.FAILED_PRECONDITION, "HISTORY_CHANGED"));
    try (Watch watch = registry.watch(WatchTarget.of("m").from("old"))) {
      assertThrows(FailedPreconditionException.class, watch::next);
    }
  }

  @Test
  void aRefusalIsToldToTheListener() throws Exception {
    events.sayThenFail(FakeServer.error(Status.Code.PERMISSION_DENIED, "PERMISSION_DENIED"));
    CompletableFuture<RegistryException> told = new CompletableFuture<>();
    registry
        .watch(WatchTarget.everything())
        .listen(
            new WatchListener() {
              @Override
              public void onChange(Change change) {}

              @Override
              public void onError(RegistryException error) {
                told.complete(error);
              }
            });
    assertEquals(PermissionDeniedException.class, told.get(20, TimeUnit.SECONDS).getClass());
  }

  @Test
  void closingLetsAReaderGo() throws Exception {
    Watch watch = registry.watch(WatchTarget.of("m"));
    CompletableFuture<Boolean> reader = CompletableFuture.supplyAsync(watch::hasNext);
    while (events.requests.isEmpty()) {
      Thread.onSpinWait();
    }
    watch.close();
    assertFalse(reader.get(20, TimeUnit.SECONDS));
    assertFalse(watch.hasNext());
  }

  @Test
  void closingTheRegistryClosesItsWatches() throws Exception {
    Watch watch = registry.watch(WatchTarget.of("m"));
    CompletableFuture<Boolean> reader = CompletableFuture.supplyAsync(watch::hasNext);
    while (events.requests.isEmpty()) {
      Thread.onSpinWait();
    }
    registry.close();
    assertFalse(reader.get(20, TimeUnit.SECONDS));
  }

  @Test
  void aTokenThatExpiredIsReadAgainOnce() {
    events.sayThenFail(FakeServer.error(Status.Code.UNAUTHENTICATED, "TOKEN_EXPIRED"));
    events.sayThenFail(
        FakeServer.error(Status.Code.UNAUTHENTICATED, "TOKEN_EXPIRED"), message(Kind.KIND_EVENTS, 4, "t4", "a"));
    events.sayThenFail(FakeServer.error(Status.Code.UNAUTHENTICATED, "TOKEN_EXPIRED"));
    try (Watch watch = registry.watch(WatchTarget.of("m"))) {
      assertEquals(List.of("a"), take(watch, 1));
      assertThrows(UnauthenticatedException.class, watch::next);
    }
    assertEquals(3, events.requests.size());
  }

  @Test
  void anInterruptLetsAReaderGo() {
    try (Watch watch = registry.watch(WatchTarget.of("m"))) {
      Thread.currentThread().interrupt();
      assertThrows(CancelledException.class, watch::hasNext);
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void aServerThatIsAwayIsWaitedFor() throws Exception {
    int port = server.port();
    server.close();
    events.say(message(Kind.KIND_EVENTS, 4, "t4", "a"));
    try (Registry away = server.client().endpoint("127.0.0.1:" + port).build();
        Watch watch = away.watch(WatchTarget.of("m"))) {
      CompletableFuture<Change> change = CompletableFuture.supplyAsync(watch::next);
      TimeUnit.SECONDS.sleep(3);
      try (FakeServer back = new FakeServer(port, events)) {
        assertEquals(4, change.get(20, TimeUnit.SECONDS).revision());
        assertEquals(1, back.headers.size());
      }
    }
  }

  @Test
  void aVersionNeverChanges() {
    assertThrows(InvalidArgumentException.class, () -> registry.watch(WatchTarget.of("m/7")));
  }
}
