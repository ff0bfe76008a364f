"""The process of tests/first_load.py: it indexes the app, and runs each invocation in a fork of itself."""

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from local.host.worker import Worker


async def invoke(worker: Worker, asked: dict[str, Any]) -> int:
    if asked["kind"] == "timer":
        await worker.timer(asked["function"])
    elif asked["kind"] == "queue":
        await worker.queue(asked["function"], asked["body"])
    else:
        url = f"{os.environ['PUBLIC_BASE_URL']}/api/{asked['path']}"
        result = await worker.http(
            asked["function"], asked["method"], url, asked["headers"], asked["body"].encode(), asked["params"]
        )
        return result.answer.status if result.answer else 0
    return 200


def in_a_fork(worker: Worker, asked: dict[str, Any], heavy: list[str]) -> Any:
    """(status, our modules, heavy libraries) that are new after the invocation."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            before = set(sys.modules)
            status = asyncio.run(invoke(worker, asked))
            new = set(sys.modules) - before
            packages = {name.rpartition(".")[0] for name in sys.modules}
            ours = [name.removeprefix("shared.") for name in new - packages if name.startswith("shared.")]
            os.write(writing, json.dumps([status, ours, [name for name in heavy if name in new]]).encode())
        except BaseException:  # noqa: BLE001  (a fork must not go on as its parent does)
            traceback.print_exc()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    assert text, f"the invocation of {asked['function']} failed"
    return json.loads(text)


def main() -> None:
    asked = json.load(sys.stdin)
    worker = asyncio.run(Worker.start(Path.cwd()))
    early = [name for name in asked["heavy"] if name in sys.modules]
    assert not early, f"indexing the app loads {early}"
    print(json.dumps([in_a_fork(worker, each, asked["heavy"]) for each in asked["invocations"]]))


main()
