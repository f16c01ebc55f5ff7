/* SPDX-License-Identifier: MIT */
/*
 * Runs the kernel's tests, or those whose names begin with an argument.
 */
#include <setjmp.h>

#include "test.h"

static struct test *tests;
static jmp_buf failed_test;

int preempt_every = -1;
unsigned restarts;
uint32_t normal_untyped, device_untyped;
static uint32_t slot_next;
static uint32_t bed;			/* where init sleeps; 0: not made yet */

void
test_register(struct test *t)
{
	t->next = tests;
	tests = t;
}

void
expect_equal(uint64_t got, uint64_t want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	printf("%s:%d: %s is %#llx, not %#llx\n", file, line, what, (unsigned long long)got,
		(unsigned long long)want);
	longjmp(failed_test, 1);
}

struct thread *
running(unsigned cpu)
{
	return cpus[cpu].current;
}

uint64_t
info_words(unsigned words)
{
	return MSG_INFO(0, words, 0);
}

void
syscall_on(unsigned cpu, uint64_t number, uint64_t cap, uint64_t info, uint64_t w0,
	uint64_t deadline, uint64_t reply)
{
	struct thread *t = running(cpu);

	EXPECT(t != NULL, true);
	t->regs.x[0] = cap;
	t->regs.x[1] = info;
	t->regs.x[2] = w0;
	t->regs.x[9] = deadline;
	t->regs.x[10] = reply;
	host_preempt = -1;
	host_syscall(cpu, number);
	host_settle();
}

enum error
invoke(uint32_t cap, uint32_t label, unsigned n, const uint64_t *args)
{
	struct thread *t = init_thread;
	unsigned cpu = t->cpu;

	EXPECT(running(cpu) == t, true);
	t->regs.x[0] = cap;
	t->regs.x[1] = MSG_INFO(label, n, 0);
	for (unsigned i = 0; i < 6; i++)
		t->regs.x[2 + i] = i < n ? args[i] : 0;
	t->regs.x[9] = t->regs.x[10] = 0;
	for (restarts = 0;; restarts++) {
		host_preempt = preempt_every;
		host_syscall(cpu, SYS_CALL);
		if (!t->restarted)
			break;
		EXPECT(restarts < 1000000, true);
		host_settle();
		EXPECT(check_everything(), 0);
	}
	host_settle();
	return (enum error)t->regs.x[0];
}

uint64_t
result(unsigned n)
{
	return init_thread->regs.x[2 + n];
}

struct slot *
slot_of(uint32_t index)
{
	return cnode_slots(init_thread->cspace) + index;
}

enum error
retype(uint32_t untyped, enum object_type type, unsigned size_bits, uint32_t slot, unsigned count)
{
	return INVOKE(untyped, UNTYPED_RETYPE, type, size_bits, 0, slot, count, 0);
}

uint32_t
new_slot(void)
{
	return slot_next++;
}

uint32_t
make(enum object_type type, unsigned size_bits)
{
	uint32_t slot = new_slot();

	EXPECT(retype(normal_untyped, type, size_bits, slot, 1), OK);
	return slot;
}

enum error
copy(uint32_t dst, uint32_t src, unsigned rights)
{
	return INVOKE(ROOT, CNODE_COPY, dst, 0, src, rights);
}

enum error
mint(uint32_t dst, uint32_t src, unsigned rights, uint64_t badge)
{
	return INVOKE(ROOT, CNODE_MINT, dst, 0, src, rights, badge);
}

enum error
delete(uint32_t slot)
{
	return INVOKE(ROOT, CNODE_DELETE, slot);
}

enum error
revoke(uint32_t slot)
{
	return INVOKE(ROOT, CNODE_REVOKE, slot);
}

struct actor
actor(unsigned priority, unsigned cpu, bool passive)
{
	struct actor a = { .thread = make(OBJ_THREAD, 0), .vspace = make(OBJ_VSPACE, 14),
		.ipc = make(OBJ_FRAME, 12), .reply = make(OBJ_REPLY, 0) };

	a.t = slot_of(a.thread)->thread;
	EXPECT(INVOKE(a.thread, THREAD_CONFIGURE, ROOT, a.vspace, a.ipc, 0x1000, 0), OK);
	EXPECT(INVOKE(a.thread, THREAD_SET_PRIORITY, priority, priority), OK);
	EXPECT(INVOKE(a.thread, THREAD_WRITE_REGISTERS, 0x400000, 0, 0, 0, 0, 0), OK);
	if (!passive) {
		a.sched = make(OBJ_SCHED_CONTEXT, 0);
		EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, cpu,
			10000, 10000), OK);
		EXPECT(INVOKE(a.sched, SCHED_CONTEXT_BIND, a.thread), OK);
	}
	return a;
}

void
start(const struct actor *a)
{
	EXPECT(INVOKE0(a->thread, THREAD_RESUME), OK);
}

void
init_priority(unsigned priority)
{
	EXPECT(INVOKE(INIT_SLOT_THREAD, THREAD_SET_PRIORITY, priority, 255), OK);
}

void
init_sleeps(void)
{
	if (bed == 0)
		bed = make(OBJ_NOTIFICATION, 0);
	syscall_on(init_thread->cpu, SYS_WAIT, bed, 0, 0, 0, 0);
}

void
wake_init(void)
{
	host_cpu = &cpus[0];
	notification_signal(slot_of(bed)->notification, 1);
	cpus[0].arch.kicked = true;
	host_settle();
	EXPECT(running(0) == init_thread, true);
}

static void
begin(unsigned cpus_wanted)
{
	const struct init_info *info;

	host_quiet = true;
	host_boot(cpus_wanted);
	preempt_every = -1;
	slot_next = SCRATCH;
	bed = 0;
	normal_untyped = device_untyped = 0;
	info = NULL;
	for (struct slot *s = init_thread->vspace->mappings; s != NULL;
	    s = (struct slot *)(uintptr_t)s->map_next)
		if ((uint64_t)s->frame.vaddr_page << 12 == INIT_INFO_VADDR)
			info = phys_to_kernel((paddr_t)s->frame.base_page << 12);
	for (unsigned i = 0; i < info->untyped_count; i++) {
		const struct init_untyped *u = &info->untyped[i];

		if (!u->device && u->size_bits >= 22)
			normal_untyped = u->slot;
		if (u->device && u->base == 0x09000000)
			device_untyped = u->slot;
	}
	EXPECT(normal_untyped != 0 && device_untyped != 0, true);
}

static bool
passes(struct test *t)
{
	if (setjmp(failed_test) != 0)
		return false;
	begin(t->cpus);
	t->run();
	host_quiet = false;
	EXPECT(check_everything(), 0);
	return true;
}

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	for (struct test *t = tests; t != NULL; t = t->next) {
		if (argc > 1 && strncmp(t->name, argv[1], strlen(argv[1])) != 0)
			continue;
		if (passes(t)) {
			passed++;
		} else {
			printf("FAILED %s\n", t->name);
			failed++;
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
