/** The client of a model registry; {@link dev.registrygrpc.client.Registry} is where to begin. */
package dev.registrygrpc.client;
