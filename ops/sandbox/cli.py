"""Starting the sandbox: its options, its two lines of output, and its end."""

import argparse
import asyncio
import json
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from ops.sandbox.keys import PREFIX
from ops.sandbox.restore import open_world
from ops.sandbox.settings import Settings, SettingsError, rows
from ops.sandbox.web.app import application
from ops.sandbox.world import World

HOST = "127.0.0.1"
_END_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The sandbox ran until it was told to stop; gives the process's exit status."""
    options = _options(arguments)
    if options.list_settings:
        print(settings_table())
        return 0
    try:
        settings = _settings(options)
        world = open_world(settings, options.state, options.api_key)
    except (SettingsError, OSError, ValueError) as fault:
        print(f"sandbox: {fault}", file=sys.stderr)
        return 2
    logging.basicConfig(stream=sys.stderr, level=logging.INFO if options.access_log else logging.WARNING)
    return asyncio.run(_serve(world, options.port, access_log=options.access_log))


_EXAMPLES = "Examples\n  darkroom sandbox --port 8900\n  darkroom sandbox top-up 5000"


def settings_table() -> str:
    """Every setting as a table in Markdown."""
    head = "| setting | rule | default | meaning |\n|---|---|---|---|"
    lines = (f"| `{name}` | {mark} | `{default}` | {meaning} |" for name, mark, default, meaning in rows())
    return "\n".join([head, *lines])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="darkroom sandbox",
        description="A strict stand-in for the provider. `top-up CREDITS` adds credits to the one that runs here.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 is a free one (default)")
    parser.add_argument("--state", type=Path, help="folder that keeps tasks, keys, files and books across restarts")
    parser.add_argument("--settings", type=Path, help="JSON file with settings")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting; VALUE is JSON or text"
    )
    parser.add_argument(
        "--api-key", help=f"key to accept and announce, {PREFIX}...; default: the kept one or a new one"
    )
    parser.add_argument("--access-log", action="store_true", help="log each request to stderr")
    parser.add_argument("--list-settings", action="store_true", help="print every setting as a table, and end")
    options = parser.parse_args(arguments)
    if options.api_key and not options.api_key.startswith(PREFIX):
        parser.error(f"--api-key must begin with {PREFIX}")
    return options


def _settings(options: argparse.Namespace) -> Settings:
    settings = Settings()
    if options.settings:
        settings = settings.merged(json.loads(options.settings.read_text(encoding="utf-8")))
    return settings.merged(dict(_named(pair) for pair in options.set))


def _named(pair: str) -> tuple[str, Any]:
    name, equals, text = pair.partition("=")
    if not equals:
        raise SettingsError(name, "has no value", "NAME=VALUE")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


async def _serve(world: World, port: int, *, access_log: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        application(world),
        access_log=logging.getLogger("aiohttp.access") if access_log else None,
        shutdown_timeout=_END_S,
    )
    await runner.setup()
    try:
        listening = _listening(port)
        world.base_url = f"http://{HOST}:{listening.getsockname()[1]}"
        await web.SockSite(runner, listening, backlog=1024).start()
        print(f"RIVYA_BASE_URL={world.base_url}\nRIVYA_API_KEY={world.main_secret}", flush=True)
        await stop.wait()
    except OSError as fault:
        print(f"sandbox: cannot listen on {HOST}:{port}: {fault}; take another --port", file=sys.stderr)
        return 2
    finally:
        await runner.cleanup()
        world.save_counts(world.now())
        world.journal.close()
    return 0


def _listening(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((HOST, port))
    return listening
