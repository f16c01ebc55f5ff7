# SPDX-License-Identifier: MIT
"""
Upgrades of the running system: the other slot is written there, the next start
tries it, and what does not come up is left again.  LONG=1: every kind of broken
system, a kernel that hangs, another loader, and power cuts while these are written.
"""
import os
import random
import re
import shutil
import struct
import subprocess
import time

import images
from serial import BOOT_GUARD, TOP, check

LONG = os.environ.get("LONG") == "1"
WRITE_GUARD = 300
CUTS = 6


def hanging_kernel():
	"""A program that the loader takes for a kernel, of one instruction that jumps to itself."""
	code = struct.pack("<I", 0x14000000) * 64
	header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, 183, 1, 0x1000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
	segment = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0x1000, 0x1000, len(code), len(code), 0x1000)
	return (header + segment).ljust(0x1000, b"\0") + code


LOADER_NAME, OTHER_LOADER_NAME = b"loader 0.1", b"loader 9.9"
ESP_OFFSET = 1 << 20


def other_loader(folder):
	"""The loader under another version, which its first line shows."""
	with open(images.built("release", "boot/BOOTAA64.EFI"), "rb") as f:
		code = f.read()
	check(code.count(LOADER_NAME) == 1, "the loader's name is not in it once")
	path = os.path.join(folder, "other.efi")
	with open(path, "wb") as f:
		f.write(code.replace(LOADER_NAME, OTHER_LOADER_NAME))
	return path


def on_esp(disk_file, name):
	"""What mtools finds on the ESP."""
	return subprocess.run(["mtype", "-i", f"{disk_file}@@{ESP_OFFSET}", "::/EFI/BOOT/" + name], check=True,
	    stdout=subprocess.PIPE, env=dict(os.environ, MTOOLS_SKIP_CHECK="1")).stdout


def impatient_conf(path):
	"""system.conf with less time to come up on a trial."""
	with open(path, encoding="utf-8") as f:
		text, n = re.subn(r"^\thealth\t+300s", "\thealth\t15s", f.read(), flags=re.M)
	check(n == 1, "system.conf does not say health 300s")
	impatient = os.path.join(images.OUT, "impatient.conf")
	with open(impatient, "w", encoding="utf-8") as f:
		f.write(text)
	return impatient


def boot_folder():
	"""What an upgrade is made of, and what must not come up, as /boot of the root."""
	folder = os.path.join(images.OUT, "slots/boot")
	shutil.rmtree(folder, ignore_errors=True)
	os.makedirs(folder)
	shutil.copy(images.kernel("release"), os.path.join(folder, "kernel.elf"))
	shutil.copy(images.built("release", "images/base.bundle"), folder)
	text = os.path.join(images.OUT, "nonsense")
	for path, content in ((os.path.join(folder, "label"), "the new system\n"), (text, "nonsense\n")):
		with open(path, "w", encoding="utf-8") as f:
			f.write(content)
	other_loader(folder)
	shutil.copy(images.built("release", "boot/BOOTAA64.EFI"), os.path.join(folder, "BOOTAA64.efi"))
	with open(os.path.join(folder, "hangs.elf"), "wb") as f:
		f.write(hanging_kernel())
	os.chmod(os.path.join(folder, "hangs.elf"), 0o755)
	parts = images.members("release")
	for name, broken in (("broken-conf", {"init": parts["init"], "system.conf": text}),
	    ("broken-world", {k: v for k, v in dict(parts, linuxabi=text).items() if k != "rootfs.cpio"})):
		shutil.move(images.bundle(name, broken), folder)
	shutil.move(images.bundle("impatient", dict(parts, **{"system.conf": impatient_conf(parts["system.conf"])})), folder)
	return os.path.dirname(folder)


def disk_with(name, bundle, extra):
	"""A disk with this bundle in slot A, and folders laid over the minimal root."""
	os.makedirs(images.OUT, exist_ok=True)
	root, path = os.path.join(images.OUT, name + "-root"), os.path.join(images.OUT, name + ".img")
	images.run(os.path.join(TOP, "images/mkroot"), "minimal", root + ".cpio", *extra)
	images.run(os.path.join(TOP, "images/mkext4"), root + ".cpio", root + ".ext4", "192")
	images.run(os.path.join(TOP, "images/mkimage"), "-o", path, "--loader", images.built("release", "boot/BOOTAA64.EFI"),
	    "--kernel", images.kernel("release"), "--bundle", bundle, "--label", "the old system", "--root", root + ".ext4")
	return path


@images.once
def upgradable():
	return disk_with("slots", images.bundle("slots", images.members("release")), [boot_folder()])


def disk():
	"""A copy that the machine may change."""
	path = os.path.join(images.OUT, "slots-disk.img")
	subprocess.run(["cp", "--sparse=always", upgradable(), path], check=True)
	return path


def boot(start, path, **environment):
	m = start(path, CPUS=2, SNAPSHOT=0, **environment)
	m.login()
	return m


def wait_for(m, command, wanted):
	"""The report of the start may come after the prompt."""
	output = ""
	for _ in range(30):
		output = m.sh(command, status=None)
		if re.search(wanted, output, re.M):
			return output
		m.sh("sleep 1")
	check(False, f"{command}: not seen: {wanted}\n{output}")


def says(m, text):
	"""Before the prompt or after it."""
	if text.encode() not in m.output:
		m.expect(text)


def status(m, *wanted):
	output = m.sh("tessera-slot status")
	for pattern in wanted:
		check(re.search(pattern, output, re.M), f"tessera-slot status: not seen: {pattern}\n{output}")


def upgrades(start, node, **environment):
	"""From A to B, which is found good, and back to an A that is damaged before it starts."""
	m = boot(start, disk(), **environment)
	check(m.sh("cat /proc/tessera/slot").startswith("slot A\ntrial no\ndisk 54455353-4f4c-5402"), "/proc/tessera/slot")
	status(m, r'^A runs  good .*"the old system"', r"^B .*empty", r"^next start: A$")
	machine = m.sh("cat /etc/machine-id")
	check(re.fullmatch("[0-9a-f]{32}", machine), f"/etc/machine-id: {machine}")
	output = m.sh("tessera-slot upgrade", guard=WRITE_GUARD)
	check('slot B has "the new system"' in output and "slot B gets a trial" in output, output)
	status(m, r'^A runs  good', r'^B +on trial .*"the new system"', r"^next start: B, then A$")
	m.type("reboot")
	m.expect('slot B ("the new system") came up and is good now', BOOT_GUARD)
	m.seen = m.output.rfind(b"loader 0.1")
	m.login()
	check("slot B (trial boot) the new system" in m.output.decode(errors="replace"), "the loader does not name the slot")
	check(m.sh("cat /proc/tessera/slot").startswith("slot B\ntrial yes"), "/proc/tessera/slot")
	says(m, "linux: the slot on trial works")
	check(m.sh("cat /etc/machine-id") == machine, "another machine after a start")
	wait_for(m, "tessera-slot status", r'^B runs  good .*"the new system"')
	status(m, r"^next start: B, then A$")
	# The other way, and what was written becomes damaged.
	m.sh("tessera-slot --label doomed write /boot/kernel.elf /boot/broken-world.bundle && tessera-slot activate",
	    guard=WRITE_GUARD)
	m.sh(f"dd if=/dev/zero of=/dev/{node} bs=4096 seek=5 count=1 && sync")
	output, ended = m.run("tessera-slot verify", guard=WRITE_GUARD)
	check(ended == 1 and "A damaged: content: wrong hash" in output and "B whole" in output, output)
	m.type("reboot")
	m.expect("slot A refused: content: wrong hash", BOOT_GUARD)
	m.login()
	wait_for(m, "tessera-slot status", r"^A +bad ")
	says(m, 'slot A ("doomed") did not come up and is bad now; slot B runs ("the new system")')
	status(m, r"^B runs  good", r"^next start: B$")
	m.type("poweroff")
	m.end()


def an_upgrade_boots_the_other_slot_and_a_damaged_one_falls_back(start):
	upgrades(start, "nvme0n1p2")


def an_upgrade_works_on_a_virtio_disk(start):
	upgrades(start, "vda2", DISK="virtio")


def falls_back(start, kernel, bundle, *seen, hangs=False, options=""):
	"""Slot B with these does not come up; the system is A again, by itself or after a reset, and says so."""
	path = disk()
	m = boot(start, path)
	m.sh(f"tessera-slot --label broken {options} upgrade /boot/{kernel} /boot/{bundle}", guard=WRITE_GUARD)
	m.type("reboot")
	m.expect("slot B (trial boot) broken", BOOT_GUARD)
	for text in seen:
		m.expect(text, BOOT_GUARD)
	if hangs:
		m.take(5)
		m.close()
		m = start(path, CPUS=2, SNAPSHOT=0)
	m.expect("slot A the old system", BOOT_GUARD)
	m.login()
	wait_for(m, "tessera-slot status", r'^B +bad .*"broken"')
	says(m, 'slot B ("broken") did not come up and is bad now; slot A runs ("the old system")')
	m.type("poweroff")
	m.end()


def a_system_whose_init_gives_up_falls_back(start):
	falls_back(start, "kernel.elf", "broken-conf.bundle", "system.conf is not valid", "this slot was on trial: reset")


def a_system_without_a_linux_world_falls_back(start):
	falls_back(start, "kernel.elf", "broken-world.bundle", "linux is down, and this slot was on trial")


def a_system_that_hangs_falls_back_by_itself(start):
	"""Its first program, which Linux takes as well as the loader, runs and does nothing."""
	falls_back(start, "kernel.elf", "impatient.bundle", "linux did not say within 15 s that it works", "reset for the other slot",
	    options='--cmdline "init=/boot/hangs.elf"')


def a_kernel_that_hangs_falls_back_at_the_next_reset(start):
	falls_back(start, "hangs.elf", "base.bundle", hangs=True)


def a_power_cut_while_a_slot_is_written_leaves_a_system(start):
	dice = random.Random(1)
	path = disk()
	for n in range(CUTS):
		m = boot(start, path)
		m.type("tessera-slot upgrade; echo ended")
		time.sleep(dice.uniform(0.02, 0.6))
		m.process.kill()
		m.process.wait()
		m = boot(start, path)
		runs = m.sh("cat /proc/tessera/slot").split("\n")[0]
		print(f"    cut {n + 1}: {runs} runs")
		wait_for(m, "tessera-slot status", f"^{runs[-1]} runs  good")
		m.type("poweroff")
		m.end()
		if runs == "slot B":	# it was through: once more from the beginning
			path = disk()


def a_power_cut_while_the_loader_is_written_leaves_one(start):
	"""The old one or the new one starts; the other is tried again until it is there."""
	dice = random.Random(2)
	path, written = disk(), 0
	with open(images.built("release", "boot/BOOTAA64.EFI"), "rb") as f:
		old = f.read()
	new = old.replace(LOADER_NAME, OTHER_LOADER_NAME)
	for n in range(CUTS):
		m = boot(start, path)
		m.type(f"tessera-slot loader /boot/{'other' if written % 2 == 0 else 'BOOTAA64'}.efi; echo ended")
		time.sleep(dice.uniform(0.05, 1.2))
		m.process.kill()
		m.process.wait()
		found = on_esp(path, "BOOTAA64.EFI")
		check(found in (old, new), f"cut {n + 1}: neither the old loader nor the new one")
		print(f"    cut {n + 1}: the {'new' if found == new else 'old'} loader")
		written += found == (new if written % 2 == 0 else old)
	m = boot(start, path)
	output = m.sh("tessera-slot loader /boot/other.efi", guard=WRITE_GUARD)
	check("the loader is" in output, output)
	m.type("reboot")
	m.expect(OTHER_LOADER_NAME.decode(), BOOT_GUARD)
	m.login()
	m.type("poweroff")
	m.end()
	check(on_esp(path, "BOOTAA64.EFI") == new, "not the new loader")
	check(on_esp(path, "PREVIOUS.EFI") == old, "the one before it was not kept")


def system_packages(number, bundle, key, **environment):
	"""A repository of the base system, version 0.1-NUMBER."""
	folder = os.path.join(images.OUT, f"system-{number}")
	shutil.rmtree(folder, ignore_errors=True)
	subprocess.run([os.path.join(TOP, "images/mkpackages"), folder], check=True, stdout=subprocess.DEVNULL,
	    env=dict(os.environ, VERSION=f"0.1-{number}", BUNDLE=bundle, PKG_KEY=key + ".key", **environment))
	return folder


def installed_by_pkg(old, repositories):
	"""What pkg leaves of the old version, as a folder, with newer repositories beside it."""
	pkg, stage = images.built("release", "pkg/cmd/pkg"), os.path.join(images.OUT, "installed")
	shutil.rmtree(stage, ignore_errors=True)
	os.makedirs(os.path.join(stage, "etc/pkg/keys"))
	shutil.copy(os.path.join(old, "system.pub"), os.path.join(stage, "etc/pkg/keys"))
	for words in (["repo", "add", "old", old], ["--yes", "install", "tessera-kernel", "tessera-boot", "tessera-base"]):
		subprocess.run([pkg, "--root", stage, "--arch", "aarch64", *words], check=True,
		    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	os.remove(os.path.join(stage, "etc/pkg/repos"))
	for folder in repositories:
		shutil.copytree(folder, os.path.join(stage, "srv", os.path.basename(folder)))
	return stage


def pkg_upgrades_the_base_system_and_a_broken_one_falls_back(start):
	"""The packages, their trigger, and pkg itself on the running system."""
	for command in (["make", "-s", "-C", "pkg/cmd", "CONFIG=release"], ["ports/build", "pkg"]):
		subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.DEVNULL)
	other = os.path.join(boot_folder(), "boot/other.efi")
	key = os.path.join(images.OUT, "system")
	first, broken = images.bundle("first", images.members("release")), os.path.join(images.OUT, "slots/boot/broken-world.bundle")
	old = system_packages(1, first, key)
	stage = installed_by_pkg(old, [system_packages(2, images.built("release", "images/base.bundle"), key, LOADER=other),
	    system_packages(3, broken, key, LOADER=other)])
	path = disk_with("pkg", first, [stage, os.path.join(TOP, "build/ports/pkg/root")])
	m = boot(start, path)
	check(re.search("^tessera-base +0.1-1", m.sh("pkg list"), re.M), "not installed by pkg")
	m.sh("pkg repo add new /srv/system-2")
	output = m.sh("pkg --yes upgrade", guard=WRITE_GUARD)
	check('slot B has "tessera 0.1-2"' in output and "the loader is written" in output, output)
	m.type("reboot")
	m.expect(OTHER_LOADER_NAME.decode(), BOOT_GUARD)
	m.expect("slot B (trial boot) tessera 0.1-2", BOOT_GUARD)
	m.login()
	status(m, r'^B runs  good .*"tessera 0.1-2"', r"^A +good ")
	m.sh("pkg verify", guard=WRITE_GUARD)
	m.sh("pkg repo add broken /srv/system-3")
	output = m.sh("pkg --yes upgrade", guard=WRITE_GUARD)
	check('slot A has "tessera 0.1-3"' in output, output)
	m.type("reboot")
	m.expect("slot A (trial boot) tessera 0.1-3", BOOT_GUARD)
	m.expect("linux is down, and this slot was on trial", BOOT_GUARD)
	m.login()
	says(m, 'slot A ("tessera 0.1-3") did not come up and is bad now; slot B runs ("tessera 0.1-2")')
	# Back to what runs: nothing needs to be written.
	output = m.sh("pkg --yes rollback", guard=WRITE_GUARD)
	check("slot B, which runs, has this kernel and bundle" in output, output)
	status(m, r"^B runs  good", r"^next start: B$")
	m.type("poweroff")
	m.end()


ROOT_OFFSET = 166 << 20


def has_file(disk_file, name):
	"""Whether the root partition of an image has it, as debugfs sees it."""
	output = subprocess.run(["/usr/sbin/debugfs", "-R", f"stat {name}", f"{disk_file}?offset={ROOT_OFFSET}"],
	    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout
	return b"Inode:" in output


def the_root_is_that_of_the_disk_that_started(start):
	"""Two disks of one image in one machine: the copy comes first, second, or is of the same kind."""
	pairs = ("virtio", "nvme0n1"), ("nvme", "vda"), ("nvme", "nvme1n1")
	for which, copy in pairs if LONG else pairs[:1]:
		path = disk()
		second = os.path.join(images.OUT, "slots-copy.img")
		subprocess.run(["cp", "--sparse=always", path, second], check=True)
		extra = {"DISK2": second} if copy != "vda" else {"QEMU_EXTRA": f"-drive if=none,id=copy,file={second},format=raw "
		    "-device virtio-blk-pci,drive=copy,serial=copy,disable-legacy=on,iommu_platform=on"}
		m = boot(start, path, DISK=which, **extra)
		says(m, f'{copy}: channel disk.{copy.replace("n1", "")}: this disk is a copy of the one')
		m.sh("echo here >/root/here && sync")
		check(m.sh(f"test -b /dev/{copy} && echo yes") == "yes", f"/dev/{copy} is not there")
		node = m.sh("sed -n 's/^node //p' /proc/tessera/slot")
		status(m, f"^disk /dev/{node},", r"^A runs  good")
		check(node == {"nvme": "nvme0n1", "virtio": "vda"}[which], f"/proc/tessera/slot says node {node}")
		part = "/dev/" + copy + ("p5" if "nvme" in copy else "5")
		m.sh(f"mount {part} /mnt && echo there >/mnt/root/there && umount /mnt")
		m.type("poweroff")
		m.end()
		check(has_file(path, "/root/here") and not has_file(second, "/root/here"), f"{which}: the other disk was written")
		check(has_file(second, "/root/there") and not has_file(path, "/root/there"), f"{which}: the root was mounted twice")


def a_copy_is_the_root_if_no_other_disk_has_one(start):
	"""The loader lies on a disk from which the root partition was deleted."""
	path = disk()
	second = os.path.join(images.OUT, "slots-whole.img")
	subprocess.run(["cp", "--sparse=always", path, second], check=True)
	subprocess.run(["sgdisk", "-d", "5", path], check=True, stdout=subprocess.DEVNULL)
	m = boot(start, path, DISK2=second)
	check(re.search("(?m)^/dev/[a-z0-9]+ on / type ext4", m.sh("mount")), "/ is not on the other disk")
	m.sh("echo here >/root/here && sync")
	m.type("poweroff")
	m.end()
	check(has_file(second, "/root/here"), "nothing was written there")


def two_disks_that_firmware_does_not_tell_apart_are_named(start):
	"""U-Boot does not say which PCI function it started from."""
	path = disk()
	second = os.path.join(images.OUT, "slots-copy.img")
	subprocess.run(["cp", "--sparse=always", path, second], check=True)
	m = boot(start, path, DISK2=second, FIRMWARE="uboot")
	says(m, "nvme0n1 and nvme1n1 have the same GUIDs, and firmware did not say which was started from: nvme0n1 serves")
	m.type("poweroff")
	m.end()


def host_keys_are_made_once(start):
	"""Where dropbear is installed, at its first start."""
	subprocess.run([os.path.join(TOP, "ports/build"), "dropbear"], check=True, stdout=subprocess.DEVNULL)
	ports = [os.path.join(TOP, "build/ports", name, "root") for name in ("zlib", "dropbear")]
	m = boot(start, disk_with("keys", images.built("release", "images/base.bundle"), ports))
	check(m.sh("ls /etc/dropbear/*_host_key | wc -l") == "3", "not three keys")
	check(m.sh("ls /etc/dropbear | grep new", status=1) == "", "something is left over")
	check("ssh-ed25519" in m.sh("dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key"), "no ed25519 key")
	check(m.sh("stat -c %a /etc/dropbear/*_host_key").split() == ["600"] * 3, "others may read them")
	sums = m.sh("sha256sum /etc/dropbear/* /etc/machine-id")
	m.type("reboot")
	m.login()
	check(m.sh("sha256sum /etc/dropbear/* /etc/machine-id") == sums, "other keys after a start")
	m.type("poweroff")
	m.end()


TESTS = [an_upgrade_boots_the_other_slot_and_a_damaged_one_falls_back, the_root_is_that_of_the_disk_that_started,
    a_copy_is_the_root_if_no_other_disk_has_one]
if LONG:
	TESTS += [two_disks_that_firmware_does_not_tell_apart_are_named, an_upgrade_works_on_a_virtio_disk, pkg_upgrades_the_base_system_and_a_broken_one_falls_back, host_keys_are_made_once, a_system_whose_init_gives_up_falls_back, a_system_without_a_linux_world_falls_back,
	    a_system_that_hangs_falls_back_by_itself, a_kernel_that_hangs_falls_back_at_the_next_reset, a_power_cut_while_a_slot_is_written_leaves_a_system,
	    a_power_cut_while_the_loader_is_written_leaves_one]
