package dev.registrygrpc.client;

import com.google.protobuf.Message;
import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.client.errors.OutOfRangeException;
import dev.registrygrpc.client.errors.RegistryException;
import dev.registrygrpc.v1.Artifact;
import dev.registrygrpc.v1.GetServerInfoRequest;
import dev.registrygrpc.v1.ResolveResponse;
import dev.registrygrpc.v1.ResolveView;
import dev.registrygrpc.v1.ServerInfo;
import dev.registrygrpc.v1.ServerServiceGrpc;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * A model registry.
 *
 * <p>Answers are the contract's messages; every method throws {@link RegistryException}. Nothing is connected before
 * the first call. Any number of threads may use one. A read through it never misses a write made through it. An
 * interrupt ends a call that is waited for, with {@code CancelledException}; so does {@link #close}, and so do
 * deadlines and cancellations of {@link io.grpc.Context}.
 */
public final class Registry implements AutoCloseable {
  /** Version of this client. */
  public static final String VERSION = "0.1.0";

  /** Deadline of one call unless another is given. */
  public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(30);

  private final Connection connection;
  private final Duration timeout;

  Registry(Connection connection, Duration timeout) {
    this.connection = connection;
    this.timeout = timeout;
  }

  /**
   * The registry that {@code MREG_ENDPOINT}, {@code MREG_TOKEN} or {@code MREG_TOKEN_FILE}, {@code MREG_CA_FILE} and
   * {@code MREG_PROJECT} describe; without any, that of this user's {@code mreg serve} on this machine.
   *
   * @return the registry, to be closed
   */
  public static Registry connect() {
    return builder().build();
  }

  /**
   * A registry described setting by setting; what is left out is taken from the environment.
   *
   * @return a builder
   */
  public static RegistryBuilder builder() {
    return new RegistryBuilder();
  }

  /**
   * The same registry with another deadline for each call. It shares the connection; closing one closes both.
   *
   * @param timeoutOfCalls of one call, not of a push or pull
   * @return a view of this registry
   */
  public Registry withTimeout(Duration timeoutOfCalls) {
    return new Registry(connection, timeoutOfCalls);
  }

  /** Ends the connection, and with it calls, transfers, streams and watches that are open. */
  @Override
  public void close() {
    connection.close();
  }

  /**
   * The channel for generated stubs, e.g. {@code ModelServiceGrpc.newBlockingStub(registry.channel())}: with the token,
   * a deadline for unary calls that have none, retries, request ids and read-your-writes. Stubs throw
   * {@link io.grpc.StatusRuntimeException}; {@link dev.registrygrpc.client.errors.Failures} makes the typed one of it.
   *
   * @return the channel
   */
  public Channel channel() {
    return connection.channel(timeout);
  }

  /**
   * The answer to any unary call of the contract, e.g. {@code call(ModelServiceGrpc.getGetModelMethod(), request)}. A
   * mutation gets a request_id, so that it is safely sent again while the registry is away or busy.
   *
   * @param method of the contract
   * @param request to it
   * @param <Q> type of the request
   * @param <A> type of the answer
   * @return the answer
   */
  public <Q extends Message, A extends Message> A call(MethodDescriptor<Q, A> method, Q request) {
    return connection.call(method, request, timeout);
  }

  /**
   * Every item of a list call, fetched page by page, e.g. {@code all(ModelServiceGrpc.getListModelsMethod(), request,
   * ListModelsResponse::getModelsList)}.
   *
   * @param method of the contract, with pages
   * @param request for the first page
   * @param items finds them in a page
   * @param <Q> type of the request
   * @param <A> type of the answer
   * @param <T> type of the items
   * @return the items
   */
  public <Q extends Message, A extends Message, T> Pages<T> all(
      MethodDescriptor<Q, A> method, Q request, Function<A, List<T>> items) {
    return Pages.of(this::call, method, request, items);
  }

  /**
   * Versions, limits and features of the server, and who this client is to it.
   *
   * @return the facts
   */
  public ServerInfo serverInfo() {
    ServerInfo info = call(ServerServiceGrpc.getGetServerInfoMethod(), GetServerInfoRequest.getDefaultInstance());
    connection.revisions().noteRegistry(info.getRegistryUid());
    return info;
  }

  /**
   * A reference in this registry.
   *
   * @param text any form people type, or a resource name
   * @return the reference
   * @throws InvalidArgumentException also when it names another registry: a token is never sent where a text says
   */
  public Reference reference(String text) {
    return here(Reference.ofName(text).orElseGet(() -> Reference.parse(text, connection.settings().project())));
  }

  private Reference here(Reference found) {
    String endpoint = connection.settings().endpoint();
    List<String> known = Arrays.asList(endpoint.replaceFirst("^.*//", "").split(","));
    if (found.endpoint().isPresent() && !known.contains(found.endpoint().get())) {
      String elsewhere = found.endpoint().get();
      throw new InvalidArgumentException(
          found + " is in the registry at " + elsewhere + ", this client talks to " + endpoint
              + "; connect to it with MREG_ENDPOINT=" + elsewhere);
    }
    return found;
  }

  /**
   * The version a reference stands for now; a bare model name means its newest READY version.
   *
   * @param reference any form people type
   * @return what to load and how to pin it
   * @throws IntegrityException when a pinned digest is not that of the version
   */
  public ResolveResponse resolve(String reference) {
    return resolve(reference(reference));
  }

  /**
   * The version a reference stands for now.
   *
   * @param reference that was parsed
   * @return what to load and how to pin it
   * @throws IntegrityException when a pinned digest is not that of the version
   */
  public ResolveResponse resolve(Reference reference) {
    return Resolution.of(this, here(reference), ResolveView.RESOLVE_VIEW_BASIC);
  }

  /**
   * Fetches the files of the version a reference stands for now.
   *
   * @param reference any form people type
   * @param target directory that is to hold them; absent, empty, or holding exactly that version
   * @return what was fetched
   * @throws IntegrityException when anything is not what was pinned; nothing is kept then
   */
  public ResolveResponse pull(String reference, Path target) {
    return pull(reference(reference), target, Progress.Listener.SILENT);
  }

  /**
   * Fetches the files of the version a reference stands for now, every byte checked against its digest. The directory
   * appears whole or not at all, and nothing outside of it is written. Memory: a few MiB for each of four files.
   *
   * @param reference that was parsed
   * @param target directory that is to hold them; absent, empty, or holding exactly that version
   * @param progress is told how far it is
   * @return what was fetched
   * @throws IntegrityException when anything is not what was pinned; nothing is kept then
   */
  public ResolveResponse pull(Reference reference, Path target, Progress.Listener progress) {
    ResolveResponse answer = Resolution.of(this, here(reference), ResolveView.RESOLVE_VIEW_FULL);
    new Pull(this, progress).run(answer, target.toAbsolutePath().normalize());
    return answer.toBuilder().clearArtifacts().build();
  }

  /**
   * A push of a directory or file to a model, which is made if it is not there.
   *
   * @param model an id, or {@code project:id}
   * @param source a directory, whose content is pushed, or one file
   * @return the push, to be given its fields and run
   */
  public Push push(String model, Path source) {
    Reference found = reference(model);
    if (found.number().isPresent() || found.digest().isPresent() || found.pointer().isPresent()) {
      throw new InvalidArgumentException(model + " is a version; a model is wanted here, e.g. " + found.model());
    }
    return new Push(this, found, source);
  }

  /**
   * Sends one file into a draft; resumes by itself, also what an earlier process began.
   *
   * @param version {@code model/number} or a resource name
   * @param path inside the version; a file the draft has there is replaced
   * @param source the file
   * @param progress is told how far it is
   * @return the file in the draft
   * @throws IntegrityException when the file changes meanwhile
   */
  public Artifact uploadFile(String version, String path, Path source, Progress.Listener progress) {
    return new OneFile(this).upload(version, path, source, progress);
  }

  /**
   * Sends a stream of bytes, to its end, into a draft. They are first copied into a temporary file: size and SHA-256
   * are told before the bytes, and what a cut loses is sent again.
   *
   * @param version {@code model/number} or a resource name
   * @param path inside the version; a file the draft has there is replaced
   * @param source is read to its end, and not closed
   * @param progress is told how far it is
   * @return the file in the draft
   * @throws IOException when {@code source} throws it, or the copy cannot be written
   */
  public Artifact uploadStream(String version, String path, InputStream source, Progress.Listener progress)
      throws IOException {
    return new OneFile(this).upload(version, path, source, progress);
  }

  /**
   * The bytes of a file, fetched as they are read. Each chunk is checked by its CRC32C; read to the end, the whole is
   * checked by its SHA-256. A cut stream goes on where it was.
   *
   * @param artifact resource name of the file
   * @return the stream, to be closed
   */
  public InputStream read(String artifact) {
    return read(artifact, 0, Long.MAX_VALUE);
  }

  /**
   * A range of the bytes of a file, fetched as they are read.
   *
   * @param artifact resource name of the file
   * @param offset of the first byte
   * @param length most bytes wanted; what is beyond the end is left out
   * @return the stream, to be closed
   * @throws OutOfRangeException when {@code offset} is beyond the end
   */
  public InputStream read(String artifact, long offset, long length) {
    return new OneFile(this).read(artifact, offset, length);
  }

  /**
   * Changes as they happen.
   *
   * @param target what it is about, and where it begins
   * @return the watch, to be closed
   */
  public Watch watch(WatchTarget target) {
    return new Watch(connection.another(), target.request(this), target.hasState());
  }

  Connection connection() {
    return connection;
  }

  Duration timeout() {
    return timeout;
  }
}
