"""OpenSSF Model Signing v1.0: bundles read strictly, and judged by the digests of files, never by their bytes."""
