package dev.registrygrpc.client;

import com.google.protobuf.Duration;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import dev.registrygrpc.v1.WatchRequest;
import java.util.List;
import java.util.Objects;

/**
 * What a watch is about, and where it begins: {@code WatchTarget.of("fraud@production").withState()}.
 *
 * <p>From now on, unless it is given a place. It never changes; each method gives another.
 */
public final class WatchTarget {
  private static final int PROGRESS_S = 10;

  private final String reference;
  private final WatchRequest request;
  private final boolean state;

  private WatchTarget(String reference, WatchRequest request, boolean state) {
    this.reference = reference;
    this.request = request;
    this.state = state;
  }

  /**
   * A model, a model with a stage ({@code fraud@production}), or the resource name of a project or model.
   *
   * @param text a reference people type, or {@code projects/…}
   * @return the target
   */
  public static WatchTarget of(String text) {
    return new WatchTarget(text, WatchRequest.getDefaultInstance(), false);
  }

  /**
   * Every project the caller may see.
   *
   * @return the target
   */
  public static WatchTarget everything() {
    return of("projects/-");
  }

  /**
   * Only changes of these types, as in {@code Event.resource_type}.
   *
   * @param types their names; empty means all
   * @return a target with that
   */
  public WatchTarget types(List<String> types) {
    return new WatchTarget(
        reference, request.toBuilder().clearResourceTypes().addAllResourceTypes(types).build(), state);
  }

  /**
   * Of stages only these.
   *
   * @param stages their ids; empty means all
   * @return a target with that
   */
  public WatchTarget stages(List<String> stages) {
    return new WatchTarget(reference, request.toBuilder().clearStages().addAllStages(stages).build(), state);
  }

  /**
   * Begins with the present state, unless it goes on from a place, and begins anew with it when the registry no longer
   * knows the place.
   *
   * @return a target with that
   */
  public WatchTarget withState() {
    return new WatchTarget(reference, request, true);
  }

  /**
   * Goes on where another watch stood.
   *
   * @param resumeToken of {@link Watch#resumeToken} or {@link Change#resumeToken}; empty means no place
   * @return a target with that
   */
  public WatchTarget from(String resumeToken) {
    Objects.requireNonNull(resumeToken);
    return new WatchTarget(reference, request.toBuilder().setResumeToken(resumeToken).build(), state);
  }

  boolean hasState() {
    return state;
  }

  /** The request; short references are of this registry's project. */
  WatchRequest request(Registry registry) {
    WatchRequest.Builder made =
        request.toBuilder()
            .setSendInitialState(state && request.getResumeToken().isEmpty())
            .setProgressInterval(Duration.newBuilder().setSeconds(PROGRESS_S));
    if (reference.startsWith("projects/") && Reference.ofName(reference).isEmpty()) {
      return made.setParent(reference).build();
    }
    Reference found = registry.reference(reference);
    if (found.number().isPresent() || found.digest().isPresent()) {
      throw new InvalidArgumentException(
          reference + " is a version, which never changes; watch " + found.model() + " or a stage");
    }
    found.pointer().ifPresent(stage -> atStage(made, stage));
    return made.setParent(found.modelName()).build();
  }

  private static void atStage(WatchRequest.Builder made, String stage) {
    made.clearStages().addStages(stage);
    if (made.getResourceTypesCount() == 0) {
      made.addResourceTypes("Stage");
    }
  }
}
