#!/bin/sh
# SPDX-License-Identifier: MIT
#
# seeds.sh FOLDER TEST: the fuzzer's first inputs, made of the test data and of
# what TEST holds: a byte that chooses the parser (fuzz.c), then its input.
set -eu
seeds=$1 test=$2
mkdir -p "$seeds"

# seed NUMBER NAME <input
seed()
{
	{ printf '%b' "\\0$1"; cat; } >"$seeds/$1-$2"
}

seed 0 dt <../test/data/qemu-virt.dtb
python3 ./acpi_flat.py ../test/data/qemu-virt.acpi | seed 1 acpi
dd if="$test/test.img" bs=512 skip=$((37 * 2048)) count=3 status=none | seed 2 slot
seed 3 bundle <"$test/base.bundle"
seed 4 kernel <"$test/kernel.elf"
seed 5 init <"$test/init"
dd if="$test/test.img" bs=512 skip=1 count=33 status=none | seed 6 gpt
python3 -c 'import struct, sys
for n in range(10):
	sys.stdout.buffer.write(struct.pack("<IIQQQQ", n, 0, n << 20, 0, 16, 0) + bytes(8))' | seed 7 map
