#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Coverage of kernel/core, lines and branches, by the unit tests and a soak of random
# worlds.  Fails below 95 % of the lines, and at a line that was not reached and has no
# reason in `uncovered`.
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
llvm-cov show "$out/soak" -object "$out/tests" -instr-profile="$out/all.profdata" >"$out/lines"
llvm-cov report "$out/soak" -object "$out/tests" -instr-profile="$out/all.profdata" |
	awk '/core\/[a-z_]*\.[ch] / { sub(".*core/", "core/", $1)
		printf "%-24s %5d lines %4d missed %7s %5d branches %4d missed %7s\n", $1, $8, $9, $10, $11, $12, $13
		lines += $8; missed += $9; branches += $11; untaken += $12 }
		END { printf "kernel/core: %.1f %% of %d lines, %.1f %% of %d branches\n",
			100 * (lines - missed) / lines, lines, 100 * (branches - untaken) / branches, branches
			exit !(lines > 0 && missed * 20 <= lines) }'
awk -F '\t' 'FILENAME == "uncovered" { if (!/^#/) { file[++n] = $1; pattern[n] = $2; reason[n] = $3 }; next }
	/^[^ ].*:$/ { current = ""; if (sub(".*core/", "")) { sub(":$", ""); current = $0 } }
	current != "" && /^ *[0-9]+\| +0\|/ {
		line = $0; sub("^ *[0-9]+\\| +0\\|[ \t]*", "", line)
		for (i = 1; i <= n; i++)
			if (file[i] == current && line ~ pattern[i]) { why[i]++; explained++; next }
		printf "%s: not reached, and no reason given: %s\n", current, line; bad = 1 }
	END { for (i = 1; i <= n; i++)
			if (why[i]) printf "%4d of %s: %s\n", why[i], file[i], reason[i]
		exit bad }' uncovered "$out/lines"
