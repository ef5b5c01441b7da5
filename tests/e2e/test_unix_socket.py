"""Unix sockets in place of host and port, and the two kinds of addresses."""

import socket
import uuid

import pytest

from frames import text
from harness import wait_until
from servers.hostile import HostileServer, sending
from spool_reader import payloads_of


def listen(address):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(8)
    return listener


@pytest.fixture
def serve_at():
    """serve_at(address): a server at that address of a Unix socket."""
    servers = []

    def start(address, **options):
        servers.append(HostileServer(sending(text("x")), listener=listen(address), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.finish()


def test_a_path(weir, place, serve_at):
    path = place.root / "socket"
    server = serve_at(str(path))
    result, spool = weir.captured("ws://example.com:81/a?b", "--unix-socket", path, "--status",
                                  "json")
    result.expect(0)
    assert payloads_of(spool) == [b"x"]
    request = server.connection.request
    assert (request.line, request.value("host")) == ("GET /a?b HTTP/1.1", "example.com:81")
    assert result.report["url"] == "ws://example.com:81/a"


def test_an_abstract_name(weir, serve_at):
    name = f"weir-test-{uuid.uuid4().hex}"
    server = serve_at("\0" + name)
    weir.captured("ws://localhost/", "--unix-socket", "@" + name)[0].expect(0)
    assert server.connection.request.value("host") == "localhost"


def test_tls_on_a_unix_socket(weir, place, serve_at, authority):
    """The certificate is that of the host in the URL."""
    path = place.root / "socket"
    serve_at(str(path), tls=authority.context("example.com"))
    weir.captured("wss://example.com/", "--unix-socket", path, "--cacert",
                  authority.path)[0].expect(0)


def test_the_environment_has_no_proxy_for_it(weir, place, serve_at):
    path = place.root / "socket"
    serve_at(str(path))
    weir.captured("ws://localhost/", "--unix-socket", path,
                  env={"http_proxy": "http://127.0.0.1:1", "all_proxy": "junk://"})[0].expect(0)


def test_nothing_there(weir, place):
    path = place.root / "nothing"
    weir.capture("ws://localhost/", "--unix-socket", path).expect(3, f"{path}: No such file")
    listen(str(path)).close()
    weir.capture("ws://localhost/", "--unix-socket", path).expect(3, "refused")


@pytest.mark.parametrize("options, words", [
    (["--unix-socket", "/" + "x" * 108], ["107 bytes"]),
    (["--unix-socket", ""], ["--unix-socket", "path"]),
    (["--unix-socket", "@"], ["--unix-socket", "@NAME"]),
    (["--unix-socket", "a\nb"], ["line break"]),
    (["--unix-socket", "a", "--proxy", "127.0.0.1:1"], ["--unix-socket", "--proxy"]),
    (["--unix-socket", "a", "--ipv4"], ["--unix-socket", "--ipv4"]),
    (["--ipv4", "--ipv6"], ["--ipv4", "--ipv6"]),
])
def test_options_that_cannot_be_meant(weir, options, words):
    weir.capture("ws://localhost/", *options).expect(2, *words)


def test_no_descriptor_is_left(weir, place, serve_at):
    path, gate = place.root / "socket", place.root / "gate"
    server = serve_at(str(path))
    process = weir.start_capture("ws://localhost/", "--unix-socket", path, "--", "sh", "-c",
                                 f"while ! test -e {gate}; do sleep 0.01; done")
    wait_until(lambda: server.connections, "weir connects")
    server.join()
    wait_until(lambda: not [d for d in process.descriptors() if d.startswith("socket:")],
               "the socket is closed")
    gate.touch()
    process.wait().expect(0)


@pytest.mark.parametrize("address, host", [("[::1]", "[::1]"), ("[::1%25lo]", "[::1]"),
                                           ("localhost", "localhost")])
def test_ipv6(weir, serve, address, host):
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    server = serve(sending(text("x")), listener=listener)
    url = f"ws://{address}:{server.port}/"
    result, _ = weir.captured(url, *(["--ipv6"] if host == "localhost" else []), "--status", "json")
    result.expect(0)
    assert server.connection.request.value("host") == f"{host}:{server.port}"
    assert result.report["url"] == f"ws://{host}:{server.port}/"


def test_one_kind_of_address_alone(weir, serve):
    server = serve(sending(text("x")))
    weir.capture(f"ws://127.0.0.1:{server.port}/", "--ipv6").expect(3, "no IPv6 address")
    assert not server.connections
    weir.captured(f"ws://localhost:{server.port}/", "--ipv4")[0].expect(0)
