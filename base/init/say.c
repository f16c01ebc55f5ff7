/* SPDX-License-Identifier: MIT */
/*
 * What init says.  Before a driver has the UART the kernel prints it; later it
 * goes the way of every component's log.
 */
#include "init.h"

enum { LINE = 200, KERNEL_LOG_BYTES = 40 };

/* The kernel takes 40 bytes at a time (calls.def, log_write). */
static void
say_to_kernel(const char *line, size_t n)
{
	uint64_t w[5];

	for (size_t k; n > 0; line += k, n -= k) {
		k = n < KERNEL_LOG_BYTES ? n : KERNEL_LOG_BYTES;
		memset(w, 0, sizeof w);
		memcpy(w, line, k);
		system_control_log_write(INIT_SLOT_SYSTEM_CONTROL, k, w[0], w[1], w[2], w[3], w[4]);
	}
}

void
say(const char *text, ...)
{
	char line[LINE];
	va_list list;
	size_t n;

	va_start(list, text);
	if (tessera.console_released) {
		n = format_list(line, sizeof line, text, list);
		log_line("%s", line);
	} else {
		if (*text == LOG_WARNING[0])
			text++;
		n = format(line, sizeof line, "init: ");
		n += format_list(line + n, sizeof line - n - 1, text, list);
		line[n++] = '\n';
		say_to_kernel(line, n);
	}
	va_end(list);
}

const char *
error_name(enum error e)
{
	static const char *const names[ERROR_COUNT] = {
		[OK] = "no error", [ERR_CALL] = "no such call", [ERR_SLOT] = "slot out of range",
		[ERR_SLOT_EMPTY] = "slot empty", [ERR_SLOT_FULL] = "slot in use",
		[ERR_TYPE] = "wrong type of capability", [ERR_RIGHTS] = "right missing",
		[ERR_BADGED] = "badged already", [ERR_ARGUMENT] = "bad argument",
		[ERR_RANGE] = "out of range", [ERR_ALIGN] = "not aligned",
		[ERR_NO_MEMORY] = "memory budget used up", [ERR_MAPPED] = "mapped already",
		[ERR_NOT_MAPPED] = "not mapped", [ERR_BUSY] = "in use", [ERR_STATE] = "wrong state",
		[ERR_WOULD_BLOCK] = "would block", [ERR_TIMEOUT] = "deadline passed",
		[ERR_GONE] = "peer gone", [ERR_TRUNCATED] = "truncated",
		[ERR_CANCELLED] = "cancelled", [ERR_LIMIT] = "limit of the kernel",
	};

	if ((unsigned)e >= ERROR_COUNT || names[e] == NULL)
		return "unknown error";
	return names[e];
}

/*
 * The system cannot start.  On the trial boot of a slot the machine is reset,
 * so that the loader falls back to the other one; otherwise it waits for a
 * person.
 */
_Noreturn void
stop(const char *why)
{
	say(LOG_WARNING "%s", why);
	if (tessera.boot != NULL && tessera.boot->trial) {
		say("this slot was on trial: reset, so that the other one is used");
		system_control_reset(INIT_SLOT_SYSTEM_CONTROL);
	}
	say(LOG_WARNING "stopped");
	for (;;)
		thread_suspend(INIT_SLOT_THREAD);
}
