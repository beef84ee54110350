import asyncio

import pytest
from play_page import page_of, served
from websockets.exceptions import ConnectionClosed, InvalidStatus

from coder_model.types import InvalidInput
from unmask_cli.loopback import HERE
from unmask_cli.play.messages import MOST_MESSAGE_BYTES
from unmask_cli.play.models import Shelf
from unmask_cli.play.server import FILES, MOST_PAGES, PAGE, POLICY, PageServer
from unmask_cli.play.visit import Opened


async def asked(server, path="/", method="GET", **headers):
    """Status, headers and body of the answer to a request; `Host` is right unless it is given, None leaves it out."""
    reader, writer = await asyncio.open_connection(HERE, server.port)
    lines = {"Host": f"{HERE}:{server.port}", "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = [f"{name}: {one}" for name, value in lines.items() if value is not None for one in value.split("|")]
    writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *head, "", ""]).encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body


def handshake(server, **headers):
    usual = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec_WebSocket_Protocol": f"unmask, {server.token}",
        "Origin": f"http://{HERE}:{server.port}",
    }
    return asked(server, "/socket", **usual | headers)


async def test_every_file_comes_as_it_is_and_under_the_strict_policy():
    async with served() as server:
        for path, (name, kind) in FILES.items():
            status, headers, body = await asked(server, path)
            assert (status, headers["Content-Type"]) == (200, kind)
            assert body == (PAGE / name).read_bytes()
            assert headers["Content-Security-Policy"] == POLICY
            assert headers["X-Content-Type-Options"] == "nosniff"
        for path in ("/LICENSES.txt", "/../server.py", "/main.js/", "//main.js", "/%2e%2e/server.py"):
            assert (await asked(server, path))[0] == 404


async def test_the_token_is_in_no_answer_and_differs_from_start_to_start():
    async with served() as one, served() as other:
        assert one.token != other.token
        assert len(one.token) >= 43
        for path in ("/", "/main.js", "/gone", "/socket"):
            assert one.token.encode() not in (await asked(one, path))[2]


@pytest.mark.parametrize("path", ["/", "/main.js", "/socket"])
@pytest.mark.parametrize("host", [None, "", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "twice"])
async def test_a_name_that_is_not_ours_is_refused(path, host):
    async with served() as server:
        named = host and host.format(port=server.port)
        if host == "twice":
            named = f"{HERE}:{server.port}|{HERE}:{server.port}"
        ask = handshake(server, Host=named) if path == "/socket" else asked(server, path, Host=named)
        status, _, body = await ask
        assert (status, body) == (403, b"Host must be the address of this server\n")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1", "", None]
)
async def test_the_socket_is_for_our_own_page_alone(origin):
    async with served() as server:
        status, _, body = await handshake(server, Origin=origin and origin.format(port=server.port))
        assert (status, body) == (403, b"Origin must be a page of this server\n")


async def test_another_page_gets_no_file_either():
    async with served() as server:
        assert (await asked(server, "/main.js", Origin="http://evil.example"))[0] == 403
        assert (await asked(server, "/main.js", Origin=f"http://localhost:{server.port}"))[0] == 200


@pytest.mark.parametrize("offered", ["unmask", "unmask, none", "unmask, {short}", "unmask, {token}x", None])
async def test_without_the_token_nobody_is_let_in(offered):
    async with served() as server:
        words = offered and offered.format(token=server.token, short=server.token[:-1])
        status, _, body = await handshake(server, Sec_WebSocket_Protocol=words)
        assert status == 403
        assert body.startswith(b"the token must be")
        with pytest.raises(InvalidStatus):
            async with page_of(server, token="wrong"):
                pass


async def test_the_page_is_let_in_by_both_names_of_this_machine():
    async with served() as server:
        for name in (HERE, "localhost"):
            async with page_of(server, origin=f"http://{name}:{server.port}") as page:
                assert (await page.until("greeting"))[0]["chosen"] == "fake"


async def test_a_huge_message_ends_its_connection_with_a_reason_and_no_other():
    async with served() as server, page_of(server) as good, page_of(server) as bad:
        await bad.fill("x" * MOST_MESSAGE_BYTES)
        with pytest.raises(ConnectionClosed) as closed:
            await bad.until("step")
        assert closed.value.rcvd.code == 1009
        assert closed.value.rcvd.reason
        await good.fill("x = ")
        assert (await good.answer())[-1]["draft"]["text"].startswith("<x = ")


async def test_pages_are_counted_and_one_that_goes_makes_room():
    async with served() as server:
        server._pages = MOST_PAGES - 1
        async with page_of(server) as page:
            await page.until("greeting")
            assert (await handshake(server))[0] == 503
        async with asyncio.timeout(10):
            while server._pages >= MOST_PAGES:
                await asyncio.sleep(0.01)
        async with page_of(server) as page:
            await page.until("greeting")


async def test_other_methods_and_nonsense_end_the_connection_alone():
    async with served() as server:
        for method in ("POST", "HEAD", "OPTIONS", "get"):
            assert (await asked(server, "/", method=method))[0] == 405
        _, writer = await asyncio.open_connection(HERE, server.port)
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        await writer.drain()
        writer.close()
        assert (await asked(server))[0] == 200


async def test_a_port_that_is_taken_is_named():
    async with served() as server:
        another = PageServer(Shelf.__new__(Shelf), Opened())
        with pytest.raises(InvalidInput, match=f"--port must be free on this machine, got {server.port}"):
            await another.run(server.port, lambda: None)


async def test_only_loopback_is_listened_on():
    async with served() as server:
        assert server.address.startswith(f"http://127.0.0.1:{server.port}/#")
