package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.text.Normalizer;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The rules for paths inside a version, checked on this side for what is sent and for what comes: a path must be the
 * same file on every system, and must not lead out of its directory.
 */
public final class ArtifactPaths {
  private static final int MAX_BYTES = 1024;
  private static final int MAX_SEGMENTS = 32;
  private static final Set<String> RESERVED = Set.of(".", "..", ".git");
  private static final Pattern WINDOWS_DEVICE = Pattern.compile("con|prn|aux|nul|com[1-9]|lpt[1-9]");
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final Set<Integer> UNSEEN =
      Set.of(
          (int) Character.CONTROL,
          (int) Character.FORMAT,
          (int) Character.SURROGATE,
          (int) Character.LINE_SEPARATOR,
          (int) Character.PARAGRAPH_SEPARATOR);

  private ArtifactPaths() {}

  /**
   * What is wrong with a path.
   *
   * @param path inside a version
   * @return the fault; empty when there is none
   */
  public static Optional<String> fault(String path) {
    if (path.isEmpty()) {
      return Optional.of("must not be empty");
    }
    if (Manifest.bytes(path).length > MAX_BYTES) {
      return Optional.of("is longer than " + MAX_BYTES + " bytes of UTF-8");
    }
    if (path.codePoints().anyMatch(point -> UNSEEN.contains(Character.getType(point)))) {
      return Optional.of("has a control, format or surrogate character");
    }
    if (path.indexOf('\\') >= 0 || path.indexOf(':') >= 0) {
      return Optional.of("has a backslash or colon; use / between segments");
    }
    String[] segments = path.split("/", -1);
    if (segments.length > MAX_SEGMENTS) {
      return Optional.of("has more than " + MAX_SEGMENTS + " segments");
    }
    return Stream.of(segments).map(ArtifactPaths::segmentFault).filter(Objects::nonNull).findFirst();
  }

  private static String segmentFault(String segment) {
    if (segment.isEmpty()) {
      return "is absolute, or has an empty segment";
    }
    String lower = segment.toLowerCase(Locale.ROOT);
    if (RESERVED.contains(lower)) {
      return "has the reserved segment '" + segment + "'";
    }
    if (WINDOWS_DEVICE.matcher(lower.split("\\.", 2)[0]).matches()) {
      return "has the segment '" + segment + "', a device on Windows";
    }
    if (segment.startsWith(" ") || segment.endsWith(" ") || segment.endsWith(".")) {
      return "has a segment with a leading space or trailing dot or space: '" + segment + "'";
    }
    return null;
  }

  /**
   * Two paths some file system takes for one, or for a file and a directory.
   *
   * @param paths inside one version
   * @return a sentence about them; empty when there are none
   */
  public static Optional<String> collision(Collection<String> paths) {
    Map<String, String> seen = new HashMap<>();
    for (String path : paths) {
      String other = seen.put(folded(path), path);
      if (other != null) {
        return Optional.of("'" + path + "' and '" + other + "' differ only by case or Unicode form");
      }
    }
    for (Map.Entry<String, String> entry : seen.entrySet()) {
      String folded = entry.getKey();
      for (int slash = folded.indexOf('/'); slash >= 0; slash = folded.indexOf('/', slash + 1)) {
        String parent = seen.get(folded.substring(0, slash));
        if (parent != null) {
          return Optional.of(
              "'" + entry.getValue() + "' and '" + parent + "': one cannot be a directory and a file");
        }
      }
    }
    return Optional.empty();
  }

  private static String folded(String path) {
    String composed = Normalizer.normalize(path, Normalizer.Form.NFC);
    StringBuilder made = new StringBuilder(composed.length());
    composed.codePoints().forEach(point -> made.append(caseFolded(point)));
    return Normalizer.normalize(made, Normalizer.Form.NFC);
  }

  /** Unicode's full case folding, which Java has no name for: down, up and down again, but for the Turkish i. */
  private static String caseFolded(int point) {
    String one = Character.toString(point);
    if (point == 'ı') {
      return one;
    }
    return one.toLowerCase(Locale.ROOT).toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
  }

  /**
   * Refuses to push paths that would not be the same files on another system.
   *
   * @param paths of one version
   * @throws InvalidArgumentException with the fault
   */
  public static void checkLocal(Collection<String> paths) {
    for (String path : paths) {
      Optional<String> fault = fault(path);
      if (fault.isPresent()) {
        throw new InvalidArgumentException("the file '" + path + "' " + fault.get() + "; rename it and push again");
      }
    }
    Optional<String> collision = collision(paths);
    if (collision.isPresent()) {
      throw new InvalidArgumentException(collision.get() + "; rename one and push again");
    }
  }

  /**
   * Refuses a file list from a server that could write outside its directory or hide a file behind another.
   *
   * @param files as the server lists them
   * @throws IntegrityException with the fault
   */
  public static void checkServed(List<FileDigest> files) {
    for (FileDigest file : files) {
      Optional<String> fault = fault(file.path());
      if (fault.isPresent()) {
        throw new IntegrityException(
            "the server sent the path '" + file.path() + "', which " + fault.get() + "; nothing was written");
      }
      if (!SHA256.matcher(file.sha256()).matches() || file.sizeBytes() < 0) {
        throw new IntegrityException(
            "the server sent no usable digest for '" + file.path() + "'; nothing was written");
      }
    }
    Optional<String> collision = collision(files.stream().map(FileDigest::path).toList());
    if (collision.isPresent()) {
      throw new IntegrityException("the server sent paths that collide: " + collision.get() + "; nothing was written");
    }
  }
}
