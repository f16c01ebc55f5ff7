# SPDX-License-Identifier: MIT
"""
Disks as a person at the prompt sees them: names, tables, tools, contents; and a
driver that dies under them.  The machine is a snapshot, so slot B, which did not
start it, is nobody's and may be written.
"""
import re

import images
from serial import check

SCRATCH = "/dev/disk/by-partlabel/slot-b"


def disks_are_listed(m):
	lines = m.sh("cat /proc/partitions").split("\n")[2:]
	names = [line.split()[3] for line in lines]
	print("   ", " ".join(names))
	check(names[0] == "nvme0n1" and "nvme0n1p1" in names, "no disk with partitions")
	kib = {line.split()[3]: int(line.split()[2]) for line in lines}
	for name in names:
		sectors = m.number(f"cat /sys/class/block/{name}/size")
		check(sectors // 2 == kib[name], f"{name} has another size in /sys")
		check(m.number(f"blockdev --getsize64 /dev/{name}") == sectors * 512, f"{name}: BLKGETSIZE64")
		device = m.sh(f"cat /sys/class/block/{name}/dev")
		check(m.sh(f"basename $(readlink /sys/dev/block/{device})") == name, f"{device} is not {name}")
		check(m.sh(f"test -b /dev/{name} && echo yes") == "yes", f"/dev/{name}")
	check("NVMe" in m.sh("cat /sys/block/nvme0n1/device/model"), "model")


def tools_know_the_disk(m):
	output = m.sh("fdisk -l /dev/nvme0n1")
	check("Disk /dev/nvme0n1:" in output and "Units: sectors" in output, f"fdisk:\n{output}")
	output = m.sh("blkid")
	check(re.search(r'(?m)^/dev/nvme0n1p1: .*TYPE="vfat"', output), f"blkid does not see the ESP:\n{output}")
	check(m.sh("readlink -f /dev/disk/by-label/ESP") == "/dev/nvme0n1p1", "by-label")


def a_disk_keeps_what_is_written(m):
	m.sh("dd if=/dev/urandom of=/tmp/random bs=64k count=64 2>/dev/null")
	for how in "conv=fsync", "oflag=direct", "conv=notrunc":
		m.sh(f"dd if=/tmp/random of={SCRATCH} bs=64k {how} 2>/dev/null")
		m.sh(f"blockdev --flushbufs {SCRATCH}")
		check(m.sh(f"dd if={SCRATCH} bs=1M count=4 2>/dev/null | cmp - /tmp/random && echo same") == "same", how)
		check(m.sh(f"dd if={SCRATCH} bs=64k count=64 iflag=direct 2>/dev/null | cmp - /tmp/random && echo same") ==
		    "same", how + ", read directly")
		m.sh("dd if=/dev/urandom of=/tmp/random bs=64k count=64 2>/dev/null")
	m.sh("rm /tmp/random")


def a_new_file_system_is_recognised(m):
	m.sh(f"mkfs.ext2 -L scratch {SCRATCH} >/dev/null && sync")
	node = m.sh(f"readlink -f {SCRATCH}")
	check('LABEL="scratch"' in m.sh(f"blkid {node}"), "blkid")
	m.sh("for i in 1 2 3 4 5 6 7 8 9; do test -e /dev/disk/by-label/scratch && break; sleep 0.1; done")
	check(m.sh("readlink -f /dev/disk/by-label/scratch") == node, "by-label")
	check(m.sh("readlink -f /dev/disk/by-uuid/$(blkid " + node + " | sed 's/.*UUID=\"//; s/\".*//')") == node, "by-uuid")
	m.sh(f"dd if=/dev/zero of={SCRATCH} bs=64k count=1 2>/dev/null && sync")


def a_killed_disk_driver_is_a_pause(start):
	"""chaos kills it 40 times below a program that compares what it reads."""
	m = start(images.with_cmdline("chaos chaos-nvme0 chaos-40"), CPUS=2)
	m.login()
	rounds = 0
	while rounds == 0 or b"chaos: 40 kills" not in m.output:
		output = m.sh(f"BLOCKDEV={SCRATCH} /usr/lib/tests/blockdev written close tasks", guard=400)
		check(output.endswith("3 passed, 0 failed"), output)
		m.sh(f"dd if=/dev/urandom of=/tmp/r bs=1M count=6 2>/dev/null; dd if=/tmp/r of={SCRATCH} bs=32k conv=fsync 2>/dev/null;"
		    f"blockdev --flushbufs {SCRATCH}; dd if={SCRATCH} bs=1M count=6 2>/dev/null | cmp - /tmp/r")
		rounds += 1
	log = m.output.decode(errors="replace")
	kills, again = log.count("killed by chaos"), len(re.findall(r"nvme0: running again", log))
	print(f"    {kills} kills, {again} starts, {rounds} rounds")
	check(kills >= 30 and again >= kills - 1, "kills without a new start")
	check("are lost" not in m.sh("dmesg"), "data were lost")
	m.type("poweroff")
	m.end()


def usage(m):
	"""{component: (budget, made, heap, most of the heap in use, starts)} of /proc/tessera/memory."""
	rows = [line.split() for line in m.sh("cat /proc/tessera/memory").splitlines()]
	return {row[0]: tuple(int(n) for n in row[1:]) for row in rows if len(row) == 6}


def each_component_says_how_much_memory_it_takes(m):
	before = usage(m)
	check({"uart", "console", "devmgr", "nvme0", "fs", "linux", "kernel", "init"} <= set(before), f"missing: {before}")
	for name, (budget, made, heap, peak, starts) in before.items():
		check(made <= budget and peak <= heap <= budget, f"{name}: more than its budget")
		check((made != 0) == (starts != 0 or name in ("kernel", "bundle", "init")), f"{name}: made of nothing")
	budget, _, _, peak, _ = before["fs"]
	check(budget == 32 << 20 and peak != 0, f"fs: {before['fs']}")
	ram = sum(row[0] for row in before.values())
	total = int(m.sh("awk '/MemTotal/ { print $2 }' /proc/meminfo")) * 1024
	check(total < ram <= 1 << 30, f"all budgets together: {ram} bytes")
	m.sh("mkdir /root/usage && cd /root/usage && for i in $(seq 1 400); do mkdir d$i; done; cd; rm -r /root/usage; sync")
	check(usage(m)["fs"][3] >= peak, "fs: its peak fell")
	check(usage(m)["console"] == before["console"], "console changed")


def nobody_holds_what_no_line_gives(m):
	answer = m.sh("lscap -d")
	check(" nothing that /proc/tessera/system.conf does not give, nothing of it missing" in answer, answer)
	answer = m.sh("lscap nvme0")
	for what in ("registers", "interrupt", "device", "channel +disk.nvme0, fs", "dma", "supervisor +init"):
		check(re.search(f"(?m)^ +[0-9]+  {what}", answer), f"nvme0 has no {what}:\n{answer}")
	# Had the file been another one: what fs does with its log, what linux does with the disk.
	m.sh("sed '/log[.]fs[^1-9]/d; /allow.*power/d' /proc/tessera/system.conf > /tmp/less")
	answer = m.sh("lscap -d /tmp/less", status=1)
	for what in ("ring log.fs, console", "channel log.fs, console"):
		check(f"+ fs: {what}" in answer, answer)
	check("+ linux: power reset, init" in answer and answer.count("\n") == 5, answer)
	m.sh("(cat /proc/tessera/system.conf; echo 'channel more stream nvme0 console 8K') > /tmp/more")
	answer = m.sh("lscap -d /tmp/more", status=1)
	check(re.search(r"- /tmp/more:\d+: nvme0: ring more, console: not held", answer), answer)
	check("lscap: ghost: no such component is running" in m.sh("lscap ghost 2>&1", status=2), "a ghost")
	m.sh("rm /tmp/less /tmp/more")


SHARED = [disks_are_listed, tools_know_the_disk, a_disk_keeps_what_is_written, a_new_file_system_is_recognised,
    each_component_says_how_much_memory_it_takes, nobody_holds_what_no_line_gives]
BOOTS = [a_killed_disk_driver_is_a_pause]
