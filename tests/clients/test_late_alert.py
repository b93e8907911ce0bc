"""A write that fails is put off while there is something to read, and never for ever."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from typing import TYPE_CHECKING, Any

import pytest

from mtls.integrations._late_alert import LateAlertSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 20.0
WORDS = b"the last words"
WRITES: dict[str, Callable[[LateAlertSocket], int]] = {
    "send": lambda sock: sock.send(b"x"),
    "sendmsg": lambda sock: sock.sendmsg([b"x", b"y"]),
}
each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@contextlib.contextmanager
def connected() -> Iterator[tuple[LateAlertSocket, socket.socket]]:
    """A client of the class and its server, in the same process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = LateAlertSocket()
        client.connect(listener.getsockname())
        client.settimeout(0)
        server, _ = listener.accept()
    with client, server:
        yield client, server


@contextlib.contextmanager
def reset(words: bytes = WORDS) -> Iterator[LateAlertSocket]:
    """A client whose server said something, and then closed without having read what it was sent: a reset."""
    with connected() as (client, server):
        client.send(b"never read")
        select.select([server], [], [], DEADLINE)
        server.sendall(words)
        server.close()
        poll = select.poll()
        poll.register(client, 0)  # hang-up and error are always reported
        assert poll.poll(DEADLINE * 1000)
        yield client


@each_write
def test_a_write_is_put_off_until_what_waits_was_read(write: Callable[[LateAlertSocket], int]) -> None:
    with reset() as client:
        with pytest.raises(BlockingIOError, match="read first") as caught:
            write(client)
        assert isinstance(caught.value.__cause__, ConnectionError)
        assert client.recv(100) == WORDS
        with pytest.raises(ConnectionError):
            write(client)
        assert client.last_words == b""


@each_write
def test_a_write_that_nobody_reads_beside_fails_after_a_few_tries(write: Callable[[LateAlertSocket], int]) -> None:
    with reset() as client:
        for _ in range(4):
            with pytest.raises(BlockingIOError):
                write(client)
        with pytest.raises(ConnectionError):
            write(client)
        assert client.last_words == WORDS
        with pytest.raises(ConnectionError):
            write(client)


def test_a_write_is_put_off_as_long_as_somebody_reads() -> None:
    with reset() as client:
        for place in range(len(WORDS)):
            for _ in range(2):
                with pytest.raises(BlockingIOError):
                    client.send(b"x")
            assert client.recv(1) == WORDS[place : place + 1]
        with pytest.raises(ConnectionError):
            client.send(b"x")


@each_write
def test_a_write_with_nothing_to_read_fails_at_once(write: Callable[[LateAlertSocket], int]) -> None:
    with reset(b"") as client, pytest.raises(ConnectionError):
        write(client)


def test_a_blocking_write_fails_at_once_because_its_caller_would_wait_for_ever() -> None:
    with reset() as client:
        client.settimeout(DEADLINE)
        with pytest.raises(ConnectionError):
            client.send(b"x")
        assert client.recv(100) == WORDS


def fill(client: LateAlertSocket) -> None:
    while True:
        client.send(bytes(1_000_000))


def test_a_write_of_a_connection_that_is_well_is_the_socket_s_own() -> None:
    with connected() as (client, server):
        assert client.send(b"abc") == 3
        assert client.sendmsg([b"de", b"f"]) == 3
        with pytest.raises(BlockingIOError, match="temporarily unavailable"):
            fill(client)
        server.settimeout(DEADLINE)
        assert server.recv(6, socket.MSG_WAITALL) == b"abcdef"


def test_words_are_kept_up_to_a_bound() -> None:
    with reset(bytes(100_000)) as client:
        for _ in range(5):
            with pytest.raises(OSError, match=r"read first|reset|Broken pipe"):
                client.send(b"x")
        assert len(client.last_words) == 65536


def test_asyncio_with_reading_paused_does_not_spin() -> None:
    tries = 0

    class Counting(LateAlertSocket):
        def send(self, *arguments: Any) -> int:
            nonlocal tries
            tries += 1
            return super().send(*arguments)

        def sendmsg(self, *arguments: Any) -> int:
            nonlocal tries
            tries += 1
            return super().sendmsg(*arguments)

    class Lost(asyncio.Protocol):
        def __init__(self) -> None:
            self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async def write(sock: socket.socket) -> Exception | None:
        transport, protocol = await asyncio.get_running_loop().create_connection(Lost, sock=sock)
        transport.pause_reading()
        transport.write(b"x")
        return await asyncio.wait_for(protocol.lost, DEADLINE)

    with reset() as client:
        counting = Counting(fileno=client.detach())
        counting.settimeout(0)
        assert isinstance(asyncio.run(write(counting)), ConnectionError)
    assert tries == 5
