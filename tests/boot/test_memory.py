# SPDX-License-Identifier: MIT
"""
Memory that programs were given comes back.  MemFree is read before and after; a
first, short round fills what a kernel keeps in hand.  LONG=1: as often as the
issue says.
"""
import os
import re

from serial import check

PAGE_KIB = 4
PROGRAMS = "/usr/lib/tests"


def meminfo(m):
	"""MemFree once it stays: programs that ended may still be being cleared away."""
	last = None
	for _ in range(10):
		output = m.sh("cat /proc/meminfo")
		fields = {k: int(v) for k, v in re.findall(r"(?m)^(\w+):\s+(\d+) kB", output)}
		if last is not None and abs(fields["MemFree"] - last["MemFree"]) <= PAGE_KIB:
			return fields
		last = fields
	return last


def balanced(m, what, warm_up, work, slots):
	"""
	A leak costs something each time; a cache that fills, only until it is full.  So
	the work has up to three chances to lose no more than a page for each slot.
	"""
	m.sh(warm_up, guard=300)
	for _ in range(3):
		before = meminfo(m)
		m.sh(work, guard=1800)
		after = meminfo(m)
		lost = before["MemFree"] - after["MemFree"]
		print(f"    {what}: MemFree {before['MemFree']} KiB before, {after['MemFree']} KiB after: "
		    f"{lost / PAGE_KIB:+.0f} pages")
		if lost <= slots * PAGE_KIB:
			return
	check(False, f"{lost} KiB are missing; " +
	    ", ".join(f"{k} {before[k]} -> {v}" for k, v in after.items() if before.get(k) not in (v, None)))


def forks_and_execs_give_memory_back(m):
	count = 10000 if os.environ.get("LONG") == "1" else 1500
	loop = "i=0; while [ $i -lt %d ]; do /bin/true; i=$((i+1)); done"
	# As many slots as processes that live at the same time (shell, child, init and a few).
	balanced(m, f"{count} times fork and exec", loop % 200, loop % count, 16)


def a_thousand_threads_give_memory_back(m):
	program = PROGRAMS + "/threads 1000 >/tmp/threads.out"
	balanced(m, "1,000 threads", program, f"{program} && {program}", 1000)
	print("   ", m.sh("tail -n1 /tmp/threads.out"))


def files_give_memory_back(m):
	work = "dd if=/dev/zero of=/tmp/big bs=1M count=64 2>/dev/null && rm /tmp/big"
	balanced(m, "a file of 64 MiB", "true", work, 16)


def deep_pipelines_give_memory_back(m):
	work = "for i in 1 2 3 4 5; do seq 1 2000 | cat | cat | cat | cat | cat | cat | cat | wc -l >/dev/null; done"
	balanced(m, "pipelines of nine", work, work, 32)


TESTS = [forks_and_execs_give_memory_back, a_thousand_threads_give_memory_back, files_give_memory_back,
	deep_pipelines_give_memory_back]
