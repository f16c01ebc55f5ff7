# SPDX-License-Identifier: MIT
"""
pkg at the prompt of a system that is made of packages, as a person uses it: what
is installed, what the image's own repository offers, in and out and back again.
Typed in this order on one machine; tests/packages makes its image and calls this.
"""
import re

from serial import ESCAPES, check, clean

REPOSITORY = "/usr/share/tessera/repo"
BAR = re.compile(rb"\[([# ]{24})\] ([a-z]+)")	# a progress line


def names(m):
	return [line.split()[0] for line in m.sh("pkg list").split("\n")]


def versions(m):
	return m.sh("pkg list")


def bars(m):
	"""What the last command drew: the words behind each bar, in their order."""
	return [word.decode() for _, word in BAR.findall(m.output[m.typed_at:m.seen])]


def answer(m, line, reply, guard=90):
	"""Type a command that asks; its output, what the terminal showed between and its status."""
	m.typed_at = m.seen
	m.type(line)
	before, _ = m.expect("Do it? [y/N] ", guard)
	m.send(reply + "\r")
	raw, status = m.prompt(guard)
	return clean(before), clean(raw), status


def installed_is_listed(m):
	output = m.sh("pkg info")
	print(output)
	check(re.search(r"(?m)^busybox +\d\S* +\S", output), "busybox is not there")
	check(re.search(r"(?m)^pkg +\d\S* +Installs", output), "pkg is not there")
	check("nano" not in names(m) and "toybox" not in names(m), "the profile has what the test installs")
	output = m.sh("pkg info toybox")
	check("not installed" in output and "0BSD" in output, output)


def the_image_carries_a_repository(m):
	output = m.sh("pkg repo list")
	print("   ", output)
	check(re.match(rf"image {REPOSITORY}: \d+ packages, serial \d+, good until 2\d\d\d-", output), "no repository")
	check(re.fullmatch(r"[0-9a-f]{16} \S+\.pub", m.sh("pkg repo keys")), "one key")
	check("nano" in m.sh("pkg search editor"), "search")


def a_question_comes_first(m):
	before = versions(m)
	plan, _, status = answer(m, "pkg install toybox nano", "n")
	check(re.search(r"(?m)^install +nano ", plan) and re.search(r"(?m)^install +toybox ", plan), plan)
	check(status == 1 and versions(m) == before, "no was not heard")


def toybox_and_nano_come(m):
	_, shown, status = answer(m, "pkg install toybox nano", "y")
	print("    " + shown.replace("\n", "\n    "))
	drawn = bars(m)
	check(status == 0, f"status {status}: {shown}")
	check(drawn.count("unpacking") == 2 and drawn[-1] == "writing", f"bars: {drawn}")
	check("toybox" in names(m) and "nano" in names(m), "not in the database")


def they_work(m):
	check(m.sh("toybox factor 360") == "360: 2 2 2 3 3 5", "toybox")
	check(m.sh("which nano") == "/usr/bin/nano", "nano's place")
	# A text, saved (^O, Enter) and left (^X).
	m.type("TERM=vt100 nano /tmp/note")
	m.expect("GNU nano")
	m.expect("^X")
	m.send("written with nano")
	m.expect("nano")
	m.send("\x0f")
	m.expect("/tmp/note")
	m.send("\r")
	m.expect("Wrote 1 line")
	m.send("\x18")
	m.prompt()
	check(m.sh("cat /tmp/note") == "written with nano", "the text")


def owners_are_known(m):
	check(m.sh("pkg owner /usr/bin/nano") == "/usr/bin/nano: nano", "owner")
	check("no package has" in m.sh("pkg owner /etc/hostname", status=3), "a file of nobody")
	check("/usr/bin/nano" in m.sh("pkg files nano").split("\n"), "files")


def verify_sees_what_changed(m):
	check(re.fullmatch(r"\d+ packages are as they should be", m.sh("pkg verify")), "verify")
	m.sh("cp -p /usr/bin/toybox /tmp/ && echo x >>/usr/bin/toybox")
	output = m.sh("pkg verify toybox", status=None)
	print("   ", output)
	check("/usr/bin/toybox" in output, "a changed file")
	m.sh("cp -p /tmp/toybox /usr/bin/toybox && pkg verify toybox")


def nano_goes(m):
	_, shown, status = answer(m, "pkg remove nano", "y")
	check(status == 0 and bars(m)[0] == "removing", shown)
	check(m.sh("ls /usr/bin/nano", status=None).endswith("No such file or directory"), "it is still there")
	check("is not installed" in m.sh("pkg -y remove nano", status=3), "a second time")


def what_nobody_needs_goes(m):
	check(m.sh("pkg -y autoremove") == "nothing to do", "something was left over")
	m.sh("pkg -q -y install curl")
	check(m.sh("curl -sS file:///etc/hostname") == "tessera", "curl")
	check("mbedtls" in names(m) and "curl needs" in m.sh("pkg why mbedtls"), "curl's library")
	m.sh("pkg -q -y remove curl")
	output = m.sh("pkg -y autoremove")
	check("remove    mbedtls" in output, output)
	check("mbedtls" not in names(m), "it stayed")


def history_tells(m):
	output = m.sh("pkg history")
	print("    " + output.replace("\n", "\n    "))
	found = re.findall(r"(?m)^(\d+) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (.+)$", output)
	commands = [text for _, text in found]
	check(commands[0].startswith("install ") and commands[1:] == ["install toybox nano", "remove nano", "install curl",
	    "remove curl", "autoremove"], f"{commands}")
	check([int(n) for n, _ in found] == list(range(1, len(found) + 1)), "numbers")


def the_way_back(m):
	m.sh("pkg -q -y rollback")
	check("mbedtls" in names(m), "the last one is not undone")
	_, shown, status = answer(m, "pkg rollback 3", "y")
	check(status == 0, shown)
	check("nano" in names(m) and "mbedtls" not in names(m), f"not as it was before number 3: {names(m)}")
	check("version 8" in m.sh("nano --version"), "nano is back")
	m.sh("pkg -q -y rollback 2")
	check("nano" not in names(m) and "toybox" not in names(m), "not as it was in the beginning")
	check(re.fullmatch(r"\d+ packages are as they should be", m.sh("pkg verify")), "verify")


def without_a_terminal_lines_are_plain(m):
	m.typed_at = m.seen
	output = m.sh("pkg -y install nano 2>&1 | cat; pkg --json list | head -c 9")
	check('[{"name":' in output, output)
	raw = m.output[m.typed_at:m.seen].partition(b"install   nano")[2]
	check(raw and not ESCAPES.search(raw.partition(b"READY-")[0].decode()), "escape sequences in a pipe")
	check("nobody is here to be asked" in m.sh("pkg remove nano </dev/null", status=2), "nobody was asked")


def it_works_when_the_libraries_do_not(m):
	m.sh("mv /usr/lib/libc.so /usr/lib/libc.gone")
	check("bash" in m.sh("bash -c true", status=127), "bash needs no library?")
	check("/usr/lib/libc.so" in m.sh("pkg verify musl", status=None), "it is not seen")
	output = m.sh(f"pkg -y add {REPOSITORY}/musl-1*.pkg")
	check("reinstall musl" in output, output)
	m.sh("bash -c true && pkg verify musl && rm /usr/lib/libc.gone")


def it_is_all_there_after_a_reset(m):
	before = versions(m)
	m.type("reboot -f")
	m.login()
	check(versions(m) == before, "another list")
	check(re.fullmatch(r"\d+ packages are as they should be", m.sh("pkg verify")), "verify")
	check(m.sh("pkg recover") == "nothing was interrupted", "recover")


TESTS = [installed_is_listed, the_image_carries_a_repository, a_question_comes_first, toybox_and_nano_come, they_work,
    owners_are_known, verify_sees_what_changed, nano_goes, what_nobody_needs_goes, history_tells, the_way_back,
    without_a_terminal_lines_are_plain, it_works_when_the_libraries_do_not, it_is_all_there_after_a_reset]
