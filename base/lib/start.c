/* SPDX-License-Identifier: MIT */
/*
 * A component's life: from the start record to component_main and the exit.
 */
#include <tessera/runtime.h>
#include <tessera/stubs.h>

_Noreturn void component_start(const struct component_info *info);

_Noreturn void
component_start(const struct component_info *info)
{
	component = info;
	component_exit(component_main(info));
}

_Noreturn void
component_exit(int status)
{
	struct msg m = {
		.info = MSG_INFO(COMPONENT_EXIT, 1, 0),
		.words = { (uint64_t)(int64_t)status },
	};

	/* init does not answer: it revokes.  If the message did not get there,
	 * a fault does. */
	sys_call(COMPONENT_SLOT_SUPERVISOR, &m, 0);
	for (;;)
		__builtin_trap();
}

_Noreturn void
assertion_failed(const char *expression, const char *file, int line)
{
	log_line(LOG_WARNING "%s:%d: assertion failed: %s", file, line, expression);
	component_exit(127);
}
