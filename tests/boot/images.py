# SPDX-License-Identifier: MIT
"""
Disk images made of what `make test-image` left in build/: the normal system with
the test programs, and damaged ones.  Each is made once for a run of tests.
"""
import os
import shutil
import subprocess

from serial import OUT as LOGS
from serial import TOP

MIB = 1 << 20
SLOT_A, SLOT_B = 37 * MIB, 101 * MIB
OUT = ""		# own() says where
made = {}


def own():
	"""This process makes its own: several runs, and several tests of one, do not meet."""
	global OUT
	OUT = os.path.join(LOGS, f"images-{os.getpid()}")


def built(config, path):
	return os.path.join(TOP, "build", config, path)


def tool(name):
	return built("release", os.path.join("boot/tools", name))


def members(config):
	"""What the test bundle consists of, without the component that kills others."""
	with open(built(config, "images/test.bundle.members"), encoding="utf-8") as f:
		pairs = dict(word.split("=", 1) for word in f.read().split())
	pairs = {k: os.path.join(TOP, v) for k, v in pairs.items() if k != "chaos"}
	pairs["system.conf"] = os.path.join(TOP, "base/system.conf")
	return pairs


def run(*command):
	subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, MKSLOT=tool("mkslot")))


def bundle(name, parts):
	path = os.path.join(OUT, name + ".bundle")
	run(tool("mkbundle"), "-o", path, *(f"{k}={v}" for k, v in parts.items()))
	return path


def kernel(config):
	return built(config, "kernel/kernel.elf")


def image(name, config, parts, *more):
	path = os.path.join(OUT, name + ".img")
	run(os.path.join(TOP, "images/mkimage"), "-o", path, "--loader", built(config, "boot/BOOTAA64.EFI"),
	    "--kernel", kernel(config), "--bundle", bundle(name, parts), "--label", name, *more)
	return path


def once(make):
	def cached(*arguments):
		key = (make.__name__, arguments)
		if key not in made:
			os.makedirs(OUT, exist_ok=True)
			made[key] = make(*arguments)
		return made[key]
	return cached


@once
def normal(config):
	return image("normal-" + config, config, members(config))


def chaos():
	"""The image in which a component kills the UART's driver."""
	return built("release", "images/chaos.img")


@once
def with_cmdline(text):
	"""The test image, its slot with another command line."""
	path = os.path.join(OUT, "cmdline-" + text.replace(" ", "-") + ".img")
	run(os.path.join(TOP, "images/mkimage"), "-o", path, "--loader", built("release", "boot/BOOTAA64.EFI"),
	    "--kernel", kernel("release"), "--bundle", built("release", "images/test.bundle"),
	    "--root", built("release", "images/root-test.ext4"), "--cmdline", text)
	return path


@once
def with_conf(name, text):
	conf = os.path.join(OUT, name + ".conf")
	with open(conf, "w", encoding="utf-8") as f:
		f.write(text)
	return image(name, "release", dict(members("release"), **{"system.conf": conf}))


@once
def slots(name, damaged):
	"""Both slots filled; of those in damaged, bytes of the content are wrong."""
	slot = os.path.join(OUT, "slot")
	run(tool("mkslot"), "-o", slot, "--kernel", kernel("release"), "--bundle",
	    bundle("slot", members("release")), "--cmdline", "from-slot-b", "--label", "B")
	path = image(name, "release", members("release"), "--slot-b", slot, "--state", "A=good,B=good")
	with open(path, "r+b") as f:
		for letter in damaged:
			f.seek({"A": SLOT_A, "B": SLOT_B}[letter] + 70000)
			f.write(b"damage, not what was hashed")
	return path


def remove():
	"""Images are large; logs stay."""
	shutil.rmtree(OUT, ignore_errors=True)
	made.clear()
