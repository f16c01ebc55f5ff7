# SPDX-License-Identifier: MIT
"""
The root file system on its disk: it survives reboots on every kind of disk, and
drivers and the file server may be killed at any moment.  After each test the
root partition is clean for e2fsck.  LONG=1: as often and as much as the issue says.
"""
import os
import re
import shutil
import subprocess

import images
from serial import BOOT_GUARD, check

LONG = os.environ.get("LONG") == "1"
MIB = 1 << 20


def writable(cmdline=None):
	"""The test image as a file that the machine may change."""
	source = images.with_cmdline(cmdline) if cmdline else images.built("release", "images/test.img")
	path = os.path.join(images.OUT, "disk.img")
	os.makedirs(images.OUT, exist_ok=True)
	for name in (path, path + ".sd", path + ".loader"):
		if os.path.exists(name):
			os.remove(name)
	subprocess.run(["cp", "--sparse=always", source, path], check=True)
	return path


def root_is_clean(path):
	"""e2fsck of the root partition as it lies on the disk, which must have been unmounted."""
	path = path + ".sd" if os.path.exists(path + ".sd") else path
	table = subprocess.run(["sgdisk", "-i", "5", path], check=True, stdout=subprocess.PIPE, text=True,
	    env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")).stdout
	first, last = (int(re.search(rf"{word} sector: (\d+)", table).group(1)) for word in ("First", "Last"))
	part = path + ".root"
	with open(path, "rb") as disk, open(part, "wb") as out:
		disk.seek(first * 512)
		left = (last - first + 1) * 512
		while left > 0:
			piece = disk.read(min(left, 4 * MIB))
			if not piece:
				break
			if piece.strip(b"\0"):
				out.write(piece)
			else:
				out.seek(len(piece), os.SEEK_CUR)
			left -= len(piece)
		out.truncate((last - first + 1) * 512)
	result = subprocess.run(["/usr/sbin/e2fsck", "-fn", part], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
	os.remove(part)
	print("   ", result.stdout.strip().split("\n")[-1])
	check(result.returncode == 0, f"e2fsck -fn:\n{result.stdout}")


def on_disk(m):
	found = re.search(r"(?m)^(\S+) on / type (\S+)", m.sh("mount"))
	check(found and found.group(2) == "ext4", f"/ is not on a disk: {found and found.group(0)}")
	return found.group(1)


def end(m, path):
	m.type("poweroff")
	m.end()
	root_is_clean(path)


def survives(start, disk, name, **environment):
	path = writable()
	m = start(path, CPUS=2, SNAPSHOT=0, DISK=disk, **environment)
	m.login()
	device = on_disk(m)
	print(f"    / is {device}")
	check(device == "/dev/" + name, f"/ is {device}, not {name}")
	check(m.sh("wc -l </proc/cmdline") == "1", "/proc/cmdline")
	m.sh("seq 1 200000 > /root/numbers; mkdir -p /root/a/b; ln -s ../numbers /root/a/link; echo kept > /root/a/b/file")
	digest = m.sh("sha256sum < /root/numbers")
	m.type("reboot")
	m.login()
	check(on_disk(m) == device, "another root after the reboot")
	check(m.sh("sha256sum < /root/a/link") == digest, "another content after the reboot")
	check(m.sh("cat /root/a/b/file") == "kept", "a file is gone")
	m.sh("rm -r /root/a /root/numbers")
	end(m, path)


def root_on_nvme_survives_a_reboot(start):
	survives(start, "nvme", "nvme0n1p5")


def root_on_virtio_survives_a_reboot(start):
	survives(start, "virtio", "vda5")


def root_on_an_sd_card_survives_a_reboot(start):
	survives(start, "sd", "mmcblk0p5")


def an_sd_card_alone_starts_the_system(start):
	"""With firmware that we build, since no packaged one starts from an SD card."""
	for command in ([os.path.join(images.TOP, ".mk/deps"), "firmware"], [os.path.join(images.TOP, "ports/build"), "u-boot"]):
		subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
	survives(start, "card", "mmcblk0p5",
	    FIRMWARE=os.path.join(images.TOP, "build/ports/u-boot/root/usr/lib/u-boot/qemu_arm64_sd/u-boot.bin"))


def synced_files_survive_a_power_cut(start):
	path = writable()
	m = start(path, CPUS=2, SNAPSHOT=0)
	m.login()
	on_disk(m)
	m.sh("for i in $(seq 1 100); do echo content $i > /root/f$i; done; sync; echo later > /root/later")
	m.process.kill()
	m.process.wait()
	m = start(path, CPUS=2, SNAPSHOT=0)
	m.login()
	check(m.sh("cat /root/f? /root/f?? /root/f100 | sort | uniq | wc -l") == "100", "synced files are not there")
	end(m, path)


def root_grows_to_the_disk(start):
	path = writable()
	os.truncate(path, os.path.getsize(path) + 512 * MIB)
	m = start(path, CPUS=2, SNAPSHOT=0)
	m.login()
	on_disk(m)
	size = int(m.sh("df -k / | tail -n1").split()[1])
	print(f"    {size} KiB")
	check(size > 900 * 1024, "the file system did not grow")
	m.sh("dd if=/dev/zero of=/root/big bs=1M count=700 && sync && rm /root/big", guard=600)
	end(m, path)


def a_full_disk_says_so(start):
	path = writable()
	m = start(path, CPUS=2, SNAPSHOT=0)
	m.login()
	on_disk(m)
	output, status = m.run("dd if=/dev/zero of=/root/big bs=1M count=2000", guard=600)
	check(status != 0 and "No space left" in output, f"status {status}: {output}")
	output, status = m.run("echo more > /root/more")
	check(status == 0 or "No space left" in output, f"status {status}: {output}")
	check(m.sh("sync; rm /root/big; echo again > /root/again && cat /root/again") == "again", "after it was full")
	end(m, path)


# Files with their sums, in memory; what happens on the disk is compared with them.
PREPARE = ("mkdir -p /dev/shm/t && cd /dev/shm/t && for d in $(seq 1 %d); do mkdir d$d; for f in $(seq 1 25); do "
    "head -c $((d * f * 97 %% 20000)) /dev/urandom > d$d/f$f; done; done; find . -type f | xargs sha256sum > ../sums; "
    "tar cf ../t.tar . && cd / && rm -r /dev/shm/t; wc -l < /dev/shm/sums")
ROUND = ("rm -rf /root/x && mkdir /root/x && tar xf /dev/shm/t.tar -C /root/x && sync && (cd /root/x && sha256sum -c "
    "/dev/shm/sums > /dev/shm/verdict 2>&1; grep -vc ': OK$' /dev/shm/verdict)")
# A background program that writes and syncs without end; its longest wait, in hundredths of a second.
PULSE = ("(most=0; while [ ! -e /dev/shm/stop ]; do read a b < /proc/uptime; echo $a > /root/pulse || echo failed > /dev/shm/bad; "
    "fsync /root/pulse || echo failed > /dev/shm/bad; read c d < /proc/uptime; w=$(( $(echo $c | tr -d .) - $(echo $a | tr -d .) )); "
    "[ $w -gt $most ] && most=$w; done; echo $most > /dev/shm/most) &")


def was_killed(m, victim, kills):
	"""How often it was started again; the log may have cut a line or two."""
	killed = m.output.count(f"{victim}: killed by chaos".encode())
	again = m.output.count(f"{victim}: running again".encode())
	check(b"does not let go" not in m.output, "init had to end somebody who did not answer")
	check(killed >= kills * 3 // 4 and again >= killed * 9 // 10 - 1, f"{killed} kills, {again} starts")
	return again


def survive_kills(start, victim, kills, disk="nvme"):
	path = writable(f"chaos chaos-slow chaos-{victim} chaos-{kills}")
	m = start(path, CPUS=4, SNAPSHOT=0, DISK=disk)
	m.login()
	on_disk(m)
	files = m.sh(PREPARE % (200 if LONG else 16), guard=600).split()[-1]
	m.sh(PULSE)
	rounds, end_mark = 0, f"chaos: {kills} kills".encode()
	while rounds < 2 or end_mark not in m.output:
		wrong = (m.run(ROUND, guard=900)[0].split() or ["no answer"])[-1]	# a log line may fall into the echo
		rounds += 1
		check(wrong == "0", f"round {rounds}: {wrong}")
	m.sh("touch /dev/shm/stop; wait", guard=300)
	m.sh("test ! -e /dev/shm/bad")	# a write or an fsync failed
	most = int(m.sh("cat /dev/shm/most").split()[-1])
	again = was_killed(m, victim, kills)
	m.sh("lscap -d")	# who was built again holds what it held
	print(f"    {kills} kills, {again} starts, {rounds} rounds of {files} files, longest pause {most * 10} ms")
	end(m, path)


def compile_under_kills(start, victim, kills, disk="nvme", pace="chaos-slow"):
	"""Processes that work like compilers, each of whose calls and bytes is checked (conformance/compiling.c)."""
	path = writable(f"chaos {pace} chaos-{victim} chaos-{kills}")
	m = start(path, CPUS=4, SNAPSHOT=0, DISK=disk)
	m.login()
	on_disk(m)
	m.sh("mkdir /root/c")
	m.sh("/usr/lib/tests/compiling /root/c 4 /dev/shm/stop > /dev/shm/compiled 2>&1 &")
	m.expect(f"chaos: {kills} kills", guard=60 + 10 * kills)
	m.sh("touch /dev/shm/stop; wait", guard=300)
	text = m.sh("cat /dev/shm/compiled")
	again = was_killed(m, victim, kills // 4 if pace == "chaos-late" else kills)
	print(f"    {kills} kills, {again} starts; {text.split(chr(10))[-1]}")
	check(re.search(r"(?m)^[1-9]\d* rounds, [1-9]\d* files, 0 failed,", text), text)
	end(m, path)


def killing_the_disk_driver_loses_nothing(start):
	survive_kills(start, "nvme0", 100 if LONG else 12)


def killing_the_file_server_loses_nothing(start):
	survive_kills(start, "fs", 100 if LONG else 12)


def killing_devmgr_loses_nothing(start):
	survive_kills(start, "devmgr", 100 if LONG else 12)


def killing_the_virtio_driver_loses_nothing(start):
	survive_kills(start, "vda", 100 if LONG else 6, "virtio")


def killing_the_file_server_over_an_sd_card_loses_nothing(start):
	compile_under_kills(start, "fs", 100 if LONG else 6, "sd")


def killing_the_sd_driver_loses_nothing(start):
	compile_under_kills(start, "mmc0", 100 if LONG else 6, "sd")


# Every 0.2 s on average: many hit a server that is still recovering.
def killing_the_file_server_as_it_recovers_loses_nothing(start):
	# Some find nobody there to be killed, since it is about to be built again, and each fifth has to wait (init(8)).
	compile_under_kills(start, "fs", 680 if LONG else 170, pace="chaos-late")


def a_world_killed_over_and_over_harms_no_file(start):
	"""
	Its memory is another one's at once: no write of the old life may be on its way then, and a file server
	or driver that is slow to say so would be ended.
	"""
	kills = 40 if LONG else 8
	path = writable(f"chaos chaos-slow chaos-linux chaos-{kills}")
	m = start(path, CPUS=4, SNAPSHOT=0)
	m.expect(f"chaos: {kills} kills", guard=BOOT_GUARD + 10 * kills)
	m.send("\r")
	m.login()
	on_disk(m)
	was_killed(m, "linux", kills)
	check(m.sh("echo after > /root/after && sync && cat /root/after") == "after", "the last life")
	end(m, path)


def compilers_survive_a_disk_driver(start):
	compile_under_kills(start, "nvme0", 100)


def compilers_survive_a_file_server(start):
	compile_under_kills(start, "fs", 100)


def compilers_survive_devmgr(start):
	compile_under_kills(start, "devmgr", 100)


TESTS = [
	root_on_nvme_survives_a_reboot, root_on_virtio_survives_a_reboot, root_on_an_sd_card_survives_a_reboot,
	synced_files_survive_a_power_cut, root_grows_to_the_disk, a_full_disk_says_so,
	killing_the_disk_driver_loses_nothing, killing_the_file_server_loses_nothing, killing_devmgr_loses_nothing,
	killing_the_virtio_driver_loses_nothing, killing_the_file_server_over_an_sd_card_loses_nothing,
	killing_the_sd_driver_loses_nothing, killing_the_file_server_as_it_recovers_loses_nothing,
	a_world_killed_over_and_over_harms_no_file,
]
if LONG:		# minutes to build
	TESTS.append(an_sd_card_alone_starts_the_system)
	TESTS += [compilers_survive_a_disk_driver, compilers_survive_a_file_server, compilers_survive_devmgr]
