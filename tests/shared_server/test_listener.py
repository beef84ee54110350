"""The real port: clients that are slow, that go away, and that send what is no HTTP."""

import asyncio
import contextlib
import json
import socket
import sys

import pytest
from shared import FIM, GENEROUS, FakeBackend, body, pool_of, served

from coder_model.types import InvalidInput
from shared_server.listener import listen
from shared_server.local import gateway_app
from shared_server.settings import Limits, ServeSettings

HEAD = f"POST {FIM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def settings(**limits):
    return ServeSettings(port=0, quota=GENEROUS, limits=Limits(**{"typing_ms": 20_000, **limits}))


async def connected(address, client="127.0.0.1"):
    port = int(address.rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0))


async def post(address, data, client="127.0.0.1"):
    reader, writer = await connected(address, client)
    encoded = json.dumps(data).encode()
    writer.write(f"{HEAD}Content-Length: {len(encoded)}\r\nConnection: close\r\n\r\n".encode() + encoded)
    answer = await reader.read()
    writer.close()
    return answer


async def test_it_answers_on_a_port():
    async with served(settings(), {"unmask": pool_of(FakeBackend())}) as address:
        answer = await post(address, body())
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"text":"<x>"' in answer
        assert b"server:" not in answer.lower()


async def test_a_head_that_never_ends_is_hung_up_on_and_others_are_served():
    async with served(settings(head_s=0.2), {"unmask": pool_of(FakeBackend())}) as address:
        slow = [await connected(address) for _ in range(20)]
        for _, writer in slow:
            writer.write(HEAD.encode())
        assert (await post(address, body())).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(10):
            for reader, writer in slow:
                assert await reader.read() == b""
                writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="one address of this machine alone")
async def test_who_holds_as_many_connections_as_one_may_gets_no_more_and_others_are_served():
    async with served(settings(connections_per_client=2), {"unmask": pool_of(FakeBackend())}) as address:
        held = [await connected(address) for _ in range(30)]
        async with asyncio.timeout(10):
            for reader, _ in held[2:]:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
            assert (await post(address, body(), client="127.0.0.2")).startswith(b"HTTP/1.1 200")
            held[0][1].close()
            answer = b""
            while not answer:
                with contextlib.suppress(ConnectionError):
                    answer = await post(address, body())
        assert answer.startswith(b"HTTP/1.1 200")
        for _, writer in held[1:]:
            writer.close()


async def test_a_body_that_drips_is_refused_in_time():
    async with served(settings(body_s=0.2), {"unmask": pool_of(FakeBackend())}) as address:
        reader, writer = await connected(address)
        writer.write(f"{HEAD}Content-Length: 100\r\n\r\n".encode() + b'{"pro')
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_who_does_not_read_an_answer_takes_nobodys_connection():
    limits = {"body_kb": 16_384, "body_s": 60, "answer_s": 0.2, "connections": 2}
    async with served(settings(**limits), {"unmask": pool_of(FakeBackend())}) as address:
        # an answer of more than the system keeps for somebody: the lines that are rewritten come back
        lines = f"<|code_to_edit|>\n{'x' * (10 << 20)}<|cursor|>\n<|/code_to_edit|>\n"
        content = f"<|current_file_content|>\n{lines}<|/current_file_content|>"
        data = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
        head = HEAD.replace(FIM, "/v1/edit/completions")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", int(address.rpartition(":")[2])))
            await loop.sock_sendall(deaf, f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            async with asyncio.timeout(30):
                while not (await post(address, body())).startswith(b"HTTP/1.1 200"):
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_work_of_who_hangs_up_ends(stream):
    backend = FakeBackend()
    async with served(settings(), {"unmask": pool_of(backend)}) as address:
        _, writer = await connected(address)
        data = json.dumps(body("hang", stream=stream, diffusing=stream)).encode()
        writer.write(f"{HEAD}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        async with asyncio.timeout(10):
            while not backend.now:
                await asyncio.sleep(0.01)
            writer.close()
            while not backend.stopped:
                await asyncio.sleep(0.01)
        assert backend.now == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 hello",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        HEAD.encode() + b"Content-Length: -5\r\n\r\n",
        HEAD.encode() + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_ends_its_own_connection_only(data):
    async with served(settings(head_s=0.5), {"unmask": pool_of(FakeBackend())}) as address:
        reader, writer = await connected(address)
        writer.write(data)
        answer = b""
        async with asyncio.timeout(10):
            # bytes that nobody has read are answered by a reset
            with contextlib.suppress(ConnectionResetError):
                answer = await reader.read()
        assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
        writer.close()
        assert (await post(address, body())).startswith(b"HTTP/1.1 200")


async def test_a_port_that_is_taken_is_named():
    async with served(settings(), {"unmask": pool_of(FakeBackend())}) as address:
        taken = ServeSettings(port=int(address.rpartition(":")[2]))
        app = gateway_app(taken, {"unmask": pool_of(FakeBackend())})
        with pytest.raises(InvalidInput, match="port must be free"):
            await listen(app, taken, print)


async def test_files_for_tls_that_are_none_are_named(tmp_path):
    wrong = ServeSettings(port=0, certificate=str(tmp_path / "no"), key=str(tmp_path / "no"))
    with pytest.raises(InvalidInput, match="certificate and key must be files of TLS"):
        await listen(gateway_app(wrong, {"unmask": pool_of(FakeBackend())}), wrong, print)


async def test_when_the_server_ends_what_runs_is_answered_and_nothing_new_is_taken():
    backend = FakeBackend(seconds=0.5)
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(settings(), {"unmask": pool_of(backend)}))
        running = asyncio.create_task(post(address, body()))
        while not backend.now:
            await asyncio.sleep(0.01)
    assert (await running).startswith(b"HTTP/1.1 200")
    with pytest.raises(ConnectionRefusedError):
        await connected(address)
