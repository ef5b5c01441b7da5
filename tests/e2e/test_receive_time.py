"""When a message came: as the kernel says, where it does."""

import signal
import ssl
import time

from frames import text
from harness import wait_until
from servers.hostile import sending
from spool_reader import records_of
from turns import confirm

PAUSE_S = 0.3
KERNEL_TIME = 2


def messages_of(spool):
    return [record for record in records_of(spool) if record.is_message]


def stopped_meanwhile(weir, serve):
    """A message comes while weir is stopped. Returns its record, and when it was sent and when weir
    went on."""
    def script(connection):
        connection.upgrade()
        wait_until(lambda: has_times(connection), "the kernel notes times")
        process.signal(signal.SIGSTOP)
        wait_until(process.stopped, "it is stopped")
        times.append(time.time_ns())
        connection.send(text("second"))
        time.sleep(PAUSE_S)
        times.append(time.time_ns())
        process.signal(signal.SIGCONT)
        connection.wait_taken()  # what is read together has the time of the last byte of it
        connection.finish()

    def has_times(connection):
        confirm(connection, text("first"))
        return messages_of(spool)[-1].flags == KERNEL_TIME

    times, spool, process = [], weir.place.root / "spool", None
    server = serve(lambda connection: (wait_until(lambda: process, "weir"), script(connection)))
    process = weir.start_capture(server.url, "--keep", "--spool", spool)
    process.wait().expect(0)
    return messages_of(spool)[-1], times


def test_the_kernel_saw_it_come(weir, serve):
    """It begins to note times a moment after it was asked to."""
    record, (sent_ns, went_on_ns) = stopped_meanwhile(weir, serve)
    assert record.payload == b"second" and record.flags == KERNEL_TIME
    assert sent_ns <= record.time_ns < went_on_ns


def test_what_is_encrypted_is_seen_when_it_is_read(weir, serve, authority, place):
    certificate, key = authority.issue("127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = serve(sending(text("one")), tls=tls)
    result, spool = weir.captured(server.url, "--cacert", authority.path)
    result.expect(0)
    assert [record.flags for record in messages_of(spool)] == [0]
