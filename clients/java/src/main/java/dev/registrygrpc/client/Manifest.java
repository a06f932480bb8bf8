package dev.registrygrpc.client;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HexFormat;

/**
 * Digests, computed again on this side: nothing the server says about bytes is taken on trust.
 *
 * <p>{@code tests/conformance/manifests.yaml} holds all implementations together.
 */
public final class Manifest {
  private static final String HEADER = "registry-grpc manifest v1\n";
  private static final String BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
  private static final int ID_CHARS = 26;

  private Manifest() {}

  /**
   * The manifest digest of a list of files: what to pin.
   *
   * @param files in any order
   * @return {@code sha256:} and the hex digest of the list, sorted by the UTF-8 bytes of the path
   */
  public static String digest(Collection<FileDigest> files) {
    MessageDigest digest = sha256();
    digest.update(bytes(HEADER));
    files.stream()
        .sorted(Comparator.comparing((FileDigest file) -> bytes(file.path()), Arrays::compareUnsigned))
        .forEach(file -> digest.update(bytes(file.sha256() + " " + file.sizeBytes() + " " + file.path() + "\n")));
    return "sha256:" + hex(digest);
  }

  /**
   * Last segment of the resource name of a file.
   *
   * @param path inside the version
   * @return base32 of the path's SHA-256, 26 characters
   */
  public static String artifactId(String path) {
    byte[] hash = sha256().digest(bytes(path));
    StringBuilder id = new StringBuilder(ID_CHARS);
    for (int at = 0; at < ID_CHARS; at++) {
      int bit = at * 5;
      int pair = (hash[bit / 8] & 0xff) << 8 | hash[bit / 8 + 1] & 0xff;
      id.append(BASE32.charAt(pair >> 11 - bit % 8 & 31));
    }
    return id.toString();
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException("every Java has SHA-256", impossible);
    }
  }

  static String hex(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest());
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
