/* SPDX-License-Identifier: MIT */
/*
 * From struct bootinfo to the first thread: all free memory becomes Untypeds,
 * device ranges become device Untypeds, and init gets them all.  What init
 * itself is made of is carved from free memory first; after this file has run
 * the kernel never takes memory again.
 */
#include <kernel/core.h>
#include <tessera/bootinfo.h>

enum {
	RANGES_MAX = 2 * BOOT_MAX_MEMORY,
	INIT_VSPACE_BITS = 19,		/* 126 table pages */
	INIT_STACK_BYTES = 0x10000,
	INIT_INFO_BYTES = 0x8000,
	UNTYPED_MIN_BITS = 12,
};
static_assert(sizeof(struct init_info) <= INIT_INFO_BYTES, "init_info");

struct ranges {
	unsigned count;
	struct boot_range at[RANGES_MAX];
};

struct thread *init_thread;

static struct ranges ram, devices;
static struct slot boot_slots[BOOT_MAX_SEGMENTS + 4];	/* what init has no name for */
static unsigned boot_slots_used;

#ifdef HOST_TEST
/* A test boots many times. */
void
boot_forget(void)
{
	__builtin_memset(&ram, 0, sizeof(ram));
	__builtin_memset(&devices, 0, sizeof(devices));
	__builtin_memset(boot_slots, 0, sizeof(boot_slots));
	boot_slots_used = 0;
}
#endif

static void
range_add(struct ranges *r, uint64_t base, uint64_t size)
{
	if (size == 0)
		return;
	if (r->count == RANGES_MAX)
		panic("too many memory ranges");
	r->at[r->count++] = (struct boot_range){ base, size };
}

/* Remove [base, base + size) from all ranges; what is left of one that is cut
 * in two goes to the end of the list. */
static void
range_remove(struct ranges *r, uint64_t base, uint64_t size)
{
	uint64_t end = base + size;

	for (unsigned i = 0; i < r->count; i++) {
		uint64_t b = r->at[i].base, e = b + r->at[i].size;

		if (e <= base || end <= b)
			continue;
		r->at[i].size = base > b ? base - b : 0;
		if (end < e)
			range_add(r, end, e - end);
	}
}

/* Memory for one object of init, cleared; from the end of the last range that
 * has room. */
static paddr_t
carve(unsigned bits)
{
	uint64_t size = 1ull << bits;

	for (unsigned i = ram.count; i-- > 0;) {
		struct boot_range *r = &ram.at[i];
		uint64_t start = (r->base + r->size - size) & ~(size - 1);

		if (r->size < size || start < r->base)
			continue;
		range_remove(&ram, start, size);
		for (uint64_t done = 0; done < size; done += CLEAR_CHUNK)
			arch_clear_memory(start + done, size - done < CLEAR_CHUNK ? size - done : CLEAR_CHUNK);
		return start;
	}
	panic("not enough memory for init");
}

static void
collect_ranges(const struct bootinfo *info)
{
	uint64_t base, bytes;

	for (unsigned i = 0; i < info->memory_count && i < BOOT_MAX_MEMORY; i++) {
		const struct boot_memory *m = &info->memory[i];

		if (m->kind == BOOT_MEM_FREE)
			range_add(&ram, m->base, m->size);
		else if (m->kind == BOOT_MEM_DEVICE)
			range_add(&devices, m->base, m->size);
	}
	if (info->uart.kind != BOOT_UART_NONE) {
		base = info->uart.base & ~0xfffull;
		range_remove(&devices, base, 0x1000);
		range_add(&devices, base, 0x1000);
	}
	for (unsigned i = 0; i < info->ecam_count && i < BOOT_MAX_ECAM; i++) {
		const struct boot_ecam *e = &info->ecam[i];
		const struct boot_range window[3] = {
			{ e->base, (uint64_t)(e->bus_last - e->bus_first + 1) << 20 },
			{ e->mem32.base, e->mem32.size }, { e->mem64.base, e->mem64.size },
		};

		for (unsigned w = 0; w < 3; w++) {
			range_remove(&devices, window[w].base, window[w].size);
			range_add(&devices, window[w].base, window[w].size);
		}
	}
	/* No device range over memory, and nothing that is the kernel's own. */
	for (unsigned i = 0; i < info->memory_count && i < BOOT_MAX_MEMORY; i++)
		if (info->memory[i].kind != BOOT_MEM_DEVICE)
			range_remove(&devices, info->memory[i].base, info->memory[i].size);
	for (unsigned n = 0; arch_reserved_range(n, &base, &bytes); n++) {
		range_remove(&ram, base, bytes);
		range_remove(&devices, base, bytes);
	}
}

/* Split a range into aligned powers of two, each an Untyped of init. */
static void
make_untypeds(struct init_info *out, struct slot *slots, const struct boot_range *r, bool device)
{
	uint64_t base = (r->base + 0xfff) & ~0xfffull, end = (r->base + r->size) & ~0xfffull;

	while (base < end && out->untyped_count < INIT_MAX_UNTYPED) {
		unsigned bits = UNTYPED_BITS_MAX;
		uint32_t n = INIT_SLOT_FIRST_FREE + out->untyped_count;

		while ((base & ((1ull << bits) - 1)) != 0 || 1ull << bits > end - base)
			bits--;
		object_init(&slots[n], OBJ_UNTYPED, base, bits);
		slots[n].device = device;
		derivation_insert(&derivation_root, &slots[n]);
		out->untyped[out->untyped_count++] = (struct init_untyped){
			.base = base, .slot = n, .size_bits = (uint8_t)bits, .device = device,
		};
		base += 1ull << bits;
	}
}

/* A Frame over memory that is nobody's Untyped, mapped for init. */
static void
give_frame(struct slot *s, struct vspace *v, paddr_t base, uint64_t bytes, unsigned cap_rights,
	uint64_t vaddr, unsigned map_rights)
{
	object_init(s, OBJ_FRAME, base, PAGE_BITS);
	s->pages = (uint32_t)((bytes + 0xfff) >> PAGE_BITS);
	s->rights = (uint8_t)cap_rights;
	derivation_insert(&derivation_root, s);
	frame_map_at_boot(s, v, vaddr, map_rights);
}

static struct slot *
hidden_slot(void)
{
	return &boot_slots[boot_slots_used++];
}

static void
make_object(struct slot *s, enum object_type type, unsigned size_bits)
{
	object_init(s, type, carve(object_bits(type, size_bits)), size_bits);
	derivation_insert(&derivation_root, s);
}

static void
make_control(struct slot *s, enum object_type type)
{
	s->type = (uint8_t)type;
	s->rights = RIGHTS_ALL;
	derivation_insert(&derivation_root, s);
}

static void
load_segments(const struct boot_init *init, struct vspace *v)
{
	for (unsigned i = 0; i < init->segment_count && i < BOOT_MAX_SEGMENTS; i++) {
		const struct boot_segment *s = &init->segment[i];
		unsigned rights = RIGHT_READ | (s->flags & 2 ? RIGHT_WRITE : 0u) |
			(s->flags & 1 ? RIGHT_EXEC : 0u);

		if ((s->flags & 3) == 3)
			panic("init has a segment that is writable and executable");
		give_frame(hidden_slot(), v, s->phys, s->size, rights, s->vaddr, rights);
	}
}

static void
start_init(struct slot *slots, const struct bootinfo *info)
{
	struct thread *t = slots[INIT_SLOT_THREAD].thread;
	struct sched_context *sc = slots[INIT_SLOT_SCHED_CONTEXT].sched_context;

	cap_derive(&t->slots[HOME_THREAD_CSPACE - 1], &slots[INIT_SLOT_CNODE], RIGHTS_ALL);
	t->cspace = slots[INIT_SLOT_CNODE].cnode;
	t->cspace_count = t->cspace->count;
	cap_derive(&t->slots[HOME_THREAD_VSPACE - 1], &slots[INIT_SLOT_VSPACE], RIGHTS_ALL);
	t->vspace = slots[INIT_SLOT_VSPACE].vspace;
	cap_derive(&t->slots[HOME_THREAD_IPC_BUFFER - 1], &slots[INIT_SLOT_IPC_BUFFER], RIGHTS_ALL);
	t->ipc = phys_to_kernel((paddr_t)slots[INIT_SLOT_IPC_BUFFER].frame.base_page << PAGE_BITS);
	arch_thread_set_ipc_vaddr(t, INIT_IPC_VADDR);
	arch_thread_start(t, info->init.entry, INIT_STACK_TOP, INIT_INFO_VADDR, 0, 0, 0);
	t->priority = t->max_priority = PRIORITIES - 1;
	t->configured = 1;
	__builtin_memcpy(t->name, "init", 5);
	init_thread = t;

	sc->budget = sc->period = info->timer.frequency_hz / 100;	/* slices of 10 ms */
	sc->refills = 1;
	sc->configured = 1;
	cpus[0].users = 2;		/* init, and the kernel's own interrupts */
	sc->thread = t;
	t->sched = sc;
	thread_ready(t);
}

void
kernel_start(const struct bootinfo *info, unsigned cpus_found)
{
	const unsigned read_exec = RIGHT_READ | RIGHT_EXEC;
	struct init_info *out;
	struct vspace *v;
	struct slot *slots;
	struct slot cnode = { 0 };
	paddr_t info_base;

	cpu_count = cpus_found;
	for (unsigned i = 0; i < cpu_count; i++)
		cpus[i].power = CPU_ON;		/* or soon: what it has to do waits for it */
	collect_ranges(info);

	object_init(&cnode, OBJ_CNODE, carve(INIT_CNODE_BITS + SLOT_BITS), INIT_CNODE_BITS);
	slots = cnode_slots(cnode.cnode);
	slots[INIT_SLOT_CNODE].type = OBJ_CNODE;
	slots[INIT_SLOT_CNODE].rights = RIGHTS_ALL;
	slots[INIT_SLOT_CNODE].object = cnode.object;
	derivation_insert(&derivation_root, &slots[INIT_SLOT_CNODE]);
	make_object(&slots[INIT_SLOT_THREAD], OBJ_THREAD, 0);
	make_object(&slots[INIT_SLOT_VSPACE], OBJ_VSPACE, INIT_VSPACE_BITS);
	make_object(&slots[INIT_SLOT_SCHED_CONTEXT], OBJ_SCHED_CONTEXT, 0);
	make_control(&slots[INIT_SLOT_IRQ_CONTROL], OBJ_IRQ_CONTROL);
	make_control(&slots[INIT_SLOT_SCHED_CONTROL], OBJ_SCHED_CONTROL);
	make_control(&slots[INIT_SLOT_SYSTEM_CONTROL], OBJ_SYSTEM_CONTROL);
	make_control(&slots[INIT_SLOT_IO_CONTROL], OBJ_IO_CONTROL);

	v = slots[INIT_SLOT_VSPACE].vspace;
	give_frame(&slots[INIT_SLOT_BOOTINFO], v, kernel_to_phys(info), sizeof(*info), RIGHT_READ,
		INIT_BOOTINFO_VADDR, RIGHT_READ);
	give_frame(&slots[INIT_SLOT_BUNDLE], v, info->bundle.base & ~0xfffull,
		(info->bundle.base & 0xfff) + info->bundle.size, read_exec, INIT_BUNDLE_VADDR,
		RIGHT_READ);
	give_frame(&slots[INIT_SLOT_KERNEL_LOG], v, kernel_to_phys(kernel_log_memory),
		KERNEL_LOG_BYTES, RIGHT_READ, INIT_LOG_VADDR, RIGHT_READ);
	give_frame(&slots[INIT_SLOT_IPC_BUFFER], v, carve(PAGE_BITS), 1u << PAGE_BITS,
		RIGHT_READ | RIGHT_WRITE, INIT_IPC_VADDR, RIGHT_READ | RIGHT_WRITE);
	give_frame(hidden_slot(), v, carve(16), INIT_STACK_BYTES, RIGHT_READ | RIGHT_WRITE,
		INIT_STACK_TOP - INIT_STACK_BYTES, RIGHT_READ | RIGHT_WRITE);
	info_base = carve(15);
	give_frame(hidden_slot(), v, info_base, INIT_INFO_BYTES, RIGHT_READ, INIT_INFO_VADDR,
		RIGHT_READ);
	load_segments(&info->init, v);

	out = phys_to_kernel(info_base);
	out->version = 1;
	out->cpu_count = cpu_count;
	out->timer_hz = info->timer.frequency_hz;
	log_start(out->timer_hz);
	out->debug_kernel = checker_present;
	out->bundle_size = info->bundle.size;
	out->bundle_offset = info->bundle.base & 0xfff;
	for (unsigned i = 0; i < ram.count; i++)
		make_untypeds(out, slots, &ram.at[i], false);
	for (unsigned i = 0; i < devices.count; i++)
		make_untypeds(out, slots, &devices.at[i], true);
	out->first_free_slot = INIT_SLOT_FIRST_FREE + out->untyped_count;
	start_init(slots, info);
}
