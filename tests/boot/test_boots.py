# SPDX-License-Identifier: MIT
"""
Boots of their own: each value of the matrix at least once, ends and resets,
damaged slots, a mistake in system.conf, a driver that is killed.  Each test gets a
function that starts a machine.
"""
import os
import re

import images
from serial import BOOT_GUARD, TOP, check


def short_boot(start, cpus, config="release", **machine):
	"""To the prompt, a few words, and power off."""
	m = start(images.normal(config), CPUS=cpus, REBOOT="off", **machine)
	m.login()
	check("aarch64" in m.sh("uname -a"), "uname")
	check(m.sh("nproc") == str(cpus), f"not {cpus} CPUs")
	check(m.sh("seq 1 1000 | tail -n1 | cat") == "1000", "a pipeline")
	m.type("poweroff")
	m.end()


def edk2_acpi_a72_one_cpu_release(start):
	short_boot(start, 1)


def edk2_tree_a76_four_cpus_debug(start):
	short_boot(start, 4, "debug", CPU="cortex-a76", ACPI="off")


def uboot_tree_a72_four_cpus_release(start):
	short_boot(start, 4, FIRMWARE="uboot")


def edk2_acpi_max_four_cpus_release(start):
	short_boot(start, 4, CPU="max")


def uboot_tree_max_one_cpu_debug(start):
	short_boot(start, 1, "debug", FIRMWARE="uboot", CPU="max")


def reboot_comes_back_and_poweroff_ends(start):
	m = start(images.normal("release"), CPUS=2)
	m.login()
	m.sh("touch /tmp/before")
	m.type("reboot")
	m.login()
	m.sh("test ! -e /tmp/before")
	m.type("poweroff")
	m.end()
	check(m.process.returncode == 0, f"QEMU ended with {m.process.returncode}")


def a_broken_slot_a_falls_back_to_b(start):
	m = start(images.slots("broken-a", "A"), CPUS=1, REBOOT="off")
	m.expect("slot A refused", BOOT_GUARD)
	m.login()
	check(m.sh("echo the shell is here") == "the shell is here", "no shell")
	m.type("poweroff")
	m.end()


def two_broken_slots_are_named(start):
	m = start(images.slots("broken-both", "AB"), CPUS=1)
	m.expect("slot A refused: ", BOOT_GUARD)
	m.expect("slot B refused: ")
	m.expect("neither slot")


def a_mistake_in_system_conf_is_named(start):
	with open(os.path.join(TOP, "base/system.conf"), encoding="utf-8") as f:
		lines = f.read().split("\n")
	at = next(i for i, line in enumerate(lines) if re.match(r"\tmemory\t", line))
	lines[at] = "\tmemroy\t\t256K"
	m = start(images.with_conf("broken-conf", "\n".join(lines)), CPUS=1)
	m.expect(f'system.conf:{at + 1}: unknown word "memroy"', BOOT_GUARD)
	m.expect("system.conf is not valid")


def killing_the_uart_driver_loses_no_line(start):
	"""chaos kills it 20 times; numbered lines stream until it is done."""
	m = start(images.chaos(), CPUS=4)
	m.login()
	first, width = 1, 3000
	text = b""
	while b"chaos: 20 kills" not in m.output:
		at = m.seen
		m.sh(f"seq {first} {first + width - 1} | sed 's/.*/line & of the stream/'")
		text += m.output[at:m.seen]
		first += width
	log = m.output.decode(errors="replace")
	kills = log.count("killed by chaos")
	again = len(re.findall(r"uart: running again", log))
	numbers = [int(n) for n in re.findall(rb"line (\d+) of the stream\r?\n", text)]
	wrong = [(i + 1, n) for i, n in enumerate(numbers) if n != i + 1]
	print(f"    {kills} kills, {again} starts, {len(numbers)} lines of {first - 1}, {len(wrong)} of them wrong")
	check(kills >= 15 and again >= kills - 1, "kills without a new start")
	check(numbers == list(range(1, first)), f"the stream is damaged at {wrong[:3]}")
	check(m.sh("echo alive; jobs") == "alive", "the shell")
	m.type("poweroff")
	m.end()


def killing_the_uart_driver_loses_no_key(start):
	"""The same while numbered lines are typed."""
	m = start(images.chaos(), CPUS=4)
	m.login()
	m.line = "cat >/tmp/typed"
	m.send("stty -echo; cat >/tmp/typed; stty echo\r")
	sent = 0
	while b"chaos: 20 kills" not in m.output and sent < 100000:
		m.send("".join(f"key {n}\n" for n in range(sent + 1, sent + 51)))
		sent += 50
		m.take(0.02)
	m.send("\x04")
	m.prompt()
	kills = m.output.decode(errors="replace").count("killed by chaos")
	print(f"    {kills} kills while {sent} lines were typed")
	check(kills >= 15, "kills")
	wrong = m.sh(f"seq 1 {sent} | sed 's/^/key /' | cmp - /tmp/typed", status=None)
	check(wrong == "", f"what was typed is damaged: {wrong}")
	m.type("poweroff")
	m.end()


TESTS = [
	edk2_acpi_a72_one_cpu_release, edk2_tree_a76_four_cpus_debug, uboot_tree_a72_four_cpus_release,
	edk2_acpi_max_four_cpus_release, uboot_tree_max_one_cpu_debug, reboot_comes_back_and_poweroff_ends,
	a_broken_slot_a_falls_back_to_b, two_broken_slots_are_named, a_mistake_in_system_conf_is_named,
	killing_the_uart_driver_loses_no_line, killing_the_uart_driver_loses_no_key,
]
