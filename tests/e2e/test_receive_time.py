"""When a message came: as the kernel says, where it does."""

import signal
import ssl
import time

from frames import text
from servers.hostile import sending
from spool_reader import records_of

PAUSE_S = 0.3
KERNEL_TIME = 2


def messages_of(spool):
    return [record for record in records_of(spool) if record.is_message]


def stopped_meanwhile(weir, serve, **options):
    """A message comes while weir is stopped. Returns its record and when it was sent."""
    sent = []

    def script(connection):
        connection.upgrade(more=text("first"))
        process_ready(connection)
        sent.append(time.time_ns())
        connection.send(text("second"))
        time.sleep(PAUSE_S)
        process.signal(signal.SIGCONT)
        time.sleep(PAUSE_S)  # what is read together has the time of the last byte of it
        connection.finish()

    def process_ready(connection):
        time.sleep(0.2)
        process.signal(signal.SIGSTOP)
        time.sleep(0.1)

    spool = weir.place.root / "spool"
    server = serve(script, **options)
    process = weir.start_capture(server.url, "--keep", "--spool", spool)
    process.wait().expect(0)
    return messages_of(spool)[-1], sent[0]


def test_the_kernel_saw_it_come(weir, serve):
    """The kernel begins to note times a moment after it was asked to: the second message has one."""
    record, sent_ns = stopped_meanwhile(weir, serve)
    assert record.payload == b"second" and record.flags == KERNEL_TIME
    assert 0 <= record.time_ns - sent_ns < PAUSE_S / 2 * 1e9


def test_what_is_encrypted_is_seen_when_it_is_read(weir, serve, authority, place):
    certificate, key = authority.issue("127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = serve(sending(text("one")), tls=tls)
    result, spool = weir.captured(server.url, "--cacert", authority.path)
    result.expect(0)
    assert [record.flags for record in messages_of(spool)] == [0]
