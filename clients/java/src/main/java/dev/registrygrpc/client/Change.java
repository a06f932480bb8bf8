package dev.registrygrpc.client;

import dev.registrygrpc.v1.Event;
import java.util.Optional;

/**
 * One thing a watch tells.
 *
 * @param kind what it is
 * @param revision of the registry it belongs to
 * @param event what happened, or what is there; empty only for {@code SYNCED}
 * @param resumeToken where to go on once this was dealt with; empty while more of its revision, or of the state, is to
 *     come
 */
public record Change(Kind kind, long revision, Optional<Event> event, Optional<String> resumeToken) {
  /** What a change is. */
  public enum Kind {
    /** The resource is there; part of the state a watch begins with. */
    STATE,
    /** The state is complete: whatever was known before and did not come is gone. */
    SYNCED,
    /** It happened. */
    EVENT
  }
}
