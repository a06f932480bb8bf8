"""Generated from proto/registry_grpc/v1 by scripts/gen; do not edit."""
