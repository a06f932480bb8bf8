package dev.registrygrpc.client;

/**
 * A file of a version.
 *
 * @param path inside the version, {@code /} between segments
 * @param sha256 of its bytes, 64 lowercase hexadecimal characters
 * @param sizeBytes number of its bytes
 */
public record FileDigest(String path, String sha256, long sizeBytes) {}
