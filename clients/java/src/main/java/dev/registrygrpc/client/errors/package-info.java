/** What calls throw: one class per kind of failure, with the reason the server gave. */
package dev.registrygrpc.client.errors;
