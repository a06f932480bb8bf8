package dev.registrygrpc.client.errors;

import java.io.Serializable;

/**
 * One field, rule or resource that stands in the way.
 *
 * @param subject the field, rule or resource
 * @param description what is wrong with it
 */
public record Violation(String subject, String description) implements Serializable {}
