# SPDX-License-Identifier: MIT
"""
The storage lines: instructions that the whole machine executes for what the
program storage/ does, on Tessera and on Debian's kernel, from the same disk image
with the same ext4 root on NVMe.  The emulator counts between the program's marks
(plugin/count.c): waiting executes nothing, so a disk's time is not in the figures,
only the work of waiting (ticks, idle loops) is.  Of each line the least is taken.

For `run`, and for `profile`, which asks which functions a line consists of.
"""
import io
import math
import os
import re
import subprocess
import sys
import tarfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "boot"))

from serial import BOOT_GUARD, Failure, Machine	# noqa: E402

RELEASE = os.path.join(TOP, "build", "release")
OUT = os.path.join(TOP, "build", "bench")
IMAGE = os.path.join(OUT, "storage.img")
INITRD = os.path.join(OUT, "linux.cpio")
PLUGIN = os.path.join(OUT, "count.so")
COUNTS = os.path.join(OUT, "counts")
PROGRAM = os.path.join(RELEASE, "tests/bench/storage/storage")
GUARD = 900
RUNS = 2
MIB = 1 << 20
FILES, FOLDERS = 10000, 100
TAR_FILES, TAR_FOLDERS = 1200, 40
TIME = 1767225600
# Waiting takes its time: with time that jumps to the next deadline, every wait for
# the disk would end with a driver's time-out or a burst of ticks.
MACHINE = {"ICOUNT": "wait", "CPUS": "1", "CPU": "cortex-a72", "MEM": "1G", "REBOOT": "off"}
# Debian's kernel at its fastest, with the disk's DMA translated as ours is, but lazily.
TUNED = ("console=ttyAMA0 quiet rdinit=/init panic=-1 nokaslr mitigations=off audit=0 lsm=yama "
    "init_on_alloc=0 randomize_kstack_offset=off iommu.strict=0")
START = """#!/bin/sh
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do
	insmod /modules/$module || exec sh
done
until [ -b /dev/nvme0n1p5 ]; do
	usleep 1000
done
mount -t ext4 /dev/nvme0n1p5 /mnt && exec switch_root /mnt /sbin/init
exec sh
"""


def run(*command, **options):
	subprocess.run(command, check=True, **options)


def newer(target, *sources):
	"""Whether target is there and no source was changed after it."""
	return os.path.exists(target) and all(os.path.getmtime(s) <= os.path.getmtime(target) for s in sources)


# ---- what is needed ----

def content(size, seed):
	"""Bytes that are no hole and no two blocks of which are equal."""
	return b"".join(b"%07x%08x\n" % (seed, i) for i in range((size + 15) // 16))[:size]


def make_files(folder):
	os.makedirs(os.path.join(folder, "many"))
	with open(os.path.join(folder, "big"), "wb") as f:
		f.write(content(64 * MIB, 1))
	for i in range(FILES):
		name = os.path.join(folder, "many", f"folder{i % FOLDERS:02}", f"file{i:05}")
		os.makedirs(os.path.dirname(name), exist_ok=True)
		with open(name, "wb"):
			pass
	with tarfile.open(os.path.join(folder, "tree.tar"), "w", format=tarfile.USTAR_FORMAT) as tar:
		for i in range(TAR_FOLDERS):
			tar.addfile(tar_member(f"folder{i:02}", type=tarfile.DIRTYPE, mode=0o755))
		for i in range(TAR_FILES):
			data = content(100 + i * 7919 % 8000, i)
			member = tar_member(f"folder{i % TAR_FOLDERS:02}/file{i:04}", size=len(data), mode=0o644)
			tar.addfile(member, io.BytesIO(data))


def tar_member(name, **facts):
	member = tarfile.TarInfo(name)
	member.mtime = TIME
	for key, value in facts.items():
		setattr(member, key, value)
	return member


def make_image():
	parts = [os.path.join(RELEASE, p) for p in ("images/base.bundle", "kernel/kernel.elf", "boot/BOOTAA64.EFI")]
	if newer(IMAGE, PROGRAM, os.path.abspath(__file__), *parts):
		return
	extra, root = os.path.join(OUT, "extra"), os.path.join(OUT, "root")
	run("rm", "-rf", extra)
	os.makedirs(os.path.join(extra, "usr/lib/tests"))
	run("cp", PROGRAM, os.path.join(extra, "usr/lib/tests"))
	make_files(os.path.join(extra, "srv/bench"))
	run(os.path.join(TOP, "images/mkroot"), "minimal", root + ".cpio", extra)
	run(os.path.join(TOP, "images/mkext4"), root + ".cpio", root + ".ext4", "512")
	run(os.path.join(TOP, "images/mkimage"), "-o", IMAGE, "--loader", parts[2], "--kernel", parts[1],
	    "--bundle", parts[0], "--root", root + ".ext4",
	    env=dict(os.environ, MKSLOT=os.path.join(RELEASE, "boot/tools/mkslot")))
	run("rm", "-rf", extra, root + ".cpio", root + ".ext4")


def make_plugin():
	source = os.path.join(TOP, "tests/bench/plugin/count.c")
	if not newer(PLUGIN, source):
		run("gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC",
		    "-fvisibility=hidden", "-o", PLUGIN, source)


def debian_kernel():
	"""Its path, and its version."""
	kernel = subprocess.run([os.path.join(TOP, "tests/bench/debian-kernel")], check=True,
	    stdout=subprocess.PIPE, text=True).stdout.strip()
	with open(os.path.join(os.path.dirname(kernel), "version"), encoding="ascii") as f:
		return kernel, f.read().strip()


def make_initrd(kernel):
	"""Our root archive, and what lets Debian's kernel change to the root on the disk."""
	modules, archive = os.path.join(os.path.dirname(kernel), "modules"), os.path.join(TOP, "build/images/root.cpio")
	if newer(INITRD, os.path.join(modules, "order"), archive, os.path.abspath(__file__)):
		return
	extra = os.path.join(OUT, "initrd")
	run("rm", "-rf", extra)
	os.makedirs(extra)
	run("cp", "-r", modules, os.path.join(extra, "modules"))
	with open(os.path.join(extra, "init"), "w", encoding="ascii") as f:
		f.write(START)
	os.chmod(f.name, 0o755)
	more = subprocess.run("find . | sort | cpio -o -H newc --quiet", shell=True, check=True, cwd=extra,
	    stdout=subprocess.PIPE).stdout
	with open(archive, "rb") as f, open(INITRD, "wb") as out:
		out.write(f.read() + more)
	run("rm", "-rf", extra)


def prepare(linux):
	os.makedirs(OUT, exist_ok=True)
	make_plugin()
	make_image()
	if linux:
		make_initrd(debian_kernel()[0])


# ---- a run ----

def machine(system, options=""):
	command = [os.path.join(TOP, "tests/qemu"), IMAGE, "-plugin", f"{PLUGIN},out={COUNTS}-{system}{options}"]
	if system == "linux":
		command += ["-kernel", debian_kernel()[0], "-initrd", INITRD, "-append", TUNED]
	return Machine(command=command, log=f"bench-storage-{system}", **MACHINE)


def counts(system):
	"""Instructions between the marks in their order, and all until the first one."""
	with open(f"{COUNTS}-{system}", encoding="ascii") as f:
		rows = [[int(word) for word in line.split()] for line in f]
	return [row[1] for row in rows], rows[0][2]


def once(system, options="", at_prompt=None, at_end=None):
	"""{line: [instructions per operation, of each time]}."""
	with machine(system, options) as m:
		m.login(BOOT_GUARD * 4)
		m.sh("/usr/lib/tests/storage boot")
		if at_prompt:
			at_prompt(m)
		output = m.sh("/usr/lib/tests/storage /srv/bench", guard=GUARD)
		if at_end:
			at_end(m)
	if "storage-end" not in output:
		raise Failure(f"the storage lines did not come to their end:\n{output}")
	names = re.findall(r"^storage (\S+) (\d+)$", output, re.M)
	counted, boot = counts(system)
	if len(counted) != len(names) + 1:
		raise Failure(f"{len(counted)} marks for {len(names)} lines")
	with open(os.path.join(OUT, "order"), "w", encoding="ascii") as f:
		f.writelines(name + "\n" for name, _ in names)
	figures = {"disk.boot_to_prompt": [boot]}
	for (name, operations), value in zip(names, counted[1:]):
		figures.setdefault("disk." + name, []).append(value / int(operations))
	return figures


def least(system, runs, **calls):
	"""{line: the least of several boots}; the first one calls what is to be called."""
	best = {}
	for _ in range(runs):
		for name, values in once(system, **calls).items():
			best[name] = min([best.get(name, values[0]), *values])
		calls = {}
	return best


# ---- memory ----

def memory(m):
	"""
	{name: (budget, bytes taken)}: of components at most until now, of what a world uses
	its RAM for now; of programs, by name, the most that each had in memory.
	"""
	taken = {}
	for line in m.sh("cat /proc/tessera/memory").splitlines():
		name, *numbers = line.split()
		if len(numbers) == 1:
			taken[name] = (None, int(numbers[0]))
		else:
			budget, made, _, peak, _ = (int(n) for n in numbers)
			taken[name] = (budget, made + peak)
	status = m.sh("cat /proc/[0-9]*/status | grep -E '^(Name|VmHWM)'")
	for name, peak in re.findall(r"^Name:\s*(\S+)\nVmHWM:\s*(\d+) kB", status, re.M):
		key = f"program.{name}"
		taken[key] = (None, max(int(peak) * 1024, taken.get(key, (None, 0))[1]))
	return taken


def memory_table(at_prompt, at_end):
	print(f"\n{'memory, KiB':<34} {'budget':>12} {'at prompt':>12} {'after disk':>12}")
	for name in list(at_end) + [n for n in at_prompt if n not in at_end]:
		budget = (at_end.get(name) or at_prompt[name])[0]
		row = [t[name][1] / 1024 if name in t else None for t in (at_prompt, at_end)]
		print(f"{name:<34} {'' if budget is None else f'{budget / 1024:,.0f}':>12}",
		    *("" if v is None else f"{v:>12,.0f}" for v in row))


def mean(ratios):
	return math.exp(sum(math.log(r) for r in ratios) / len(ratios))


def figures(linux):
	"""Tessera's lines and Linux's, {name: instructions}, and memory() at the prompt and after the lines."""
	at_prompt, at_end = {}, {}
	prepare(linux)
	ours = least("tessera", RUNS, at_prompt=lambda m: at_prompt.update(memory(m)),
	    at_end=lambda m: at_end.update(memory(m)))
	return ours, least("linux", RUNS) if linux else {}, (at_prompt, at_end)


def table(ours, linux):
	print(f"\n{'root on NVMe, instructions':<34} {'Tessera':>14} {'Linux':>14} {'ratio':>7}")
	ratios = {name: ours[name] / linux[name] for name in ours if linux.get(name)}
	for name, value in ours.items():
		other = f"{linux[name]:,.0f}" if name in linux else ""
		ratio = f"{ratios[name]:.2f}" if name in ratios else ""
		mark = "  above 1.5" if ratios.get(name, 0) > 1.5 else ""
		print(f"{name:<34} {value:>14,.0f} {other:>14} {ratio:>7}{mark}")
	if ratios:
		print(f"\ngeometric mean of {len(ratios)} lines: {mean(ratios.values()):.3f} of Linux; "
		    f"{sum(r > 1.5 for r in ratios.values())} above 1.5")
