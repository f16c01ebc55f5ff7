# SPDX-License-Identifier: MIT
"""
File systems beside the root: other disks and their partitions are mounted and
unmounted, each by a file server of its own, which may be killed at any moment.
What was mounted is clean for e2fsck on the host afterwards.  LONG=1: as often as the
issue says.
"""
import os
import re
import subprocess
import time

import images
from serial import check
from test_storage import LONG, PREPARE, ROUND, end, on_disk, was_killed, writable

MIB = 1 << 20
TOOLS = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


def host(*command):
	return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=TOOLS).stdout


def disk(name, size, *mke2fs):
	"""A disk of its own for the machine, with a file system on all of it if there are options."""
	path = os.path.join(images.OUT, name + ".img")
	with open(path, "wb") as f:
		f.truncate(size)
	if mke2fs:
		host("mke2fs", "-q", "-t", "ext4", *mke2fs, path)
	return path


def is_clean(path, offset=0):
	at = f"{path}?offset={offset}" if offset else path
	result = subprocess.run(["e2fsck", "-fn", at], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=TOOLS)
	print("   ", result.stdout.strip().split("\n")[-1])
	check(result.returncode == 0, f"e2fsck -fn {at}:\n{result.stdout}")


def virtio(path):
	return f"-drive if=none,id=v,file={path},format=raw -device virtio-blk-pci,drive=v,disable-legacy=on,iommu_platform=on"


def refused(m, line, words):
	output, status = m.run(line)
	check(status != 0 and words in output, f"{line}: status {status}: {output}")


def partitions():
	"""A disk with a small FAT, an ext4 and one whose superblock is damaged."""
	path = disk("parts", 160 * MIB)
	host("sgdisk", "-n", "1:2048:+4M", "-t", "1:ef00", "-n", "2:0:+64M", "-n", "3:0:+64M", path)
	starts = [int(re.search(r"First sector: (\d+)", host("sgdisk", "-i", str(n), path)).group(1)) * 512 for n in (1, 2, 3)]
	for start in starts[1:]:
		host("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-E", f"offset={start}", path, "64M")
	with open(path, "r+b") as f:
		f.seek(starts[0])
		f.write(b"\xeb\x3c\x90mkfs.fat" + b"\0" * 499 + b"\x55\xaa")
		f.seek(starts[2] + 1024 + 0x68)		# within the UUID: its checksum is wrong now
		f.write(b"damaged!")
	return path, starts


def memory(m):
	"""What the world's pages and the servers' heaps come to, in KiB."""
	m.sh("sync")
	free = int(re.search(r"MemFree:\s+(\d+)", m.sh("cat /proc/meminfo")).group(1))
	peak = re.search(r"(?m)^fs1 \d+ \d+ \d+ (\d+) 1$", m.sh("cat /proc/tessera/memory"))
	check(peak, "fs1 was started again")
	return free, int(peak.group(1)) // 1024


def other_disks_are_mounted(start):
	path = writable()		# makes the folder of images
	second = disk("second", 96 * MIB, "-L", "second")
	parts, starts = partitions()
	m = start(path, CPUS=2, SNAPSHOT=0, DISK2=second, QEMU_EXTRA=virtio(parts))
	m.login()
	root = on_disk(m)
	m.sh("mkdir -p /a /b /c /d; mount -t ext4 /dev/nvme1n1 /a && mount /dev/vda2 /b")
	check(re.search(r"(?m)^/dev/nvme1n1 /a ext4 rw,relatime 0 0$", m.sh("cat /proc/mounts")), "/proc/mounts")
	check(re.search(r"(?m) 259:\d+ / /a rw,relatime - ext4 /dev/nvme1n1 rw$", m.sh("cat /proc/self/mountinfo")), "mountinfo")
	check(re.search(r"(?m)^/dev/vda2 +5\d{4} .* /b$", m.sh("df -k")), "df")
	check(m.sh("stat -c %t:%T /dev/vda2; stat -c %d /b").split() == ["fe:2", str(254 << 8 | 2)], "st_dev is not the device's")
	# two mounts of one device are one file system, as on Linux; but not one to write and one to read
	m.sh("echo one > /a/f && mount /dev/nvme1n1 /c && echo two >> /c/f && umount /c")
	check(m.sh("cat /a/f").split() == ["one", "two"], "the second mount is another one")
	for line, words in (
		("mount -o ro /dev/nvme1n1 /c", "Resource busy"), ("mount /dev/nvme1n1 /a", "Resource busy"),
		(f"mount -o ro {root} /c", "Resource busy"), ("mount -t ext4 /dev/nvme0n1 /c", "Resource busy"),
		("mount -t ext4 /dev/vda /c", "Resource busy"), ("mount -t vfat /dev/vda1 /c", "No such device"),
		("mount -t ext4 /dev/vda1 /c", "Invalid argument"), ("mount -t ext4 /dev/vda9 /c", "No such file"),
		("mount -t ext4 /dev/null /c", "Block device required"),
	):
		refused(m, line, words)
	refused(m, "mount -t ext4 /dev/vda3 /c", "Bad message")
	m.sh("sleep 1")
	check(b"not mounted: the checksum of its superblock is wrong" in m.output, "nobody said what is damaged")
	# across file systems
	m.sh("ln -s /a/f /b/link; mv /a/f /b/ && cat /b/f | wc -l")
	refused(m, "ln /b/f /a/hard", "link")
	m.sh("mount -o remount,ro /b")
	refused(m, "touch /b/x", "Read-only")
	m.sh("mount -o remount,rw /b && touch /b/x && sync")
	m.sh("exec 3> /b/x")
	refused(m, "umount /b", "busy")
	m.sh("exec 3>&-; umount /b; umount /a")
	check(m.sh("ls -A /a /b /c | grep -v :").strip() == "", "something stays where it was mounted")
	# the same servers, the other disks
	m.sh("mount /dev/vda2 /a && mount /dev/nvme1n1 /b && test $(wc -l < /a/f) = 2 && test -e /a/x && test ! -e /b/f && umount /a /b")
	again(m, 1000 if LONG else 100)
	memory_ends_with_enospc(m)
	m.type("poweroff")
	m.end()
	is_clean(second)
	is_clean(parts, starts[1])


def memory_ends_with_enospc(m):
	"""Files in memory that want more than there is, whatever their limits say: nobody is killed for them."""
	m.sh("mount -t tmpfs -o size=80% one /c && mount -t tmpfs -o size=200% two /d && mount -t tmpfs -o size=4m small /tmp")
	for line in ("dd if=/dev/zero of=/tmp/x bs=1M count=5", "dd if=/dev/zero of=/c/x bs=1M count=2000", "dd if=/dev/zero of=/d/x bs=1M count=2000", "dd if=/dev/zero of=/d/y bs=1M count=1"):
		output, status = m.run(line, guard=300)
		check(status != 0 and "No space left" in output, f"{line}: status {status}: {output}")
	check(m.sh("stat -c %s /tmp/x") == str(4 << 20), "not all of the small one")
	sizes = [int(n) >> 20 for n in m.sh("stat -c %s /c/x /d/x").split()]
	print(f"    {sizes} MiB in memory")
	check(sizes[0] > 600 and sizes[1] > 50, "memory is not used")
	check(m.sh("seq 1 1000 | sort -n | tail -n 1") == "1000", "no program runs beside it")
	m.sh("umount /d && umount /c && umount /tmp")
	check(b"Out of memory" not in m.output, "somebody was killed")
	m.sh("mount -t tmpfs three /d && dd if=/dev/zero of=/d/x bs=1M count=300 && umount /d", guard=300)


def again(m, times):
	line = ("for i in $(seq %d); do mount /dev/nvme1n1 /a && echo $i > /a/n && mkdir /a/d && rmdir /a/d && umount /a || "
	    "echo bad $i; done")
	m.sh(line % 20, guard=300)
	before = memory(m)
	check("bad" not in m.sh(line % times, guard=1500), "a mount failed")
	after = memory(m)
	print(f"    {times} mounts: free memory {before[0]} -> {after[0]} KiB, peak of the server {before[1]} -> {after[1]} KiB")
	check(after[0] > before[0] - 512, "a mount keeps memory")
	check(after[1] <= before[1] + 64, "a mount keeps memory of its server")


def allocated(path):
	return os.stat(path).st_blocks * 512 // MIB


def settles(path, most):
	"""The file has at most so many MiB, soon."""
	for _ in range(20):
		if allocated(path) <= most:
			return
		time.sleep(1)
	check(False, f"{path} has {allocated(path)} MiB, more than {most}")


def trimmed(m, place):
	found = re.search(r"(\d+)(?: bytes)? (?:\([^)]*\) )?(?:bytes )?(?:were )?trimmed", m.sh(f"fstrim -v {place}", guard=300))
	check(found, "fstrim -v says something else")
	return int(found.group(1)) // MIB


def what_is_free_leaves_the_image(start):
	"""fstrim, mount -o discard and blkdiscard make the files of the disks smaller, and lose nothing."""
	path = writable()
	second, third, plain = disk("second", 256 * MIB, "-b", "4096"), disk("third", 128 * MIB, "-b", "1024"), disk("plain", 32 * MIB, "-b", "4096")
	m = start(path, CPUS=2, SNAPSHOT=0, DISK2=second, QEMU_EXTRA=virtio(third).replace("format=raw", "format=raw,discard=unmap") + " " +
	    virtio(plain).replace("id=v,", "id=w,").replace("drive=v,", "drive=w,discard=off,write-zeroes=off,"))
	m.login()
	m.sh("mkdir -p /a /b /c; mount /dev/nvme1n1 /a && mount /dev/vda /b && mount /dev/vdb /c")
	for place, image in (("/a", second), ("/b", third)):
		m.sh(f"dd if=/dev/urandom of={place}/keep bs=1M count=4; dd if=/dev/urandom of={place}/go bs=1M count=64; sync", guard=300)
		digest, full = m.sh(f"sha256sum < {place}/keep"), allocated(image)
		check(full >= 68, f"{image} has {full} MiB")
		m.sh(f"rm {place}/go && sync")
		check(trimmed(m, place) >= 64 and trimmed(m, place) == 0, "what is free was not trimmed, or twice")
		settles(image, full - 60)
		m.sh(f"umount {place} && mount -o discard,commit=2 {'/dev/nvme1n1' if place == '/a' else '/dev/vda'} {place}")
		check(m.sh(f"sha256sum < {place}/keep") == digest, "a file is not whole")
		check(re.search(rf"(?m) {place} ext4 rw,relatime,discard,commit=2 0 0$", m.sh("cat /proc/mounts")), "/proc/mounts")
		# what is deleted goes with the next commit, without a sync
		m.sh(f"dd if=/dev/urandom of={place}/go bs=1M count=32; sync", guard=300)
		check(allocated(image) >= 36, "too little was written")
		m.sh(f"rm {place}/go")
		settles(image, 24)
		check(m.sh(f"sha256sum < {place}/keep") == digest, "a file is not whole")
		print(f"    {image}: {full} MiB -> {allocated(image)} MiB")
	refused(m, "mount -o remount,nonsense /a", "Invalid argument")
	check("Unknown parameter 'nonsense'" in m.sh("dmesg"), "nobody said which option is unknown")
	check(m.sh("cat /sys/block/nvme1n1/queue/discard_granularity /sys/block/vdb/queue/discard_max_bytes").split() == ["512", "0"], "sysfs")
	refused(m, "fstrim /c", "supported")
	check(trimmed(m, "/") > 0, "the root has nothing to trim")
	m.sh("umount /a /b /c")
	refused(m, "blkdiscard /dev/vdb", "supported")
	m.sh("blkdiscard -o 67108864 -l 33554432 /dev/vda && blkdiscard /dev/vda")
	settles(third, 0)
	m.type("poweroff")
	m.end()
	for image in (second, plain):
		is_clean(image)


def killing_the_server_of_a_mount_loses_nothing(start):
	"""And the driver of its disk; then while it mounts and unmounts."""
	kills = 100 if LONG else 20
	path = writable(f"chaos chaos-slow chaos-fs1 chaos-nvme1 chaos-{kills}")
	second = disk("second", 160 * MIB, "-b", "4096")
	m = start(path, CPUS=4, SNAPSHOT=0, DISK2=second)
	m.login()
	m.sh("mkdir /a && mount /dev/nvme1n1 /a")
	files = m.sh(PREPARE % (100 if LONG else 12), guard=600).split()[-1]
	rounds, end_mark = 0, f"chaos: {kills} kills".encode()
	while rounds < 2 or m.output.count(b"killed by chaos") < kills // 2:
		wrong = (m.run(ROUND.replace("/root/x", "/a/x"), guard=900)[0].split() or ["no answer"])[-1]
		rounds += 1
		check(wrong == "0", f"round {rounds}: {wrong}")
	mounts = 0
	while mounts < 10 or end_mark not in m.output:
		check("bad" not in m.sh("umount /a && mount /dev/nvme1n1 /a && echo more >> /a/more || echo bad", guard=300), "a mount failed")
		mounts += 1
	check(m.sh("wc -l < /a/more").split()[-1] == str(mounts), "a line is gone")
	was_killed(m, "fs1", kills // 2)
	was_killed(m, "nvme1", kills // 2)
	print(f"    {kills} kills, {rounds} rounds of {files} files, {mounts} mounts")
	end(m, path)
	is_clean(second)


TESTS = [other_disks_are_mounted, what_is_free_leaves_the_image, killing_the_server_of_a_mount_loses_nothing]
