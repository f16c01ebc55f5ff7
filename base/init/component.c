/* SPDX-License-Identifier: MIT */
/*
 * Building a component out of its budget, and destroying it.
 *
 * What is derived from the budget (CNode, VSpace, Thread, SchedContext, Frames)
 * goes into slots of init that are empty again after revoking the budget.
 * What is only lent is minted: doorbells into the component's CNode, mapped
 * Frames (channels, device registers) into a CNode beside it, so that they go
 * with it.  So destroying is one
 * revoke, and building again starts from the same state as the first time.
 *
 * One Frame holds, one after the other: the image's segments, the start
 * record, the IPC buffer, the stack.  All memory that the budget has left when
 * everything is made becomes the heap region.
 */
#include "device.h"
#include "init.h"

enum {
	STACK_PAGES = 8,
	SEGMENTS_LOW = COMPONENT_IMAGE_BASE,
	TABLES_BASE = 7,		/* root, level 2, image, stack, channels, devices, spare */
	PART_INFO = SEGMENT_SLOTS, PART_IPC, PART_STACK, PART_HOSTS,
	PARTS_END,
	DEVICE_BIT_FIRST = 32,
	INFO_RIGHTS = RIGHT_READ,
	ATTIC_SLOTS = 48,		/* channels, registers, log, keep, usage, DMA memory */
	CONFIG_SLOTS = 64,		/* pieces of configuration spaces */
};

_Static_assert((int)PARTS_END == (int)COMPONENT_PARTS, "a slot for each part");

/* Make one object of the component's budget; say which one failed. */
enum error
make(struct component *c, const char *what, enum object_type type, unsigned size_bits, uint32_t slot)
{
	enum error e = untyped_retype(c->piece[0].slot, type, size_bits, 0, slot, 1, 0);

	if (e != OK)
		say(LOG_WARNING "%s: cannot make its %s: %s", c->conf->name, what, error_name(e));
	return e;
}

/* Mint a capability into the component's CNode. */
enum error
give(struct component *c, uint32_t at, uint32_t slot, unsigned rights, uint64_t badge)
{
	if (badge == 0)
		return cnode_copy(c->made.cnode, at, 0, slot, rights);
	return cnode_mint(c->made.cnode, at, 0, slot, rights, badge);
}

/*
 * Lend a page range of a Frame: map it in the component's space, then move the
 * mapped capability to where the component cannot reach it, but where it goes
 * with it.
 */
enum error
give_mapped(struct component *c, uint32_t frame, uint64_t offset, uint64_t bytes, uint64_t vaddr,
    unsigned rights, unsigned attributes)
{
	enum error e = cnode_mint_frame(INIT_SLOT_CNODE, c->temporary, 0, frame, rights, offset,
	    bytes);

	if (e != OK)
		return e;
	e = frame_map(c->temporary, c->made.vspace, vaddr, rights, attributes);
	if (e == OK)
		e = cnode_move(c->made.attic, c->attic_used++, 0, c->temporary);
	if (e != OK)
		cnode_delete(INIT_SLOT_CNODE, c->temporary);
	return e;
}

/* Bring a Frame within the reach of a device; it goes with c's attic. */
enum error
give_io(struct component *c, uint32_t frame, uint64_t bytes, uint32_t space, uint64_t iova)
{
	const unsigned rights = RIGHT_READ | RIGHT_WRITE;
	enum error e = cnode_mint_frame(INIT_SLOT_CNODE, c->temporary, 0, frame, rights, 0, bytes);

	if (e != OK)
		return e;
	e = frame_map_io(c->temporary, space, iova, rights);
	if (e == OK)
		e = cnode_move(c->made.attic, c->attic_used++, 0, c->temporary);
	if (e != OK)
		cnode_delete(INIT_SLOT_CNODE, c->temporary);
	return e;
}

enum error
give_device(struct component *c, uint64_t base, uint64_t bytes, uint64_t vaddr)
{
	uint64_t offset, n;
	uint32_t frame;
	enum error e = OK;

	for (; bytes > 0 && e == OK; base += n, vaddr += n, bytes -= n) {
		e = device_block(base, &frame, &offset, &n);
		if (e != OK)
			return e;
		n = n < bytes ? n : bytes;
		e = give_mapped(c, frame, offset, n, vaddr, RIGHT_READ | RIGHT_WRITE, MAP_DEVICE);
	}
	return e;
}

static unsigned
attic_bits(const struct component *c)
{
	unsigned slots = ATTIC_SLOTS + (c->conf->pci_config ? CONFIG_SLOTS : 0);

	for (unsigned i = 0; i < tessera.conf.lend_count; i++)
		if (tessera.conf.lend[i].from == (int)c->index && !c->conf->world)
			slots += HEAP_SLOTS;
	return log2_up(slots);
}

uint32_t
component_cnode_slots(const struct component *c)
{
	return 1u << (c->conf->world ? world_cnode_bits(c) : COMPONENT_CNODE_BITS);
}

enum error
make_cnodes(struct component *c, unsigned size_bits)
{
	enum error e = make(c, "capability space", OBJ_CNODE, size_bits, c->made.cnode);

	c->attic_used = 1;	/* slot 0 names nothing */
	if (e == OK)
		e = make(c, "attic", OBJ_CNODE, attic_bits(c), c->made.attic);
	return e;
}

/* ---- once, at boot ------------------------------------------------------ */

static const struct bundle_entry *
find_image(struct component *c)
{
	for (unsigned i = 0; i < c->conf->image_count; i++) {
		const struct conf_image *image = &c->conf->image[i];

		if (image->uart != BOOT_UART_NONE && image->uart != tessera.boot->uart.kind)
			continue;
		c->image = bundle_find(tessera.bundle, image->member);
		if (c->image == NULL)
			say(LOG_WARNING "system.conf:%u: %s: the bundle has no %s", c->conf->line,
			    c->conf->name, image->member);
		return c->image;
	}
	say("%s: not for this machine", c->conf->name);
	return NULL;
}

static enum error
choose_cpus(struct component *c)
{
	c->thread_count = 0;
	for (uint32_t cpu = 0; cpu < tessera.info->cpu_count && cpu < MAX_THREADS; cpu++)
		if (c->conf->cpus >> cpu & 1)
			c->cpu[c->thread_count++] = cpu;
	if (c->thread_count != 0)
		return OK;
	say(LOG_WARNING "system.conf:%u: %s: its CPU does not run here (there are %u)",
	    c->conf->line, c->conf->name, tessera.info->cpu_count);
	return ERR_RANGE;
}

static void
take_slots(struct component *c)
{
	c->made.cnode = slots_take(5);
	c->made.vspace = c->made.cnode + 1;
	c->made.image = c->made.cnode + 2;
	c->made.attic = c->made.cnode + 3;
	c->made.dma = c->made.cnode + 4;
	c->made.parts = slots_take(COMPONENT_PARTS);
	c->made.heap = slots_take(c->conf->world ? MAX_PIECES : HEAP_SLOTS);
	for (unsigned i = 0; i < c->thread_count; i++) {
		c->made.thread[i] = slots_take(5);
		c->made.sched_context[i] = c->made.thread[i] + 1;
		c->made.vcpu[i] = c->made.thread[i] + 2;
		c->made.bell[i] = c->made.thread[i] + 3;
		c->fault[i] = c->made.thread[i] + 4;
	}
	c->bell = slots_take(4);
	c->bell_peer = c->bell + 1;
	c->keep = c->bell + 2;
	c->temporary = c->bell + 3;
	for (unsigned i = 0; i < MAX_PIECES; i++)
		c->piece[i].slot = i == 0 || c->conf->world ? slots_take(1) : 0;
}

/* What is init's own for a component: it outlives all of its lives. */
static enum error
make_lasting(struct component *c)
{
	uint64_t peer = c->conf->world ? WORLD_BIT_PEER : COMPONENT_BIT_PEER;
	enum error e;

	e = memory_carve(OBJ_NOTIFICATION, PAGE_BITS, c->bell);
	if (e == OK)
		e = cnode_mint(INIT_SLOT_CNODE, c->bell_peer, 0, c->bell, RIGHT_WRITE, peer);
	if (e == OK && !c->conf->world)
		e = memory_carve(OBJ_FRAME, PAGE_BITS, c->keep);
	for (unsigned i = 0; i < c->thread_count && e == OK; i++)
		e = cnode_mint(INIT_SLOT_CNODE, c->fault[i], 0, tessera.fault_endpoint,
		    RIGHT_WRITE | RIGHT_GRANT, badge_of(c->index, i));
	return e;
}

/* The registers and the line of the console UART, taken once. */
static enum error
prepare_uart(struct component *c)
{
	const struct boot_uart *uart = &tessera.boot->uart;
	struct uart *u = &tessera.uart;
	enum error e;

	u->frame = slots_take(3);
	u->irq = u->frame + 1;
	u->irq_bell = u->frame + 2;
	u->bytes = uart->size < PAGE ? PAGE : uart->size;
	e = device_frame(uart->base, uart->size == 0 ? 4 : uart->size, u->frame, &u->offset);
	if (e == OK)
		e = irq_control_get(INIT_SLOT_IRQ_CONTROL, uart->intid, !uart->level_triggered, 0,
		    u->irq);
	if (e == OK)
		e = cnode_mint(INIT_SLOT_CNODE, u->irq_bell, 0, c->bell, RIGHT_WRITE,
		    (uint64_t)1 << DEVICE_BIT_FIRST);
	if (e != OK)
		say(LOG_WARNING "%s: UART at 0x%llx, interrupt %u: %s", c->conf->name,
		    (unsigned long long)uart->base, uart->intid, error_name(e));
	return e;
}

/* A bit of init's Notification that only c can set; target: of REQUEST_KILL. */
static enum error
prepare_authority(struct component *c, enum request request, int target)
{
	struct authority *a = &tessera.authority[tessera.authority_count];

	if (tessera.authority_count == MAX_AUTHORITIES)
		return ERR_LIMIT;
	*a = (struct authority){ request, c->index, (unsigned)target, slots_take(1) };
	return cnode_mint(INIT_SLOT_CNODE, a->slot, 0, tessera.bell, RIGHT_WRITE,
	    (uint64_t)1 << (INIT_BIT_FIRST_AUTHORITY + tessera.authority_count++));
}

static enum error
prepare_authorities(struct component *c)
{
	enum error e = OK;

	if (c->conf->power)
		e = prepare_authority(c, REQUEST_POWER_OFF, 0);
	if (c->conf->power && e == OK)
		e = prepare_authority(c, REQUEST_RESET, 0);
	if (c->conf->capabilities && e == OK)
		e = prepare_authority(c, REQUEST_LIST, 0);
	if (c->conf->health_ns != 0 && e == OK)
		e = prepare_authority(c, REQUEST_HEALTHY, 0);
	for (unsigned i = 0; i < c->conf->kill_count && e == OK; i++)
		e = prepare_authority(c, REQUEST_KILL, c->conf->kill[i]);
	return e;
}

enum error
component_prepare(struct component *c)
{
	enum error e;

	if (find_image(c) == NULL)
		return ERR_SLOT_EMPTY;
	e = choose_cpus(c);
	if (e != OK)
		return e;
	take_slots(c);
	e = make_lasting(c);
	if (e == OK)
		e = prepare_authorities(c);
	if (e == OK && c->conf->uart)
		e = prepare_uart(c);
	if (e == OK && c->conf->pci.wanted)
		e = driver_prepare(c);
	if (e != OK)
		say(LOG_WARNING "system.conf:%u: %s: %s", c->conf->line, c->conf->name, error_name(e));
	return e;
}

enum error
component_budget(struct component *c)
{
	enum error e;

	if (c->piece_count != 0)
		return OK;
	if (c->conf->world)
		return world_prepare(c);
	c->piece[0].size_bits = log2_up(c->conf->memory);
	e = memory_carve(OBJ_UNTYPED, c->piece[0].size_bits, c->piece[0].slot);
	if (e == OK)
		c->piece_count = 1;
	else
		say(LOG_WARNING "system.conf:%u: %s: %s (%llu KiB are left)", c->conf->line,
		    c->conf->name, error_name(e), (unsigned long long)(memory_left() >> 10));
	return e;
}

/* ---- each time ---------------------------------------------------------- */

static enum error
map_part(struct component *c, unsigned part, uint64_t offset, uint64_t bytes, uint64_t vaddr,
    unsigned rights)
{
	uint32_t slot = c->made.parts + part;
	enum error e;

	e = cnode_mint_frame(INIT_SLOT_CNODE, slot, 0, c->made.image, rights, offset, bytes);
	if (e == OK)
		e = frame_map(slot, c->made.vspace, vaddr, rights, MAP_NORMAL);
	return e;
}

static unsigned
segment_rights(const struct elf_segment *s)
{
	unsigned rights = RIGHT_READ;

	if (s->flags & ELF_WRITE)
		rights |= RIGHT_WRITE;
	if (s->flags & ELF_EXEC)
		rights |= RIGHT_EXEC;
	return rights;
}

/* Copy before mapping: an executable mapping makes the kernel clean the page
 * to the point of unification, which must see the instructions. */
static enum error
load_segments(struct component *c, const struct elf_image *image, uint64_t *offset)
{
	enum error e = OK;

	for (unsigned i = 0; i < image->segment_count && e == OK; i++) {
		const struct elf_segment *s = &image->segment[i];

		e = frame_write(c->made.image, *offset + (s->address - s->page), s->bytes,
		    s->file_size);
		if (e == OK)
			e = map_part(c, i, *offset, s->pages_size, s->page, segment_rights(s));
		*offset += s->pages_size;
	}
	return e;
}

/* All that is left of the budget, piece by piece from its watermark up. */
static enum error
map_heap(struct component *c, struct component_info *info)
{
	uint64_t watermark, vaddr = COMPONENT_HEAP_BASE;
	uint32_t device, children;
	unsigned size_bits, bits, pieces = 0;
	enum error e;

	e = untyped_info(c->piece[0].slot, &size_bits, &watermark, &device, &children);
	if (e != OK)
		return e;
	watermark = round_up(watermark, PAGE);
	for (; pieces < HEAP_SLOTS && watermark < (uint64_t)1 << size_bits; pieces++) {
		bits = (unsigned)__builtin_ctzll(watermark);
		e = make(c, "heap", OBJ_FRAME, bits, c->made.heap + pieces);
		if (e == OK)
			e = frame_map(c->made.heap + pieces, c->made.vspace, vaddr,
			    RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
		if (e != OK)
			return e;
		vaddr += (uint64_t)1 << bits;
		watermark += (uint64_t)1 << bits;
	}
	info->heap_base = COMPONENT_HEAP_BASE;
	info->heap_size = vaddr - COMPONENT_HEAP_BASE;
	usage_built(c, info->heap_size);
	return lend_heap(c, pieces);
}

static enum error
give_uart(struct component *c, struct component_info *info, uint32_t *slot)
{
	const struct boot_uart *uart = &tessera.boot->uart;
	struct component_device *d = &info->device[info->device_count++];
	uint64_t pages = round_up(tessera.uart.offset + (uart->size == 0 ? 4 : uart->size), PAGE);
	enum error e;

	memcpy(d->name, "uart", sizeof "uart");
	d->address = COMPONENT_DEVICE_BASE + tessera.uart.offset;
	d->size = uart->size;
	d->kind = uart->kind;
	d->clock_hz = uart->clock_hz;
	d->baud = uart->baud;
	d->reg_shift = uart->reg_shift;
	d->reg_width = uart->reg_width;
	d->irq_slot = (*slot)++;
	d->irq_bit = (uint64_t)1 << DEVICE_BIT_FIRST;
	e = give(c, d->irq_slot, tessera.uart.irq, RIGHT_WRITE, 0);
	if (e == OK)
		e = give_mapped(c, tessera.uart.frame, 0, pages, COMPONENT_DEVICE_BASE,
		    RIGHT_READ | RIGHT_WRITE, MAP_DEVICE);
	if (e == OK)
		e = irq_handler_bind(tessera.uart.irq, tessera.uart.irq_bell);
	return e;
}

static enum error
give_kernel_log(struct component *c, struct component_info *info)
{
	uint64_t bytes, mapped;
	uint32_t device;
	enum error e;

	e = frame_info(INIT_SLOT_KERNEL_LOG, &bytes, &mapped, &device);
	if (e == OK)
		e = give_mapped(c, INIT_SLOT_KERNEL_LOG, 0, bytes, COMPONENT_LOG_VADDR,
		    RIGHT_READ, MAP_NORMAL);
	info->kernel_log = COMPONENT_LOG_VADDR;
	info->kernel_log_from = tessera.console_released ? tessera.kernel_printed :
	    ((const struct kernel_log *)INIT_LOG_VADDR)->written;
	return e;
}

enum error
give_authorities(struct component *c, struct component_info *info, uint32_t *slot)
{
	enum error e = OK;

	for (unsigned i = 0; i < tessera.authority_count && e == OK; i++) {
		const struct authority *a = &tessera.authority[i];
		struct component_authority *to = &info->authority[info->authority_count];

		if (a->holder != c->index)
			continue;
		if (info->authority_count == COMPONENT_MAX_AUTHORITIES)
			return ERR_LIMIT;
		to->slot = (*slot)++;
		if (a->request == REQUEST_KILL)
			format(to->name, sizeof to->name, "kill %s",
			    tessera.conf.component[a->target].name);
		else
			format(to->name, sizeof to->name, "%s",
			    a->request == REQUEST_RESET ? "reset" : "power-off");
		e = give(c, to->slot, a->slot, RIGHT_WRITE, 0);
		info->authority_count++;
	}
	return e;
}

static enum error
give_all(struct component *c, struct component_info *info)
{
	uint32_t slot = COMPONENT_SLOT_FIRST_FREE;
	enum error e;

	e = give(c, COMPONENT_SLOT_SUPERVISOR, c->fault[0], RIGHT_WRITE, 0);
	if (e == OK)
		e = give(c, COMPONENT_SLOT_BELL, c->bell, RIGHT_READ, 0);
	if (e == OK)
		e = channels_give(c, info, &slot);
	if (e == OK && c->conf->uart)
		e = give_uart(c, info, &slot);
	if (e == OK && c->driver.granted)
		e = give_pci(c, info, &slot);
	if (e == OK && c->conf->kernel_log)
		e = give_kernel_log(c, info);
	if (e == OK)
		e = give_authorities(c, info, &slot);
	if (e == OK)
		e = give_mapped(c, c->keep, 0, PAGE, COMPONENT_KEEP_VADDR,
		    RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
	info->keep = COMPONENT_KEEP_VADDR;
	if (e == OK)
		e = usage_give(c, COMPONENT_USAGE_VADDR);
	info->usage = COMPONENT_USAGE_VADDR;
	return e;
}

/* Different for each component and each of its lives (splitmix64). */
static uint64_t
next_random(void)
{
	static uint64_t state;
	uint64_t z;

	if (state == 0)
		memcpy(&state, tessera.boot->seed, sizeof state);
	z = state += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) + time_ticks();
}

static void
describe(const struct component *c, struct component_info *info)
{
	memset(info, 0, sizeof *info);
	info->magic = COMPONENT_MAGIC;
	info->version = COMPONENT_VERSION;
	info->starts = c->starts;
	info->was_killed = c->starts > 1 && c->ending == ENDED_KILLED;
	memcpy(info->name, c->conf->name, sizeof info->name);
	info->timer_hz = tessera.info->timer_hz;
	info->cpu_features = (tessera.boot->cpu_features & BOOT_CPU_CRC32) != 0 ? COMPONENT_CPU_CRC32 : 0;
	info->wall_time_ns = tessera.boot->wall_time_ns;
	info->wall_time_ticks = tessera.boot->wall_time_ticks;
	info->random = next_random();
	memcpy(info->root_part, tessera.boot->root_part_guid, sizeof info->root_part);
	memcpy(info->boot_disk, tessera.boot->boot_disk_guid, sizeof info->boot_disk);
	info->boot_elsewhere = boot_elsewhere(c);
	memcpy(info->args, c->conf->args, sizeof info->args);
	memcpy(info->cmdline, tessera.boot->cmdline, sizeof info->cmdline);
	info->cmdline[sizeof info->cmdline - 1] = '\0';
}

/* A Thread with its spaces, time and fault handler; not running yet. */
enum error
thread_make(struct component *c, unsigned i, uint32_t ipc_frame, uint64_t ipc_vaddr)
{
	uint32_t thread = c->made.thread[i], sc = c->made.sched_context[i];
	uint64_t budget = time_ticks_of_ns(c->conf->budget_ns);
	uint64_t period = time_ticks_of_ns(c->conf->period_ns), name[2] = { 0 };
	enum error e;

	if (c->conf->budget_ns == 0)
		budget = period = tessera.info->timer_hz;
	e = make(c, "thread", OBJ_THREAD, PAGE_BITS, thread);
	if (e == OK)
		e = make(c, "time", OBJ_SCHED_CONTEXT, PAGE_BITS, sc);
	if (e == OK)
		e = thread_configure(thread, c->made.cnode, c->made.vspace, ipc_frame, ipc_vaddr,
		    c->fault[i]);
	if (e == OK)
		e = thread_set_priority(thread, c->conf->priority, c->conf->priority);
	if (e == OK)
		e = sched_control_configure(INIT_SLOT_SCHED_CONTROL, sc, c->cpu[i], budget, period);
	if (e == OK)
		e = sched_context_bind(sc, thread);
	memcpy(name, c->conf->name, CONF_NAME);
	if (e == OK)
		e = thread_set_name(thread, name[0], name[1]);
	return e;
}

static unsigned
table_bits(const struct component *c)
{
	uint64_t tables = TABLES_BASE + (c->conf->memory >> 21) + (channels_bytes(c) >> 21) +
	    driver_tables(c);

	if (c->conf->pci_config)
		tables += config_tables();
	return PAGE_BITS + log2_up(tables);
}

static enum error
make_spaces(struct component *c, uint64_t image_bytes)
{
	enum error e;

	e = make(c, "memory", OBJ_FRAME, log2_up(image_bytes), c->made.image);
	if (e == OK)
		e = make(c, "address space", OBJ_VSPACE, table_bits(c), c->made.vspace);
	if (e == OK)
		e = make_cnodes(c, COMPONENT_CNODE_BITS);
	return e;
}

/* devmgr's page about the hosts, behind the stack. */
static enum error
give_hosts(struct component *c, uint64_t offset)
{
	static struct device_hosts hosts;
	enum error e = give_config(c, &hosts);

	if (e == OK)
		e = frame_write(c->made.image, offset, &hosts, sizeof hosts);
	if (e == OK)
		e = map_part(c, PART_HOSTS, offset, PAGE, COMPONENT_HOSTS_VADDR, RIGHT_READ);
	return e;
}

/* Everything but running; what fails is cleaned up by component_destroy. */
static enum error
build(struct component *c, const struct elf_image *image)
{
	static struct component_info info;	/* 4 KiB: too much for the stack's taste */
	uint64_t offset = 0, bytes = (uint64_t)(2 + STACK_PAGES + c->conf->pci_config) * PAGE;
	uint64_t info_offset;
	enum error e;

	for (unsigned i = 0; i < image->segment_count; i++)
		bytes += image->segment[i].pages_size;
	describe(c, &info);
	e = make_spaces(c, bytes);
	if (e == OK)
		e = load_segments(c, image, &offset);
	info_offset = offset;
	if (e == OK)
		e = map_part(c, PART_INFO, offset, PAGE, COMPONENT_INFO_VADDR, INFO_RIGHTS);
	if (e == OK)
		e = map_part(c, PART_IPC, offset + PAGE, PAGE, COMPONENT_IPC_VADDR,
		    RIGHT_READ | RIGHT_WRITE);
	if (e == OK)
		e = map_part(c, PART_STACK, offset + 2 * PAGE, STACK_PAGES * PAGE,
		    COMPONENT_STACK_TOP - STACK_PAGES * PAGE, RIGHT_READ | RIGHT_WRITE);
	if (e == OK && c->conf->pci_config)
		e = give_hosts(c, offset + (2 + STACK_PAGES) * PAGE);
	if (e == OK)
		e = thread_make(c, 0, c->made.parts + PART_IPC, COMPONENT_IPC_VADDR);
	if (e == OK)
		e = give_all(c, &info);
	if (e == OK)
		e = map_heap(c, &info);
	if (e == OK)
		e = frame_write(c->made.image, info_offset, &info, sizeof info);
	if (e == OK)
		e = thread_write_registers(c->made.thread[0], image->entry, COMPONENT_STACK_TOP,
		    COMPONENT_INFO_VADDR, 0, 0, 0);
	return e;
}

enum error
component_stack(const struct component *c, uint64_t address, uint64_t *words, unsigned count)
{
	uint64_t bytes = count * sizeof *words, bottom = COMPONENT_STACK_TOP - STACK_PAGES * PAGE;

	if (c->conf->world || address % 8 != 0 || address < bottom || address > COMPONENT_STACK_TOP - bytes)
		return ERR_RANGE;
	return frame_read(c->made.parts + PART_STACK, address - bottom, words, bytes);
}

static enum error
component_make(struct component *c)
{
	const void *bytes = (const uint8_t *)tessera.bundle + c->image->offset;
	struct elf_image image;
	const char *wrong;
	enum error e;

	if (c->conf->world)
		return world_build(c);
	wrong = elf_open(&image, bytes, c->image->size, COMPONENT_IMAGE_BASE, COMPONENT_INFO_VADDR,
	    false);
	if (wrong != NULL) {
		say(LOG_WARNING "%s: image %s: %s", c->conf->name, c->image->name, wrong);
		return ERR_ARGUMENT;
	}
	e = build(c, &image);
	if (e != OK)
		say(LOG_WARNING "%s: cannot be built: %s", c->conf->name, error_name(e));
	return e;
}

enum error
component_build(struct component *c)
{
	enum error e;

	c->starts++;
	e = component_make(c);
	window_close();
	return e;
}

enum error
component_start_threads(struct component *c)
{
	enum error e = OK;

	for (unsigned i = 0; i < c->thread_count && e == OK; i++)
		e = thread_resume(c->made.thread[i]);
	return e;
}

/*
 * One revoke for each Untyped of the budget; a component has one.  A driver's
 * device is first refused all memory.  Then the address space goes as a whole:
 * unmapping piece by piece what is in it would cost an invalidation for each.
 */
void
component_destroy(struct component *c)
{
	driver_unbind(c);
	if (cnode_revoke(INIT_SLOT_CNODE, c->made.vspace) == OK)
		cnode_delete(INIT_SLOT_CNODE, c->made.vspace);
	for (unsigned i = 0; i < c->piece_count; i++)
		cnode_revoke(INIT_SLOT_CNODE, c->piece[i].slot);
	/* A build that failed half way may have left it. */
	cnode_delete(INIT_SLOT_CNODE, c->temporary);
}
