/* SPDX-License-Identifier: MIT */
/*
 * SystemControl: the switches of the machine and of its CPUs, and what tests ask
 * the kernel.
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

/* It is asked until it is off: a CPU goes by itself, with nothing left to do. */
enum error
system_control_cpu_stop(struct thread *caller, struct slot *self, uint64_t cpu)
{
	struct cpu *c;

	(void)caller;
	(void)self;
	if (cpu >= cpu_count)
		return ERR_RANGE;
	c = &cpus[cpu];
	if (c->stop_refused) {
		c->stop_refused = 0;
		return ERR_STATE;
	}
	if (c->power == CPU_OFF && arch_cpu_is_off((unsigned)cpu))
		return OK;
	if (c->users != 0)
		return ERR_BUSY;
	if (c->power == CPU_ON || c->power == CPU_STOPPING) {
		c->power = CPU_STOPPING;
		arch_kick_cpu((unsigned)cpu);
	}
	return RESTART;
}

enum error
system_control_cpu_start(struct thread *caller, struct slot *self, uint64_t cpu)
{
	struct cpu *c;

	(void)caller;
	(void)self;
	if (cpu >= cpu_count)
		return ERR_RANGE;
	c = &cpus[cpu];
	if (c->power == CPU_STOPPING)
		c->power = CPU_ON;
	if (c->power == CPU_ON)
		return OK;
	if (c->power == CPU_OFF && arch_cpu_is_off((unsigned)cpu)) {
		if (!arch_cpu_start((unsigned)cpu))
			return ERR_STATE;
		c->power = CPU_STARTING;
	}
	return RESTART;
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
