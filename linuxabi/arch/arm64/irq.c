/* SPDX-License-Identifier: MIT */
/*
 * Interrupts, as the virtual GICv3 CPU interface shows them (IHI 0069, 4.7 and
 * chapter 12): our timer and the notification of this VCPU, nothing else.
 */
#include <tessera/abi.h>
#include <tessera/stubs.h>

#include "hyp.h"
#include "internal.h"
#include "io.h"
#include "tty.h"

enum { SPURIOUS = 1020 };

void timer_interrupt(bool from_user);		/* time/timer.c */
void log_channel_interrupt(void);		/* lib/log.c */
void sched_kicked(void);
void membarrier_interrupt(void);		/* proc/membarrier.c */

void
irq_init_cpu(void)
{
	write_sysreg(S3_0_C12_C12_5, 7);	/* ICC_SRE_EL1 */
	isb();
	write_sysreg(S3_0_C4_C6_0, 0xff);	/* ICC_PMR_EL1: every priority */
	write_sysreg(S3_0_C12_C12_4, 0);	/* ICC_CTLR_EL1: EOImode 0 */
	write_sysreg(S3_0_C12_C12_7, 1);	/* ICC_IGRPEN1_EL1 */
	isb();
}

static void
notification_interrupt(void)
{
	uint64_t bits = 0;

	if (sys_poll(WORLD_SLOT_VCPU_POLL + cpu_id(), &bits) != OK)
		return;
	if ((bits & WORLD_BIT_KICK) != 0) {
		membarrier_interrupt();
		sched_kicked();
	}
	if ((bits & (WORLD_BIT_CONSOLE | WORLD_BIT_PEER)) != 0)
		console_channel_interrupt();
	if ((bits & (WORLD_BIT_LOG | WORLD_BIT_PEER)) != 0)
		log_channel_interrupt();
	if (bits >= WORLD_BIT_CHANNEL || (bits & WORLD_BIT_PEER) != 0)
		io_interrupt(bits);
}

void
irq_handle(unsigned from_user)
{
	for (;;) {
		uint64_t id = read_sysreg(S3_0_C12_C12_0) & 0xffffff;	/* ICC_IAR1_EL1 */

		if (id >= SPURIOUS)
			return;
		/* Ended first: bits that come while we look raise it again. */
		if (id == VIRQ_NOTIFICATION) {
			write_sysreg(S3_0_C12_C12_1, id);
			isb();
			notification_interrupt();
			continue;
		}
		/* Ended last: the line is level, and falls when a new deadline is set. */
		if (id == VIRQ_TIMER)
			timer_interrupt(from_user != 0);
		write_sysreg(S3_0_C12_C12_1, id);
		isb();
	}
}
