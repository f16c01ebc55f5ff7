/* SPDX-License-Identifier: MIT */
/*
 * Building a personality's box (proto/world.h): RAM in large pieces, the image
 * in it, one VCPU thread for each CPU.
 *
 * The budget is one small Untyped for the kernel's objects and a list of large
 * ones that each become one RAM Frame.  Sorted by size, the largest first, each
 * is naturally aligned when they are laid end to end from WORLD_RAM_BASE, which
 * lets the kernel map 1 GiB and 2 MiB blocks and makes the RAM one range.
 */
#include "init.h"

enum {
	CORE_BITS = 21,			/* for tables, threads, VCPUs, a small CNode */
	CNODE_SPARE = 256,		/* slots of the world's own beside one for each block lent */
	TABLES_FIXED = 6,		/* root, level 2 of the low GiB, channels, spare */
};

static const uint64_t BLOCK = 2u << 20;

/* ---- once, at boot ------------------------------------------------------ */

static void
sort_pieces(struct piece *p, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct piece key = p[i];
		unsigned k = i;

		for (; k > 0 && p[k - 1].size_bits < key.size_bits; k--)
			p[k] = p[k - 1];
		p[k] = key;
	}
}

/* A fixed budget: the powers of two that make it up, less the core. */
static enum error
carve_fixed(struct component *c)
{
	uint64_t left = c->conf->memory - ((uint64_t)1 << c->piece[0].size_bits);
	enum error e;

	while (left >= BLOCK && c->piece_count < MAX_PIECES) {
		struct piece *p = &c->piece[c->piece_count];

		p->size_bits = 63u - (unsigned)__builtin_clzll(left);
		if (p->size_bits > 30)
			p->size_bits = 30;
		e = memory_carve(OBJ_UNTYPED, p->size_bits, p->slot);
		if (e != OK)
			return e;
		left -= (uint64_t)1 << p->size_bits;
		c->piece_count++;
	}
	return OK;
}

static unsigned
lend_count(const struct component *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tessera.conf.lend_count; i++)
		n += tessera.conf.lend[i].from == (int)c->index &&
		    tessera.component[tessera.conf.lend[i].to].state != STATE_ABSENT;
	return n;
}

/* Slots for every 2 MiB of its memory, once for each driver that it lends to. */
static unsigned
cnode_bits(const struct component *c, uint64_t bytes)
{
	uint64_t slots = WORLD_SLOT_FIRST_FREE + CNODE_SPARE + (bytes / BLOCK + 1) * lend_count(c);
	unsigned bits = lend_count(c) == 0 ? WORLD_CNODE_BITS : log2_up(slots);

	return bits > CNODE_BITS_MAX ? CNODE_BITS_MAX : bits;
}

static uint64_t
ram_bytes(const struct component *c)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < c->piece_count; i++)
		sum += (uint64_t)1 << c->piece[i].size_bits;
	return sum;
}

unsigned
world_cnode_bits(const struct component *c)
{
	return cnode_bits(c, ram_bytes(c));
}

/* `memory rest` is carved when everybody else has theirs (device_waits, start_waiting). */
enum error
world_prepare(struct component *c)
{
	enum error e;

	uint64_t most = c->conf->memory_rest ? memory_left() : c->conf->memory;
	uint64_t cnode = (uint64_t)1 << (cnode_bits(c, most) + SLOT_BITS);

	/* half of the least is more than all but the CNode takes */
	c->piece[0].size_bits = log2_up(cnode + ((uint64_t)1 << (CORE_BITS - 1)));
	if (c->piece[0].size_bits < CORE_BITS)
		c->piece[0].size_bits = CORE_BITS;
	c->piece_count = 1;
	e = memory_carve(OBJ_UNTYPED, c->piece[0].size_bits, c->piece[0].slot);
	if (e == OK && c->conf->memory_rest)
		e = memory_carve_rest(c->piece, &c->piece_count, MAX_PIECES);
	else if (e == OK)
		e = carve_fixed(c);
	if (e == OK && c->piece_count < 2)
		e = ERR_NO_MEMORY;
	if (e != OK)
		say(LOG_WARNING "system.conf:%u: %s: memory: %s (%llu KiB are left)", c->conf->line,
		    c->conf->name, error_name(e), (unsigned long long)(memory_left() >> 10));
	sort_pieces(c->piece + 1, c->piece_count - 1);
	return e;
}

/* ---- each time ---------------------------------------------------------- */

static const struct bundle_entry *
find_archive(const struct component *c)
{
	const struct bundle_entry *archive;

	if (c->conf->archive[0] == '\0')
		return NULL;
	archive = bundle_find(tessera.bundle, c->conf->archive);
	if (archive == NULL)
		say(LOG_WARNING "%s: the bundle has no %s", c->conf->name, c->conf->archive);
	return archive;
}

/* One table for 2 MiB of small pages, one level 2 for each GiB. */
static unsigned
table_bits(const struct component *c, const struct bundle_entry *archive)
{
	uint64_t tables = TABLES_FIXED + (ram_bytes(c) >> 30) + 1;

	if (archive != NULL)
		tables += archive->size / BLOCK + 2;
	tables += channels_bytes(c) / BLOCK + c->conf->memory_usage + c->conf->capabilities;
	return PAGE_BITS + log2_up(tables);
}

static enum error
make_spaces(struct component *c, const struct bundle_entry *archive)
{
	enum error e;

	e = make(c, "address space", OBJ_VSPACE, table_bits(c, archive), c->made.vspace);
	if (e == OK)
		e = vspace_set_personality(c->made.vspace);
	if (e == OK)
		e = make_cnodes(c, world_cnode_bits(c));
	return e;
}

static enum error
map_ram(struct component *c, struct world_info *info)
{
	const unsigned rights = RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC;
	uint64_t ipa = WORLD_RAM_BASE;
	enum error e = OK;

	for (unsigned i = 1; i < c->piece_count && e == OK; i++) {
		uint32_t slot = c->made.heap + i - 1;

		e = untyped_retype(c->piece[i].slot, OBJ_FRAME, c->piece[i].size_bits, 0, slot, 1, 0);
		if (e == OK)
			e = frame_map(slot, c->made.vspace, ipa, rights, MAP_NORMAL);
		ipa += (uint64_t)1 << c->piece[i].size_bits;
	}
	info->ram_count = 1;
	info->ram[0] = (struct world_range){ WORLD_RAM_BASE, ipa - WORLD_RAM_BASE };
	return e;
}

/* Into the first, largest piece. */
static enum error
load_image(struct component *c, const struct elf_image *image, struct world_info *info)
{
	const struct elf_segment *last = &image->segment[image->segment_count - 1];
	enum error e = OK;

	for (unsigned i = 0; i < image->segment_count && e == OK; i++) {
		const struct elf_segment *s = &image->segment[i];

		e = frame_write(c->made.heap, s->address - WORLD_RAM_BASE, s->bytes, s->file_size);
	}
	info->image.base = image->segment[0].page;
	info->image.size = last->page + last->pages_size - info->image.base;
	info->info.base = last->page + last->pages_size;
	info->info.size = round_up(sizeof *info, PAGE);
	return e;
}

/*
 * The archive is mapped where its place within 2 MiB is that of its memory, so
 * that blocks can be used.
 */
static enum error
give_archive(struct component *c, const struct bundle_entry *archive, struct world_info *info)
{
	uint64_t offset = tessera.info->bundle_offset + archive->offset;
	uint64_t phys = tessera.boot->bundle.base + archive->offset;

	info->archive.base = WORLD_ARCHIVE_BASE + (phys & (BLOCK - 1));
	info->archive.size = archive->size;
	return give_mapped(c, INIT_SLOT_BUNDLE, offset, bundle_pages(archive->size),
	    info->archive.base, RIGHT_READ, MAP_NORMAL);
}

/* Does this file server have disks as far as the client says? */
static bool
is_bound(const struct channel *ch)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct conf_channel *b = &tessera.conf.channel[i];

		if (b->type == CHANNEL_BLOCK && b->client == ch->conf->server &&
		    strncmp(b->part, "by ", 3) == 0 && strcmp(b->part + 3, ch->conf->client_name) == 0)
			return true;
	}
	return false;
}

static void
describe_channel(struct world_channel *to, const struct channel *ch, uint64_t ipa)
{
	memcpy(to->name, ch->conf->name, sizeof to->name);
	memcpy(to->peer, ch->conf->server_name, sizeof to->peer);
	to->address = ipa;
	to->size = ch->conf->size;
	to->type = ch->conf->type;
	to->window = tessera.component[ch->conf->client].conf->window;
	if (ch->conf->type == CHANNEL_FS && is_bound(ch))
		to->flags = WORLD_CHANNEL_BOUND;
	else if (ch->conf->type == CHANNEL_BLOCK && boot_here(&tessera.component[ch->conf->server]))
		to->flags = WORLD_CHANNEL_BOOT_DEVICE;
}

/* The world is the client of one stream and one log (system.conf sees to it),
 * and of disks and file systems in the order of system.conf. */
static enum error
give_channels(struct component *c, struct world_info *info)
{
	uint64_t ipa = WORLD_CHANNEL_BASE;
	uint32_t bell;
	enum error e = OK;

	for (unsigned i = 0; i < tessera.conf.channel_count && e == OK; i++) {
		struct channel *ch = &tessera.channel[i];

		if (ch->conf->client != (int)c->index || !channel_present(ch))
			continue;
		e = channel_ensure(ch);
		if (e != OK)
			return e;
		channel_write_header(ch);
		e = give_mapped(c, ch->frame, 0, ch->conf->size, ipa,
		    RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
		if (ch->conf->type == CHANNEL_LOG) {
			bell = WORLD_SLOT_LOG_BELL;
			info->log = ipa;
		} else if (ch->conf->type == CHANNEL_STREAM) {
			bell = WORLD_SLOT_CONSOLE_BELL;
			info->console = ipa;
		} else {
			bell = WORLD_SLOT_CHANNEL_BELL + info->channel_count;
			describe_channel(&info->channel[info->channel_count++], ch, ipa);
		}
		if (e == OK)
			e = give(c, bell, channel_end(ch->conf->server)->bell, RIGHT_WRITE,
			    ch->server_bit);
		ipa += ch->conf->size;
	}
	if (e == OK && c->conf->memory_usage) {
		e = usage_give_all(c, ipa);
		info->usage = ipa;
		info->usage_count = usage_count();
		ipa += round_up((uint64_t)usage_count() * PAGE, PAGE);
	}
	if (e == OK && c->conf->capabilities) {
		e = capabilities_give(c, ipa);
		info->capabilities = ipa;
	}
	return e;
}

/* What it needs to lend pages itself (proto/world.h, Lending). */
static enum error
give_lending(struct component *c, struct world_info *info)
{
	uint64_t ipa = WORLD_RAM_BASE;
	enum error e;

	e = give(c, WORLD_SLOT_CNODE, c->made.cnode, RIGHT_READ | RIGHT_WRITE, 0);
	for (unsigned i = 0; i < tessera.conf.lend_count && e == OK; i++) {
		const struct conf_lend *l = &tessera.conf.lend[i];
		struct component *to = &tessera.component[l->to];

		if (l->from != (int)c->index || to->state == STATE_ABSENT)
			continue;
		e = give(c, WORLD_SLOT_SPACE + info->lend_count, to->driver.space,
		    RIGHT_READ | RIGHT_WRITE, c->conf->window);
		memcpy(info->lend[info->lend_count].driver, l->to_name, sizeof info->lend->driver);
		info->lend[info->lend_count++].window = c->conf->window;
	}
	for (unsigned i = 1; i < c->piece_count && info->lend_count != 0 && e == OK; i++) {
		uint64_t bytes = (uint64_t)1 << c->piece[i].size_bits;

		e = give(c, WORLD_SLOT_RAM + i - 1, c->made.heap + i - 1, RIGHT_READ | RIGHT_WRITE, 0);
		info->piece[info->piece_count++] = (struct world_range){ ipa, bytes };
		ipa += bytes;
	}
	return e;
}

/* What it may have init do. */
static enum error
give_requests(struct component *c)
{
	enum error e = OK;

	for (unsigned i = 0; i < tessera.authority_count && e == OK; i++) {
		const struct authority *a = &tessera.authority[i];

		if (a->holder == c->index && a->request == REQUEST_POWER_OFF)
			e = give(c, WORLD_SLOT_POWER, a->slot, RIGHT_WRITE, 0);
		else if (a->holder == c->index && a->request == REQUEST_RESET)
			e = give(c, WORLD_SLOT_RESET, a->slot, RIGHT_WRITE, 0);
		else if (a->holder == c->index && a->request == REQUEST_LIST)
			e = give(c, WORLD_SLOT_CAPABILITIES, a->slot, RIGHT_WRITE, 0);
		else if (a->holder == c->index && a->request == REQUEST_HEALTHY)
			e = give(c, WORLD_SLOT_HEALTH, a->slot, RIGHT_WRITE, 0);
	}
	return e;
}

/* The Notification of VCPU i; that of VCPU 0 is init's own, since channel
 * peers hold it. */
static uint32_t
vcpu_bell(const struct component *c, unsigned i)
{
	return i == 0 ? c->bell : c->made.bell[i];
}

static enum error
make_vcpu(struct component *c, unsigned i, uint64_t entry, uint64_t info_ipa)
{
	uint32_t thread = c->made.thread[i];
	enum error e;

	e = thread_make(c, i, 0, 0);
	if (e == OK)
		e = make(c, "VCPU", OBJ_VCPU, VCPU_BITS, c->made.vcpu[i]);
	if (e == OK && i != 0)
		e = make(c, "notification", OBJ_NOTIFICATION, PAGE_BITS, c->made.bell[i]);
	if (e == OK)
		e = thread_bind_vcpu(thread, c->made.vcpu[i]);
	if (e == OK)
		e = thread_bind_notification(thread, vcpu_bell(c, i));
	if (e == OK)
		e = thread_write_registers(thread, entry, 0, info_ipa, i, 0, 0);
	if (e == OK)
		e = give(c, WORLD_SLOT_SCHED_CONTEXT + i, c->made.sched_context[i], RIGHT_READ, 0);
	if (e == OK)
		e = give(c, WORLD_SLOT_VCPU_SIGNAL + i, vcpu_bell(c, i), RIGHT_WRITE, WORLD_BIT_KICK);
	if (e == OK)
		e = give(c, WORLD_SLOT_VCPU_POLL + i, vcpu_bell(c, i), RIGHT_READ, 0);
	return e;
}

static enum error
make_vcpus(struct component *c, uint64_t entry, struct world_info *info)
{
	enum error e = OK;

	for (unsigned i = 0; i < c->thread_count && e == OK; i++) {
		e = make_vcpu(c, i, entry, info->info.base);
		info->vcpu_mpidr[i] = tessera.boot->cpu[c->cpu[i]].mpidr;
	}
	info->vcpu_count = c->thread_count;
	return e;
}

static void
describe(const struct component *c, struct world_info *info)
{
	const struct bootinfo *boot = tessera.boot;
	size_t n;

	memset(info, 0, sizeof *info);
	info->magic = WORLD_MAGIC;
	info->version = WORLD_VERSION;
	info->timer_hz = tessera.info->timer_hz;
	info->wall_time_ns = boot->wall_time_ns;
	info->wall_time_ticks = boot->wall_time_ticks;
	info->boot_ticks = boot->entry_ticks;
	info->kernel_ticks = boot->exit_ticks;
	info->init_ticks = tessera.start_ticks;
	info->start_ticks = time_ticks();
	info->coherent = 1;
	info->seed_bytes = boot->seed_bytes < sizeof info->seed ? boot->seed_bytes : sizeof info->seed;
	memcpy(info->seed, boot->seed, sizeof info->seed);
	/* A later life must not repeat an earlier one's random numbers. */
	for (unsigned i = 0; i < sizeof c->starts; i++)
		info->seed[i] ^= (uint8_t)(c->starts >> 8 * i);
	n = format(info->cmdline, sizeof info->cmdline, "%s", c->conf->args);
	if (boot->cmdline[0] != '\0')
		format(info->cmdline + n, sizeof info->cmdline - n, "%s%s", n == 0 ? "" : " ",
		    boot->cmdline);
	memcpy(info->root_part, boot->root_part_guid, sizeof info->root_part);
	memcpy(info->boot_disk, boot->boot_disk_guid, sizeof info->boot_disk);
	info->boot_slot = boot->slot;
	info->boot_trial = boot->trial;
	memcpy(info->hostname, c->conf->hostname, sizeof info->hostname);
}

static enum error
build(struct component *c, const struct elf_image *image)
{
	static struct world_info info;
	const struct bundle_entry *archive = find_archive(c);
	enum error e;

	describe(c, &info);
	info.cnode_bits = world_cnode_bits(c);
	e = make_spaces(c, archive);
	if (e == OK)
		e = map_ram(c, &info);
	if (e == OK)
		e = load_image(c, image, &info);
	if (e == OK && archive != NULL)
		e = give_archive(c, archive, &info);
	if (e == OK)
		e = give_channels(c, &info);
	if (e == OK)
		e = give_lending(c, &info);
	if (e == OK)
		e = give_requests(c);
	if (e == OK)
		e = make_vcpus(c, image->entry, &info);
	if (e == OK)
		e = frame_write(c->made.heap, info.info.base - WORLD_RAM_BASE, &info, sizeof info);
	if (e == OK)
		usage_built(c, ram_bytes(c));
	return e;
}

enum error
world_build(struct component *c)
{
	const void *bytes = (const uint8_t *)tessera.bundle + c->image->offset;
	uint64_t room = (uint64_t)1 << c->piece[1].size_bits;
	struct elf_image image;
	const char *wrong;
	enum error e;

	wrong = elf_open(&image, bytes, c->image->size, WORLD_RAM_BASE,
	    WORLD_RAM_BASE + room - round_up(sizeof(struct world_info), PAGE), true);
	if (wrong != NULL) {
		say(LOG_WARNING "%s: image %s: %s", c->conf->name, c->image->name, wrong);
		return ERR_ARGUMENT;
	}
	e = build(c, &image);
	if (e == OK)
		say("%s: %llu MiB, %u VCPUs", c->conf->name,
		    (unsigned long long)(ram_bytes(c) >> 20), c->thread_count);
	else
		say(LOG_WARNING "%s: cannot be built: %s", c->conf->name, error_name(e));
	return e;
}
