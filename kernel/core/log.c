/* SPDX-License-Identifier: MIT */
/*
 * The kernel's log: a ring that init can map, and the console as long as no
 * driver has taken it.
 */
#include <kernel/core.h>

char kernel_log_memory[KERNEL_LOG_BYTES] __attribute__((aligned(4096)));

bool console_released;

void
log_write(const char *text, size_t bytes)
{
	struct kernel_log *log = (struct kernel_log *)kernel_log_memory;

	log->size = 0x10000;
	for (size_t i = 0; i < bytes; i++)
		log->data[(log->written + i) & (log->size - 1)] = text[i];
	log->written += bytes;
	if (!console_released)
		arch_console_write(text, bytes);
}

void
log_text(const char *text)
{
	log_write(text, __builtin_strlen(text));
}

void
log_hex(uint64_t value)
{
	char digits[18] = "0x";
	unsigned n = 2;

	for (int shift = 60; shift >= 0; shift -= 4)
		if (n > 2 || shift == 0 || value >> shift != 0)
			digits[n++] = "0123456789abcdef"[(value >> shift) & 15];
	log_write(digits, n);
}

/*
 * A component makes as many threads that fault without a handler as its memory
 * holds: the log takes so many lines a second, and the count of the others.
 */
static uint64_t report_begin, report_second;	/* ticks */
static uint64_t reports, reports_left_out;

void
log_start(uint64_t timer_hz)
{
	report_second = timer_hz;
	report_begin = arch_now();
	reports = reports_left_out = 0;
}

bool
log_takes_report(void)
{
	uint64_t now = arch_now();

	if (now - report_begin >= report_second) {
		report_begin = now;
		reports = 0;
	}
	if (reports == LOG_REPORTS) {
		reports_left_out++;
		return false;
	}
	reports++;
	if (reports_left_out != 0) {
		log_text("kernel: reports left out: ");
		log_hex(reports_left_out);
		log_text("\n");
		reports_left_out = 0;
	}
	return true;
}

_Noreturn void
panic(const char *why)
{
	console_released = false;	/* whoever drives it: this comes last */
	log_text("\nkernel: panic: ");
	log_text(why);
	log_text("\n");
	arch_halt();
}

_Noreturn void
assert_failed(const char *what, const char *file, unsigned line)
{
	console_released = false;
	log_text("\nkernel: ");
	log_text(file);
	log_text(":");
	log_hex(line);
	log_text(": ");
	panic(what);
}

/* ---- invocations ---------------------------------------------------------- */

enum error
system_control_log_write(struct thread *caller, struct slot *self, uint64_t bytes,
	uint64_t text0, uint64_t text1, uint64_t text2, uint64_t text3, uint64_t text4)
{
	uint64_t text[5] = { text0, text1, text2, text3, text4 };

	(void)caller;
	(void)self;
	if (bytes < 1 || bytes > sizeof(text))
		return ERR_RANGE;
	log_write((const char *)text, bytes);
	return OK;
}

enum error
system_control_release_console(struct thread *caller, struct slot *self)
{
	(void)caller;
	(void)self;
	console_released = true;
	return OK;
}
