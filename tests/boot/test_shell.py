# SPDX-License-Identifier: MIT
"""
What a person types at the prompt, and what has to come back.  All of it in one
boot on four CPUs, with tests in this order; a test that leaves the shell in
disorder costs the next one a new boot.
"""
import hashlib
import os
import re
import subprocess
import time

from serial import TOP, check


def the_kernel_names_itself(m):
	output = m.sh("uname -a")
	print("   ", output)
	check("aarch64" in output and "tessera" in output.lower() or m.linux, "not this system")
	release = m.sh("uname -r")
	major, minor = (int(n) for n in re.match(r"(\d+)\.(\d+)", release).groups())
	check((major, minor) >= (5, 10), f"release {release}: a C library may refuse it")


def every_cpu_is_in_cpuinfo(m):
	output = m.sh("cat /proc/cpuinfo")
	check(len(re.findall(r"(?m)^processor\s*: \d+$", output)) == 4, f"not four processors:\n{output}")
	check("Features" in output and "CPU implementer" in output, f"fields missing:\n{output}")
	check(m.sh("nproc") == "4", "nproc")


def every_file_can_be_listed(m):
	archive = os.path.join(TOP, "build/release/images/root-test.cpio")
	with open(archive, "rb") as f:
		names = subprocess.run(["cpio", "-t", "--quiet"], stdin=f, check=True, stdout=subprocess.PIPE).stdout
	files = len(names.splitlines())
	lines = m.number("ls -lR / 2>/dev/null | wc -l")
	print(f"    {lines} lines, {files} files in the archive")
	check(lines > files, "too few lines")


def processes_are_listed(m):
	output = m.sh("ps")
	check(re.search(r"(?m)^\s*1 root .*init", output), f"no init:\n{output}")
	check(re.search(r"(?m)^\s*\d+ root .* ps$", output), f"ps does not see itself:\n{output}")
	output = m.sh("ps -o pid,ppid,pgid,sid,stat,vsz,rss,comm,args")
	check("PPID" in output and "init" in output, f"columns:\n{output}")


def top_shows_one_screen(m):
	output = m.sh("top -n1")
	check("Mem:" in output and "CPU:" in output and "Load average:" in output, f"head missing:\n{output}")
	check("PID" in output and "init" in output, f"no processes:\n{output}")
	output = m.sh("top -b -n1")
	check("Mem:" in output and re.search(r"(?m)^\s*1 .*init", output), f"batch form:\n{output}")


def memory_is_accounted(m):
	output = m.sh("free")
	found = re.search(r"(?m)^Mem:\s+(\d+)\s+(\d+)\s+(\d+)", output)
	check(found, f"no Mem: line:\n{output}")
	total, used, free = (int(n) for n in found.groups())
	print(f"    {total} KiB, {used} used, {free} free")
	check(800_000 < total <= 1_048_576, f"total {total} of 1 GiB")
	check(0 < free < total and 0 < used < total, output)


def sort_sees_the_last_numbers(m):
	check(m.sh("seq 1 100000 | sort -rn | head -3") == "100000\n99999\n99998", "wrong numbers")


def find_and_xargs_grep(m):
	output = m.sh("find / -name '*.conf' 2>/dev/null | xargs grep -c .", status=None)
	check(re.search(r"(?m)^/etc/resolv\.conf:\d+$", output), f"no /etc/resolv.conf:\n{output}")


def sed_substitutes(m):
	check(m.sh("echo 'int' | sed s/int/out/") == "out", "sed")


def awk_counts(m):
	output = m.sh("awk 'BEGIN{for(i=0;i<10;i++)print i*i}'")
	check(output.split() == [str(i * i) for i in range(10)], output)
	check(m.sh("awk 'BEGIN{printf \"%.6f %.3e\\n\", atan2(1,1)*4, exp(10)}'") == "3.141593 2.203e+04", "floats")


def tar_and_gzip_round(m):
	output = m.sh("tar c /etc 2>/dev/null | gzip | tar tz")
	check("etc/passwd" in output and "etc/init.d/rcS" in output, output)


def digests_are_the_hosts(m):
	with open(os.path.join(TOP, "build/ports/busybox/root/bin/busybox"), "rb") as f:
		want = hashlib.sha256(f.read()).hexdigest()
	check(m.sh("sha256sum /bin/busybox").split()[0] == want, "another digest")
	check(m.sh("cat /bin/busybox /bin/busybox | head -c 1000000 | md5sum | cut -c1-32") ==
	    m.sh("dd if=/bin/busybox bs=1000000 count=1 2>/dev/null >/tmp/d; "
	    "S=$(wc -c </tmp/d); (cat /tmp/d; head -c $((1000000 - S)) /bin/busybox) | md5sum | cut -c1-32"),
	    "the same bytes on two ways differ")


def vi_edits_and_saves(m):
	m.sh("rm -f /tmp/note; printf 'second line\\n' > /tmp/note")
	m.type("vi /tmp/note")
	m.expect(re.compile(rb"/tmp/note[^\n]*1/1"))
	m.send("Ofirst line, typed")
	m.expect("typed")
	time.sleep(1)		# so that vi takes Escape for itself, not for an arrow key
	m.send("\x1b")
	time.sleep(1)
	m.send(":wq\r")
	m.prompt()
	check(m.sh("cat /tmp/note") == "first line, typed\nsecond line", "the file has other lines")


def interrupt_ends_a_sleep(m):
	m.type("sleep 1000")
	time.sleep(1)
	_, status = m.key("\x03")
	check(status == 130, f"status {status}, not 130")


def quit_ends_a_sleep(m):
	m.type("sleep 1000")
	time.sleep(1)
	_, status = m.key("\x1c")
	check(status == 131, f"status {status}, not 131")


def jobs_stop_and_go_on(m):
	m.type("sleep 1000")
	time.sleep(1)
	_, status = m.key("\x1a")
	check(status in (146, 148), f"stop: status {status}")
	check("Stopped" in m.sh("jobs"), "jobs: not stopped")
	check(re.search(r" T ", m.sh("ps -o stat,comm | grep sleep | sed 's/^/ /'")), "ps: not stopped")
	m.sh("bg")
	check("Running" in m.sh("jobs"), "jobs: not running")
	m.type("fg")
	m.expect("sleep 1000")
	time.sleep(1)
	_, status = m.key("\x03")
	check(status == 130, f"fg, then ^C: status {status}")
	check(m.sh("jobs") == "", "a job is left")


def background_cannot_read_the_terminal(m):
	m.type("cat &")
	m.prompt()
	for _ in range(20):
		if "Stopped (tty input)" in m.sh("sleep 1; jobs"):
			break
	else:
		check(False, "cat reads the terminal from the background")
	m.sh("kill %1; kill -CONT %1; wait", status=None)


def end_of_file_ends_cat(m):
	m.type("cat > /tmp/typed")
	time.sleep(1)
	m.send("a line\rbackspace is takenX\x7f\r")
	_, status = m.key("\x04")
	check(status == 0 and m.sh("cat /tmp/typed") == "a line\nbackspace is taken", "what was typed")


def here_documents(m):
	check(m.sh("cat <<E\none $((1+1))\nthree\nE").endswith("one 2\nthree"), "here-document")
	check(m.sh("tr a-z A-Z <<'E' | sed 's/$/!/'\n$HOME\nE").endswith("$HOME!"), "quoted here-document")


def pipelines_of_five(m):
	output = m.sh("seq 1 1000 | grep 7 | sed 's/^/n/' | sort | wc -l")
	check(output == "271", output)
	check(m.number("yes | head -n 200000 | cat | cat | wc -c") == 400000, "bytes were lost")


def traps_run(m):
	check(m.sh("sh -c 'trap \"echo got TERM\" TERM; kill $$; echo after'") == "got TERM\nafter", "TERM")
	check(m.sh("sh -c 'trap \"echo bye\" EXIT; exit 3'", status=3) == "bye", "EXIT")


def limits_bind_a_shell(m):
	m.type("(ulimit -v 20000; sh)")
	m.prompt()
	check(m.sh("ulimit -v") == "20000", "the limit is not there")
	output, status = m.run("dd if=/dev/zero of=/dev/null bs=64M count=1")
	check(status != 0 and "memory" in output.lower(), f"64 MiB within 20 MB: {status} {output}")
	check(m.sh("echo still here") == "still here", "the shell died")
	m.type("exit")
	m.prompt()
	check(m.sh("ulimit -v") == "unlimited", "the limit is left")


def jobs_run_on_every_cpu(m):
	m.sh("for i in 1 2 3 4; do while :; do :; done & done; sleep 1")
	cpus = set()
	for _ in range(15):
		output = m.sh("for p in $(jobs -p); do cut -d' ' -f39 /proc/$p/stat; done")
		cpus.update(output.split())
		if len(cpus) == 4:
			break
	m.sh("kill $(jobs -p); wait", status=None)
	print("    CPUs", " ".join(sorted(cpus)))
	check(cpus == {"0", "1", "2", "3"}, f"seen on {sorted(cpus)}")


def a_busy_loop_can_be_killed(m):
	m.sh("while :; do :; done &")
	m.sh("kill -9 $!; wait $!", status=137)
	m.sh("sh -c 'trap \"\" TERM INT HUP; while :; do :; done' &")
	m.sh("sleep 1; kill $!; kill -0 $! && kill -9 $!; wait $!", status=137)


def tasks(m):
	"""All that there are at one moment; a listing takes its time, and sees who comes meanwhile."""
	return int(m.sh("cut -d' ' -f4 /proc/loadavg").split("/")[1])


def a_fork_bomb_is_bounded(m):
	before = tasks(m)
	m.sh("printf 'ulimit -u 40\\nb() { b | b & }\\nwhile :; do b; done\\n' > /tmp/bomb")
	m.sh("rm -f /tmp/stop; (while [ ! -e /tmp/stop ]; do su -s /bin/sh nobody -c 'sh /tmp/bomb'; done) "
	    ">/dev/null 2>&1 &")
	most = 0
	for _ in range(10):
		m.sh("sleep 0.5")
		most = max(most, tasks(m) - before)
	m.sh("touch /tmp/stop")
	print(f"    at most {most} processes seen")
	# 40 of the user's, and the loop that starts it, su, and what a login keeps.
	check(10 <= most <= 48, f"{most} processes with a limit of 40")
	for _ in range(40):
		m.sh("for i in 1 2 3 4 5 6 7 8; do kill -9 $(ps -o user,pid | awk '/nobody/{print $2}'); done "
		    "2>/dev/null", status=None)
		left = m.sh("ps -o user | grep -c nobody", status=None).split()[0]
		if left == "0":
			break
	check(left == "0", f"{left} of them cannot be killed")
	m.sh("wait", status=None)


def window_size_is_kept(m):
	check(m.sh("stty size") == "50 1000", "stty size")


def shells_in_shells_end(m):
	check(m.sh("sh -c 'sh -c \"sh -c \\\"exit 7\\\"\"'", status=7) == "", "exit status")
	check(m.sh("echo $(echo $(echo deep))") == "deep", "substitution")


def a_script_runs_by_its_first_line(m):
	m.sh("printf '#!/bin/sh\\necho \"$0 $# $2\"\\n' > /tmp/s; chmod +x /tmp/s")
	check(m.sh("/tmp/s a 'b c'") == "/tmp/s 2 b c", "arguments")
	m.sh("/tmp/nothing", status=127)
	m.sh("/etc/passwd", status=126)


def files_of_a_tree_survive_copying(m):
	m.sh("rm -rf /tmp/t1 /tmp/t2; mkdir -p /tmp/t1/a/b /tmp/t2; seq 1 50000 > /tmp/t1/a/n; "
	    "ln -s ../n /tmp/t1/a/b/l; ln /tmp/t1/a/n /tmp/t1/hard; mkfifo /tmp/t1/p")
	m.sh("tar c -C /tmp/t1 . | tar x -C /tmp/t2")
	check(m.sh("diff -r /tmp/t1/a /tmp/t2/a && cat /tmp/t2/a/b/l | tail -n1") == "50000", "copies differ")
	check(m.sh("stat -c %h /tmp/t2/hard") == "2", "hard link")
	m.sh("rm -rf /tmp/t1 /tmp/t2")


def a_null_pointer_is_one_programs_end(m):
	m.sh("sh -c 'kill -SEGV $$'", status=139)
	check(m.sh("echo alive") == "alive", "the shell died")


TESTS = [
	the_kernel_names_itself, every_cpu_is_in_cpuinfo, every_file_can_be_listed, processes_are_listed,
	top_shows_one_screen, memory_is_accounted, sort_sees_the_last_numbers, find_and_xargs_grep,
	sed_substitutes, awk_counts, tar_and_gzip_round, digests_are_the_hosts, vi_edits_and_saves,
	interrupt_ends_a_sleep, quit_ends_a_sleep, jobs_stop_and_go_on, background_cannot_read_the_terminal,
	end_of_file_ends_cat, here_documents, pipelines_of_five, traps_run, limits_bind_a_shell,
	jobs_run_on_every_cpu, a_busy_loop_can_be_killed, a_fork_bomb_is_bounded, window_size_is_kept,
	shells_in_shells_end, a_script_runs_by_its_first_line, files_of_a_tree_survive_copying,
	a_null_pointer_is_one_programs_end,
]
