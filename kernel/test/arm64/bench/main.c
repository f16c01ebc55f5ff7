/* SPDX-License-Identifier: MIT */
/*
 * Kernel instructions of the paths that DESIGN 3.5 budgets.  Under -icount
 * shift=0 an instruction takes 1 ns, and the counter ticks every 16 of them:
 * so loops run long, and single events are measured many times at changing
 * offsets to the tick.  Prints "bench kernel.<name> <instructions>".
 */
#include "loops.h"
#include "support.h"
#include <tessera/bootinfo.h>

enum { ROUNDS = 4096, EVENTS = 2048, PRIORITY_HIGH = 254, PRIORITY_LOW = 100 };

struct bench_shared {
	volatile uint64_t stamp;
	volatile uint64_t done;
	volatile uint64_t rounds;
	volatile uint64_t sum;
	volatile uint64_t result[4];
	volatile uint32_t slot[4];
};
#define shared ((struct bench_shared *)SHARED_VADDR)

static uint64_t ns_per_tick;
static uint32_t other_space;

static void
report(const char *name, uint64_t instructions)
{
	say("bench kernel.");
	say(name);
	say(" ");
	say_number(instructions);
	say("\n");
}

/* Instructions of one round, rounded, from the ticks of many. */
static uint64_t
per_round(uint64_t ticks, uint64_t rounds)
{
	return (ticks * ns_per_tick + rounds / 2) / rounds;
}

/* ---- messages ------------------------------------------------------------------ */

static uint64_t
measure_call(uint32_t ep, unsigned words)
{
	uint64_t start;

	bench_call(ep, MSG_INFO(1, words, 0), 64);
	start = now();
	bench_call(ep, MSG_INFO(1, words, 0), ROUNDS);
	return per_round(now() - start, ROUNDS) - USER_CALL;
}

static void
client(uint64_t ep, uint64_t done)
{
	static const unsigned words[] = { 0, 4, 6, 8 };

	for (unsigned i = 0; i < 4; i++)
		shared->result[i] = measure_call((uint32_t)ep, words[i]);
	sys_signal((uint32_t)done);
	for (;;)
		sys_wait(shared->slot[3], 0, (uint64_t[]){ 0 });
}

/* A passive server runs on its client's time; another one has its own. */
static void
bench_messages(bool passive)
{
	uint32_t ep = make(OBJ_ENDPOINT, 0), reply = make(OBJ_REPLY, 0), done = make(OBJ_NOTIFICATION, 0);
	uint64_t bits;
	struct thread_made server;

	shared->slot[3] = make(OBJ_NOTIFICATION, 0);
	server = thread_new(&(struct thread_plan){ .vspace = other_space, .entry = bench_server, .arg = ep,
		.arg2 = reply, .priority = PRIORITY_HIGH });
	sys_wait(done, now() + 62500, &bits);		/* it reaches its recv */
	if (passive)
		must("unbind", sched_context_unbind(server.sched_context));
	thread_new(&(struct thread_plan){ .vspace = space_new(false), .entry = client, .arg = ep,
		.arg2 = make_badged(done, 1), .priority = PRIORITY_LOW });
	sys_wait(done, 0, &bits);
	report(passive ? "call_reply_0" : "call_reply_0_own_time", shared->result[0]);
	report(passive ? "call_reply_4" : "call_reply_4_own_time", shared->result[1]);
	report(passive ? "call_reply_6" : "call_reply_6_own_time", shared->result[2]);
	report(passive ? "call_reply_8" : "call_reply_8_own_time", shared->result[3]);
}

/* ---- simple calls ----------------------------------------------------------------- */

static void
bench_simple(void)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0);
	uint64_t start = now();

	bench_signal(n, ROUNDS);
	report("signal_nobody", per_round(now() - start, ROUNDS) - USER_SIGNAL);
	sys_poll(n, &start);
	start = now();
	bench_poll(n, ROUNDS);
	report("poll_empty", per_round(now() - start, ROUNDS) - USER_POLL);
	start = now();
	bench_yield(ROUNDS);
	report("yield_alone", per_round(now() - start, ROUNDS) - USER_YIELD);
}

/* ---- one event at a time: signal, interrupt ----------------------------------------- */

static void
waiter(uint64_t slot, uint64_t done)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < EVENTS; i++)
		sum += bench_wait(slot) - shared->stamp;
	shared->sum = sum;
	sys_signal((uint32_t)done);
	for (;;)
		sys_wait(shared->slot[3], 0, (uint64_t[]){ 0 });
}

static void
signaller(uint64_t slot, uint64_t arg2)
{
	(void)arg2;
	for (uint64_t i = 0;; i++)
		bench_signaller(slot, &shared->stamp, 1 + i % 37);
}

static void
bench_signal_switch(void)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0), done = make(OBJ_NOTIFICATION, 0);
	struct thread_made low;
	uint64_t bits;

	thread_new(&(struct thread_plan){ .vspace = other_space, .entry = waiter, .arg = n, .arg2 = make_badged(done, 1),
		.priority = PRIORITY_HIGH });
	low = thread_new(&(struct thread_plan){ .vspace = space_new(false), .entry = signaller,
		.arg = make_badged(n, 1), .priority = PRIORITY_LOW });
	sys_wait(done, 0, &bits);
	report("signal_switch", per_round(shared->sum, EVENTS) - GAP_WAKE);
	thread_suspend(low.thread);
}

/*
 * The PL011's transmit interrupt: unmasking it raises the line at once.  The
 * handler masks it and acknowledges.
 */
enum { UART_IMSC = 0x38 / 4, UART_TXIM = 1 << 5, UART_VADDR = 0x52000000 };

static void
irq_thread(uint64_t slot, uint64_t done)
{
	volatile uint32_t *uart = (uint32_t *)UART_VADDR;
	uint64_t sum = 0;

	irq_handler_ack(shared->slot[0]);
	for (unsigned i = 0; i < EVENTS; i++) {
		uint64_t t = bench_wait(slot);

		sum += t - shared->stamp;
		uart[UART_IMSC] = 0;
		irq_handler_ack(shared->slot[0]);
	}
	shared->sum = sum;
	sys_signal((uint32_t)done);
	for (;;)
		sys_wait(shared->slot[3], 0, (uint64_t[]){ 0 });
}

static void
trigger(uint64_t arg, uint64_t arg2)
{
	volatile uint32_t *uart = (uint32_t *)UART_VADDR;

	(void)arg;
	(void)arg2;
	for (uint64_t i = 0;; i++)
		bench_trigger(&uart[UART_IMSC], UART_TXIM, &shared->stamp, 1 + i % 37);
}

/* A Frame over the UART's registers; 0: no device Untyped holds them. */
static uint32_t
uart_frame(uint64_t base)
{
	uint32_t slot = slot_new();

	for (uint32_t i = 0; i < info->untyped_count; i++) {
		const struct init_untyped *u = &info->untyped[i];

		if (u->device == 0 || base < u->base || base - u->base >= 1UL << u->size_bits)
			continue;
		must("UART frame", untyped_retype(u->slot, OBJ_FRAME, 12, 0, slot, 1, base - u->base));
		return slot;
	}
	return 0;
}

static void
map_uart(uint32_t frame, uint32_t vspace)
{
	must("UART map", frame_map(frame, vspace, UART_VADDR, RIGHT_READ | RIGHT_WRITE, MAP_DEVICE));
}

static void
bench_interrupt(void)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;
	uint32_t n = make(OBJ_NOTIFICATION, 0), done = make(OBJ_NOTIFICATION, 0), frame, handler, space;
	struct thread_made low;
	uint64_t bits;

	if (boot->uart.kind != BOOT_UART_PL011 || (frame = uart_frame(boot->uart.base)) == 0)
		return;
	handler = slot_new();
	must("irq_control_get", irq_control_get(INIT_SLOT_IRQ_CONTROL, boot->uart.intid, 0, 0, handler));
	must("irq_bind", irq_handler_bind(handler, make_badged(n, 1)));
	shared->slot[0] = handler;
	map_uart(copy(frame), other_space);
	space = space_new(false);
	map_uart(copy(frame), space);
	thread_new(&(struct thread_plan){ .vspace = other_space, .entry = irq_thread, .arg = n, .arg2 = make_badged(done, 1),
		.priority = PRIORITY_HIGH });
	low = thread_new(&(struct thread_plan){ .vspace = space, .entry = trigger, .priority = PRIORITY_LOW });
	sys_wait(done, 0, &bits);
	report("interrupt", per_round(shared->sum, EVENTS) - GAP_IRQ);
	thread_suspend(low.thread);
}

/* ---- faults, mapping ----------------------------------------------------------------- */

static void
bench_fault(void)
{
	uint32_t ep = make(OBJ_ENDPOINT, 0), reply = make(OBJ_REPLY, 0), nothing = make(OBJ_NOTIFICATION, 0);
	uint64_t start, rounds, bits;
	struct thread_made t;

	thread_new(&(struct thread_plan){ .vspace = other_space, .entry = bench_pager, .arg = ep,
		.arg2 = reply, .priority = PRIORITY_HIGH });
	t = thread_new(&(struct thread_plan){ .vspace = space_new(false), .entry = bench_faulter,
		.arg = 0x20000000, .priority = PRIORITY_LOW, .fault_handler = ep });
	sys_wait(nothing, now() + 62500, &bits);
	rounds = shared->stamp;
	start = now();
	sys_wait(nothing, start + 625000, &bits);
	start = now() - start;
	rounds = shared->stamp - rounds;
	thread_suspend(t.thread);
	/* The two entries around the readings are lost in the mass. */
	report("fault_and_answer", per_round(start, rounds) - USER_FAULT);
}

static void
bench_map(void)
{
	uint32_t frame = make(OBJ_FRAME, 12);
	uint64_t map = 0, unmap = 0;
	uint64_t start, overhead = now();

	overhead = now() - overhead;
	map_frame(frame, INIT_SLOT_VSPACE, 0x53000000, RIGHT_READ);
	map_frame(make(OBJ_FRAME, 12), INIT_SLOT_VSPACE, 0x53001000, RIGHT_READ);	/* the table stays */
	frame_unmap(frame);
	for (unsigned i = 0; i < EVENTS; i++) {
		bench_empty(1 + i % 37);
		start = now();
		frame_map(frame, INIT_SLOT_VSPACE, 0x53000000, RIGHT_READ, MAP_NORMAL);
		map += now() - start;
		bench_empty(1 + i % 37);
		start = now();
		frame_unmap(frame);
		unmap += now() - start;
	}
	/* isb, mrs, the stub's eleven register moves and its svc. */
	report("map_page", per_round(map, EVENTS) - 14);
	report("unmap_page", per_round(unmap, EVENTS) - 14);
}

/* Into and out of a device's reach, the SMMU's answer included: a page, and a block
 * of 2 MiB, which is how a page cache lends. */
static void
bench_map_io(const char *map_name, const char *unmap_name, unsigned frame_bits, uint64_t iova)
{
	static uint32_t space, device;
	uint32_t frame = make(OBJ_FRAME, frame_bits);
	uint64_t map = 0, unmap = 0, start;

	if (space == 0) {
		space = make(OBJ_IO_SPACE, 16);
		device = make(OBJ_IO_DEVICE, 0);
		must("assign", io_control_assign(INIT_SLOT_IO_CONTROL, device, 0, 0xf8, IO_NO_ITS, 0));
		must("bind", io_device_bind(device, space));
		must("map_io", frame_map_io(make(OBJ_FRAME, 12), space, 0x53001000, RIGHT_READ));
	}
	for (unsigned i = 0; i < EVENTS; i++) {
		bench_empty(1 + i % 37);
		start = now();
		frame_map_io(frame, space, iova, RIGHT_READ | RIGHT_WRITE);
		map += now() - start;
		bench_empty(1 + i % 37);
		start = now();
		frame_unmap(frame);
		unmap += now() - start;
	}
	report(map_name, per_round(map, EVENTS) - 14);
	report(unmap_name, per_round(unmap, EVENTS) - 14);
}

/* ---- personality ------------------------------------------------------------------------ */

static void
personality(uint64_t slot, uint64_t arg2)
{
	uint64_t start = now();

	(void)arg2;
	bench_signal_hvc(slot, ROUNDS);
	shared->result[0] = now() - start;
	start = now();
	bench_poll_hvc(shared->slot[0], 1);
	start = now();
	bench_poll_hvc(shared->slot[0], ROUNDS);
	shared->result[1] = now() - start;
	shared->done = 1;
	for (;;)
		__asm__ volatile("wfi");
}

static void
bench_hypercalls(void)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0), nothing = make(OBJ_NOTIFICATION, 0);
	uint64_t bits;

	shared->done = 0;
	shared->slot[0] = n;
	thread_new(&(struct thread_plan){ .vspace = space_new(true), .entry = personality, .arg = make_badged(n, 1),
		.priority = PRIORITY_LOW, .vcpu = true });
	while (shared->done == 0)
		sys_wait(nothing, now() + 62500, &bits);
	report("hypercall_signal", per_round(shared->result[0], ROUNDS) - USER_SIGNAL);
	report("hypercall_poll", per_round(shared->result[1], ROUNDS) - USER_POLL);
}

/*
 * Operations whose length grows with their object, to see that they are
 * preemptible: a debug kernel notes its longest stretch without a look at
 * pending interrupts.
 */
static void
long_operations(void)
{
	static const enum object_type many[] = { OBJ_THREAD, OBJ_VCPU, OBJ_REPLY, OBJ_VSPACE };
	uint32_t cnode = make(OBJ_CNODE, 12), frame = make(OBJ_FRAME, 21), space, n;
	uint32_t untyped = make(OBJ_UNTYPED, 21);

	for (unsigned i = 0; i < 4; i++) {	/* as many at a time as it takes */
		must("retype", untyped_retype(untyped, many[i], 13, cnode, 1, 128, 0));
		must("revoke", cnode_revoke(INIT_SLOT_CNODE, untyped));
	}
	for (uint32_t i = 1; i < 4096; i++)
		must("copy", cnode_copy(cnode, i, 0, frame, RIGHTS_ALL));
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, frame));
	for (unsigned attribute = MAP_NORMAL; attribute <= MAP_UNCACHED; attribute++) {
		must("map", frame_map(frame, INIT_SLOT_VSPACE, 0x54001000, RIGHT_READ, attribute));
		must("unmap", frame_unmap(frame));
	}
	must("map", frame_map(frame, INIT_SLOT_VSPACE, 0x54000000, RIGHT_READ | RIGHT_EXEC, MAP_NORMAL));
	must("unmap", frame_unmap(frame));
	space = space_new(false);
	must("map", frame_map(frame, space, 0x54001000, RIGHT_READ, MAP_NORMAL));
	must("delete", cnode_delete(INIT_SLOT_CNODE, space));
	n = make(OBJ_NOTIFICATION, 0);
	for (uint32_t i = 1; i < 4096; i++)
		must("mint", cnode_mint(cnode, i, 0, n, RIGHTS_ALL, i));
	must("delete", cnode_delete(INIT_SLOT_CNODE, cnode));
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, n));
}

/* A full CNode, which dies with all that it holds; derivations a thousand deep,
 * revoked from the top, and once with their middle gone. */
static void
many_capabilities(void)
{
	enum { DEPTH = 1000, CNODE_BITS = 16 };
	uint32_t cnode = make(OBJ_CNODE, CNODE_BITS), frame = make(OBJ_FRAME, 12);

	for (uint32_t i = 1; i < 1U << CNODE_BITS; i++)
		must("copy", cnode_copy(cnode, i, 0, frame, RIGHTS_ALL));
	must("delete", cnode_delete(INIT_SLOT_CNODE, cnode));
	cnode = make(OBJ_CNODE, CNODE_BITS);
	for (unsigned round = 0; round < 2; round++) {
		must("copy", cnode_copy(cnode, 1, 0, frame, RIGHTS_ALL));
		for (uint32_t i = 1; i < DEPTH; i++)
			must("copy", cnode_copy(cnode, i + 1, cnode, i, RIGHTS_ALL));
		if (round == 1)
			must("delete", cnode_delete(cnode, DEPTH / 2));
		must("revoke", cnode_revoke(INIT_SLOT_CNODE, frame));
	}
}

/* The largest Frame that memory has: cleared, mapped by blocks and by pages, dying
 * with its VSpace and by revoke. */
static void
largest_frame(void)
{
	uint32_t frame, space = make(OBJ_VSPACE, 22);
	unsigned bits = 0;

	for (uint32_t i = 0; i < info->untyped_count; i++)
		if (info->untyped[i].device == 0 && info->untyped[i].size_bits > bits)
			bits = info->untyped[i].size_bits;
	bits = bits > 30 ? 30 : bits - 1;
	frame = make(OBJ_FRAME, bits);
	map_frame(frame, space, 1UL << 30, RIGHT_READ | RIGHT_WRITE);
	must("unmap", frame_unmap(frame));
	map_frame(frame, space, (1UL << 30) + 4096, RIGHT_READ | RIGHT_WRITE);
	must("unmap", frame_unmap(frame));
	map_frame(copy(frame), space, (1UL << 30) + 4096, RIGHT_READ | RIGHT_WRITE);
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, frame));
	map_frame(frame, space, (1UL << 30) + 4096, RIGHT_READ);
	must("delete", cnode_delete(INIT_SLOT_CNODE, space));
	report("largest_frame_bits", bits);
}

void
test_main(void)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;
	uint64_t start = now(), longest = 0;

	ns_per_tick = 1000000000UL / info->timer_hz;
	if (boot->exit_ticks != 0)
		report("boot", (start - boot->exit_ticks) * ns_per_tick);
	other_space = space_new(false);
	bench_messages(true);
	bench_messages(false);
	bench_simple();
	bench_signal_switch();
	bench_interrupt();
	bench_fault();
	bench_map();
	bench_map_io("map_io_page", "unmap_io_page", 12, 0x53000000);
	bench_map_io("map_io_block", "unmap_io_block", 21, 0x60000000);
	bench_hypercalls();
	long_operations();
	if (info->debug_kernel != 0) {		/* nothing here but the stretches counts */
		many_capabilities();
		largest_frame();
	}
	if (system_control_bench(INIT_SLOT_SYSTEM_CONTROL, 0, &longest) == OK && longest != 0)
		report("longest_masked", longest * ns_per_tick);
	say_stretches("bench");
	finish();
}
