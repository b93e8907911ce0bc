"""The one request and the head of its answer, as bytes; HTTP/2 with the encoder and the frames of another library."""

from __future__ import annotations

import functools
from typing import Any

import h2.config
import h2.connection
import h2.events
import hpack
import pytest

from mtls._rehearsal.http import Answer, Authority, Http1, Http2, exchange


def test_the_protocol_that_was_negotiated_decides_how_it_is_asked() -> None:
    authority = Authority("api.example", 443)
    kinds = [type(exchange(alpn, authority)) for alpn in (None, "http/1.1", "http/1.0", "h2", "imap")]
    assert kinds == [Http1, Http1, Http1, Http2, type(None)]


@pytest.mark.parametrize(
    ("name", "port", "host"),
    [("api.example", 443, "api.example"), ("api.example", 8443, "api.example:8443"), ("::1", 443, "[::1]")],
)
def test_the_authority_names_a_port_that_is_not_443_and_brackets_an_ipv6_address(
    name: str, port: int, host: str
) -> None:
    assert str(Authority(name, port)) == host


class TestHTTP1:
    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_the_page_of_a_400_is_read_to_its_end_in_pieces_of_any_size(self, size: int) -> None:
        asked = Http1("api.example")
        sent = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nCONTENT-LENGTH: 5\r\n\r\n<html"
        for start in range(0, len(sent), size):
            assert not asked.done
            assert asked.feed(sent[start : start + size]) == b""
        assert asked.done
        assert asked.answer == Answer(400, {"content-type": "text/html", "content-length": "5"}, b"<html")

    def test_of_a_200_only_the_head_is_waited_for(self) -> None:
        asked = Http1("api.example")
        asked.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        assert asked.done

    def test_a_chunked_page_ends_with_its_last_chunk(self) -> None:
        asked = Http1("api.example")
        asked.feed(b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert not asked.done
        asked.feed(b"0\r\n\r\n")
        assert asked.done

    def test_an_interim_answer_is_passed_over(self) -> None:
        asked = Http1("api.example")
        asked.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n")
        assert asked.answer is not None
        assert (asked.done, asked.answer.status) == (True, 404)

    @pytest.mark.parametrize("head", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 20 x\r\n\r\n", b"HTTP/3 200\r\n\r\n", b"\n\n"])
    def test_what_is_no_http_has_no_status(self, head: bytes) -> None:
        asked = Http1("api.example")
        asked.feed(head)
        assert asked.answer is not None
        assert (asked.done, asked.answer.status) == (True, None)

    def test_no_more_than_64_kilobytes_are_looked_at(self) -> None:
        asked = Http1("api.example")
        for _ in range(70):
            asked.feed(b"x" * 1024)
        assert asked.done
        assert asked.answer is None


class Server:
    """The other end, by the library h2."""

    def __init__(self, *, huffman: bool = True) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="ascii")
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        if not huffman:
            encoder: Any = self.connection.encoder
            encoder.encode = functools.partial(encoder.encode, huffman=False)
        self.requests: list[dict[str, str]] = []

    def hear(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.requests.append({str(name): str(value) for name, value in event.headers})

    def answers(self, status: int, body: bytes) -> bytes:
        self.connection.send_headers(1, [(":status", str(status)), ("content-type", "text/html")])
        self.connection.send_data(1, body, end_stream=True)
        return self.connection.data_to_send()


class TestHTTP2:
    def test_the_request_is_one_get_that_another_library_understands(self) -> None:
        server = Server()
        server.hear(Http2("api.example:8443").request)
        pseudo = {":method": "GET", ":scheme": "https", ":path": "/", ":authority": "api.example:8443"}
        assert server.requests == [{**pseudo, "user-agent": "mtls-probe"}]

    def test_a_long_name_is_encoded_as_it_must_be(self) -> None:
        server, name = Server(), "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + ".example"
        server.hear(Http2(name).request)
        assert server.requests[0][":authority"] == name

    def test_the_longest_name_with_a_port_is_encoded_as_it_must_be(self) -> None:
        server, authority = Server(), str(Authority(".".join(["a" * 63] * 3 + ["b" * 62]), 65535))
        server.hear(Http2(authority).request)
        assert server.requests[0][":authority"] == authority

    def test_frames_of_other_kinds_and_streams_are_passed_over(self) -> None:
        asked = Http2("x")
        ping, priority = b"\0\0\x08\x06" + bytes(13), b"\0\0\x05\x02\0\0\0\0\x01" + bytes(5)
        assert asked.feed(ping + priority + _headers(b"\x88", stream=3)) == b""
        assert (asked.done, asked.answer) == (False, None)

    @pytest.mark.parametrize("huffman", [True, False])
    @pytest.mark.parametrize("size", [1, 10_000])
    @pytest.mark.parametrize("status", [400, 403, 495, 496])
    def test_status_and_page_are_read_from_pieces_of_any_size(self, status: int, size: int, huffman: bool) -> None:
        server, asked = Server(huffman=huffman), Http2("api.example")
        server.hear(asked.request)
        sent = server.answers(status, b"<html>")
        for start in range(0, len(sent), size):
            server.hear(asked.feed(sent[start : start + size]))
        assert asked.done
        assert asked.answer == Answer(status, {}, b"<html>")

    @pytest.mark.parametrize("status", range(200, 600))
    def test_every_status_is_read_in_either_encoding(self, status: int) -> None:
        for huffman in (True, False):
            block = hpack.Encoder().encode([(":status", str(status))], huffman=huffman)
            asked = Http2("api.example")
            asked.feed(_headers(block))
            assert asked.answer is not None
            assert asked.answer.status == status

    def test_settings_are_acknowledged(self) -> None:
        assert Http2("x").feed(bytes(3) + b"\x04\x00" + bytes(4)) == bytes(3) + b"\x04\x01" + bytes(4)
        assert Http2("x").feed(bytes(3) + b"\x04\x01" + bytes(4)) == b""

    def test_padding_and_priority_are_taken_away(self) -> None:
        asked = Http2("x")
        asked.feed(_headers(b"\x03" + bytes(5) + b"\x8c" + bytes(3), flags=4 | 8 | 32))
        assert asked.answer is not None
        assert asked.answer.status == 400

    def test_a_new_size_of_the_table_may_come_first(self) -> None:
        for update in (b"\x20", b"\x3f\xe1\xff\x03"):
            asked = Http2("x")
            asked.feed(_headers(update + b"\x88"))
            assert asked.answer is not None
            assert asked.answer.status == 200

    @pytest.mark.parametrize(
        "block", [b"", b"\x20", b"\x3f", b"\xff", b"\x82", b"\x48", b"\x48\x83\xff", b"\x48\x03abc"]
    )
    def test_a_block_without_a_status_has_none(self, block: bytes) -> None:
        asked = Http2("x")
        asked.feed(_headers(block))
        assert asked.answer == Answer(None, {}, b"")
        assert asked.done

    @pytest.mark.parametrize("frame", [bytes(3) + b"\x07\x00" + bytes(4), bytes(3) + b"\x03\x00\x00\x00\x00\x01"])
    def test_a_server_that_goes_away_has_answered_nothing(self, frame: bytes) -> None:
        asked = Http2("x")
        asked.feed(frame)
        assert (asked.done, asked.answer) == (True, None)

    def test_no_more_than_64_kilobytes_are_looked_at(self) -> None:
        asked = Http2("x")
        for _ in range(70):
            asked.feed(b"\xff" * 1024)
        assert asked.done


def _headers(block: bytes, flags: int = 4, stream: int = 1) -> bytes:
    return len(block).to_bytes(3, "big") + bytes((1, flags)) + stream.to_bytes(4, "big") + block
