"""CRC32C (Castagnoli) in plain Python, fast enough to check messages of tens of megabytes.

Short input goes through eight tables, eight bytes a step. Long input is cut into lanes that all
advance together: one step looks up one byte of every lane with bytes.translate() and combines
them with an exclusive or of large integers, so that the work is done in C. The checksums of
the lanes are joined at the end, because a CRC is linear.
"""

import struct

POLYNOMIAL = 0x82F63B78
LANES = 4096
LONG = LANES * 64


def _first_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def _tables(count):
    tables = [_first_table()]
    for _ in range(count - 1):
        tables.append([value >> 8 ^ tables[0][value & 255] for value in tables[-1]])
    return tables


TABLES = _tables(8)
# Byte k of every entry of the first table, as bytes.translate() wants it.
PLANES = [bytes(value >> 8 * k & 255 for value in TABLES[0]) for k in range(4)]


def _advance(state, data):
    """The register after `data`, without the inversions at both ends."""
    t0, t1, t2, t3, t4, t5, t6, t7 = TABLES
    whole = len(data) & ~7
    for low, high in struct.iter_unpack("<II", data[:whole]):
        low ^= state
        state = (t7[low & 255] ^ t6[low >> 8 & 255] ^ t5[low >> 16 & 255] ^ t4[low >> 24]
                 ^ t3[high & 255] ^ t2[high >> 8 & 255] ^ t1[high >> 16 & 255] ^ t0[high >> 24])
    for byte in data[whole:]:
        state = state >> 8 ^ t0[(state ^ byte) & 255]
    return state


def _xor(left, right):
    mixed = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    return mixed.to_bytes(len(left), "little")


def _lanes(data, width):
    """The register of each lane of `width` bytes, each begun at 0."""
    low = second = third = high = bytes(LANES)
    for column in range(width):
        index = _xor(low, data[column::width])
        low = _xor(second, index.translate(PLANES[0]))
        second = _xor(third, index.translate(PLANES[1]))
        third = _xor(high, index.translate(PLANES[2]))
        high = index.translate(PLANES[3])
    return [low[i] | second[i] << 8 | third[i] << 16 | high[i] << 24 for i in range(LANES)]


def _zeros_operator(count):
    """Tables that say what `count` zero bytes make of each byte of the register."""
    images = [1 << bit for bit in range(32)]
    step = [TABLES[0][image & 255] ^ image >> 8 for image in images]
    while count:
        if count & 1:
            images = [_apply_bits(step, image) for image in images]
        step = [_apply_bits(step, image) for image in step]
        count >>= 1
    return [[_apply_bits(images[8 * k:8 * k + 8], byte) for byte in range(256)] for k in range(4)]


def _apply_bits(columns, value):
    result = 0
    for column in columns:
        if value & 1:
            result ^= column
        value >>= 1
    return result


def _advance_long(state, data):
    width = len(data) // LANES
    used = width * LANES
    o0, o1, o2, o3 = _zeros_operator(width)
    for lane in _lanes(data[:used], width):
        state = o0[state & 255] ^ o1[state >> 8 & 255] ^ o2[state >> 16 & 255] ^ o3[state >> 24]
        state ^= lane
    return _advance(state, data[used:])


def crc32c(*parts):
    """The checksum of all parts one after the other."""
    state = 0xFFFFFFFF
    for part in parts:
        state = _advance_long(state, part) if len(part) >= LONG else _advance(state, part)
    return state ^ 0xFFFFFFFF
