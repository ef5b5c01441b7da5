"""permessage-deflate: what is captured is what was sent, and what is sent arrives."""

import random

import pytest

import frames
import packed
from frames import BINARY, CONTINUATION, PING, TEXT, binary, frame, text, texts
from packed import Packer, Unpacker, message
from servers.plan import Plan
from spool_reader import DISCONNECTED, events_of, messages_of, payloads_of
from test_exactness import play

MEBIBYTE = 1 << 20
SIZES = [0, 1, 63, 64, 125, 126, 1000, 1024, 5000, 65535, 65536, 300_000]
TAKEOVER = [{}, {"server_no_context_takeover": True}, {"client_no_context_takeover": True},
            {"server_no_context_takeover": True, "client_no_context_takeover": True}]
WINDOWS = [{}, {"server_max_window_bits": 9, "client_max_window_bits": 15},
           {"server_max_window_bits": 15, "client_max_window_bits": 9},
           {"server_max_window_bits": 12, "client_max_window_bits": 8}]
LETTERS = "aé漢😀\n\r\n\t\"\\\u0000\u2028"
EMPTY = b"\0"  # an empty message, compressed


def parameters():
    return [{**takeover, **windows} for takeover in TAKEOVER for windows in WINDOWS]


def name_of(deflate):
    return " ".join(name if value is True else f"{name}={value}"
                    for name, value in deflate.items()) or "plain"


def payload_of(rng, size):
    """Text that is more or less easy to compress."""
    kind = rng.randrange(3)
    if kind == 0:
        return (LETTERS * (size // 20 + 1)).encode()[:size].decode(errors="ignore").encode()
    if kind == 1:
        return rng.randbytes(size // 2 + 1).hex()[:size].encode()
    return (b'{"price": 12.5, "size": 3} ' * (size // 27 + 1))[:size]


def cut(rng, payload):
    count = rng.choice([1, 1, 2, 5])
    at = sorted(rng.randrange(len(payload) + 1) for _ in range(count - 1))
    return [payload[a:b] for a, b in zip([0, *at], [*at, len(payload)])]


def fill(plan, seed):
    rng = random.Random(seed)
    for size in SIZES:
        plan.text(*cut(rng, payload_of(rng, size))).binary(*cut(rng, rng.randbytes(size)))
        plan.text(payload_of(rng, size)).ping(b"%d" % size)
    return plan


@pytest.mark.parametrize("deflate", parameters(), ids=name_of)
def test_all_parameters(weir, honest_server, place, deflate):
    """Of both directions: several messages come back, compressed by both sides in between."""
    sent = [b"short", b"subscribe " * 10, b"subscribe " * 10, payload_of(random.Random(7), 70000)]
    options = ["--send", sent[0].decode(), "--send", sent[1].decode(), "--send", sent[2].decode(),
               "--send", f"@{place.root / 'long'}"]
    (place.root / "long").write_bytes(sent[3])
    plan = fill(Plan().echo(*(("text", payload) for payload in sent)), name_of(deflate))
    play(weir, lambda p: honest_server(p, deflate=deflate), plan, *options)


@pytest.mark.parametrize("deflate", [{}, {"server_no_context_takeover": True}], ids=name_of)
def test_large_messages(weir, honest_server, deflate):
    rng, plan = random.Random(9), Plan()
    for size in (3 * MEBIBYTE, 8 * MEBIBYTE + 1):
        plan.binary(rng.randbytes(size)).text("between").text(*cut(rng, payload_of(rng, size)))
    play(weir, lambda p: honest_server(p, deflate=deflate), plan, "--segment-size", "1MiB")


def test_many_small_messages(weir, honest_server):
    rng, plan = random.Random(10), Plan()
    for number in range(5000):
        plan.text(b"%d " % number + payload_of(rng, rng.randrange(400)))
    server = honest_server(plan.close(), deflate={})
    result, spool = weir.captured(server.url, "--status", "json")
    report = result.expect(0).report
    assert payloads_of(spool) == [payload for _, payload in plan.sent]
    assert report["bytes"] == sum(len(payload) for _, payload in plan.sent)
    assert 5000 < report["wire_bytes"] < report["bytes"] / 2


def test_it_is_not_offered_when_not_wanted(weir, serve):
    server = serve(lambda c: (c.upgrade(more=text("plain")), c.next_of(TEXT), c.finish()))
    result, spool = weir.captured(server.url, "--no-compression", "--send", "x" * 100)
    result.expect(0)
    assert server.connection.request.values("sec-websocket-extensions") == []
    assert server.connection.received[0].payload == b"x" * 100
    assert payloads_of(spool) == [b"plain"]


def test_a_server_that_does_not_want_it(weir, serve):
    server = serve(lambda c: (c.upgrade(more=text("plain")), c.next_of(TEXT), c.finish()))
    result, spool = weir.captured(server.url, "--send", "x" * 100)
    result.expect(0)
    assert server.connection.received[0].payload == b"x" * 100
    assert payloads_of(spool) == [b"plain"]


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", range(8, 16))
def test_what_is_sent(weir, serve, place, bits, takeover):
    """Every size of window: it can be read with that window, and no larger one."""
    sent = [b"%d " % n + payload_of(random.Random(n), size)
            for n, size in enumerate([0, 58, 59, 64, 100, 5000, 5000, 40_000])]
    answer = f"{packed.NAME}; client_max_window_bits={bits}"
    answer += "" if takeover else "; client_no_context_takeover"
    seen = []

    def script(connection):
        packed.upgrade(connection, answer=answer)
        unpacker = Unpacker(takeover, bits)
        for payload in sent:
            got = frames.read_frame(connection.receive)
            assert got.fin and got.opcode == TEXT and got.masked
            assert got.reserved == (packed.RSV1 if len(payload) >= 64 else 0)
            seen.append(unpacker.unpack(got.payload) if got.reserved else got.payload)
        connection.finish()

    server = serve(script)
    options = []
    for number, payload in enumerate(sent):
        (place.root / f"{number}").write_bytes(payload)
        options += ["--send", f"@{place.root / str(number)}"]
    weir.captured(server.url, *options)[0].expect(0)
    server.join()
    assert seen == sent


def exactly(weir, serve, data, expected, script=None, **options):
    server = serve(script or packed.sending(data, **options))
    result, spool = weir.captured(server.url, "--status", "json")
    assert messages_of(spool) == expected, result
    report = result.expect(0).report
    assert (report["messages"], report["cut_bytes"]) == (len(expected), 0)
    assert report["bytes"] == sum(len(payload) for _, payload in expected)
    server.join()


def many(seed):
    """Messages of all kinds in one stream of bytes, and what they are."""
    rng, packer = random.Random(seed), Packer()
    data, expected = [], []
    for number in range(300):
        payload = b"%d " % number + payload_of(rng, rng.choice([0, 10, 100, 3000]))
        kind = rng.choice([TEXT, BINARY])
        form = rng.randrange(3)
        if form == 0:
            data.append(frame(kind, payload))
        elif form == 1:
            data.append(message(kind, packer.pack(payload)))
        else:
            ping = frame(PING, b"%d" % number)
            data.append(packed.fragments(kind, packer.pack(payload), rng.randrange(1, 40), ping))
        expected.append((kind, payload))
    return b"".join(data), expected


def test_all_forms_mixed(weir, serve):
    exactly(weir, serve, *many(1))


def test_byte_by_byte(weir, serve):
    data, expected = many(2)

    def script(connection):
        packed.upgrade(connection)
        connection.send_bytewise(data)
        connection.finish()

    exactly(weir, serve, data, expected, script)


def test_in_the_packet_of_the_answer(weir, serve):
    data, expected = many(3)

    def script(connection):
        packed.upgrade(connection, more=data)
        connection.finish()

    exactly(weir, serve, data, expected, script)


def test_pings_between_fragments_are_answered(weir, serve):
    payload = b"fragment" * 100

    def script(connection):
        packed.upgrade(connection)
        pieces = Packer().pack(payload)
        connection.send(frame(TEXT, pieces[:5], fin=False, reserved=packed.RSV1))
        connection.send(frame(PING, b"between") + frame(CONTINUATION, b"", fin=False))
        assert connection.next_frame().payload == b"between"
        connection.send(frame(CONTINUATION, pieces[5:]))
        connection.finish()

    exactly(weir, serve, b"", [(TEXT, payload)], script)


def final(payload):
    """A deflate stream that ends."""
    packer = packed.zlib.compressobj(9, packed.zlib.DEFLATED, -15)
    return packer.compress(payload) + packer.flush()


def stored(payload, last=0):
    return bytes([last]) + len(payload).to_bytes(2, "little") + \
        (len(payload) ^ 0xffff).to_bytes(2, "little") + payload


@pytest.mark.parametrize("form", [EMPTY, b"\x02\x00", packed.TAIL[:0], b"\x00" + packed.TAIL,
                                  final(b"") + b"\0", b"\x01\x00\x00\xff\xff\x00"],
                         ids=["stored", "fixed", "nothing", "with its tail", "final",
                              "final stored"])
def test_empty_messages(weir, serve, form):
    packer = Packer()
    data = packer.text(b"before") + message(TEXT, form) + message(BINARY, form)
    data += packed.fragments(TEXT, form, 1)
    data += frame(TEXT, b"", fin=False, reserved=packed.RSV1) + frame(CONTINUATION, form)
    data += frame(TEXT, form, fin=False, reserved=packed.RSV1) + frame(CONTINUATION, b"")
    exactly(weir, serve, data + packer.text(b"before"),
            [(TEXT, b"before"), (TEXT, b""), (BINARY, b""), *[(TEXT, b"")] * 3, (TEXT, b"before")])


def test_a_final_block_and_what_follows(weir, serve):
    """Section 7.2.3.5: the stream goes on behind it, in the same message and in the next."""
    packer = Packer()
    head = packer.pack(b"what comes before ")
    data = message(TEXT, head) + message(TEXT, final(b"one ") + EMPTY)
    data += message(TEXT, final(b"two ") + final(b"three ") + EMPTY)
    data += message(TEXT, final(b"four ") + stored(b"five") + EMPTY)
    data += message(TEXT, final(b"no empty block")) + text("plain")
    data += message(BINARY, Packer().pack(b"six"))
    exactly(weir, serve, data, [
        (TEXT, b"what comes before "), (TEXT, b"one "), (TEXT, b"two three "),
        (TEXT, b"four five"), (TEXT, b"no empty block"), (TEXT, b"plain"), (BINARY, b"six")])


def test_several_blocks(weir, serve):
    packer = packed.zlib.compressobj(9, packed.zlib.DEFLATED, -15)
    blocks = b""
    for number in range(50):
        blocks += packer.compress(b"block %d " % number)
        blocks += packer.flush(number % 2 and packed.zlib.Z_SYNC_FLUSH or packed.zlib.Z_BLOCK)
    blocks += packer.flush(packed.zlib.Z_SYNC_FLUSH)
    payload = b"".join(b"block %d " % number for number in range(50))
    data = message(TEXT, blocks[:-4]) + packed.fragments(TEXT, stored(b"x") + EMPTY, 2)
    exactly(weir, serve, data, [(TEXT, payload), (TEXT, b"x")])


def test_limits_are_exact(weir, serve):
    packer = Packer()
    payloads = [b"%03d" % n * 5 for n in range(500)]
    data = b"".join(map(packer.text, payloads)) + packer.binary(b"x" * (4 * MEBIBYTE))

    def script(connection):
        packed.upgrade(connection, more=data)
        connection.send_while_wanted(data)
        connection.answer_close()

    for number, options in enumerate([["--messages", "100"], ["--bytes", "1500"]]):
        server = serve(script)
        result, spool = weir.captured(server.url, *options, "--status", "json",
                                      spool=weir.place.root / f"spool-{number}")
        assert payloads_of(spool) == payloads[:100]
        report = result.expect(0).report
        assert (report["messages"], report["bytes"], report["end"]) == (100, 1500, "limit")
        assert not events_of(spool)[-1].cut
        server.join()


def test_each_connection_has_its_own_context(weir, serve):
    """After the first, which ends in the middle of a message."""
    def script(connection):
        packer = Packer()
        packed.upgrade(connection, more=packer.text(b"a text of many words"))
        connection.send(packer.text(b"a text of many words")[:-1])

    server = serve(script)
    options = ["--reconnect", "--retry-wait-max", "10ms", "--messages", "4", "--segment-age", "1ms"]
    result, spool = weir.captured(server.url, *options, "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"a text of many words"] * 4
    assert [r.cut for r in events_of(spool) if r.kind == DISCONNECTED][:3] == [True] * 3
    server.join()


def test_what_is_torn_off_is_told(weir, serve):
    """The bytes that had come of the message, as it would have been, and not of the one before."""
    packer = Packer()
    whole, half = packer.text(b"w" * 5000), packer.pack(b"half" * 300)

    def cut_at(size, spool):
        def script(connection):
            packed.upgrade(connection)
            connection.send(whole + message(TEXT, half + b"x" * 1000)[:size])

        server = serve(script)
        result, spool = weir.captured(server.url, "--status", "json", spool=spool)
        report = result.expect(4).report
        assert payloads_of(spool) == [b"w" * 5000]
        assert events_of(spool)[-1].cut_bytes == report["cut_bytes"]
        server.join()
        return events_of(spool)[-1].cut, report["cut_bytes"]

    root = weir.place.root
    assert cut_at(1, root / "a") == (False, 0)
    assert cut_at(4, root / "b") == (True, 0)
    assert cut_at(4 + len(half), root / "c") == (True, 1200)


def test_after_a_bad_message_nothing_counts(weir, serve):
    data = texts(["one"]) + message(BINARY, b"\xff") + binary(b"two")

    def script(connection):
        packed.upgrade(connection, more=data)
        assert connection.wait_close() == 1007

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(4, "cannot be decompressed")
    assert payloads_of(spool) == [b"one"]
    server.join()
