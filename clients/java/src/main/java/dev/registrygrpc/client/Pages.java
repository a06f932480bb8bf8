package dev.registrygrpc.client;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The items of a list call; pages are fetched as they are needed. Each iteration asks anew.
 *
 * @param <T> the items
 */
public final class Pages<T> implements Iterable<T> {
  /** Where all of a list is wanted; a server lowers it to its limit. */
  static final int LARGE = 1000;

  private final Function<String, Page<T>> fetch;

  private record Page<T>(List<T> items, String next) {}

  private Pages(Function<String, Page<T>> fetch) {
    this.fetch = fetch;
  }

  static <Q extends Message, A extends Message, T> Pages<T> of(
      BiFunction<MethodDescriptor<Q, A>, Q, A> call,
      MethodDescriptor<Q, A> method,
      Q request,
      Function<A, List<T>> items) {
    FieldDescriptor token = field(request, "page_token");
    return new Pages<>(
        place -> {
          A answer = call.apply(method, at(request, token, place));
          return new Page<>(items.apply(answer), (String) answer.getField(field(answer, "next_page_token")));
        });
  }

  @SuppressWarnings("unchecked") // a builder builds what it was made from
  private static <Q extends Message> Q at(Q request, FieldDescriptor token, String place) {
    return place.isEmpty() ? request : (Q) request.toBuilder().setField(token, place).build();
  }

  private static FieldDescriptor field(Message message, String name) {
    return Objects.requireNonNull(
        message.getDescriptorForType().findFieldByName(name),
        () -> message.getDescriptorForType().getName() + " has no " + name + ": the call gives no pages");
  }

  @Override
  public Iterator<T> iterator() {
    return new Items();
  }

  /**
   * The items as a stream, fetched as it is consumed.
   *
   * @return a sequential stream
   */
  public Stream<T> stream() {

    return StreamSupport.stream(spliterator(), false);
  }

  private final class Items implements Iterator<T> {
    private Iterator<T> page = List.<T>of().iterator();
    private String next = "";
    private boolean isLast;

    @Override
    public boolean hasNext() {
      while (!page.hasNext() && !isLast) {
        Page<T> fetched = fetch.apply(next);
        page = fetched.items().iterator();
        next = fetched.next();
        isLast = next.isEmpty();
      }
      return page.hasNext();
    }

    @Override
    public T next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      return page.next();
    }
  }
}
