/* SPDX-License-Identifier: MIT */
/*
 * Kernel tests on the target, run in init's place: address spaces, messages,
 * notifications, deadlines, faults, personality threads with their interrupts,
 * several CPUs.  Prints a line for each test and "N passed, M failed".
 */
#include "garbage.h"
#include "rules.h"

enum { PRIORITY_MAIN = 255, PRIORITY_SERVER = 200, PRIORITY_LOW = 100 };

static uint32_t endpoint, reply, second_space, notification;

static uint64_t
ms(uint64_t n)
{
	return now() + n * info->timer_hz / 1000;
}

/* init runs above everybody; sleeping lets the others run. */
void
sleep_ms(uint64_t n)
{
	static uint32_t nothing;
	uint64_t bits;

	if (nothing == 0)
		nothing = make(OBJ_NOTIFICATION, 0);
	sys_wait(nothing, ms(n), &bits);
}

bool
becomes(volatile uint64_t *word, uint64_t value, uint64_t limit_ms)
{
	uint64_t limit = ms(limit_ms);

	while (*word != value && now() < limit)
		sleep_ms(1);
	return *word == value;
}

/* The word grows beyond a value. */
bool
grows(volatile uint64_t *word, uint64_t beyond)
{
	uint64_t limit = ms(PATIENCE_MS);

	while (*word <= beyond && now() < limit)
		sleep_ms(1);
	return *word > beyond;
}

/* ---- messages ------------------------------------------------------------------- */

/* In another space: answers each call with its words plus one, from last to first. */
static void
echo_server(uint64_t ep, uint64_t reply_slot)
{
	struct ipc_buffer *buffer;
	struct msg m = { 0 };

	__asm__("mrs %0, tpidrro_el0" : "=r"(buffer));
	sys_recv((uint32_t)ep, &m, (uint32_t)reply_slot, 0);
	for (;;) {
		for (int i = 0; i < 6; i++)
			m.words[i]++;
		for (unsigned i = 6; i < msg_words(m.info); i++)
			buffer->words[i]++;
		m.words[0] += m.badge;
		sys_reply_recv((uint32_t)ep, &m, (uint32_t)reply_slot, 0);
	}
}

static bool
echo(uint32_t ep, unsigned words, uint64_t badge)
{
	struct ipc_buffer *buffer = (struct ipc_buffer *)INIT_IPC_VADDR;
	struct msg m = { .info = MSG_INFO(42, words, 0), .words = { 10, 11, 12, 13, 14, 15 } };

	for (unsigned i = 6; i < words; i++)
		buffer->words[i] = 100 + i;
	if (sys_call(ep, &m, ms(1000)) != OK || msg_label(m.info) != 42 || msg_words(m.info) != words)
		return false;
	for (unsigned i = 1; i < 6; i++)
		if (m.words[i] != 11 + i)
			return false;
	for (unsigned i = 6; i < words; i++)
		if (buffer->words[i] != 101 + i)
			return false;
	return m.words[0] == 11 + badge;
}

static void
test_messages(void)
{
	uint32_t badged;
	struct msg m = { .info = MSG_INFO(1, 0, 0) };
	bool ok = true;

	check("nobody receives: the deadline ends a call", sys_call(endpoint, &m, ms(2)) == ERR_TIMEOUT);
	second_space = space_new(false);
	thread_new(&(struct thread_plan){ .vspace = second_space, .entry = echo_server,
		.arg = endpoint, .arg2 = reply, .priority = PRIORITY_SERVER });
	check("call across address spaces, 0 words", echo(endpoint, 0, 0));
	check("4 words", echo(endpoint, 4, 0));
	check("6 words", echo(endpoint, 6, 0));
	check("8 words", echo(endpoint, 8, 0));
	check("120 words", echo(endpoint, 120, 0));
	badged = make_badged(endpoint, 0xbad9e);
	check("badge arrives", echo(badged, 1, 0xbad9e));
	for (int i = 0; i < 10000 && ok; i++)
		ok = echo(badged, (unsigned)(i % 9), 0xbad9e);
	check("ten thousand calls", ok);
}

/* Registers that the ABI preserves keep their values over a call, the others are zero. */
static void
test_registers(void)
{
	uint64_t bad = 0;

	__asm__ volatile(
		"mov x18, #18\n\tmov x19, #19\n\tmov x28, #28\n\tmov x25, #25\n\t"
		"mov x9, #0\n\tmov x10, #0\n\tmov x11, #11\n\tmov x12, #12\n\tmov x17, #17\n\t"
		"mov x0, %1\n\tmov x1, %2\n\tmov x8, #0\n\tsvc #0\n\t"
		"sub x18, x18, #18\n\tsub x19, x19, #19\n\tsub x28, x28, #28\n\tsub x25, x25, #25\n\t"
		"orr %0, x18, x19\n\torr %0, %0, x28\n\torr %0, %0, x25\n\t"
		"orr %0, %0, x9\n\torr %0, %0, x10\n\torr %0, %0, x11\n\torr %0, %0, x12\n\t"
		"orr %0, %0, x13\n\torr %0, %0, x14\n\torr %0, %0, x15\n\torr %0, %0, x16\n\torr %0, %0, x17\n\t"
		: "=&r"(bad) : "r"((uint64_t)endpoint), "r"(MSG_INFO(1, 0, 0))
		: "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
		"x13", "x14", "x15", "x16", "x17", "x18", "x19", "x25", "x28", "memory");
	check("a call preserves and clears registers", bad == 0);
}

/* ---- notifications, faults ---------------------------------------------------------- */

static void
signaller(uint64_t slot, uint64_t beat)
{
	shared->beat[beat]++;
	sys_signal((uint32_t)slot);
	for (;;)
		shared->beat[beat]++;
}

static void
test_notifications(void)
{
	uint64_t bits = 0, start;
	struct thread_made t;

	check("poll finds nothing", sys_poll(notification, &bits) == ERR_WOULD_BLOCK);
	start = now();
	check("wait ends at its deadline", sys_wait(notification, start + 62500, &bits) == ERR_TIMEOUT &&
		now() - start >= 62500);
	sys_signal(make_badged(notification, 4));
	sys_signal(make_badged(notification, 8));
	check("bits are collected", sys_wait(notification, 0, &bits) == OK && bits == 12);
	t = thread_new(&(struct thread_plan){ .vspace = second_space, .entry = signaller,
		.arg = make_badged(notification, 2), .arg2 = 0, .priority = PRIORITY_LOW });
	check("a thread of another space signals", sys_wait(notification, ms(1000), &bits) == OK && bits == 2);
	check("and is suspended", thread_suspend(t.thread) == OK);
}

static void
faulter(uint64_t address, uint64_t arg2)
{
	(void)arg2;
	shared->beat[1] = *(volatile uint64_t *)address;
	__asm__ volatile("brk #0");
	for (;;)
		;
}

static void
test_faults(void)
{
	uint32_t handler = make(OBJ_ENDPOINT, 0), page = make(OBJ_FRAME, 12), answer = make(OBJ_REPLY, 0);
	uint64_t *here = map_here(page, 12);
	struct msg m = { 0 };

	*here = 0x5eed;
	thread_new(&(struct thread_plan){ .vspace = second_space, .entry = faulter, .arg = 0x20000008,
		.priority = PRIORITY_LOW, .fault_handler = make_badged(handler, 77) });
	check("a page fault is a message", sys_recv(handler, &m, answer, ms(1000)) == OK &&
		msg_label(m.info) == LABEL_FAULT_MEMORY && m.words[1] == 0x20000008 && m.badge == 77);
	map_frame(copy(page), second_space, 0x20000000, RIGHT_READ);
	here[1] = 0xfeed;
	m.info = 0;
	check("answered, the thread goes on; its next fault is a breakpoint",
		sys_reply_recv(handler, &m, answer, ms(1000)) == OK &&
		msg_label(m.info) == LABEL_FAULT_EXCEPTION && m.words[2] >> 26 == 0x3c &&
		shared->beat[1] == 0xfeed);
}

static void
test_mapping(void)
{
	uint32_t frame = make(OBJ_FRAME, 21), other = copy(frame);
	volatile uint64_t *here = (uint64_t *)0x48000000;
	uint32_t big = make(OBJ_VSPACE, 14);
	uint64_t tables = 0, tables_free = 0, mapped = 0;

	map_frame(frame, INIT_SLOT_VSPACE, 0x48000000, RIGHT_READ | RIGHT_WRITE);
	here[0] = 1;
	here[0x1fffff / 8] = 2;
	check("2 MiB block", here[0] == 1 && here[0x1fffff / 8] == 2);
	check("W^X", frame_map(other, INIT_SLOT_VSPACE, 0x4a000000,
		RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC, MAP_NORMAL) == ERR_RIGHTS);
	check("occupied", frame_map(other, INIT_SLOT_VSPACE, 0x48000000, RIGHT_READ, MAP_NORMAL) == ERR_MAPPED);
	check("unaligned to its block, by pages",
		frame_map(other, INIT_SLOT_VSPACE, 0x4a001000, RIGHT_READ, MAP_NORMAL) == OK &&
		((volatile uint64_t *)0x4a001000)[0] == 1 &&
		((volatile uint64_t *)0x4a001000)[0x1fffff / 8] == 2);
	check("unmap", frame_unmap(other) == OK && frame_unmap(frame) == OK);
	check("a space without tables left", frame_map(frame, big, 0x48001000, RIGHT_READ, MAP_NORMAL) == ERR_NO_MEMORY);
	vspace_info(big, &tables, &tables_free, &mapped);
	check("nothing stays of it", tables == tables_free && mapped == 0);
	check("a block needs one table less", frame_map(frame, big, 0x48000000, RIGHT_READ, MAP_NORMAL) == OK);
	frame_unmap(frame);
	vspace_info(big, &tables, &tables_free, &mapped);
	check("unmapping gives tables back", tables == tables_free);
}

/*
 * More spaces than there are VMIDs, all alive: each runs, faults, and runs
 * again when its VMID has long gone to another.
 */
enum { SPACES = 300 };

static void
test_many_spaces(void)
{
	static uint32_t answers[SPACES];
	uint32_t handler = make(OBJ_ENDPOINT, 0);
	struct msg m = { 0 };
	unsigned faults = 0;

	for (unsigned i = 0; i < SPACES; i++) {
		uint32_t thread = make(OBJ_THREAD, 0), sc = make(OBJ_SCHED_CONTEXT, 0);

		answers[i] = make(OBJ_REPLY, 0);
		must("configure", thread_configure(thread, INIT_SLOT_CNODE, make(OBJ_VSPACE, 13), 0, 0,
			make_badged(handler, i + 1)));
		must("priority", thread_set_priority(thread, PRIORITY_LOW, PRIORITY_LOW));
		must("registers", thread_write_registers(thread, 0x400000 + i * 4, 0, 0, 0, 0, 0));
		must("time", sched_control_configure(INIT_SLOT_SCHED_CONTROL, sc, i % info->cpu_count,
			info->timer_hz / 100, info->timer_hz / 100));
		must("bind", sched_context_bind(sc, thread));
		must("resume", thread_resume(thread));
		if (sys_recv(handler, &m, answers[i], ms(2000)) == OK && m.badge == i + 1 &&
		    m.words[0] == 0x400000 + i * 4)
			faults++;
	}
	check("three hundred spaces run", faults == SPACES);
	for (unsigned i = 0; i < SPACES; i++) {
		m.info = MSG_INFO(1, 1, 0);
		m.words[0] = 0x800000 + i * 4;
		if (sys_reply_recv(handler, &m, answers[i], ms(2000)) == OK && m.badge == i + 1 &&
		    m.words[0] == 0x800000 + i * 4)
			faults++;
	}
	check("and run again", faults == 2 * SPACES);
}

/* ---- personality -------------------------------------------------------------------- */

static void
el1_report(void)
{
	static uint64_t reported;

	for (; reported < shared->results; reported++)
		check(shared->result[reported].name, shared->result[reported].ok != 0);
}

static void
kick(uint32_t slot, uint64_t command)
{
	shared->command = command;
	sys_signal(slot);
}

/*
 * A component on the personality's CPU: keeps a secret in its registers, and does
 * all that the fixed values of SCTLR_EL1, CPACR_EL1 and CNTKCTL_EL1 permit to components.
 */
static void
secret_keeper(uint64_t beat, uint64_t buffer_vaddr)
{
	static char line[256] __attribute__((aligned(256)));
	static const uint32_t order = 0x01020304;
	uint64_t ctr, tpidr, tpidrro;

	for (;;) {
#define KEEP(n) "fmov d" #n ", %0\n\t"
		__asm__ volatile(".arch_extension fp\n\t"
			KEEP(0) KEEP(1) KEEP(2) KEEP(3) KEEP(4) KEEP(5) KEEP(6) KEEP(7) KEEP(8) KEEP(9) KEEP(10)
			KEEP(11) KEEP(12) KEEP(13) KEEP(14) KEEP(15) KEEP(16) KEEP(17) KEEP(18) KEEP(19) KEEP(20)
			KEEP(21) KEEP(22) KEEP(23) KEEP(24) KEEP(25) KEEP(26) KEEP(27) KEEP(28) KEEP(29) KEEP(30)
			KEEP(31) : : "r"(SECRET) : "memory");
#undef KEEP
		__asm__ volatile("dc zva, %0; dc civac, %0; dc cvau, %0; ic ivau, %0; sevl; wfe" : : "r"(line) : "memory");
		__asm__ volatile("mrs %0, ctr_el0; mrs %1, tpidr_el0; mrs %2, tpidrro_el0"
			: "=r"(ctr), "=r"(tpidr), "=r"(tpidrro));
		if (tpidr == SECRET && tpidrro == buffer_vaddr && *(const volatile uint8_t *)&order == 4 &&
		    now() != 0)
			shared->beat[beat]++;
		sys_yield();
	}
}

static struct thread_made
keep_secret(unsigned cpu)
{
	struct thread_made t = thread_new(&(struct thread_plan){ .vspace = second_space, .entry = secret_keeper,
		.priority = PRIORITY_LOW, .cpu = cpu });

	shared->beat[4] = 0;
	shared->secret_buffer = t.ipc_vaddr;
	must("suspend", thread_suspend(t.thread));
	must("secret", thread_write_registers(t.thread, (uint64_t)secret_keeper, t.stack_top, 4, t.ipc_vaddr, 0, SECRET));
	must("resume", thread_resume(t.thread));
	return t;
}

static void
say_register(uint32_t encoding)
{
	const unsigned part[5] = { 2 + (encoding >> 14 & 1), encoding >> 11 & 7, encoding >> 7 & 15, encoding >> 3 & 15,
		encoding & 7 };

	say(encoding & SYSREG_WRITE ? "written: " : "read: ");
	for (int i = 0; i < 5; i++) {
		say_number(part[i]);
		say(i < 4 ? "_" : "\n");
	}
}

static void
sweep_report(const struct sysreg_sweep *s)
{
	say("init-test sysregs_readable ");
	say_number(s->read);
	say("\ninit-test sysregs_writable ");
	say_number(s->written);
	say("\ninit-test sysregs_untrapped ");
	say_number(s->untrapped);
	say("\n");
	for (uint32_t i = 0; i < s->odd_count && i < SYSREG_ODD; i++)
		say_register(s->odd[i]);
	check("every system register that is not the personality's own is UNDEF at EL1", s->odd_count == 0);
	check("all 32,768 were tried, no other exception came", s->read + s->undefined == 32768 && s->read > 100);
	check("an UNDEF changes no register", s->changed == 0);
	check("no system register shows a component's values", s->secrets == 0);
}

/* What one personality leaves in its registers no other one sees. */
static void
run_marker(uint32_t page, uint64_t compares)
{
	uint32_t space = space_new(true);
	struct thread_made t;

	map_frame(copy(page), space, MARKS_VADDR, RIGHT_READ | RIGHT_WRITE);
	map_frame(make(OBJ_FRAME, 12), space, CODE_VADDR, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC);
	shared->state = 0;
	t = thread_new(&(struct thread_plan){ .vspace = space, .entry = el1_marker, .arg = compares,
		.priority = PRIORITY_LOW, .vcpu = true });
	check(compares ? "another personality looks" : "a personality leaves marks",
		becomes(&shared->state, EL1_DONE, PATIENCE_MS));
	must("suspend", thread_suspend(t.thread));
}

static void
test_two_personalities(void)
{
	uint32_t page = make(OBJ_FRAME, 12);

	shared->sweep.odd_count = 0;
	run_marker(page, 0);
	check("in most of its registers", shared->beat[5] > 40);
	run_marker(page, 1);
	for (uint32_t i = 0; i < shared->sweep.odd_count && i < SYSREG_ODD; i++)
		say_register(shared->sweep.odd[i]);
	check("and finds none", shared->beat[5] == 0);
}

/* sweep: through all system registers, once. */
static void
test_personality(unsigned cpu, bool sweep)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0), bell = make_badged(n, 16), space = space_new(true);
	uint64_t before;
	struct thread_made t, keeper = keep_secret(cpu);

	shared->state = shared->command = shared->notified = shared->interrupts = 0;
	shared->own_poll = n;
	shared->own_signal = make_badged(n, 1);
	map_frame(make(OBJ_FRAME, 12), space, CODE_VADDR, RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC);
	t = thread_new(&(struct thread_plan){ .vspace = space, .entry = el1_main,
		.arg = SHARED_VADDR, .arg2 = sweep ? 8 : 7, .priority = PRIORITY_LOW, .cpu = cpu, .vcpu = true,
		.notification = n });
	check("a VCPU runs", becomes(&shared->state, EL1_POKED, 4 * PATIENCE_MS));
	__asm__ volatile(".arch_extension fp\n\tfmov d8, xzr" : : : "memory");
	el1_report();
	if (sweep)
		sweep_report(&shared->sweep);
	before = shared->beat[4];
	check("what an EL1 forbids its EL0 is permitted to components", grows(&shared->beat[4], before));
	must("suspend", thread_suspend(keeper.thread));
	kick(bell, EL1_WAITING);
	check("a signal ends WFI", becomes(&shared->state, EL1_SPINNING, PATIENCE_MS));
	check("with an interrupt and its bits", shared->interrupts == 2 && shared->notified == 16);
	before = shared->interrupts;
	for (uint64_t i = 1; i <= 50; i++) {
		sys_signal(bell);
		becomes(&shared->interrupts, before + i, PATIENCE_MS);
	}
	check("a running VCPU is interrupted, fifty times", shared->interrupts == before + 50);
	shared->command = EL1_DONE;
	check("it ends", becomes(&shared->state, EL1_DONE, PATIENCE_MS));
	el1_report();
	check("it is suspended in WFI", thread_suspend(t.thread) == OK);
}

static void
test_two_vcpus(void)
{
	uint32_t space = space_new(true);
	struct thread_made first, second;

	shared->beat[2] = shared->beat[3] = 0;
	first = thread_new(&(struct thread_plan){ .vspace = space, .entry = el1_spin,
		.arg = 2, .priority = PRIORITY_LOW, .vcpu = true });
	second = thread_new(&(struct thread_plan){ .vspace = space, .entry = el1_spin,
		.arg = 3, .priority = PRIORITY_LOW, .vcpu = true });

	check("two VCPUs share a CPU, each with its own timer",
		grows(&shared->beat[2], 3) && grows(&shared->beat[3], 3));
	thread_suspend(first.thread);
	thread_suspend(second.thread);
}

/* ---- several CPUs --------------------------------------------------------------------- */

static void
beater(uint64_t beat, uint64_t arg2)
{
	(void)arg2;
	for (;;)
		shared->beat[beat]++;
}

static void
test_cpus(void)
{
	struct thread_made t[8];
	unsigned n = info->cpu_count < 8 ? info->cpu_count : 8;
	bool all = true, still = true;
	uint64_t before[8];

	for (unsigned i = 1; i < n; i++) {
		shared->beat[i] = 0;
		t[i] = thread_new(&(struct thread_plan){ .vspace = second_space, .entry = beater, .arg = i,
			.priority = PRIORITY_LOW, .cpu = i });
	}
	for (unsigned i = 1; i < n; i++)
		all = all && grows(&shared->beat[i], 0);
	check("every CPU runs a thread", all);
	for (unsigned i = 1; i < n; i++)
		if (thread_suspend(t[i].thread) != OK)
			all = false;
	for (unsigned i = 1; i < n; i++)
		before[i] = shared->beat[i];
	sleep_ms(20);
	for (unsigned i = 1; i < n; i++)
		still = still && shared->beat[i] == before[i];
	check("running threads of other CPUs are suspended", all && still);
	if (n > 1) {
		must("resume", thread_resume(t[1].thread));
		sleep_ms(20);
		must("migrate", sched_control_configure(INIT_SLOT_SCHED_CONTROL, t[1].sched_context, n - 1,
			info->timer_hz / 100, info->timer_hz / 100));
		before[1] = shared->beat[1];
		check("a thread goes on after migration", grows(&shared->beat[1], before[1]));
		thread_suspend(t[1].thread);
	}
}

static void
test_remote_calls(void)
{
	uint32_t ep = make(OBJ_ENDPOINT, 0), r = make(OBJ_REPLY, 0);
	bool ok = true;

	thread_new(&(struct thread_plan){ .vspace = second_space, .entry = echo_server, .arg = ep, .arg2 = r,
		.priority = PRIORITY_SERVER, .cpu = info->cpu_count - 1 });
	for (int i = 0; i < 1000 && ok; i++)
		ok = echo(ep, 6, 0);
	check("a thousand calls to a server on another CPU", ok);
}

/* ---- nonsense ---------------------------------------------------------------------------- */

static bool
garbage_ended(void)
{
	return becomes(&shared->state, EL1_DONE, 60000);
}

static void
test_garbage(void)
{
	check("30,000 nonsense calls are survived", garbage_survived(1, 0, garbage_ended));
	if (info->cpu_count > 1)
		check("from another CPU as well", garbage_survived(2, info->cpu_count - 1, garbage_ended));
}

void
test_main(void)
{
	uint64_t checks = 0, violations = 0;

	say("init-test: ");
	say_number(info->cpu_count);
	say(" CPUs\n");
	endpoint = make(OBJ_ENDPOINT, 0);
	reply = make(OBJ_REPLY, 0);
	notification = make(OBJ_NOTIFICATION, 0);
	test_cpu_power();
	test_messages();
	test_registers();
	test_clobbered(endpoint);
	test_gone();
	test_notifications();
	test_faults();
	test_mapping();
	test_many_spaces();
	test_personality(0, true);
	test_two_personalities();
	test_two_vcpus();
	if (info->cpu_count > 1) {
		test_cpus();
		test_remote_calls();
		test_personality(1, false);
	}
	test_garbage();
	if (info->debug_kernel != 0) {
		enum error e = system_control_check(INIT_SLOT_SYSTEM_CONTROL, &checks, &violations);

		check("the invariant checker finds nothing", e == OK && violations == 0);
	}
	finish();
}
