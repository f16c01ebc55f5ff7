/* SPDX-License-Identifier: MIT */
/*
 * A real DMA master against the SMMU and the ITS: what is mapped in its IOSpace
 * is reached, nothing else is, nothing arrives after unmap, delete and revoke,
 * and messages become notifications.  Prints "N passed, M failed".
 */
#include "edu.h"

enum { RW = RIGHT_READ | RIGHT_WRITE, FILL = 0x5a };
#define IOVA	0x123000UL
#define WINDOW	(3UL << IO_WINDOW_SHIFT)

static struct edu edu;
static uint32_t device, space, faults, buffer;
static volatile uint64_t *here;		/* the buffer */

/* ---- what happened --------------------------------------------------------------- */

static void
fill(volatile uint64_t *memory, uint64_t value)
{
	for (unsigned i = 0; i < EDU_BYTES / 8; i++)
		memory[i] = value;
}

static bool
holds(const volatile uint64_t *memory, uint64_t value)
{
	for (unsigned i = 0; i < EDU_BYTES / 8; i++)
		if (memory[i] != value)
			return false;
	return true;
}

/* Load the engine's buffer with a value, by DMA from the mapped buffer. */
static bool
load(uint64_t value)
{
	fill(here, value);
	return edu_read_memory(&edu, IOVA, EDU_BYTES);
}

static bool
fault_comes(void)
{
	uint64_t bits;

	return sys_wait(faults, ms_from_now(10000), &bits) == OK;
}

struct fault {
	uint32_t kind, write;
	uint64_t address, count;
};

static struct fault
last_fault(void)
{
	struct fault f = { 0, 0, 0, 0 };

	must("fault", io_device_fault(device, &f.kind, &f.address, &f.write, &f.count));
	return f;
}

/* Forget a signal that nobody waited for. */
static void
drain_faults(void)
{
	uint64_t bits;

	last_fault();
	sys_poll(faults, &bits);
}

/* Does the kernel's log hold a line with this text in it, written after `from`? */
static bool
log_holds(uint64_t from, const char *text)
{
	const struct kernel_log *log = (const struct kernel_log *)INIT_LOG_VADDR;

	for (; from < log->written; from++) {
		uint64_t n = 0;

		while (text[n] != '\0' && log->data[(from + n) & (log->size - 1)] == text[n])
			n++;
		if (text[n] == '\0')
			return true;
	}
	return false;
}

static uint64_t
log_now(void)
{
	return ((const struct kernel_log *)INIT_LOG_VADDR)->written;
}

/* A write of the engine to iova faults and leaves memory as it was. */
static bool
write_refused(uint64_t iova, const volatile uint64_t *memory)
{
	struct fault f;

	drain_faults();
	if (!edu_write_memory(&edu, iova, EDU_BYTES) || !fault_comes())
		return false;
	f = last_fault();
	return f.kind == 0x10 && f.write == 1 && f.address - iova < EDU_BYTES && holds(memory, FILL);
}

/* ---- tests ------------------------------------------------------------------------- */

static uint32_t
assigned(void)
{
	uint32_t d = make(OBJ_IO_DEVICE, 0);

	must("assign", io_control_assign(INIT_SLOT_IO_CONTROL, d, (uint32_t)edu.stream.smmu,
		edu.stream.stream_base, (uint32_t)edu.stream.its, edu.stream.device_base));
	return d;
}

static void
test_assignment(void)
{
	uint32_t other = make(OBJ_IO_DEVICE, 0);

	check("an IODevice without a device binds nothing", io_device_bind(other, space) == ERR_STATE);
	check("no SMMU of that number", io_control_assign(INIT_SLOT_IO_CONTROL, other, 7, 1,
		IO_NO_ITS, 0) == ERR_RANGE);
	check("no stream of that number", io_control_assign(INIT_SLOT_IO_CONTROL, other, 0, 1u << 30,
		IO_NO_ITS, 0) == ERR_RANGE);
	check("no ITS of that number", io_control_assign(INIT_SLOT_IO_CONTROL, other, 0, 1, 3, 0) == ERR_RANGE);
	device = assigned();
	check("the stream is somebody's", io_control_assign(INIT_SLOT_IO_CONTROL, other, 0,
		edu.stream.stream_base, IO_NO_ITS, 0) == ERR_BUSY);
	must("bind_fault", io_device_bind_fault(device, faults));
}

static void
test_dma(void)
{
	uint64_t from = log_now();
	struct fault f;

	fill(here, FILL);
	must("map_io", frame_map_io(buffer, space, IOVA, RW));
	check("before it is bound, its DMA is refused",
		edu_write_memory(&edu, IOVA, EDU_BYTES) && holds(here, FILL));
	must("bind", io_device_bind(device, space));
	check("it reads what is mapped", load(0x1122334455667788));
	fill(here, FILL);
	check("and writes it", edu_write_memory(&edu, IOVA, EDU_BYTES) && holds(here, 0x1122334455667788));
	check("without a fault", last_fault().count == 0);
	fill(here, FILL);
	check("outside of it a write is refused", write_refused(IOVA + 4096, here));
	f = last_fault();
	check("faults are counted", f.count >= 1 && f.count < 2000);
	check("the log names the stream", log_holds(from, "smmu: stream ") &&
		log_holds(from, ": translation fault, write at 0x124000\n"));
	check("nor does it reach its physical addresses",
		write_refused(((const struct bootinfo *)INIT_BOOTINFO_VADDR)->kernel.base, here));
	check("nor anything beyond 39 bits", edu_write_memory(&edu, 1UL << 38, EDU_BYTES) && holds(here, FILL));
}

static void
test_withdrawal(void)
{
	uint32_t copy_slot = copy(buffer);

	must("load", load(0xdead) ? OK : ERR_TIMEOUT);
	fill(here, FILL);
	must("unmap", frame_unmap(buffer));
	check("nothing arrives after unmap", write_refused(IOVA, here));
	must("map_io", frame_map_io(copy_slot, space, IOVA, RW));
	check("mapped again it works", edu_write_memory(&edu, IOVA, EDU_BYTES) && holds(here, 0xdead));
	fill(here, FILL);
	must("delete", cnode_delete(INIT_SLOT_CNODE, copy_slot));
	check("nothing arrives after delete", write_refused(IOVA, here));

	must("copy", cnode_copy(INIT_SLOT_CNODE, copy_slot, 0, buffer, RIGHTS_ALL));
	must("map_io", frame_map_io(copy_slot, space, IOVA, RW));
	check("a copy works", edu_write_memory(&edu, IOVA, EDU_BYTES) && holds(here, 0xdead));
	fill(here, FILL);
	edu_start_write(&edu, IOVA, EDU_BYTES);		/* it is in the air */
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, buffer));
	here = map_here(buffer, 12);			/* init's own mapping went too */
	fill(here, FILL);
	check("nothing arrives after revoke", edu_finish(&edu) && fault_comes() && holds(here, FILL));

	must("copy", cnode_copy(INIT_SLOT_CNODE, copy_slot, 0, buffer, RIGHTS_ALL));
	must("map_io", frame_map_io(copy_slot, space, IOVA, RIGHT_READ));
	drain_faults();
	check("what is read-only is not written", edu_write_memory(&edu, IOVA, EDU_BYTES) && fault_comes() &&
		last_fault().kind == 0x13 && holds(here, FILL));
	must("unmap", frame_unmap(copy_slot));
	must("map_io", frame_map_io(copy_slot, space, IOVA, RW));
	must("unbind", io_device_bind(device, 0));
	check("nothing arrives after unbind", edu_write_memory(&edu, IOVA, EDU_BYTES) && holds(here, FILL));
	must("bind", io_device_bind(device, space));
	check("bound again it works", edu_write_memory(&edu, IOVA, EDU_BYTES) && holds(here, 0xdead));
	must("delete", cnode_delete(INIT_SLOT_CNODE, copy_slot));
}

/* A lender's budget: memory that vanishes with it. */
static void
test_windows(void)
{
	uint32_t lender = make(OBJ_UNTYPED, 22), big = slot_new(), window = make_badged(space, 3), page = slot_new();
	volatile uint64_t *memory;

	must("retype", untyped_retype(lender, OBJ_FRAME, 21, 0, big, 1, 0));
	must("mint", cnode_mint_frame(INIT_SLOT_CNODE, page, 0, big, RIGHTS_ALL, 0x1ff000, 4096));
	memory = map_here(page, 12);
	must("map_io", frame_map_io(copy(buffer), space, IOVA, RW));
	must("load", load(0xcafe) ? OK : ERR_TIMEOUT);
	check("a window's capability does not map below it",
		frame_map_io(big, window, WINDOW - 0x200000, RW) == ERR_RANGE);
	check("nor bind", io_device_bind(device, window) == ERR_RIGHTS);
	check("a block of 2 MiB in a window", frame_map_io(big, window, WINDOW + 0x40000000, RW) == OK);
	fill(memory, FILL);
	check("its last page is reached", edu_write_memory(&edu, WINDOW + 0x401ff000, EDU_BYTES) &&
		holds(memory, 0xcafe));
	fill(memory, FILL);
	check("the same place in another window is not", write_refused(0x401ff000, memory));
	must("unmap", frame_unmap(big));
	check("nothing arrives after unmap", write_refused(WINDOW + 0x401ff000, memory));
	check("by pages where it is not aligned", frame_map_io(big, window, WINDOW + 0x1000, RW) == OK &&
		edu_write_memory(&edu, WINDOW + 0x200000, EDU_BYTES) && holds(memory, 0xcafe));
	edu_start_write(&edu, WINDOW + 0x200000, EDU_BYTES);
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, lender));
	must("retype", untyped_retype(lender, OBJ_FRAME, 21, 0, big, 1, 0));
	must("mint", cnode_mint_frame(INIT_SLOT_CNODE, page, 0, big, RIGHTS_ALL, 0x1ff000, 4096));
	memory = map_here(page, 12);
	check("a lender that dies takes its memory along", edu_finish(&edu) && holds(memory, 0));
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, lender));
	check("the window's capability may go", cnode_delete(INIT_SLOT_CNODE, window) == OK);
}

/* In turns with a thread of another CPU, which maps and unmaps all the time. */
static void
mapper(uint64_t frame, uint64_t beat)
{
	for (;;) {
		frame_map_io((uint32_t)frame, *(volatile uint32_t *)(SHARED_VADDR + 8), 0x8000000, RW);
		frame_unmap((uint32_t)frame);
		++*(volatile uint64_t *)(SHARED_VADDR + beat);
	}
}

static void
test_cpus(void)
{
	uint32_t frame = make(OBJ_FRAME, 16), other = space_new(false);
	volatile uint64_t *memory;
	struct thread_made t;
	bool ok = true;

	memory = map_here(frame, 16);
	*(volatile uint32_t *)(SHARED_VADDR + 8) = space;
	t = thread_new(&(struct thread_plan){ .vspace = other, .entry = mapper, .arg = copy(frame),
		.arg2 = 16, .priority = 100, .cpu = info->cpu_count - 1 });
	/* Until the other one has had its share, too, however slow this host runs it. */
	for (unsigned i = 0; i < 2000 && ok && (i < 8 || *(volatile uint64_t *)(SHARED_VADDR + 16) <= 100); i++) {
		fill(memory, FILL);
		drain_faults();
		ok = edu_write_memory(&edu, 0x8000000, EDU_BYTES) && (holds(memory, FILL) || memory[0] == 0xcafe);
	}
	check("mapping under DMA on another CPU", ok && *(volatile uint64_t *)(SHARED_VADDR + 16) > 100);
	edu_start_write(&edu, 0x8000000, EDU_BYTES);
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, frame));
	memory = map_here(frame, 16);
	fill(memory, FILL);
	check("and revoking it", edu_finish(&edu) && holds(memory, FILL));
	must("suspend", thread_suspend(t.thread));
}

/* ---- messages ------------------------------------------------------------------------ */

static uint32_t bell, handler;

static bool
message_comes(uint64_t want)
{
	uint64_t bits = 0;

	edu_send_message(&edu);
	return sys_wait(bell, ms_from_now(10000), &bits) == OK && bits == want;
}

static bool
message_lost(void)
{
	uint64_t bits = 0;

	edu_send_message(&edu);
	return sys_wait(bell, ms_from_now(50), &bits) == ERR_TIMEOUT;
}

/* On another CPU: take the handler over, then count what comes. */
static void
remote_handler(uint64_t note, uint64_t beat)
{
	uint32_t irq = *(volatile uint32_t *)(SHARED_VADDR + 12);
	uint64_t bits;

	irq_handler_bind(irq, (uint32_t)note);
	for (;;) {
		++*(volatile uint64_t *)(SHARED_VADDR + beat);
		sys_wait((uint32_t)note, 0, &bits);
		irq_handler_ack(irq);
	}
}

static bool
reaches(volatile uint64_t *word, uint64_t value)
{
	uint64_t limit = ms_from_now(20000);

	while (*word != value && now() < limit)
		sleep_ms(1);
	return *word == value;
}

static void
test_remote_messages(void)
{
	volatile uint64_t *count = (volatile uint64_t *)(SHARED_VADDR + 24);
	uint32_t other = space_new(false);
	struct thread_made t;
	bool ok = true;

	*count = 0;
	*(volatile uint32_t *)(SHARED_VADDR + 12) = handler;
	t = thread_new(&(struct thread_plan){ .vspace = other, .entry = remote_handler,
		.arg = bell, .arg2 = 24, .priority = 100, .cpu = info->cpu_count - 1 });
	ok = reaches(count, 1);
	for (uint64_t i = 2; i <= 50 && ok; i++) {
		edu_send_message(&edu);
		ok = reaches(count, i);
	}
	check("fifty messages on another CPU", ok);
	must("suspend", thread_suspend(t.thread));
}

static void
test_messages(void)
{
	uint64_t address = 0, bits;
	uint32_t data = 0, again = slot_new(), n = make(OBJ_NOTIFICATION, 0);

	bell = make_badged(n, 8);
	handler = slot_new();
	check("event 40 is none", io_device_get_irq(device, 40, 0, handler, &address, &data) == ERR_RANGE);
	check("a handler of event 5", io_device_get_irq(device, 5, 0, handler, &address, &data) == OK &&
		address == IO_DOORBELL_IOVA + 0x40 && data == 5);
	check("only one", io_device_get_irq(device, 5, 0, again, &address, &data) == ERR_BUSY);
	check("the device is told", edu_set_message(&edu, IO_DOORBELL_IOVA + 0x40, 5));
	check("unbound, it is lost", message_lost());
	must("bind", irq_handler_bind(handler, bell));
	check("a message is a notification", message_comes(8));
	must("ack", irq_handler_ack(handler));
	for (unsigned i = 0; i < 20; i++)
		if (!message_comes(8))
			check("one of twenty messages", false);
	must("ack", irq_handler_ack(handler));
	for (unsigned i = 0; i < 300; i++) {
		edu_send_message(&edu);
		sys_poll(bell, &bits);
	}
	sys_wait(bell, ms_from_now(20), &bits);
	check("a storm of messages is masked", message_lost());
	must("ack", irq_handler_ack(handler));
	check("until it is acknowledged", sys_wait(bell, ms_from_now(10000), &bits) == OK && message_comes(8));
	must("ack", irq_handler_ack(handler));
	if (info->cpu_count > 1)
		test_remote_messages();
	must("bind", irq_handler_bind(handler, bell));
	check("back on this CPU", message_comes(8));
	must("unbind", irq_handler_bind(handler, 0));
	check("unbound again, it is lost", message_lost());
	must("bind", irq_handler_bind(handler, bell));
	check("as an edge, it is kept for the next who binds",
		sys_wait(bell, ms_from_now(10000), &bits) == OK && bits == 8);
	must("unbind the device", io_device_bind(device, 0));
	check("an unbound device sends nothing", message_lost());
	must("bind the device", io_device_bind(device, space));
	check("bound, it does", message_comes(8));
	must("delete", cnode_delete(INIT_SLOT_CNODE, handler));
	check("no handler, no message", message_lost());
	check("the event can be had again", io_device_get_irq(device, 5, 0, handler, &address, &data) == OK);
	must("bind", irq_handler_bind(handler, bell));
	check("and works", message_comes(8));
	edu_set_message(&edu, IO_DOORBELL_IOVA + 0x40, 9);
	check("an event without a handler is lost", message_lost());
	edu_set_message(&edu, IO_DOORBELL_IOVA + 0x40, 5000);
	check("so is one beyond the table", message_lost());
	edu_set_message(&edu, IO_DOORBELL_IOVA + 0x40, 5);
	check("and the others still work", message_comes(8));
}

static void
test_deaths(void)
{
	uint64_t address;
	uint32_t data, budget = make(OBJ_UNTYPED, 17), other = slot_new(), frame = copy(buffer);

	must("space", untyped_retype(budget, OBJ_IO_SPACE, 16, 0, other, 1, 0));
	must("map_io", frame_map_io(frame, other, 0x7000, RW));
	must("bind", io_device_bind(device, other));
	fill(here, 0xbeef);
	check("the other space is seen", edu_read_memory(&edu, 0x7000, EDU_BYTES) &&
		edu_write_memory(&edu, 0x7000, EDU_BYTES) && holds(here, 0xbeef));
	fill(here, FILL);
	edu_start_write(&edu, 0x7000, EDU_BYTES);
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, budget));
	check("a space that dies is seen no more", edu_finish(&edu) && holds(here, FILL));
	check("its frames are free", frame_map_io(frame, space, 0x7000, RW) == OK);
	must("bind", io_device_bind(device, space));
	check("the device sees another", edu_write_memory(&edu, 0x7000, EDU_BYTES) && holds(here, 0xbeef));
	fill(here, FILL);
	edu_start_write(&edu, 0x7000, EDU_BYTES);
	must("delete", cnode_delete(INIT_SLOT_CNODE, device));
	check("a device that dies reaches nothing", edu_finish(&edu) && holds(here, FILL));
	check("its handler says so", irq_handler_bind(handler, bell) == ERR_GONE);
	check("and hears nothing", message_lost());
	must("delete", cnode_delete(INIT_SLOT_CNODE, handler));
	device = assigned();
	must("bind", io_device_bind(device, space));
	must("get_irq", io_device_get_irq(device, 5, 0, handler, &address, &data));
	must("bind", irq_handler_bind(handler, bell));
	check("assigned anew it works", edu_write_memory(&edu, 0x7000, EDU_BYTES) && holds(here, 0xbeef) &&
		message_comes(8));
}

/* A thousand refused transfers neither stop the machine nor fill the log. */
static void
test_flood(void)
{
	uint64_t from = log_now(), count;
	struct fault f;

	must("bind_fault", io_device_bind_fault(device, faults));
	drain_faults();
	count = last_fault().count;
	for (unsigned i = 0; i < 20; i++)
		edu_write_memory(&edu, 0x666000, EDU_BYTES);
	check("twenty pages refused", fault_comes());
	f = last_fault();
	check("the log stays short", log_now() - from < 4000 && f.count > count);
	check("what is mapped still works", edu_write_memory(&edu, 0x7000, EDU_BYTES));
	drain_faults();
	edu_write_memory(&edu, 0x667000, EDU_BYTES);
	check("and the next fault is told", fault_comes());
}

/* In nanoseconds, which are instructions under -icount shift=0; the kernel's log and
 * its waiting for SMMU and ITS are in it. */
static void
report_longest_stretch(void)
{
	uint64_t ticks = 0;

	must("bench", system_control_bench(INIT_SLOT_SYSTEM_CONTROL, 0, &ticks));
	say("bench kernel.longest_masked_io ");
	say_number(ticks * (1000000000 / info->timer_hz));
	say("\n");
}

void
test_main(void)
{
	uint64_t checks = 0, violations = 0;

	say("dma-test: ");
	say_number(info->cpu_count);
	say(" CPUs\n");
	if (!edu_find(&edu)) {
		check("there is an edu device behind an SMMU", false);
		finish();
	}
	faults = make_badged(make(OBJ_NOTIFICATION, 0), 1);
	space = make(OBJ_IO_SPACE, 17);
	buffer = make(OBJ_FRAME, 12);
	here = map_here(buffer, 12);
	test_assignment();
	test_dma();
	test_withdrawal();
	test_windows();
	if (info->cpu_count > 1)
		test_cpus();
	test_messages();
	test_deaths();
	test_flood();
	if (info->debug_kernel != 0) {
		enum error e;

		report_longest_stretch();
		e = system_control_check(INIT_SLOT_SYSTEM_CONTROL, &checks, &violations);
		check("the invariant checker finds nothing", e == OK && violations == 0);
	}
	finish();
}
