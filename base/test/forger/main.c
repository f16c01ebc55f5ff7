/* SPDX-License-Identifier: MIT */
/*
 * A component that tries what it was not allowed to: to pass a message off as
 * one of init's doorbells, to spoil its log's ring, to use slots that it was
 * not given, to change its own start record.
 */
#include <tessera/runtime.h>
#include <tessera/stubs.h>

/* Every label that means something to somebody, with every word set. */
static unsigned
forged_messages_refused(void)
{
	static const uint32_t labels[] = { LABEL_NOTIFICATION, 0, 2, 0x7fffffff, 0xffffffff };
	unsigned refused = 0;

	for (unsigned i = 0; i < sizeof labels / sizeof *labels; i++) {
		struct msg m = { .info = MSG_INFO(labels[i], 6, 0),
			.words = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

		if (sys_call(COMPONENT_SLOT_SUPERVISOR, &m, 0) == OK && msg_label(m.info) == ERR_CALL)
			refused++;
	}
	return refused;
}

/* Slots that answer to an invocation of their type.  The supervisor's is left
 * out: an Endpoint takes any message, and this one means "I end". */
static unsigned
slots_that_obey(void)
{
	unsigned obeyed = 0, bits;
	uint64_t a, b;
	uint32_t c, d;

	for (uint32_t slot = 0; slot < 300; slot++) {
		if (slot == COMPONENT_SLOT_SUPERVISOR)
			continue;
		obeyed += untyped_info(slot, &bits, &a, &c, &d) == OK;
		obeyed += vspace_info(slot, &a, &b, &a) == OK;
		obeyed += cnode_delete(slot, COMPONENT_SLOT_BELL) == OK;
		obeyed += thread_set_priority(slot, 255, 255) == OK;
		obeyed += system_control_power_off(slot) == OK;
	}
	return obeyed;
}

/* A function of its own, so that the report has callers to name. */
static __attribute__((noinline)) void
spoil_start_record(const struct component_info *info)
{
	((volatile struct component_info *)(uintptr_t)info)->starts = 0;
	log_line(LOG_WARNING "forger: the start record can be written");
}

int
component_main(const struct component_info *info)
{
	const struct component_channel *log = component_channel(CHANNEL_LOG, CHANNEL_CLIENT, 0);
	struct stream *stream;

	if (log == NULL)
		return 1;
	log_line(LOG_WARNING "forger: %u of 5 messages refused", forged_messages_refused());
	log_line(LOG_WARNING "forger: %u slots obey", slots_that_obey());
	bell_wait(time_ticks() + time_ticks_of_ns(200000000));
	stream = (struct stream *)log->address;
	stream->ring[0].tail = stream->ring[0].tail + 0x40000000;
	stream->ring[0].offset = 0xffffffff;
	stream->magic = 0;
	bell_ring(log->slot);
	bell_wait(time_ticks() + time_ticks_of_ns(200000000));
	spoil_start_record(info);
	return 0;
}
