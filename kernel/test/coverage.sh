#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Line coverage of kernel/core by the unit tests and a soak of random worlds.
# usage: coverage.sh OUT GEN [INVOCATIONS]
set -eu
out=$1 gen=$2 invocations=${3:-100000}
cd "$(dirname "$0")"
mkdir -p "$out"
core=$(ls ../core/*.c | grep -v check_off)
flags="-std=gnu11 -g -O1 -fprofile-instr-generate -fcoverage-mapping -DHOST_TEST=1"
flags="$flags -I../arch/host/include -I../include -I$gen"
clang $flags -o "$out/tests" ./*.c ../arch/host/host.c $core
clang $flags -o "$out/soak" ../fuzz/soak.c ../fuzz/world.c ../arch/host/host.c $core
LLVM_PROFILE_FILE=$out/tests.profraw "$out/tests" | tail -n 1
LLVM_PROFILE_FILE=$out/soak.profraw "$out/soak" "$invocations" | tail -n 1
llvm-profdata merge -o "$out/all.profdata" "$out/tests.profraw" "$out/soak.profraw"
llvm-cov report "$out/soak" -object "$out/tests" -instr-profile="$out/all.profdata" |
	awk '/core\/[a-z_]*\.c/ { sub(".*core/", "core/", $1)
		printf "%-24s %5d lines %5d missed %s\n", $1, $8, $9, $10; lines += $8; missed += $9 }
		END { printf "kernel/core: %.1f %% of %d lines covered\n", 100 * (lines - missed) / lines, lines }'
