/* SPDX-License-Identifier: MIT */
/*
 * See support.h.
 */
#include "support.h"

enum { SPACE_BITS = 17, IMAGE_BITS = 16, STACK_BITS = 16 };

extern char image_text[], image_text_end[], image_data[], image_data_end[];

const struct init_info *info;

static uint32_t next_slot, untyped, shared_frame;
static uint64_t next_vaddr = 0x30000000UL, next_thread;
static unsigned passed, failed;

/* ---- text ---------------------------------------------------------------- */

static void
log_bytes(const char *text, size_t bytes)
{
	union {
		char text[40];
		uint64_t words[5];
	} m = { .words = { 0 } };

	for (size_t i = 0; i < bytes; i++)
		m.text[i] = text[i];
	system_control_log_write(INIT_SLOT_SYSTEM_CONTROL, bytes, m.words[0], m.words[1],
		m.words[2], m.words[3], m.words[4]);
}

void
say(const char *text)
{
	while (*text != '\0') {
		size_t n = 0;

		while (n < 40 && text[n] != '\0')
			n++;
		log_bytes(text, n);
		text += n;
	}
}

void
say_number(uint64_t value)
{
	char digits[24];
	size_t n = sizeof(digits);

	digits[--n] = '\0';
	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	say(&digits[n]);
}

void
check(const char *name, bool ok)
{
	say(ok ? "ok   " : "FAIL ");
	say(name);
	say("\n");
	if (ok)
		passed++;
	else
		failed++;
}

_Noreturn void
finish(void)
{
	say_number(passed);
	say(" passed, ");
	say_number(failed);
	say(" failed\n");
	for (;;)
		system_control_power_off(INIT_SLOT_SYSTEM_CONTROL);
}

void
must(const char *what, enum error e)
{
	if (e == OK)
		return;
	say("error ");
	say_number(e);
	say(": ");
	check(what, false);
	finish();
}

uint64_t
now(void)
{
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(ticks) : : "memory");
	return ticks;
}

/* ---- objects --------------------------------------------------------------- */

static void
choose_untyped(void)
{
	unsigned best = 0;

	next_slot = info->first_free_slot;
	for (uint32_t i = 0; i < info->untyped_count; i++) {
		const struct init_untyped *u = &info->untyped[i];

		if (u->device != 0 || u->size_bits <= best)
			continue;
		best = u->size_bits;
		untyped = u->slot;
	}
}

uint32_t
slot_new(void)
{
	if (untyped == 0)
		choose_untyped();
	return next_slot++;
}

uint32_t
make(enum object_type type, unsigned size_bits)
{
	uint32_t slot = slot_new();

	must("retype", untyped_retype(untyped, type, size_bits, 0, slot, 1, 0));
	return slot;
}

uint32_t
make_badged(uint32_t source, uint64_t badge)
{
	uint32_t slot = slot_new();

	must("mint", cnode_mint(INIT_SLOT_CNODE, slot, 0, source, RIGHTS_ALL, badge));
	return slot;
}

uint32_t
copy(uint32_t source)
{
	uint32_t slot = slot_new();

	must("copy", cnode_copy(INIT_SLOT_CNODE, slot, 0, source, RIGHTS_ALL));
	return slot;
}

void
map_frame(uint32_t frame, uint32_t vspace, uint64_t vaddr, unsigned rights)
{
	must("map", frame_map(frame, vspace, vaddr, rights, MAP_NORMAL));
}

void *
map_here(uint32_t frame, unsigned size_bits)
{
	uint64_t size = 1UL << size_bits, vaddr = (next_vaddr + size - 1) & ~(size - 1);

	next_vaddr = vaddr + size;
	map_frame(copy(frame), INIT_SLOT_VSPACE, vaddr, RIGHT_READ | RIGHT_WRITE);
	return (void *)vaddr;
}

/* Clean to memory: a personality reads it with its caches off. */
static void
clean(char *start, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 16)
		__asm__ volatile("dc civac, %0" : : "r"(start + i) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
}

static void
copy_image(uint32_t vspace, char *from, const char *end, unsigned rights)
{
	uint32_t frame = make(OBJ_FRAME, IMAGE_BITS);
	char *to = map_here(frame, IMAGE_BITS);

	for (size_t i = 0; i < (size_t)(end - from); i++)
		to[i] = from[i];
	clean(to, 1UL << IMAGE_BITS);
	map_frame(frame, vspace, (uint64_t)from, rights);
}

static void
share_page(uint32_t vspace)
{
	if (shared_frame == 0) {
		shared_frame = make(OBJ_FRAME, 12);
		map_frame(copy(shared_frame), INIT_SLOT_VSPACE, SHARED_VADDR, RIGHT_READ | RIGHT_WRITE);
	}
	map_frame(copy(shared_frame), vspace, SHARED_VADDR, RIGHT_READ | RIGHT_WRITE);
}

uint32_t
space_new(bool personality)
{
	uint32_t vspace = make(OBJ_VSPACE, SPACE_BITS);

	if (personality)
		must("set_personality", vspace_set_personality(vspace));
	copy_image(vspace, image_text, image_text_end, RIGHT_READ | RIGHT_EXEC);
	copy_image(vspace, image_data, image_data_end, RIGHT_READ | RIGHT_WRITE);
	share_page(vspace);
	return vspace;
}

struct thread_made
thread_new(const struct thread_plan *plan)
{
	struct thread_made made = { .thread = make(OBJ_THREAD, 0), .ipc = make(OBJ_FRAME, 12) };
	uint64_t n = next_thread++, stack_top = STACK_VADDR + (n + 1) * (2UL << STACK_BITS);

	made.ipc_vaddr = IPC_VADDR + n * 4096;
	made.stack_top = stack_top;
	map_frame(copy(made.ipc), plan->vspace, made.ipc_vaddr, RIGHT_READ | RIGHT_WRITE);
	map_frame(make(OBJ_FRAME, STACK_BITS), plan->vspace, stack_top - (1UL << STACK_BITS),
		RIGHT_READ | RIGHT_WRITE);
	must("configure", thread_configure(made.thread, INIT_SLOT_CNODE, plan->vspace, made.ipc,
		made.ipc_vaddr, plan->fault_handler));
	must("set_priority", thread_set_priority(made.thread, plan->priority, plan->priority));
	if (plan->notification != 0)
		must("bind_notification", thread_bind_notification(made.thread, plan->notification));
	if (plan->vcpu) {
		made.vcpu = make(OBJ_VCPU, 0);
		must("bind_vcpu", thread_bind_vcpu(made.thread, made.vcpu));
	}
	must("write_registers", thread_write_registers(made.thread, (uint64_t)plan->entry, stack_top,
		plan->arg, plan->arg2, 0, 0));
	if (!plan->passive) {
		made.sched_context = make(OBJ_SCHED_CONTEXT, 0);
		must("sched_configure", sched_control_configure(INIT_SLOT_SCHED_CONTROL,
			made.sched_context, plan->cpu, info->timer_hz / 100, info->timer_hz / 100));
		must("sched_bind", sched_context_bind(made.sched_context, made.thread));
	}
	must("resume", thread_resume(made.thread));
	return made;
}

/* ---- masked stretches --------------------------------------------------------------- */

void
say_stretches(const char *program)
{
	static const char *const kinds[ENTRY_KINDS] = {
		[OBJ_NULL] = "messages", [OBJ_UNTYPED] = "untyped", [OBJ_CNODE] = "cnode", [OBJ_THREAD] = "thread",
		[OBJ_VCPU] = "vcpu", [OBJ_SCHED_CONTEXT] = "sched_context", [OBJ_ENDPOINT] = "endpoint",
		[OBJ_NOTIFICATION] = "notification", [OBJ_REPLY] = "reply", [OBJ_FRAME] = "frame",
		[OBJ_VSPACE] = "vspace", [OBJ_IRQ_HANDLER] = "irq_handler", [OBJ_IRQ_CONTROL] = "irq_control",
		[OBJ_SCHED_CONTROL] = "sched_control", [OBJ_SYSTEM_CONTROL] = "checker", [OBJ_IO_CONTROL] = "io_control",
		[OBJ_IO_DEVICE] = "io_device", [OBJ_IO_SPACE] = "io_space", [ENTRY_INTERRUPT] = "interrupt",
		[ENTRY_TIMER] = "timer", [ENTRY_KICK] = "kick", [ENTRY_FAULT] = "fault", [ENTRY_WFI] = "wfi",
	};
	uint64_t ticks;

	for (unsigned kind = 0; kind < ENTRY_KINDS; kind++) {
		if (system_control_bench(INIT_SLOT_SYSTEM_CONTROL, BENCH_LONGEST_OF + kind, &ticks) != OK || ticks == 0)
			continue;
		say(program);
		say(" masked.");
		say(kinds[kind]);
		say(" ");
		say_number(ticks * (1000000000UL / info->timer_hz));
		say("\n");
	}
}
