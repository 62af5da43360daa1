"""A proxy on loopback, so that a connection between two parts can be cut, held up or refused."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
CHUNK_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: an end by reset, as of a machine that is gone

Target = Path | int  # a unix socket, or a port


class Proxy:
    """One address in front of another. Its methods may be called from any thread."""

    def __init__(self, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop
        self._pipes: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self.port: int = asyncio.run_coroutine_threadsafe(self._listen(), loop).result(10)

    def cut(self) -> None:
        """End every connection; new ones are let through."""
        self._loop.call_soon_threadsafe(self._cut)

    def refuse(self, refusing: bool) -> None:
        """End every connection, and whatever comes until this is taken back."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def hold(self, holding: bool) -> None:
        """Let nothing through, and tell nobody: as a network that has lost its way."""
        change: Callable[[], None] = self._flowing.clear if holding else self._flowing.set
        self._loop.call_soon_threadsafe(change)

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._accept, HOST, 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        try:
            if isinstance(self._target, Path):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            _reset(writer)
            return
        self._pipes |= {writer, far_writer}
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            pass
        finally:
            self._pipes -= {writer, far_writer}
            _reset(writer)
            _reset(far_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one side has ended: so does the other

    def _cut(self) -> None:
        for writer in list(self._pipes):
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        with suppress(OSError):
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()


class Proxies:
    """All proxies of a run, in one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True).start()

    def to(self, target: Target) -> Proxy:
        return Proxy(target, self._loop)
