"""wss://: who is trusted, what is refused, and that not a byte is lost on the way."""

import datetime
import os
import socket
import ssl
import threading

import pytest

import frames
from frames import PING, PONG, frame, text, texts
from harness import LIMIT, Hurried, at_some_pace, wait_until
from servers.external import Nginx
from servers.hostile import sending, sending_and_waiting
from servers.plan import Plan
from servers.python import PythonServer
from spool_reader import events_of, payloads_of
from together import CLOSE_LIMIT_S

DAY = datetime.timedelta(days=1)
MEBIBYTE = 1 << 20
SECRET = "hush-hush-8261"


def refused(weir, server, *options, words, env=None):
    """The connection is not made, and the message says why."""
    result = weir.capture(server.url, *options, env=env)
    server.expect_failure(OSError, EOFError)
    return result.expect(3, *words)


def test_a_server_without_tls_that_hangs_up(weir, serve):
    server = serve(lambda connection: connection.socket.recv(1))
    weir.capture(server.url.replace("ws:", "wss:")).expect(3, "(ws://)")


def test_a_certificate_of_an_authority_that_is_trusted(weir, serve, authority):
    server = serve(sending(texts([b"one", b"two"])), tls=authority.context())
    result, spool = weir.captured(server.url, "--cacert", authority.path, "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"two"]
    assert result.report["url"] == server.url and "insecure" not in result.err


def test_what_is_offered(weir, serve, authority):
    """The name of the host, HTTP/1.1 alone, TLS 1.3."""
    names, context = [], authority.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    agreed = []

    def script(connection):
        agreed.extend([connection.socket.selected_alpn_protocol(), connection.socket.version()])
        sending(text("x"))(connection)

    server = serve(script, tls=context)
    url = f"wss://localhost:{server.port}/"
    weir.captured(url, "--cacert", authority.path)[0].expect(0)
    assert names == ["localhost"] and agreed == ["http/1.1", "TLSv1.3"]
    assert server.connection.request.value("host") == f"localhost:{server.port}"


@pytest.mark.parametrize("hosts, options, words", [
    (["127.0.0.1"], {"self_signed": True}, ["not to be trusted", "self-signed", "--cacert"]),
    (["example.com"], {}, ["not to be trusted", "127.0.0.1"]),
    (["127.0.0.1"], {"lasts": -DAY}, ["not to be trusted", "expired"]),
])
def test_certificates_that_are_refused(weir, serve, authority, hosts, options, words):
    server = serve(sending(b""), tls=authority.context(*hosts, **options))
    refused(weir, server, "--cacert", authority.path, words=words)


def test_an_authority_that_nobody_named(weir, serve, authority):
    server = serve(sending(b""), tls=authority.context())
    refused(weir, server, words=["not to be trusted", "--cacert"])


def test_insecure_takes_any_and_says_so_each_time(weir, serve, authority):
    server = serve(sending(text("x")), tls=authority.context("example.com", lasts=-DAY))
    for _ in range(2):
        result = weir.capture(server.url, "--insecure", "--status", "none")
        result.expect(0)
        assert result.out == b"x\n"
        assert "--insecure" in result.complaint and server.url in result.complaint


def test_insecure_and_cacert_contradict_each_other(weir, authority):
    weir.capture("wss://127.0.0.1:1/", "--insecure", "--cacert",
                 authority.path).expect(2, "--insecure", "--cacert")


@pytest.fixture
def lenient(place):
    """The TLS library would allow everything, so what is refused is refused by weir."""
    path = place.root / "openssl.cnf"
    path.write_text("openssl_conf = main\n[main]\nssl_conf = ssl\n[ssl]\nsystem_default = any\n"
                    "[any]\nMinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n")
    return {"OPENSSL_CONF": str(path)}


@pytest.mark.parametrize("version, taken", [(ssl.TLSVersion.TLSv1_1, False),
                                            (ssl.TLSVersion.TLSv1_2, True)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_versions_of_tls(weir, serve, authority, lenient, version, taken):
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    server = serve(sending(text("x")), tls=context)
    if taken:
        weir.captured(server.url, "--cacert", authority.path, env=lenient)[0].expect(0)
    else:
        refused(weir, server, "--cacert", authority.path, env=lenient,
                words=["TLS handshake", "TLS 1.2"])


def asking_for_a_certificate(authority, version=ssl.TLSVersion.TLSv1_3):
    context = authority.context()
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_ours(weir, serve, authority, version):
    server = serve(sending(text("x")), tls=asking_for_a_certificate(authority, version))
    certificate, key = authority.issue("a client")
    weir.captured(server.url, "--cacert", authority.path, "--cert", certificate, "--key",
                  key)[0].expect(0)


def test_certificate_and_key_in_one_file(weir, serve, place, authority):
    server = serve(sending(text("x")), tls=asking_for_a_certificate(authority))
    both = place.root / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in authority.issue("a client")))
    weir.captured(server.url, "--cacert", authority.path, "--cert", both)[0].expect(0)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_certificate_of_ours(weir, serve, authority, version):
    """With TLS 1.3 the server says so only after the handshake."""
    server = serve(sending(b""), tls=asking_for_a_certificate(authority, version))
    refused(weir, server, "--cacert", authority.path, words=["certificate", "--cert"])


def test_a_certificate_of_ours_that_the_server_does_not_trust(weir, serve, authority):
    server = serve(sending(b""), tls=asking_for_a_certificate(authority))
    certificate, key = authority.issue("stranger", self_signed=True)
    refused(weir, server, "--cacert", authority.path, "--cert", certificate, "--key", key,
            words=["certificate", "--cert"])


def test_an_encrypted_key(weir, serve, place, authority):
    server = serve(sending(text("x")), tls=asking_for_a_certificate(authority))
    certificate, key = authority.issue("a client", password=SECRET)
    options = ["--cacert", authority.path, "--cert", certificate, "--key", key]
    passwords = place.root / "password"
    passwords.write_text(SECRET + "\n")
    weir.captured(server.url, *options, "--key-password-file", passwords)[0].expect(0)
    result, spool = weir.captured(server.url, *options, "--key-password-env", "MY_PASSWORD",
                                  "--status", "json", env={"MY_PASSWORD": SECRET})
    result.expect(0)
    assert SECRET not in result.err
    assert not any(SECRET.encode() in path.read_bytes() for path in spool.iterdir())


def test_a_key_that_cannot_be_opened(weir, serve, place, authority):
    """Without a password nothing is asked for on a terminal: it is an error."""
    certificate, key = authority.issue("a client", password="another")
    options = ["--cacert", authority.path, "--cert", certificate, "--key", key]
    passwords = place.root / "password"
    passwords.write_text(SECRET)
    server = serve(sending(b""), tls=asking_for_a_certificate(authority))
    for more in ([], ["--key-password-file", passwords]):
        result = weir.capture(server.url, *options, *more)
        result.expect(3, "file for TLS", "password")
        assert SECRET not in result.err
    server.expect_failure(OSError, clients=2)


@pytest.mark.parametrize("content, word", [(b"", "empty"), (b"\n", "empty"), (b"two\nlines\n", "one line"),
                                           (b"nul\0", "NUL"), (b"x" * 70000, "64 KiB")],
                         ids=["empty", "blank", "two lines", "NUL", "long"])
def test_files_that_hold_no_password(weir, place, authority, content, word):
    certificate, key = authority.issue("a client")
    passwords = place.root / "password"
    passwords.write_bytes(content)
    weir.capture("wss://127.0.0.1:1/", "--cert", certificate, "--key", key,
                 "--key-password-file", passwords).expect(2, "--key-password-file", word)


@pytest.mark.parametrize("options, words", [
    (["--key", "k"], ["--key", "--cert"]),
    (["--key-password-env", "NO_SUCH_NAME", "--cert", "c"], ["NO_SUCH_NAME"]),
    (["--key-password-file", "/nonexistent", "--cert", "c"], ["/nonexistent", "No such file"]),
    (["--cacert", "a\nb"], ["line break"]),
    (["--cert", "a\rb"], ["line break"]),
])
def test_options_that_cannot_be_meant(weir, options, words):
    weir.capture("wss://127.0.0.1:1/", *options).expect(2, *words)


@pytest.mark.parametrize("option", ["--cacert", "--cert", "--key"])
def test_files_that_are_not_there(weir, authority, option):
    """Told at once: with --reconnect, a server that is down would hide it for as long as it is."""
    certificate = ["--cert", authority.issue("127.0.0.1")[0]] if option == "--key" else []
    result = weir.capture("wss://127.0.0.1:1/", "--reconnect", *certificate, option, "/nonexistent")
    result.expect(2, f"{option}: /nonexistent cannot be read: No such file")


@pytest.mark.parametrize("option", ["--cacert", "--cert"])
def test_files_that_are_something_else(weir, serve, authority, place, option):
    server = serve(sending(b""), tls=authority.context())
    path = place.root / "other"
    path.write_text("no certificate")
    result = weir.capture(server.url, "--insecure" if option == "--cert" else "--keep", option, path)
    result.expect(3, "file for TLS", str(path))
    server.expect_failure(OSError)


def behind_nginx(external, authority, plan, place, **options):
    upstream = PythonServer(plan, place.root)
    port = int(upstream.url.rsplit(":", 1)[1].rstrip("/"))
    return upstream, external(Nginx, port, authority.issue("127.0.0.1"), **options)


def test_nginx_ends_tls(weir, place, external, authority):
    """64 MiB, exactly, in messages of all sizes."""
    block = os.urandom(MEBIBYTE)
    plan = Plan()
    for n in range(96):
        plan.binary(block[n:n + (n % 7 + 1) * 16000 + n], block[:700000 - n * 1000])
    plan.close()
    upstream, nginx = behind_nginx(external, authority, plan, place)
    result, spool = weir.captured(nginx.url, "--cacert", authority.path, "--status", "json")
    result.expect(0)
    upstream.finish()
    assert payloads_of(spool) == [payload for _, payload in plan.sent]
    assert result.report["bytes"] > 64 * MEBIBYTE


def test_nginx_that_wants_a_certificate(weir, place, external, authority):
    more = f"ssl_client_certificate {authority.path}; ssl_verify_client on;"
    upstream, nginx = behind_nginx(external, authority, Plan().text("x").close(), place, more=more)
    trusting = ["--cacert", authority.path]
    certificate, key = authority.issue("a client")
    weir.capture(nginx.url, *trusting).expect(3, "400")
    weir.captured(nginx.url, *trusting, "--cert", certificate, "--key", key)[0].expect(0)
    upstream.finish()


def test_a_server_that_is_killed(weir, serve, place, external, authority):
    """kill -9 ends the TCP stream without the end of the TLS stream."""
    ready = threading.Event()

    def script(connection):
        connection.upgrade()
        connection.send(texts([b"%d" % n for n in range(5000)]) + text("x" * 1000)[:500])
        ready.set()
        connection.wait_end()

    server = serve(script)
    nginx = external(Nginx, server.port, authority.issue("127.0.0.1"))
    spool = place.root / "spool"
    process = weir.start_capture(nginx.url, "--cacert", authority.path, "--keep", "--spool", spool,
                                 "--status", "json")
    assert ready.wait(LIMIT)
    wait_until(lambda: [p for p in spool.glob("*.data") if p.stat().st_size > 23890 + 490],
               "everything was captured")
    nginx.kill()
    result = process.wait().expect(4, "without a Close", "in the middle of a message")
    assert result.report["messages"] == 5000
    assert payloads_of(spool) == [b"%d" % n for n in range(5000)]
    assert events_of(spool)[-1].cut


@pytest.mark.parametrize("end", ["close_notify", "FIN"])
def test_ends_without_close(weir, serve, authority, end):
    def script(connection):
        connection.upgrade(more=texts([b"one", b"two"]))
        if end == "FIN":
            raw = socket.socket(fileno=connection.socket.detach())
            raw.shutdown(socket.SHUT_RDWR)
            raw.close()
        else:
            connection.socket.settimeout(LIMIT)
            connection.socket.unwrap().close()

    server = serve(script, tls=authority.context())
    result, spool = weir.captured(server.url, "--cacert", authority.path)
    result.expect(4, "without a Close")
    assert payloads_of(spool) == [b"one", b"two"]


def test_reset(weir, serve, authority):
    def script(connection):
        connection.upgrade(more=text("one") + frame(PING))
        connection.next_of(PONG)
        connection.reset()

    server = serve(script, tls=authority.context())
    result, spool = weir.captured(server.url, "--cacert", authority.path)
    result.expect(4)
    assert payloads_of(spool) == [b"one"]


def test_every_byte_in_a_record_of_its_own(weir, serve, authority):
    messages = [b"", b"a", "ü漢😀".encode(), b"x" * 130]

    def script(connection):
        connection.read_request()
        head = "\r\n".join(["HTTP/1.1 101 ", *connection.accept_lines(), "", ""]).encode()
        connection.send_bytewise(head + texts(messages) + frame(PING, b"ping"))
        assert connection.next_of(PONG).payload == b"ping"
        connection.send_bytewise(frames.close(1000))
        assert connection.wait_close() == 1000

    server = serve(script, tls=authority.context())
    result, spool = weir.captured(server.url, "--cacert", authority.path)
    result.expect(0)
    assert payloads_of(spool) == messages


def test_everything_in_the_record_of_the_answer(weir, serve, authority):
    """Nothing more comes on the socket: what is in the TLS library has to be asked for."""
    def script(connection):
        connection.upgrade(more=text("a") + frame(PING, b"p") + text("b") + frames.close(1000))
        assert connection.wait_close() == 1000

    server = serve(script, tls=authority.context())
    result, spool = weir.captured(server.url, "--cacert", authority.path)
    result.expect(0)
    assert payloads_of(spool) == [b"a", b"b"]


def test_paused_with_data_in_the_tls_library(weir, serve, place, authority):
    """At its cap weir stops reading in the middle of records. The server has sent everything by
    then, so the rest of the last record is seen by nobody who only waits for the socket."""
    block = [b"%06d " % n + b"x" * 493 for n in range(2000)]
    server = serve(sending_and_waiting(texts(block) * 5), tls=authority.context())
    total = place.root / "total"
    command = f"sleep 0.02; cat {{}} >>{total}"
    result = weir.capture(server.url, "--cacert", authority.path, "--disk-max", 4 * MEBIBYTE,
                          "--segment-size", MEBIBYTE // 2, "--messages", 5 * len(block), "--",
                          "sh", "-c", command)
    result.expect(0)
    assert total.read_bytes() == b"".join(m + b"\n" for m in block) * 5


def test_close_by_us_is_seen_to_its_end(weir, serve, authority):
    """The server gets the Close frame, and behind it the end of the stream: it need not close, and
    weir does not wait until its patience is over."""
    ended = []

    def script(connection):
        connection.upgrade(more=texts([b"one", b"two"]))
        assert connection.answer_close() == 1000
        try:
            ended.append(connection.socket.recv(1))
        except ssl.SSLEOFError:
            ended.append(b"")

    def attempt(_pace):
        server = serve(script, tls=authority.context())
        result = weir.capture(server.url, "--cacert", authority.path, "--messages", 1, "--status",
                              "none")
        result.expect(0)
        server.join()
        assert set(ended) == {b""}
        if result.seconds >= CLOSE_LIMIT_S:
            raise Hurried("it took as long as if it had waited")

    at_some_pace(attempt)


def test_messages_to_send_and_pongs(weir, serve, authority):
    """Writes of more than a record, while reading."""
    sends = ["zwei ü", "x" * 70000, "y" * 120000]

    def script(connection):
        connection.upgrade()
        got = [connection.next_frame() for _ in sends]
        assert [f.payload.decode() for f in got] == sends
        pings = [b"%d" % n for n in range(300)]
        connection.send(b"".join(frame(PING, p) for p in pings))
        assert [connection.next_of(PONG).payload for _ in pings] == pings
        connection.finish()

    server = serve(script, tls=authority.context())
    options = [part for send in sends for part in ("--send", send)]
    weir.captured(server.url, "--cacert", authority.path, *options)[0].expect(0)


def test_a_server_that_reads_late(weir, serve, authority):
    """What was to be sent does not fit into the socket, and has to be tried again later, while more
    is added behind it."""
    sends = [str(n) * 120000 for n in range(10)]

    def script(connection):
        connection.upgrade()
        for n in range(100):
            connection.send(frame(PING, b"%d" % n) + text("x"))
        connection.send(text("last"))
        threading.Event().wait(0.3)
        got = [connection.next_of(frames.TEXT).payload.decode() for _ in sends]
        assert got == sends
        connection.finish()

    server = serve(script, tls=authority.context())
    options = [part for send in sends for part in ("--send", send)]
    result, spool = weir.captured(server.url, "--cacert", authority.path, *options)
    result.expect(0)
    assert payloads_of(spool)[-1] == b"last"


def test_descriptors(weir, serve, place, authority):
    """COMMAND inherits nothing of the connection, and nothing of it is open when it has ended."""
    listing, gate = place.root / "listing", place.root / "gate"
    server = serve(sending(text("x")), tls=authority.context())
    command = f"ls -l /proc/self/fd >{listing}; while ! test -e {gate}; do sleep 0.01; done"
    process = weir.start_capture(server.url, "--cacert", authority.path, "--", "sh", "-c", command)
    wait_until(listing.exists, "COMMAND runs")
    server.join()
    wait_until(lambda: not [d for d in process.descriptors() if d.startswith("socket:")],
               "the socket is closed")
    gate.touch()
    process.wait().expect(0)
    assert "socket:" not in listing.read_text()


def test_ipv6(weir, serve, authority):
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    server = serve(sending(text("x")), tls=authority.context(), listener=listener)
    url = f"wss://[::1]:{server.port}/"
    weir.captured(url, "--cacert", authority.path)[0].expect(0)
    assert server.connection.request.value("host") == f"[::1]:{server.port}"
