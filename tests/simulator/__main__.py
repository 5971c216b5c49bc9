"""``python -m tests.simulator --port 0 --config FILE|JSON``: serve until told to stop; the first line printed is the address."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.simulator.config import read_config
from tests.simulator.server import serve


async def _run(arguments: argparse.Namespace) -> None:
    until = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, until.set)
    if arguments.stop_at_eof:
        loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.buffer.read1() or until.set())

    def is_ready(port: int) -> None:
        print(json.dumps({"port": port, "url": f"http://127.0.0.1:{port}/v1"}), flush=True)

    await serve(read_config(arguments.config), arguments.port, arguments.bill, is_ready, until)


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="A model provider to test against.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--config", default="{}", help="a JSON file, or the JSON itself")
    parser.add_argument("--bill", type=Path, help="where POST /bill/save and the end write the bill; taken up at the start when it exists")
    parser.add_argument("--stop-at-eof", action="store_true", help="stop when the standard input closes, as when the parent dies")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
