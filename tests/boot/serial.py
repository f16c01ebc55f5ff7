# SPDX-License-Identifier: MIT
"""
A booted machine and its serial line, for tests that type as a person would.

Machine starts tests/qemu with an image and keeps all that came out of it.  After
login() the shell's prompt is READY-<status of the last command>, so sh(line)
knows when a command has ended and how; what it returns is the command's output
without echo, carriage returns, escape sequences and lines of the log.  Every wait
has a guard that only tells a dead machine from a busy one: verdicts come from
what is printed, never from how long it took.  On a machine that is busy with
other things GUARD=<factor> stretches all of them.

Machine(linux=True) boots Debian's kernel with the same root instead: tests that
fail there are wrong about Linux.
"""
import os
import re
import select
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(TOP, "build", "test", "boot")
FACTOR = float(os.environ.get("GUARD", "1"))
BOOT_GUARD = 180		# seconds, firmware and boot
GUARD = 90			# seconds, one command
PROMPT = re.compile(rb"READY-(\d+) # ")
FIRST_PROMPT = re.compile(rb"root@[a-z]+:[^\n\r#]*# ")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78MDEc]")
LOG = re.compile(r"^\[[a-z0-9.]+\] .*$")
# What nobody may say while all is well.
DEATH = re.compile(rb"(?m)^(?:\[[a-z]+\] )?.*(kernel panic|Kernel panic|assertion failed|"
    rb"invariant .*violated|linux \(world\): [a-z ]*fault|tessera: stopped|linux: cannot be built)")


class Failure(Exception):
	"""A test's verdict, in words."""


def check(condition, text):
	if not condition:
		raise Failure(text)


def clean(raw):
	"""Text of a terminal as its lines, without those of the system's log."""
	text = ESCAPES.sub("", raw.decode(errors="replace")).replace("\r", "").replace("\a", "")
	return "\n".join(line for line in text.split("\n") if not LOG.match(line))


def after_echo(raw, line):
	"""
	What follows the editor's echo of a line.  The echo ends with the line's end, and lines of
	the log may fall into it.
	"""
	squeeze = lambda text: "".join(ESCAPES.sub("", text).split())
	end, echo, rest, more = squeeze(line)[-30:], "", raw, b"\n"
	while more:
		piece, more, rest = rest.partition(b"\n")
		text = piece.decode(errors="replace").replace("\r", "")
		if not LOG.match(ESCAPES.sub("", text)):
			echo += squeeze(text)
		if echo.endswith(end):
			return rest
	return raw.partition(b"\n")[2]


class Machine:
	latest = None			# whose output a failure shows

	def __init__(self, image=None, linux=False, log="console", command=None, **environment):
		"""environment: what tests/qemu reads, such as CPUS="1"."""
		Machine.latest = self
		self.output = b""
		self.seen = 0
		self.line = ""
		os.makedirs(OUT, exist_ok=True)
		self.log = open(os.path.join(OUT, log + ".log"), "wb")	# closed by close()
		variables = dict(os.environ, CONSOLE="stdio", QUIET="1", SNAPSHOT="1")
		variables.update({k: str(v) for k, v in environment.items()})
		self.command = command or (self.linux_command(variables) if linux else
		    [os.path.join(TOP, "tests", "qemu"), image])
		self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
		    stderr=subprocess.STDOUT, bufsize=0, env=variables)

	@staticmethod
	def linux_command(variables):
		kernel = subprocess.run([os.path.join(TOP, "tests/bench/debian-kernel")], check=True,
		    stdout=subprocess.PIPE, text=True).stdout.strip()
		root = variables.get("ROOT", os.path.join(TOP, "build/release/images/root-test.cpio"))
		command = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", variables.get("CPU", "cortex-a72"),
		    "-smp", variables.get("CPUS", "4"), "-m", variables.get("MEM", "1G"), "-nic", "none",
		    "-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel", kernel, "-initrd", root,
		    "-append", "console=ttyAMA0 quiet rdinit=/sbin/init panic=-1 nokaslr mitigations=off"]
		if variables.get("REBOOT") == "off":
			command.append("-no-reboot")
		return command

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	def close(self):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		self.process.stdin.close()
		self.process.stdout.close()
		self.log.close()

	# ---- reading ----

	def read(self):
		"""Take what has come, within a second; False at the end of the line."""
		ready, _, _ = select.select([self.process.stdout], [], [], 1)
		if not ready:
			return True
		piece = os.read(self.process.stdout.fileno(), 1 << 16)
		self.output += piece
		self.log.write(piece)
		self.log.flush()
		return bool(piece)

	def expect(self, what, guard=GUARD):
		"""
		Wait for a string or a compiled pattern behind what was expected before.
		Returns what stood in front of it and the match.
		"""
		pattern = what if isinstance(what, re.Pattern) else re.compile(re.escape(what.encode()))
		end = time.monotonic() + guard * FACTOR
		while True:
			found = pattern.search(self.output, self.seen)
			if found:
				before = self.output[self.seen:found.start()]
				self.seen = found.end()
				return before, found
			death = DEATH.search(self.output, self.seen)
			more = self.read()
			if death and pattern.search(self.output, self.seen) is None:
				raise Failure(f"the system died: {death.group(0).decode(errors='replace')}")
			if not more:
				if pattern.search(self.output, self.seen):
					continue
				raise Failure(f"the machine ended; not seen: {self.name(what)}{self.typed()}")
			if time.monotonic() > end and pattern.search(self.output, self.seen) is None:
				raise Failure(f"not seen in {guard * FACTOR:.0f} s: {self.name(what)}{self.typed()}")

	@staticmethod
	def name(what):
		return what.pattern.decode() if isinstance(what, re.Pattern) else what

	def typed(self):
		return f" (after typing: {self.line.strip()})" if self.line else ""

	def forget(self):
		"""What came until now is of no interest."""
		self.seen = len(self.output)

	def tail(self, lines=40):
		return clean(self.output[-16384:]).split("\n")[-lines:] if self.output else ["(no output)"]

	def end(self, guard=GUARD):
		"""Wait until the machine switches itself off."""
		limit = time.monotonic() + guard * FACTOR
		while self.process.poll() is None:
			if not self.read():
				time.sleep(0.1)
			if time.monotonic() > limit:
				raise Failure("the machine did not end")

	def take(self, seconds):
		"""What is there, and what comes while nothing is quiet for so long."""
		while select.select([self.process.stdout], [], [], seconds)[0] and self.read():
			pass

	def drain(self):
		while self.read() and select.select([self.process.stdout], [], [], 0)[0]:
			pass

	# ---- typing ----

	def send(self, text):
		self.process.stdin.write(text.encode() if isinstance(text, str) else text)

	def login(self, guard=BOOT_GUARD):
		"""Wait for the first prompt, and take one that tells more."""
		self.line = ""
		self.expect(FIRST_PROMPT, guard)
		# An editor of one long line: a narrow one would break the echo.
		self.send("stty cols 1000 rows 50; PS1='READY-''$?'' # '; PS2=; export GUARD=1\r")
		self.prompt()

	def prompt(self, guard=GUARD):
		"""The output up to the next prompt, and the status of what ended."""
		before, found = self.expect(PROMPT, guard)
		return before, int(found.group(1))

	def type(self, line):
		self.line = line
		self.send(line + "\r")

	def run(self, line, guard=GUARD):
		"""Type a line at the prompt; its output and its status."""
		self.type(line)
		raw, status = self.prompt(guard)
		if "\n" not in line:
			return clean(after_echo(raw, line)).strip("\n"), status
		output = raw
		for _ in range(line.count("\n") + 1):
			_, _, output = output.partition(b"\n")
		return clean(output).strip("\n"), status

	def sh(self, line, guard=GUARD, status=0):
		"""As run, for a command that has to end with that status."""
		output, ended = self.run(line, guard)
		check(status is None or ended == status, f"{line}: status {ended}, not {status}:\n{output}")
		return output

	def key(self, character, guard=GUARD):
		"""Press a control key until the prompt comes: the program may not be there yet."""
		end = time.monotonic() + guard * FACTOR
		while time.monotonic() < end:
			self.send(character)
			try:
				return self.prompt(5 / FACTOR)
			except Failure:
				if self.process.poll() is not None:
					raise
		raise Failure(f"no prompt after {character!r}{self.typed()}")

	def number(self, line):
		"""The one number that a command prints."""
		output = self.sh(line)
		check(re.fullmatch(r"-?\d+", output.strip()), f"{line}: no number: {output}")
		return int(output)
