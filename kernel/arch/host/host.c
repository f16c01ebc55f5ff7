/* SPDX-License-Identifier: MIT */
/*
 * A machine made of plain memory, for running kernel/core in tests: CPUs are
 * records that take turns, time is a number, and a page table is one that the
 * test can look into.  It is strict where hardware would be silently wrong: a
 * thread whose state another CPU still holds must not be run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <kernel/core.h>
#include <kernel/fastpath.h>
#include <tessera/bootinfo.h>

char *host_ram;
struct cpu *host_cpu;
uint64_t host_now;
int host_preempt = -1;
unsigned host_resets, host_power_offs;
bool host_firmware_refuses;
bool host_quiet;
bool host_fast = true;
uint64_t host_word0;

/* ---- CPUs, time, console --------------------------------------------------------- */

void
arch_timer_set(uint64_t deadline_ticks)
{
	host_cpu->arch.timer = deadline_ticks;
}

void
arch_kick_cpu(unsigned cpu)
{
	cpus[cpu].arch.kicked = true;
}

void
arch_clear_memory(paddr_t base, uint64_t bytes)
{
	assert(bytes <= CLEAR_CHUNK);
	assert(base >= HOST_RAM_BASE && base + bytes <= HOST_RAM_BASE + HOST_RAM_BYTES);
	memset(phys_to_kernel(base), 0, bytes);
}

void
arch_console_write(const char *text, size_t bytes)
{
	if (!host_quiet)
		fwrite(text, 1, bytes, stderr);
}

bool
arch_cpu_start(unsigned cpu)
{
	cpus[cpu].arch.starting = !host_firmware_refuses;
	return !host_firmware_refuses;
}

bool
arch_cpu_is_off(unsigned cpu)
{
	return cpus[cpu].arch.off;
}

void
arch_power_off(void)
{
	host_power_offs++;
}

void
arch_reset(void)
{
	host_resets++;
}

uint64_t
arch_bench(unsigned what)
{
	return what;
}

_Noreturn void
arch_halt(void)
{
	const struct kernel_log *log = (const struct kernel_log *)kernel_log_memory;

	for (uint64_t i = log->written > 300 ? log->written - 300 : 0; i < log->written; i++)
		fputc(log->data[i & (log->size - 1)], stderr);
	abort();
}

bool
arch_reserved_range(unsigned n, paddr_t *base, uint64_t *bytes)
{
	*base = 0x08000000;		/* an interrupt controller */
	*bytes = 0x100000;
	return n == 0;
}

/* ---- threads and VCPUs -------------------------------------------------------------- */

void
arch_thread_init(struct thread *t)
{
	(void)t;
}

void
arch_thread_start(struct thread *t, uint64_t pc, uint64_t sp,
	uint64_t x0, uint64_t x1, uint64_t x2, uint64_t tpidr)
{
	memset(&t->regs, 0, sizeof(t->regs));
	t->regs.pc = pc;
	t->regs.sp = sp;
	t->regs.x[0] = x0;
	t->regs.x[1] = x1;
	t->regs.x[2] = x2;
	t->arch.tpidr = tpidr;
}

void
arch_thread_get_registers(const struct thread *t, uint64_t words[REGS_WORDS])
{
	memcpy(words, t->regs.x, sizeof(t->regs.x));
	words[REG_SP] = t->regs.sp;
	words[REG_PC] = t->regs.pc;
	words[REG_PSTATE] = t->regs.pstate;
	words[REG_TPIDR] = t->arch.tpidr;
}

void
arch_thread_set_ipc_vaddr(struct thread *t, uint64_t vaddr)
{
	t->arch.ipc_vaddr = vaddr;
}

bool
arch_thread_is_live(const struct thread *t, unsigned cpu)
{
	return cpus[cpu].arch.live == t;
}

/* Another thread's state, or nobody's, is in the CPU's registers. */
static void
live_changes(struct cpu *c, struct thread *t)
{
	struct thread *old = c->arch.live;

	c->arch.live = t;
	if (old != NULL && old != t && old->vcpu != NULL)
		kernel_vcpu_moved(old, old->vcpu->arch.timer != 0 ? old->vcpu->arch.timer : NEVER);
}

void
arch_thread_release(struct thread *t)
{
	assert(host_cpu->arch.live == t);
	live_changes(host_cpu, NULL);
}

void
arch_vcpu_init(struct vcpu *v)
{
	(void)v;
}

void
arch_vcpu_raise(struct vcpu *v)
{
	v->arch.pending = 1;
}

bool
arch_vcpu_pending(struct vcpu *v)
{
	bool pending = v->arch.pending;

	v->arch.pending = 0;		/* its EL1 takes it at once */
	return pending;
}

/* ---- interrupt lines ------------------------------------------------------------------ */

bool
arch_irq_usable(uint32_t intid)
{
	return intid >= 32 && intid < 64;
}

void
arch_irq_configure(uint32_t intid, bool edge)
{
	(void)intid;
	(void)edge;
}

/* Enable or disable an event of a device; it must be one that is mapped. */
static void
lpi_enable(uint32_t intid, bool on)
{
	struct io_device *d = io_devices[(intid - LPI_FIRST) / IO_EVENTS];
	uint32_t bit = 1u << intid % IO_EVENTS;

	assert(d != NULL && (d->arch.mapped & bit) != 0);
	d->arch.enabled = on ? d->arch.enabled | bit : d->arch.enabled & ~bit;
}

void
arch_irq_enable(uint32_t intid, unsigned cpu)
{
	assert(cpu < cpu_count);
	if (intid >= LPI_FIRST)
		lpi_enable(intid, true);
}

void
arch_irq_disable(uint32_t intid)
{
	if (intid >= LPI_FIRST)
		lpi_enable(intid, false);
}

void
arch_irq_mask(uint32_t intid)
{
	if (intid >= LPI_FIRST)
		lpi_enable(intid, false);
}

void
arch_irq_ack(uint32_t intid)
{
	(void)intid;
}

/* ---- address spaces ---------------------------------------------------------------------
 * An entry is 0, or the address of a page, block or table, with its kind and
 * rights in the low bits.  A table's live entries are counted in bits 63:48 of
 * the entry that points to it.
 */
enum { ENTRY_LEAF = 1, ENTRY_TABLE = 2, ENTRY_RIGHTS_SHIFT = 4, ENTRIES = 512, UNMAP_STEP = 16 };
#define ENTRY_ADDRESS 0x0000fffffffff000ull
#define ENTRY_COUNT (1ull << 48)

static unsigned
index_at(uint64_t vaddr, unsigned level)
{
	return (vaddr >> (39 - 9 * level)) & (ENTRIES - 1);
}

static uint64_t
bytes_at(unsigned level)
{
	return 1ull << (39 - 9 * level);
}

void
arch_vspace_init(struct vspace *v)
{
	v->arch.root = (uint64_t *)((char *)v + 4096);
	v->arch.pool_next = kernel_to_phys(v) + 2 * 4096;
	v->arch.pool_end = kernel_to_phys(v) + (1ull << v->size_bits);
	v->arch.tables = v->arch.tables_free =
		(uint32_t)((v->arch.pool_end - v->arch.pool_next) / 4096);
}

void
arch_vspace_tables(const struct vspace *v, uint64_t *tables, uint64_t *tables_free)
{
	*tables = v->arch.tables;
	*tables_free = v->arch.tables_free;
}

static uint64_t *
table_take(struct arch_vspace *v)
{
	uint64_t *table = v->free_list;

	v->tables_free--;
	if (table != NULL) {
		v->free_list = table[0] != 0 ? phys_to_kernel(table[0]) : NULL;
		table[0] = 0;
		return table;
	}
	table = phys_to_kernel(v->pool_next);
	v->pool_next += 4096;
	return table;
}

/* The entry for vaddr at the deepest level there is, at most `level`. */
static uint64_t *
walk(struct arch_vspace *v, uint64_t vaddr, unsigned level, unsigned *reached, uint64_t **parent)
{
	uint64_t *table = v->root, *e;

	*parent = NULL;
	for (*reached = 1;; (*reached)++) {
		e = &table[index_at(vaddr, *reached)];
		if (*reached == level || !(*e & ENTRY_TABLE))
			return e;
		*parent = e;
		table = phys_to_kernel(*e & ENTRY_ADDRESS);
	}
}

enum error
arch_vspace_map(struct vspace *v, uint64_t vaddr, paddr_t base, uint64_t pages,
	unsigned rights, unsigned attribute, uint64_t *done)
{
	unsigned level = 1, reached;
	uint64_t *parent, *e;

	(void)attribute;
	assert(v->arch.root == (uint64_t *)((char *)v + 4096));
	while (level < 3 && (((vaddr | base) & (bytes_at(level) - 1)) != 0 ||
	    pages < bytes_at(level) / 4096))
		level++;
	e = walk(&v->arch, vaddr, level, &reached, &parent);
	if (*e != 0)
		return ERR_MAPPED;
	if (v->arch.tables_free < level - reached)
		return ERR_NO_MEMORY;
	for (; reached < level; reached++) {
		uint64_t *table = table_take(&v->arch);

		if (parent != NULL)
			*parent += ENTRY_COUNT;
		*e = kernel_to_phys(table) | ENTRY_TABLE;
		parent = e;
		e = &table[index_at(vaddr, reached + 1)];
	}
	*e = base | ENTRY_LEAF | rights << ENTRY_RIGHTS_SHIFT;
	if (parent != NULL)
		*parent += ENTRY_COUNT;
	*done = bytes_at(level) / 4096;
	return OK;
}

/* Give empty tables on the way to vaddr back. */
static void
prune(struct arch_vspace *v, uint64_t vaddr)
{
	unsigned reached;
	uint64_t *parent, *e;

	for (unsigned level = 2; level >= 1; level--) {
		e = walk(v, vaddr, level, &reached, &parent);
		if (reached != level || !(*e & ENTRY_TABLE) || *e / ENTRY_COUNT != 0)
			continue;
		uint64_t *table = phys_to_kernel(*e & ENTRY_ADDRESS);

		table[0] = v->free_list != NULL ? kernel_to_phys(v->free_list) : 0;
		v->free_list = table;
		v->tables_free++;
		*e = 0;
		if (parent != NULL)
			*parent -= ENTRY_COUNT;
	}
}

uint64_t
arch_vspace_unmap(struct vspace *v, uint64_t vaddr, uint64_t pages, unsigned attribute)
{
	unsigned reached;
	uint64_t *parent, *e;

	(void)attribute;
	assert(!v->disabled);
	for (unsigned n = 0; n < UNMAP_STEP && pages > 0; n++) {
		uint64_t last = vaddr + (pages - 1) * 4096;

		e = walk(&v->arch, last, 3, &reached, &parent);
		assert(*e & ENTRY_LEAF);
		assert(pages >= bytes_at(reached) / 4096);
		*e = 0;
		if (parent != NULL)
			*parent -= ENTRY_COUNT;
		prune(&v->arch, last);
		pages -= bytes_at(reached) / 4096;
	}
	return pages;
}

void
arch_vspace_disable(struct vspace *v)
{
	memset(v->arch.root, 0, 4096);
}

bool
arch_vspace_lookup(struct vspace *v, uint64_t vaddr, paddr_t *base, unsigned *rights)
{
	unsigned reached;
	uint64_t *parent, *e = walk(&v->arch, vaddr, 3, &reached, &parent);

	if (!(*e & ENTRY_LEAF))
		return false;
	*base = (*e & ENTRY_ADDRESS) + (vaddr & (bytes_at(reached) - 1) & ~4095ull);
	*rights = *e >> ENTRY_RIGHTS_SHIFT & RIGHTS_ALL;
	return true;
}

/* ---- devices ------------------------------------------------------------------------------
 * A stream is somebody's or nobody's, and translates by a root or aborts.
 */
static struct {
	const struct io_device *owner;
	paddr_t root;
} streams[HOST_SMMUS][HOST_STREAMS];

void
arch_io_space_init(struct vspace *v)
{
	arch_vspace_init(v);
}

enum error
arch_io_space_map(struct vspace *v, uint64_t iova, paddr_t base, uint64_t pages, unsigned rights,
	uint64_t *done)
{
	return arch_vspace_map(v, iova, base, pages, rights, MAP_NORMAL, done);
}

uint64_t
arch_io_space_unmap(struct vspace *v, uint64_t iova, uint64_t pages)
{
	return arch_vspace_unmap(v, iova, pages, MAP_NORMAL);
}

enum error
arch_io_space_doorbell(struct vspace *v, uint32_t its)
{
	uint64_t done;
	enum error e;

	if (v->arch.doorbell != 0)
		return v->arch.doorbell == its + 1 ? OK : ERR_BUSY;
	e = arch_vspace_map(v, IO_DOORBELL_IOVA, HOST_DOORBELL, 1, RIGHT_READ | RIGHT_WRITE, MAP_DEVICE,
		&done);
	if (e == OK)
		v->arch.doorbell = its + 1;
	return e;
}

bool
arch_io_space_lookup(struct vspace *v, uint64_t iova, paddr_t *base, unsigned *rights)
{
	return arch_vspace_lookup(v, iova, base, rights);
}

static uint64_t
count_pages(const uint64_t *table, unsigned level)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < ENTRIES; i++)
		if (table[i] & ENTRY_LEAF)
			pages += bytes_at(level) / 4096;
		else if (table[i] & ENTRY_TABLE)
			pages += count_pages(phys_to_kernel(table[i] & ENTRY_ADDRESS), level + 1);
	return pages;
}

uint64_t
arch_io_space_pages(struct vspace *v)
{
	return count_pages(v->arch.root, 1) - (v->arch.doorbell != 0);
}

enum error
arch_io_device_assign(struct io_device *d)
{
	if (d->smmu >= HOST_SMMUS || d->stream >= HOST_STREAMS)
		return ERR_RANGE;
	if (d->its != IO_NO_ITS && (d->its >= HOST_SMMUS || d->device >= HOST_STREAMS))
		return ERR_RANGE;
	assert(streams[d->smmu][d->stream].owner == NULL);
	streams[d->smmu][d->stream].owner = d;
	return OK;
}

void
arch_io_device_release(struct io_device *d)
{
	assert(streams[d->smmu][d->stream].root == 0);
	assert(d->arch.mapped == 0 && d->arch.enabled == 0);
	streams[d->smmu][d->stream].owner = NULL;
}

void
arch_io_device_bind(struct io_device *d)
{
	assert(streams[d->smmu][d->stream].owner == d && !d->space->disabled);
	assert(d->its == IO_NO_ITS || d->space->arch.doorbell == d->its + 1);
	streams[d->smmu][d->stream].root = kernel_to_phys(d->space->arch.root);
	d->arch.quiet = false;
}

void
arch_io_device_unbind(struct io_device *d)
{
	streams[d->smmu][d->stream].root = 0;
}

void
arch_io_device_quiet(struct io_device *d, bool quiet)
{
	assert(streams[d->smmu][d->stream].root != 0);
	d->arch.quiet = quiet;
}

paddr_t
arch_io_stream_root(uint32_t smmu, uint32_t stream)
{
	return streams[smmu][stream].root;
}

void
arch_io_poll(void)
{
}

void
arch_lpi_map(struct io_device *d, uint32_t event, uint32_t lpi)
{
	assert(irq_find(lpi) == &d->event[event] && (d->arch.mapped & 1u << event) == 0);
	d->arch.mapped |= 1u << event;
}

void
arch_lpi_unmap(struct io_device *d, uint32_t event)
{
	assert((d->arch.mapped & 1u << event) != 0 && (d->arch.enabled & 1u << event) == 0);
	d->arch.mapped &= ~(1u << event);
}

uint64_t
arch_doorbell_offset(void)
{
	return 0x40;
}

/* ---- running ------------------------------------------------------------------------------ */

/* t runs on this CPU now. */
static void
resume(struct thread *t)
{
	struct cpu *c = host_cpu;

	host_preempt = -1;
	assert(c->current == t && t->cpu == c->id && t->state == THREAD_READY);
	assert(t->configured && t->vspace != NULL && !t->vspace->disabled);
	for (unsigned i = 0; i < cpu_count; i++)
		if (i != c->id) {
			assert(cpus[i].arch.live != t);
			assert(cpus[i].current != t);
		}
	live_changes(c, t);
	schedule();			/* for the deadline of a VCPU that was moved */
}

/* Idle and asked to stop. */
static void
cpu_leave(struct cpu *c)
{
	if (c->arch.live != NULL)
		arch_thread_release(c->arch.live);
	if (!kernel_cpu_leaves(c))
		return;
	if (host_firmware_refuses) {
		c->stop_refused = 1;
		kernel_cpu_online(c, c->id);
		return;
	}
	c->arch.off = true;
	c->arch.kicked = false;
	c->arch.timer = NEVER;
}

/* The end of every entry that was not a fast path. */
static void
leave(void)
{
	struct thread *t = schedule();

	host_preempt = -1;
	if (t != NULL)
		resume(t);
	else if (host_cpu->power == CPU_STOPPING)
		cpu_leave(host_cpu);
}

/* What the firmware was asked to switch on. */
static void
cpu_arrive(struct cpu *c)
{
	host_cpu = c;
	c->arch.starting = c->arch.off = c->arch.kicked = false;
	kernel_cpu_online(c, c->id);
	leave();
}

static struct thread *
enter(unsigned cpu)
{
	host_cpu = &cpus[cpu];
	host_cpu->entries++;
	return host_cpu->current;
}

/* The words of a message, which the entry code moves. */
static void
move_words(const struct thread *from, struct thread *to)
{
	memcpy(&to->regs.x[2], &from->regs.x[2], MSG_WORDS_REG * sizeof(uint64_t));
	to->regs.x[0] = OK;
}

/* As vectors.S of arm64 does. */
static bool
fast_syscall(struct thread *t, uint64_t number)
{
	struct poll_result poll;
	struct thread *to = NULL;
	uintptr_t result;

	host_word0 = t->regs.x[2];
	if (t->vcpu == NULL && number == SYS_CALL && t->regs.x[9] == 0) {
		to = fastpath_call(t->regs.x[0], t->regs.x[1]);
		if (to != NULL)
			move_words(t, to);
	} else if (t->vcpu == NULL && number == SYS_REPLY_RECV && t->regs.x[9] == 0) {
		result = fastpath_reply_recv(t->regs.x[0], t->regs.x[10]);
		to = (struct thread *)(result & ~(uintptr_t)1);
		if (to != NULL && (result & 1) == 0)
			move_words(t, to);
	} else if (number == SYS_SIGNAL) {
		to = fastpath_signal(t->regs.x[0]);
		if (to != NULL)
			t->regs.x[0] = OK;
	} else if (number == SYS_POLL) {
		poll = fastpath_poll(t->regs.x[0]);
		if (poll.done) {
			to = t;
			t->regs.x[8] = poll.bits;
			t->regs.x[0] = poll.bits != 0 ? OK : ERR_WOULD_BLOCK;
		}
	}
	if (to == NULL)
		return false;
	t->restarted = t->rollback = 0;
	resume(to);
	return true;
}

bool
host_syscall(unsigned cpu, uint64_t number)
{
	struct thread *t = enter(cpu);

	if (t == NULL || t->state != THREAD_READY || host_cpu->arch.kicked) {
		leave();		/* not there any more, or about to be told */
		return false;
	}
	t->regs.x[8] = number;
	t->regs.pc += 4;
	if (host_fast && fast_syscall(t, number))
		return true;
	kernel_syscall(t);
	leave();
	return true;
}

void
host_fault(unsigned cpu, uint32_t label, uint64_t address)
{
	struct thread *t = enter(cpu), *to;

	if (t == NULL || t->state != THREAD_READY || host_cpu->arch.kicked) {
		leave();
		return;
	}
	if (host_fast && (to = fastpath_fault(host_cpu, t, label, address, 0)) != NULL) {
		resume(to);
		return;
	}
	kernel_fault(t, label, address, 0);
	leave();
}

void
host_wfi(unsigned cpu)
{
	struct thread *t = enter(cpu);

	if (t != NULL && t->state == THREAD_READY && t->vcpu != NULL)
		kernel_wfi(t);
	leave();
}

void
host_interrupt(unsigned cpu, uint32_t intid)
{
	struct thread *t;

	if (cpus[cpu].arch.off)
		return;
	t = enter(cpu);
	if (host_fast && (t = fastpath_interrupt(host_cpu, intid)) != NULL) {
		resume(t);
		return;
	}
	kernel_interrupt(intid);
	leave();
}

uint64_t
host_dma(uint32_t smmu, uint32_t stream, uint64_t iova, bool write)
{
	const struct io_device *d = streams[smmu][stream].owner;
	unsigned rights = 0;
	paddr_t base = 0;
	bool there;

	if (streams[smmu][stream].root == 0)
		return 0;		/* it aborts, and nobody is told */
	assert(d != NULL && kernel_to_phys(d->space->arch.root) == streams[smmu][stream].root);
	there = iova >> IO_ADDRESS_BITS == 0 && arch_vspace_lookup(d->space, iova, &base, &rights);
	if (there && (rights & (write ? RIGHT_WRITE : RIGHT_READ)) != 0)
		return base + (iova & 4095);
	if (!d->arch.quiet) {
		enter(0);
		kernel_io_fault(smmu, stream, there ? 0x13 : 0x10, iova, write);
		leave();
	}
	return 0;
}

void
host_message(uint32_t its, uint32_t device, uint32_t event)
{
	for (unsigned i = 1; i < IO_DEVICES; i++) {
		const struct io_device *d = io_devices[i];

		if (d != NULL && d->its == its && d->device == device && event < IO_EVENTS &&
		    (d->arch.enabled & 1u << event) != 0)
			host_interrupt(d->event[event].cpu, d->event[event].intid);
	}
}

void
host_settle(void)
{
	bool again;

	do {
		again = false;
		for (unsigned i = 0; i < cpu_count; i++) {
			struct cpu *c = &cpus[i];

			if (c->arch.starting) {
				cpu_arrive(c);
				again = true;
			}
			if (c->arch.off)
				continue;
			if (c->arch.kicked) {
				c->arch.kicked = false;
				enter(i);
				kernel_kick();
				leave();
				again = true;
			}
			if (c->arch.live != NULL && c->arch.live->vcpu != NULL &&
			    c->arch.live->vcpu->arch.timer != 0 &&
			    c->arch.live->vcpu->arch.timer <= host_now) {
				c->arch.live->vcpu->arch.timer = 0;
				c->arch.live->vcpu->arch.pending = 1;
				enter(i);
				kernel_vcpu_timer(c->arch.live);
				leave();
				again = true;
			}
			if (c->arch.timer <= host_now) {
				enter(i);
				kernel_timer();
				leave();
				again |= c->arch.timer > host_now;
			}
		}
	} while (again);
}

void
host_advance(uint64_t ticks)
{
	host_now += ticks;
	host_settle();
}

static void
make_bootinfo(struct bootinfo *b)
{
	memset(b, 0, sizeof(*b));
	b->magic = BOOTINFO_MAGIC;
	b->version = BOOTINFO_VERSION;
	b->size = sizeof(*b);
	b->memory_count = 4;
	b->memory[0] = (struct boot_memory){ .base = 0x08000000, .size = 0x200000, .kind = BOOT_MEM_DEVICE };
	b->memory[1] = (struct boot_memory){ .base = 0x0a000000, .size = 0x3000, .kind = BOOT_MEM_DEVICE };
	b->memory[2] = (struct boot_memory){ .base = HOST_RAM_BASE, .size = 0x100000, .kind = BOOT_MEM_LOADED };
	b->memory[3] = (struct boot_memory){ .base = HOST_RAM_BASE + 0x100000,
		.size = HOST_RAM_BYTES - 0x100000, .kind = BOOT_MEM_FREE };
	b->uart.base = 0x09000000;
	b->uart.kind = BOOT_UART_PL011;
	b->ecam_count = 1;
	b->ecam[0].base = 0x3f000000;
	b->ecam[0].bus_last = 15;
	b->ecam[0].mem32 = (struct boot_range){ 0x10000000, 0x2eff0000 };
	b->timer.frequency_hz = 1000000;
	b->bundle = (struct boot_range){ HOST_RAM_BASE + 0x80000, 0x3000 };
	b->init.entry = 0x400000;
	b->init.segment_count = 2;
	b->init.segment[0] = (struct boot_segment){ .vaddr = 0x400000, .phys = HOST_RAM_BASE + 0x40000,
		.size = 0x4000, .flags = 5 };
	b->init.segment[1] = (struct boot_segment){ .vaddr = 0x500000, .phys = HOST_RAM_BASE + 0x50000,
		.size = 0x4000, .flags = 6 };
}

void
host_boot(unsigned cpus_wanted)
{
	if (host_ram == NULL)
		host_ram = mmap(NULL, HOST_RAM_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	else
		madvise(host_ram, HOST_RAM_BYTES, MADV_DONTNEED);
	if (host_ram == MAP_FAILED)
		abort();
	memset(&derivation_root, 0, sizeof(derivation_root));
	memset(cpus, 0, sizeof(cpus));
	memset(irqs, 0, sizeof(irqs));
	memset(io_devices, 0, sizeof(io_devices));
	memset(streams, 0, sizeof(streams));
	dying_list = NULL;
	console_released = false;
	checks_done = 0;
	boot_forget();
	host_now = 1000;
	host_preempt = -1;
	host_cpu = &cpus[0];
	make_bootinfo((struct bootinfo *)host_ram);
	kernel_start((struct bootinfo *)host_ram, cpus_wanted);
	for (unsigned i = 0; i < cpus_wanted; i++) {
		host_cpu = &cpus[i];
		cpus[i].arch.timer = NEVER;
		kernel_cpu_online(&cpus[i], i);
		leave();
	}
	host_settle();
}
