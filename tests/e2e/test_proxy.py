"""Through proxies that others wrote: tinyproxy (HTTP CONNECT) and microsocks (SOCKS5)."""

import os
import socket
import threading

import pytest

from frames import text, texts
from harness import LIMIT, free_port
from servers.external import Microsocks, Nginx, Tinyproxy
from servers.hostile import sending
from spool_reader import payloads_of

USER, PASSWORD = "somebody", "pass-word-5391"
KINDS = {"http": Tinyproxy, "socks5": Microsocks, "socks5h": Microsocks}
# What the machine that runs the tests has set is not meant for them.
NO_ENVIRONMENT = {name: "" for proxy in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
                  for name in (proxy, proxy.upper())}


def environment(**variables):
    return {**NO_ENVIRONMENT, **variables}


def reaches(weir, server, *options, payloads=(b"one", b"two"), **more):
    result, spool = weir.captured(server.url, *options, "--status", "json",
                                  env=environment(**more))
    result.expect(0)
    assert payloads_of(spool) == list(payloads)
    assert PASSWORD not in result.err
    assert not any(PASSWORD.encode() in path.read_bytes() for path in spool.iterdir())
    return result


def credentials(place, user=USER, password=PASSWORD):
    path = place.root / "proxy-user"
    path.write_text(f"{user}:{password}\n")
    return path


def seen(proxy, server):
    """Whether the proxy was asked for this server."""
    return f"127.0.0.1:{server.port}" in proxy.log()


@pytest.fixture(params=["ws", "wss"])
def target(request, serve, authority):
    """A server, and what weir must be told to trust it."""
    if request.param == "ws":
        return serve(sending(texts([b"one", b"two"]))), []
    server = serve(sending(texts([b"one", b"two"])), tls=authority.context())
    return server, ["--cacert", authority.path]


@pytest.mark.parametrize("scheme", KINDS)
def test_by_option(weir, external, target, scheme):
    server, trust = target
    proxy = external(KINDS[scheme])
    reaches(weir, server, "--proxy", f"{scheme}://127.0.0.1:{proxy.port}", *trust)
    assert seen(proxy, server), proxy.log()


@pytest.mark.parametrize("scheme", KINDS)
def test_with_a_password_from_a_file(weir, place, external, target, scheme):
    server, trust = target
    proxy = external(KINDS[scheme], user=(USER, PASSWORD))
    reaches(weir, server, "--proxy", f"{scheme}://127.0.0.1:{proxy.port}", "--proxy-user-file",
            credentials(place), *trust)


@pytest.mark.parametrize("scheme", KINDS)
def test_with_a_password_from_the_environment(weir, external, target, scheme):
    server, trust = target
    proxy = external(KINDS[scheme], user=(USER, PASSWORD))
    url = f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"
    reaches(weir, server, *trust, all_proxy=url)


@pytest.mark.parametrize("scheme", KINDS)
@pytest.mark.parametrize("user", [None, (USER, "wrong-5391"), ("nobody", PASSWORD)])
def test_credentials_that_are_missing_or_wrong(weir, place, external, target, scheme, user):
    server, trust = target
    proxy = external(KINDS[scheme], user=(USER, PASSWORD))
    options = ["--proxy-user-file", credentials(place, *user)] if user else []
    result = weir.capture(server.url, "--proxy", f"{scheme}://127.0.0.1:{proxy.port}", *options,
                          *trust, env=environment())
    result.expect(3, "the proxy wants a user and password", f"127.0.0.1:{proxy.port}",
                  "--proxy-user-file")
    assert "5391" not in result.err and not server.connections


@pytest.mark.parametrize("name, scheme, used", [
    ("http_proxy", "ws", True), ("HTTP_PROXY", "ws", False), ("https_proxy", "ws", False),
    ("HTTPS_PROXY", "ws", False), ("all_proxy", "ws", True), ("ALL_PROXY", "ws", True),
    ("http_proxy", "wss", False), ("https_proxy", "wss", True), ("HTTPS_PROXY", "wss", True),
    ("all_proxy", "wss", True), ("ALL_PROXY", "wss", True),
])
def test_variables_of_the_environment(weir, serve, authority, name, scheme, used):
    """As libcurl has it for http:// and https://. HTTP_PROXY can come from a client of a CGI
    program, so it does not count."""
    tls = authority.context() if scheme == "wss" else None
    server = serve(sending(text("x")), tls=tls)
    dead = free_port()
    result = weir.capture(server.url, *(["--cacert", authority.path] if tls else []), "--status",
                          "none", env=environment(**{name: f"http://127.0.0.1:{dead}"}))
    if used:
        result.expect(3, "nobody answers at the proxy", f"127.0.0.1:{dead}")
    else:
        result.expect(0)


@pytest.mark.parametrize("options, variables", [
    (["--no-proxy", "127.0.0.1"], {}),
    (["--no-proxy", "example.com,127.0.0.1"], {}),
    (["--no-proxy", "*"], {}),
    ([], {"no_proxy": "127.0.0.1"}),
    ([], {"NO_PROXY": "127.0.0.1"}),
])
@pytest.mark.parametrize("by_option", [True, False])
def test_hosts_that_are_reached_without_it(weir, serve, options, variables, by_option):
    server = serve(sending(texts([b"one", b"two"])))
    proxy = f"http://127.0.0.1:{free_port()}"
    if by_option:
        options = [*options, "--proxy", proxy]
    else:
        variables = {**variables, "http_proxy": proxy}
    reaches(weir, server, *options, **variables)


def test_the_option_comes_before_the_environment(weir, serve, external):
    server, proxy = serve(sending(texts([b"one", b"two"]))), external(Tinyproxy)
    dead = f"http://127.0.0.1:{free_port()}"
    reaches(weir, server, "--proxy", f"127.0.0.1:{proxy.port}", http_proxy=dead)
    assert seen(proxy, server), proxy.log()


def test_an_empty_option_means_none(weir, serve):
    server = serve(sending(texts([b"one", b"two"])))
    reaches(weir, server, "--proxy", "", http_proxy=f"http://127.0.0.1:{free_port()}")


def test_names_are_resolved_where_they_are_said_to_be(weir, serve, external):
    """socks5h hands the name to the proxy, which knows localhost as well as we do; it is the name
    that microsocks logs then."""
    server = serve(sending(texts([b"one", b"two"])))
    url = f"ws://localhost:{server.port}/"
    for scheme, logged in (("socks5h", "localhost"), ("socks5", "127.0.0.1")):
        proxy = external(Microsocks)
        weir.captured(url, "--ipv4", "--proxy", f"{scheme}://127.0.0.1:{proxy.port}",
                      spool=weir.place.root / scheme, env=environment())[0].expect(0)
        assert f"connected to {logged}:{server.port}" in proxy.log()


def test_a_name_that_only_the_proxy_could_know(weir, external):
    proxy = external(Microsocks)
    result = weir.capture("ws://no-such-host.invalid/", "--proxy",
                          f"socks5h://127.0.0.1:{proxy.port}", env=environment())
    result.expect(3, "the proxy could not connect", f"127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_does_not_run(weir, serve, scheme):
    dead = free_port()
    result = weir.capture("ws://127.0.0.1:1/", "--proxy", f"{scheme}://127.0.0.1:{dead}",
                          env=environment())
    result.expect(3, "nobody answers at the proxy", f"127.0.0.1:{dead}", "refused")


def test_a_proxy_whose_name_is_unknown(weir):
    result = weir.capture("ws://127.0.0.1:1/", "--proxy", "http://no-such-proxy.invalid:3128",
                          env=environment())
    result.expect(3, "name of the proxy cannot be resolved", "no-such-proxy.invalid:3128")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_server_that_the_proxy_cannot_reach(weir, external, scheme):
    proxy = external(KINDS[scheme])
    result = weir.capture(f"ws://127.0.0.1:{free_port()}/", "--proxy",
                          f"{scheme}://127.0.0.1:{proxy.port}", env=environment())
    result.expect(3, "the proxy could not connect", f"127.0.0.1:{proxy.port}")


def test_a_proxy_that_forbids(weir, serve, external):
    """Tinyproxy lets no other ports be tunnelled to than those that ConnectPort names."""
    proxy = external(Tinyproxy, more="ConnectPort 443")
    server = serve(sending(b""))
    result = weir.capture(server.url, "--proxy", f"127.0.0.1:{proxy.port}", env=environment())
    result.expect(3, "the proxy refuses", f"127.0.0.1:{proxy.port}", "403", "--no-proxy")
    assert not server.connections


def test_a_proxy_that_is_none(weir, place, external):
    """nginx does not know CONNECT."""
    proxy = external(Nginx, free_port())
    result = weir.capture("ws://127.0.0.1:1/", "--proxy", f"127.0.0.1:{proxy.port}",
                          env=environment())
    result.expect(3, "the proxy refuses", f"127.0.0.1:{proxy.port}", "40")


def test_a_proxy_that_hangs_up(weir):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True)
    thread.start()
    result = weir.capture("ws://127.0.0.1:1/", "--proxy", f"127.0.0.1:{port}", env=environment())
    thread.join(LIMIT)
    listener.close()
    result.expect(3, "the proxy could not connect", f"127.0.0.1:{port}")


def test_a_certificate_that_is_refused_through_a_proxy(weir, serve, external, authority):
    """It is the server's fault, not the proxy's."""
    server, proxy = serve(sending(b""), tls=authority.context()), external(Tinyproxy)
    result = weir.capture(server.url, "--proxy", f"127.0.0.1:{proxy.port}", env=environment())
    result.expect(3, "the certificate of the server", "--cacert")
    assert "proxy" not in result.complaint
    server.expect_failure(OSError)


class TlsEnd:
    """A Python thread that ends TLS in front of a port: an HTTPS proxy, made of an HTTP one."""

    def __init__(self, port, context):
        self._port, self._context = port, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        client, _ = self._listener.accept()
        client.settimeout(LIMIT)
        try:
            client = self._context.wrap_socket(client, server_side=True)
        except OSError:
            return
        upstream = socket.create_connection(("127.0.0.1", self._port), LIMIT)
        self._threads.append(threading.Thread(target=self._copy, args=(upstream, client),
                                              daemon=True))
        self._threads[1].start()
        self._copy(client, upstream)

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def finish(self):
        for thread in self._threads:
            thread.join(LIMIT)
        self._listener.close()


@pytest.fixture
def https_proxy(external, authority):
    ends = []

    def start(**options):
        ends.append(TlsEnd(external(Tinyproxy).port, authority.context(**options)))
        return ends[-1]

    yield start
    for end in ends:
        end.finish()


def test_a_proxy_that_is_spoken_to_encrypted(weir, target, https_proxy, authority):
    """With ws://, the bytes on the socket are the proxy's TLS all the same."""
    server, _ = target
    proxy = https_proxy()
    reaches(weir, server, "--proxy", f"https://127.0.0.1:{proxy.port}", "--cacert", authority.path)


def test_an_encrypted_proxy_that_nobody_trusts(weir, https_proxy):
    proxy = https_proxy()
    result = weir.capture("ws://127.0.0.1:1/", "--insecure", "--proxy",
                          f"https://127.0.0.1:{proxy.port}", env=environment())
    result.expect(3, "no encrypted connection with the proxy", f"127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("proxy", ["user:pass-word-5391@127.0.0.1:1", "http://user@127.0.0.1:1",
                                   "socks5h://:pass-word-5391@127.0.0.1"])
def test_a_password_is_no_argument(weir, proxy):
    result = weir.capture("ws://127.0.0.1:1/", "--proxy", proxy, env=environment())
    result.expect(2, "--proxy", "--proxy-user-file", "environment")
    assert PASSWORD not in result.err


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:1", "http://", "http://h:99999", "a b",
                                   "http://h\r\nX: y", "http://pass-word-5391@h:x"])
def test_proxies_that_cannot_be(weir, proxy):
    for options, variables, name in ((["--proxy", proxy], {}, "--proxy"),
                                     ([], {"http_proxy": proxy}, "$http_proxy")):
        result = weir.capture("ws://127.0.0.1:1/", *options, env=environment(**variables))
        result.expect(2, name)
        assert PASSWORD not in result.err


@pytest.mark.parametrize("content", ["", "no-colon\n", "a:b\nc:d\n", "a:b\0\n", "a:\x01\n"])
def test_files_that_hold_no_user(weir, place, content):
    path = place.root / "proxy-user"
    path.write_bytes(content.encode())
    result = weir.capture("ws://127.0.0.1:1/", "--proxy", "127.0.0.1:1", "--proxy-user-file",
                          path, env=environment())
    result.expect(2, "--proxy-user-file")


def test_a_user_without_a_proxy(weir, place):
    weir.capture("ws://127.0.0.1:1/", "--proxy-user-file", credentials(place),
                 env=environment()).expect(2, "--proxy-user-file", "--proxy")


def test_much_through_a_proxy(weir, serve, external, authority):
    block = [os.urandom(50000).hex().encode() for _ in range(40)]
    server = serve(sending(texts(block) * 4), tls=authority.context())
    proxy = external(Tinyproxy)
    reaches(weir, server, "--proxy", f"127.0.0.1:{proxy.port}", "--cacert", authority.path,
            payloads=block * 4)
