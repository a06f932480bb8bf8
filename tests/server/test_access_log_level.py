"""The access log honours the level: what went well is information."""

import json

import pytest
from grpc import aio

from tests.server.edge import UNARY, edge


@pytest.mark.parametrize(("level", "codes"), [("info", ["OK", "Unauthenticated"]), ("warning", ["Unauthenticated"])])
async def test_at_warning_only_calls_that_failed_are_written(tmp_path, capsys, level, codes):
    async with edge(tmp_path, log_level=level, log_format="json") as it:
        await it.raw(UNARY)
        with pytest.raises(aio.AioRpcError):
            await it.raw(UNARY, metadata=())
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert [line["code"] for line in lines if line["event"] == "call"] == codes
