# SPDX-License-Identifier: MIT
"""Makes one piece of memory, as it lies at 0x1000, of a stored set of ACPI
tables (u64 address, u32 size, u32 0, bytes; first the root, then the XSDT):
the fuzzer's seed."""
import struct
import sys

data = open(sys.argv[1], "rb").read()
tables, at = [], 0
while at < len(data):
    address, size = struct.unpack_from("<QI", data, at)
    tables.append((address, bytearray(data[at + 16:at + 16 + size])))
    at += 16 + size

place, moved = 0x1000, {}
for address, body in tables:
    moved[address] = place
    place += (len(body) + 15) & ~15
root, xsdt = tables[0][1], tables[1][1]
struct.pack_into("<Q", root, 24, moved[tables[1][0]])
for offset in range(36, len(xsdt), 8):
    old, = struct.unpack_from("<Q", xsdt, offset)
    struct.pack_into("<Q", xsdt, offset, moved.get(old, 0))
for _, body in tables:
    sys.stdout.buffer.write(body + bytes(-len(body) % 16))
