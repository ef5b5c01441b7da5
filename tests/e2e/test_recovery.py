"""What a capture makes of a spool that a crash, a loss of power or somebody else has damaged."""

import os

import pytest

from crc32c import crc32c
from damage import MESSAGES, flip, spool  # noqa: F401 (one is a fixture)
from frames import text, texts
from harness import SANITIZED
from servers.hostile import sending
from spool_reader import DAMAGED, ENTRY, GAP, GAP_END, HEADER, LOST, payloads_of, read_segment, records_of
from spool_writer import header, write_spool
from test_faults import faulty, library  # noqa: F401 (fixtures)


def indexes(spool):
    return sorted(spool.glob("*.index"))


def as_open(index):
    """The last segment, as a death leaves it."""
    return index.rename(index.with_suffix(".index.open"))


def number_of(index, payload):
    return [r.payload for r in read_segment(index).records].index(payload)


def damage_payload(index, payload):
    data = index.with_name(index.name[:20] + ".data")
    flip(data, data.read_bytes().index(payload))


def continued(weir, serve, spool, collector):
    """The next run, which hands on what there is."""
    return weir.capture(serve(sending(text("new"))).url, "--spool", spool, "--", *collector.by_path)


def without(*lost):
    return [m for m in MESSAGES if m not in lost] + [b"new"]


def endings(spool):
    return sorted(path.name[20:] for path in spool.iterdir() if path.name != "lock")


@pytest.mark.parametrize("was_open", [True, False])
@pytest.mark.parametrize("number", [0, 15, 25])
def test_one_damaged_message_is_all_that_is_lost(weir, serve, spool, collector, number, was_open):
    payload = MESSAGES[number]
    index = next(path for path in indexes(spool)
                 if payload in [r.payload for r in read_segment(path).records])
    damage_payload(index, payload)
    damaged = index.with_name(index.name[:20] + ".data").read_bytes()
    if was_open:
        as_open(index)
    result = continued(weir, serve, spool, collector).expect(0, "1 record of segment")
    assert collector.payloads() == without(payload), result
    gaps = [r for r in collector.records() if r.kind == GAP]
    assert [(r.cause, r.value) for r in gaps] == [(DAMAGED, 1)]
    assert endings(spool) == [".data.aside1", ".index.aside1"]
    assert (spool / (index.name[:20] + ".data.aside1")).read_bytes() == damaged


def test_messages_that_a_loss_of_power_took(weir, serve, spool, collector):
    """Their entries are there, and the data is not."""
    index = indexes(spool)[-2]
    for path in spool.glob(indexes(spool)[-1].name[:20] + "*"):
        path.unlink()
    data = index.with_suffix(".data")
    last = [r.payload for r in read_segment(index).records if r.is_message]
    keep = data.read_bytes().index(last[-3])
    data.write_bytes(data.read_bytes()[:keep + 4])
    as_open(index)
    result = continued(weir, serve, spool, collector).expect(0, "the last 3 records of segment")
    assert collector.payloads() == [m for m in MESSAGES if m not in last[-3:]
                                    and MESSAGES.index(m) <= MESSAGES.index(last[-1])] + [b"new"], result
    gaps = [r for r in collector.records() if r.kind in (GAP, GAP_END)]
    assert [(r.kind, r.value) for r in gaps] == [(GAP, 3), (GAP_END, 0)] and gaps[0].cause == LOST
    assert endings(spool) == [], "what was cut off goes with its segment"


def test_what_was_cut_off_stays_as_long_as_its_segment(weir, serve, spool):
    index = as_open(indexes(spool)[-1])
    with open(index.with_name(index.name[:20] + ".data"), "ab") as data:
        data.write(b"never captured")
    weir.captured(serve(sending(text("new"))).url, spool=spool)[0].expect(0)
    assert (spool / (index.name[:20] + ".data.cut")).read_bytes() == b"never captured"
    assert payloads_of(spool) == [*MESSAGES, b"new"]


def just_begun(spool, first_seq, data, records=0):
    """A segment whose entries have not come to the disk, or were never written."""
    (spool / f"{first_seq:020}.data").write_bytes(data)
    (spool / f"{first_seq:020}.index.open").write_bytes(header(first_seq, records=records))


def after_a_loss_of_power(spool):
    """The owner's line tells that the machine was started anew since."""
    *owner, _boot = (spool / "lock").read_text().split(" ")
    (spool / "lock").write_text(" ".join([*owner, "00000000-0000-0000-0000-000000000000\n"]))


@pytest.mark.parametrize("size", [1, 100, 20 << 20])
def test_data_that_no_entry_speaks_of(weir, serve, spool, collector, size):
    """A death leaves it, and a loss of power: nobody knows whether it was captured."""
    just_begun(spool, 500, b"x" * size)
    after_a_loss_of_power(spool)
    (spool / f"{500:020}.index.cut").write_bytes(b"of an earlier start")
    continued(weir, serve, spool, collector).expect(0, f"{500:020}.data.cut", "no entry")
    assert collector.payloads() == without()
    assert endings(spool) == [".data.cut"]
    assert (spool / f"{500:020}.data.cut").stat().st_size == min(size, 16 << 20)
    assert weir.run("check", spool).expect(0).out.count(b".data.cut: ") == 1
    assert continued(weir, serve, spool, collector).expect(0).complaint == ""
    assert endings(spool) == [], "it stays until the next start"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")
def test_what_a_start_has_left_is_asked_about_by_the_next_one(faulty, weir, serve, spool, collector):  # noqa: F811
    just_begun(spool, 500, b"x" * 100)
    after_a_loss_of_power(spool)
    result, happened = faulty("reopen:EMFILE:1:0", "capture", serve(sending(text("new"))).url, "--spool", spool,
                              "--keep", path=".index.open")
    assert happened
    result.expect(0, f"segment {500}")
    assert ".index.open" in endings(spool)
    continued(weir, serve, spool, collector).expect(0, f"{500:020}.data.cut", "no entry")


def test_after_a_death_alone_nothing_is_told(weir, serve, spool, collector):
    just_begun(spool, 500, b"x")
    assert continued(weir, serve, spool, collector).expect(0).complaint == ""
    assert endings(spool) == []


def test_a_segment_without_data_is_not_told(weir, serve, spool, collector):
    just_begun(spool, 500, b"")
    after_a_loss_of_power(spool)
    assert continued(weir, serve, spool, collector).expect(0).complaint == ""
    assert endings(spool) == []


def test_what_no_entry_speaks_of_stays_below_the_cap(weir, serve, place, collector):
    spool = write_spool(place.directory("spool"), [])
    just_begun(spool, 0, b"x" * (3 << 20))
    result = weir.capture(serve(sending(texts([b"%d" % n * 1000 for n in range(2000)]))).url, "--disk-max", "4MiB",
                          "--spool", spool, "--status", "json", "--", *collector.by_path).expect(0, "no entry")
    assert result.report["peak_disk_bytes"] <= 4 << 20 and len(collector.payloads()) == 2000
    assert endings(spool) == [], "there was no room to keep it"
    just_begun(spool, 5000, b"x" * (1 << 20))
    after_a_loss_of_power(spool)
    result = weir.capture(serve(sending(texts([b"%d" % n * 1000 for n in range(2000)]))).url, "--disk-max", "4MiB",
                          "--spool", spool, "--status", "json", "--", *collector.by_path).expect(0, "no entry")
    assert 1 << 20 < result.report["peak_disk_bytes"] <= 4 << 20
    assert endings(spool) == [".data.cut"]


def test_an_index_that_was_about_to_be_sealed_and_has_no_entries(weir, serve, spool, collector):
    just_begun(spool, 500, b"x" * 100, records=7)
    weir.captured(serve(sending(text("new"))).url, spool=spool)[0].expect(0, "7 records of segment 500")
    gaps = [r for r in records_of(spool) if r.kind in (GAP, GAP_END)]
    assert [(r.kind, r.value) for r in gaps] == [(GAP, 7), (GAP_END, 0)] and gaps[0].cause == LOST


@pytest.mark.parametrize("at", [0, 8, 16, 24, 60])
def test_a_damaged_header(weir, serve, spool, collector, at):
    flip(indexes(spool)[1], at)
    continued(weir, serve, spool, collector).expect(0, "was damaged, but no record of it")
    assert collector.payloads() == without()


def test_a_damaged_separator(weir, serve, spool, collector):
    data = indexes(spool)[1].with_suffix(".data")
    flip(data, data.read_bytes().index(b"\n"))
    continued(weir, serve, spool, collector).expect(0, "was damaged, but no record of it")
    assert collector.payloads() == without()


def test_a_sealed_index_of_which_only_the_header_is_left(weir, serve, spool, collector):
    """It says how many records there were."""
    index = indexes(spool)[1]
    records = read_segment(index).records
    lost = [r.payload for r in records if r.is_message]
    os.truncate(index, HEADER.size)
    continued(weir, serve, spool, collector).expect(0, f"{len(records)} records of segment")
    assert collector.payloads() == without(*lost)
    assert endings(spool) == [".data.aside1", ".index.aside1"]


@pytest.mark.parametrize("cut", [1, 32, 100])
def test_a_sealed_index_that_is_cut(weir, serve, spool, collector, cut):
    """The next segment's number tells how much is missing."""
    index = indexes(spool)[1]
    count = -(-cut // ENTRY.size)
    gone = [r.payload for r in read_segment(index).records][-count:]
    index.write_bytes(index.read_bytes()[:-cut])
    continued(weir, serve, spool, collector).expect(0, str(spool), "segment")
    assert collector.payloads() == without(*gone)
    gaps = [r for r in collector.records() if r.kind == GAP]
    assert [r.value for r in gaps] == [len(gone)]


def test_numbers_stay_as_they_were(weir, serve, spool):
    before = {r.seq: r.payload for r in records_of(spool)}
    index = indexes(spool)[2]
    seq = int(index.name[:20]) + number_of(index, MESSAGES[25])
    damage_payload(index, MESSAGES[25])
    as_open(index)
    weir.captured(serve(sending(text("new"))).url, spool=spool)[0].expect(0)
    after = {r.seq: r.payload for r in records_of(spool)}
    assert after[seq] == b"" and all(after[n] == before[n] for n in before if n != seq)


def test_another_version_is_not_touched(weir, serve, spool):
    index = indexes(spool)[-1]
    raw = bytearray(index.read_bytes())
    raw[8:10] = (77).to_bytes(2, "little")
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    index.write_bytes(raw)
    before = {path.name: path.read_bytes() for path in spool.iterdir() if path.name != "lock"}
    server = serve(sending(text("new")))
    weir.capture(server.url, "--spool", spool, "--", "true").expect(5, str(spool), "another version")
    assert not server.connections
    assert {p.name: p.read_bytes() for p in spool.iterdir() if p.name != "lock"} == before


def put_link(path, target):
    path.symlink_to(target)


def put_pipe(path, target):
    os.mkfifo(path)


def put_directory(path, target):
    path.mkdir()
    (path / "file").write_text("mine")


@pytest.mark.parametrize("ending", [".data", ".index", ".index.open", ".data.cut", ".index.new"])
@pytest.mark.parametrize("put", [put_link, put_pipe, put_directory])
def test_what_is_no_file_is_not_followed(weir, serve, spool, collector, place, put, ending):
    """It is renamed, told, and neither opened nor deleted; all else goes on."""
    target = place.root / "target"
    target.write_text("mine")
    put(spool / f"{500:020}{ending}", target)
    continued(weir, serve, spool, collector).expect(0, "nothing can be made of", f"{500:020}")
    assert collector.payloads() == without()
    assert target.read_text() == "mine"
    assert endings(spool) == [f"{ending}.aside1"]


def test_a_segment_inside_of_another_one(weir, serve, spool, collector):
    """Somebody has put it there: its numbers are taken."""
    second = indexes(spool)[1]
    seq = int(second.name[:20]) + 3
    for ending in (".data", ".index"):
        (spool / f"{seq:020}{ending}").write_bytes(second.with_suffix(ending).read_bytes())
    raw = bytearray((spool / f"{seq:020}.index").read_bytes())
    raw[16:24] = seq.to_bytes(8, "little")
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    (spool / f"{seq:020}.index").write_bytes(raw)
    continued(weir, serve, spool, collector).expect(0, "nothing can be made of", f"{seq:020}")
    assert collector.payloads() == without()


def test_numbers_that_are_used_up(weir, serve, spool):
    """They never begin anew."""
    (spool / "lock").write_text(f"next {2 ** 64 - 100:020}\n")
    server = serve(lambda connection: (connection.upgrade(more=text("new")),
                                       connection.answer_close()))
    weir.capture(server.url, "--spool", spool, "--keep").expect(5, str(spool), "used up")
    assert payloads_of(spool) == MESSAGES


def test_a_foreign_name_does_not_use_them_up(weir, serve, spool):
    name = f"{2 ** 64 - 2:020}"
    (spool / f"{name}.index").write_bytes(b"x" * (HEADER.size + 7 * ENTRY.size))
    (spool / f"{name}.data").write_bytes(b"x")
    weir.captured(serve(sending(text("new"))).url, spool=spool)[0].expect(0)
    assert payloads_of(spool) == [*MESSAGES, b"new"]


def space(spool):
    return sum(path.stat().st_blocks * 512 for path in spool.iterdir())


@pytest.mark.parametrize("damage", ["tail", "middle"])
@pytest.mark.parametrize("room", [True, False])
def test_a_start_stays_below_the_cap(weir, serve, place, collector, damage, room):
    """Cut and copied is only what there is room for; all that is whole comes out in any case."""
    spool = place.root / "spool"
    payloads = [b"%04d" % n + b"x" * 996 for n in range(5000)]
    weir.captured(serve(sending(texts(payloads))).url, "--segment-messages", "4500",
                  spool=spool)[0].expect(0)
    index = as_open(indexes(spool)[0])
    data = index.with_name(index.name[:20] + ".data")
    if damage == "tail":
        with open(data, "ab") as tail:
            tail.write(b"y" * 2_000_000)
    else:
        flip(data, 1234)
    cap = space(spool) + (6_000_000 if room else 0)
    weir.capture("ws://127.0.0.1:1/", "--spool", spool, "--keep", "--disk-max", cap).expect(3)
    assert space(spool) <= cap
    mended = (spool / (index.name[:20] + ".data.aside1")).exists()
    assert mended == (damage == "middle" and room)
    assert (spool / (data.name + ".cut")).exists() == (damage == "tail" and room)
    result = weir.capture(serve(sending(b"")).url, "--spool", spool, "--", *collector.by_path)
    assert result.code == 0, result
    assert collector.payloads() == payloads if damage == "tail" else \
        len(collector.payloads()) == len(payloads) - 1


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_several_segments_that_were_open(weir, serve, spool, collector, lost):
    """With --sync, a segment gets its name when it is on the disk, and the next one has begun by
    then. What is lost of the first must not take the numbers of the second."""
    first, second = indexes(spool)[1:3]
    data = first.with_suffix(".data")
    gone = [r.payload for r in read_segment(first).records][-lost:]
    os.truncate(data, data.read_bytes().index(gone[0]))
    as_open(first)
    as_open(second)
    continued(weir, serve, spool, collector).expect(0, f"the last {lost} record", "lost")
    assert collector.payloads() == without(*gone)
    gaps = [r for r in collector.records() if r.kind == GAP]
    assert [r.value for r in gaps] == [lost]
    assert endings(spool) == []


def test_a_compressed_segment_is_mended_into_a_plain_one(weir, serve, place, collector):
    """A damaged frame loses what cannot be decompressed of it, and what turns out to be damaged."""
    if "--compress" not in weir.run("capture", "--help").out.decode():
        pytest.skip("weir is built without zstd")
    spool = place.root / "spool"
    payloads = [b"%05d " % n + b"%x" % (n * 7919 ** 9) * 20 for n in range(4000)]
    weir.captured(serve(sending(texts(payloads))).url, "--compress", "zstd", spool=spool)[0].expect(0)
    packed, = spool.glob("*.data.zst")
    flip(packed, packed.stat().st_size // 3)
    result = continued(weir, serve, spool, collector).expect(0, "of segment 0 ")
    found = collector.payloads()[:-1]
    assert set(found) < set(payloads) and found == sorted(found), result
    lost = sum(r.value for r in collector.records() if r.kind == GAP)
    assert lost == len(payloads) - len(found) < len(payloads) / 2
    assert endings(spool) == [".data.zst.aside1"]
