/* SPDX-License-Identifier: MIT */
/*
 * SystemControl: the machine's switch, and what tests ask the kernel.
 */
#include <kernel/core.h>

enum error
system_control_power_off(struct thread *caller, struct slot *self)
{
	(void)caller;
	(void)self;
	arch_power_off();
	return ERR_STATE;		/* firmware refused */
}

enum error
system_control_reset(struct thread *caller, struct slot *self)
{
	(void)caller;
	(void)self;
	arch_reset();
	return ERR_STATE;
}

enum error
system_control_check(struct thread *caller, struct slot *self)
{
	unsigned violations;

	(void)self;
	if (!checker_present)
		return ERR_CALL;
	violations = check_everything();
	result_word(caller, 0, checks_done);
	result_word(caller, 1, violations);
	return OK;
}

enum error
system_control_bench(struct thread *caller, struct slot *self, uint64_t what)
{
	uint64_t sum = 0;

	(void)self;
	if (what == 1 || what == 2) {
		for (unsigned i = 0; i < cpu_count; i++)
			sum += what == 1 ? cpus[i].entries : cpus[i].switches;
	} else {
		sum = arch_bench((unsigned)what);
	}
	result_word(caller, 0, sum);
	return OK;
}
