package dev.registrygrpc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalTreeTest {
  @TempDir Path directory;
  private Path root;

  @BeforeEach
  void make() throws IOException {
    root = Files.createDirectories(directory.resolve("out"));
    Files.createDirectories(root.resolve("b/c"));
    Files.createDirectories(root.resolve(".git"));
    Files.writeString(root.resolve(".git/config"), "x");
    Files.writeString(root.resolve("b/c/model.bin"), "x");
    Files.writeString(root.resolve("a.txt"), "x");
    Files.writeString(root.resolve("Z.txt"), "x");
  }

  private static List<String> paths(Path source) {
    return LocalTree.collect(source).stream().map(LocalFile::path).toList();
  }

  @Test
  void aDirectoryGivesItsContentByTheBytesOfThePaths() {
    assertEquals(List.of("Z.txt", "a.txt", "b/c/model.bin"), paths(root));
  }

  @Test
  void aFileIsItself() {
    assertEquals(List.of("a.txt"), paths(root.resolve("a.txt")));
  }

  @Test
  void aDirectoryMayBeReachedByALink() throws IOException {
    assertEquals(3, paths(Files.createSymbolicLink(directory.resolve("link"), root)).size());
  }

  @Test
  void aLinkToAFileInsideIsFollowed() throws IOException {
    Files.createSymbolicLink(root.resolve("b/link.txt"), Path.of("../a.txt"));
    assertEquals(List.of("Z.txt", "a.txt", "b/c/model.bin", "b/link.txt"), paths(root));
  }

  @Test
  void everyOtherLinkIsRefused() throws IOException {
    Path outside = Files.writeString(directory.resolve("secret"), "x");
    for (Path target : new Path[] {outside, Path.of("nowhere"), root.resolve("b")}) {
      Path link = Files.createSymbolicLink(root.resolve("link"), target);
      assertThrows(InvalidArgumentException.class, () -> LocalTree.collect(root), target.toString());
      Files.delete(link);
    }
  }

  @Test
  void whatIsNotThereOrEmptyIsSaid() throws IOException {
    assertThrows(InvalidArgumentException.class, () -> LocalTree.collect(root.resolve("none")));
    Path empty = Files.createDirectory(directory.resolve("empty"));
    assertThrows(InvalidArgumentException.class, () -> LocalTree.collect(empty));
  }

  @Test
  void namesThatWouldBeOneFileElsewhereAreRefused() throws IOException {
    Files.writeString(root.resolve("z.TXT"), "x");
    assertThrows(InvalidArgumentException.class, () -> LocalTree.collect(root));
  }
}
