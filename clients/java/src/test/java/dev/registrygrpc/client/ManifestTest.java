package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.registrygrpc.client.errors.IntegrityException;
import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A part of the vectors every client is held against; the conformance cases have all of them. */
class ManifestTest {
  private static final String EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  @Test
  void theDigestDoesNotDependOnTheOrderOfTheFiles() {
    FileDigest one = new FileDigest("b", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", 6);
    FileDigest other = new FileDigest("a", EMPTY, 0);
    String known = "sha256:397e982c1d395cdd799c29171c55164cac584b2373190197df6873aef3aaee8f";
    assertEquals(known, Manifest.digest(List.of(one, other)));
    assertEquals(known, Manifest.digest(List.of(other, one)));
  }

  @Test
  void pathsAreSortedByBytesAndNotByJavasChars() {
    FileDigest high = new FileDigest("\uFF5E", EMPTY, 0);
    FileDigest beyond = new FileDigest("\uD83D\uDE00", EMPTY, 0);
    assertEquals(Manifest.digest(List.of(high, beyond)), Manifest.digest(List.of(beyond, high)));
    assertTrue("\uFF5E".compareTo("\uD83D\uDE00") > 0, "Java's own order is the other one");
  }

  @Test
  void anIdHas26Characters() {
    assertEquals("cxkeeaepymf64hjivaos3etpc4", Manifest.artifactId("model.bin"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a\\b", "c:x", ".git/config", "a/.GIT", "con", "NUL.txt",
        "a.", " a", "a\u0000b", "a\u200Eb", "a\uD800"
      })
  void aPathThatLeadsElsewhereIsRefused(String path) {
    assertTrue(ArtifactPaths.fault(path).isPresent());
    assertThrows(InvalidArgumentException.class, () -> ArtifactPaths.checkLocal(List.of(path)));
    assertThrows(
        IntegrityException.class, () -> ArtifactPaths.checkServed(List.of(new FileDigest(path, EMPTY, 0))));
  }

  @Test
  void goodPathsAreGood() {
    ArtifactPaths.checkLocal(List.of("a", "dir/b.bin", "ä/ö", "contents", "a b", "ı", "i"));
  }

  @Test
  void pathsThatSomeFileSystemTakesForOneCollide() {
    for (List<String> paths :
        List.of(
            List.of("A", "a"),
            List.of("stra\u00DFe", "STRASSE"),
            List.of("e\u0301", "\u00E9"),
            List.of("\u03C3", "\u03C2"),
            List.of("a", "A/b"))) {
      assertTrue(ArtifactPaths.collision(paths).isPresent(), paths.toString());
    }
  }
}
