package dev.registrygrpc.client;

import dev.registrygrpc.client.errors.InvalidArgumentException;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** The local files of a push: found and checked. */
final class LocalTree {
  private LocalTree() {}

  /**
   * The files to push, by path: the content of a directory, or one file. {@code .git} is left out. Links to files
   * inside the directory are followed; every other link is refused, as is anything that is no file.
   *
   * @throws InvalidArgumentException with what stands in the way
   */
  static List<LocalFile> collect(Path root) {
    List<LocalFile> found;
    if (Files.isDirectory(root)) {
      found = walk(root);
    } else if (Files.exists(root)) {
      found = List.of(LocalFile.of(root.getFileName().toString(), root));
    } else {
      throw new InvalidArgumentException(root + " does not exist; give a file or a directory to push");
    }
    if (found.isEmpty()) {
      throw new InvalidArgumentException(root + " has no file to push");
    }
    ArtifactPaths.checkLocal(found.stream().map(LocalFile::path).toList());
    return found.stream()
        .sorted(Comparator.comparing((LocalFile file) -> Manifest.bytes(file.path()), Arrays::compareUnsigned))
        .toList();
  }

  private static List<LocalFile> walk(Path root) {
    Walk walk = new Walk(root);
    try {
      Files.walkFileTree(root.toRealPath(), walk);
    } catch (IOException error) {
      throw FileFaults.unreadable(root, error);
    }
    return walk.found;
  }

  private static final class Walk extends SimpleFileVisitor<Path> {
    private final List<LocalFile> found = new ArrayList<>();
    private final Path shown;
    private final Path inside;

    Walk(Path root) throws InvalidArgumentException {
      this.shown = root;
      try {
        this.inside = root.toRealPath();
      } catch (IOException error) {
        throw FileFaults.unreadable(root, error);
      }
    }

    @Override
    public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes facts) {
      return isGit(directory) ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFile(Path file, BasicFileAttributes facts) throws IOException {
      if (isGit(file)) {
        return FileVisitResult.CONTINUE;
      }
      if (facts.isSymbolicLink()) {
        checkLink(file);
      }
      StringBuilder path = new StringBuilder();
      inside.relativize(file).forEach(name -> path.append(path.isEmpty() ? "" : "/").append(name));
      found.add(LocalFile.of(path.toString(), file));
      return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFileFailed(Path file, IOException error) {
      throw FileFaults.unreadable(file, error);
    }

    private boolean isGit(Path path) {
      return !path.equals(inside) && path.getFileName().toString().equalsIgnoreCase(".git");
    }

    private void checkLink(Path link) throws IOException {
      if (!Files.exists(link)) {
        throw new InvalidArgumentException(link + " is a link to nothing; remove it and push again");
      }
      boolean isDirectory = Files.isDirectory(link);
      if (isDirectory || !link.toRealPath().startsWith(inside)) {
        String what = isDirectory ? "a directory" : "a file outside " + shown;
        throw new InvalidArgumentException(
            link + " is a link to " + what + "; replace it by a copy (cp -rL) and push again");
      }
    }
  }
}
