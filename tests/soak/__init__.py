"""An hour of work with a fault every half minute."""

import os

# Engines and replicas are started again from a process with gRPC's threads in it: its handlers of forks end the child
# now and then before it becomes PostgreSQL (`Check failed: next_worker->state == KICKED`).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
