"""The limit for Resolve: a bare grpc.aio server under uvloop that answers the same bytes and does nothing else."""

import asyncio
import sys

import grpc
import uvloop


async def main(reply: bytes) -> None:
    """Serve Resolve on a free port, which is printed."""

    async def resolve(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return reply

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(resolve)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("registry_grpc.v1.StageService", {"Resolve": handler}),),
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(bytes.fromhex(sys.argv[1])))
