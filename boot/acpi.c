/* SPDX-License-Identifier: MIT */
/*
 * The static ACPI tables, read into struct bootinfo: MADT, GTDT, FADT, SPCR,
 * MCFG (ACPI 6.5; PCI Firmware 3.3; SPCR 4) and IORT (DEN0049 E.e).  No AML.
 * Firmware's lengths and offsets are checked before anything behind them is
 * read; a table whose checksum is wrong is refused by its name.
 */
#include <string.h>

#include "platform.h"

enum { TABLE_HEADER = 36, TABLE_LIMIT = 1 << 20, IORT_NODES = 64, IORT_MAPS = 64 };

struct table {
	const uint8_t *data;
	uint32_t size;
	char name[5];
};

struct reader {
	const struct acpi_memory *memory;
	struct platform *p;
	struct bootinfo *info;
	struct complaint *why;
	struct table xsdt;
};

/* ---- bytes --------------------------------------------------------------- */

static uint32_t
le(const uint8_t *p, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

static uint32_t u16(const struct table *t, uint32_t at) { return le(t->data + at, 2); }
static uint32_t u32(const struct table *t, uint32_t at) { return le(t->data + at, 4); }
static uint64_t
u64(const struct table *t, uint32_t at)
{
	return u32(t, at) | (uint64_t)u32(t, at + 4) << 32;
}

static bool
sum_is_zero(const uint8_t *data, uint32_t size)
{
	uint8_t sum = 0;

	while (size-- > 0)
		sum = (uint8_t)(sum + data[size]);
	return sum == 0;
}

/* ---- finding tables ------------------------------------------------------ */

static bool
read_table(struct reader *r, uint64_t phys, struct table *t)
{
	const uint8_t *header = phys == 0 ? NULL :
	    r->memory->at(r->memory->context, phys, TABLE_HEADER);

	if (header == NULL)
		return complain(r->why, "ACPI: no table at 0x%llx", U64(phys));
	memcpy(t->name, header, 4);
	for (unsigned i = 0; i < 4; i++)
		if (t->name[i] < ' ' || t->name[i] > '~')
			t->name[i] = '?';
	t->name[4] = '\0';
	t->size = le(header + 4, 4);
	if (t->size < TABLE_HEADER || t->size > TABLE_LIMIT)
		return complain(r->why, "ACPI: %s: absurd length %u", t->name, t->size);
	t->data = r->memory->at(r->memory->context, phys, t->size);
	if (t->data == NULL)
		return complain(r->why, "ACPI: %s: cannot be read", t->name);
	if (!sum_is_zero(t->data, t->size))
		return complain(r->why, "ACPI: %s: wrong checksum", t->name);
	return true;
}

/* ACPI 6.5 5.2.5.3: the root pointer, revision 2 with an XSDT. */
static bool
read_root(struct reader *r, uint64_t rsdp)
{
	const uint8_t *p = r->memory->at(r->memory->context, rsdp, 36);

	if (p == NULL || memcmp(p, "RSD PTR ", 8) != 0)
		return complain(r->why, "ACPI: no root pointer at 0x%llx", U64(rsdp));
	if (p[15] < 2 || !sum_is_zero(p, 36))
		return complain(r->why, "ACPI: root pointer: revision below 2 or wrong checksum");
	if (!read_table(r, le(p + 24, 4) | (uint64_t)le(p + 28, 4) << 32, &r->xsdt))
		return false;
	if (strcmp(r->xsdt.name, "XSDT") != 0)
		return complain(r->why, "ACPI: %s where XSDT should be", r->xsdt.name);
	return true;
}

/* False with an empty complaint: there is no such table. */
static bool
find_table(struct reader *r, const char *name, uint32_t least, struct table *t)
{
	r->why->text[0] = '\0';
	for (uint32_t at = TABLE_HEADER; at + 8 <= r->xsdt.size; at += 8) {
		uint64_t phys = u64(&r->xsdt, at);
		const uint8_t *header = phys == 0 ? NULL :
		    r->memory->at(r->memory->context, phys, TABLE_HEADER);

		if (header == NULL || memcmp(header, name, 4) != 0)
			continue;
		if (!read_table(r, phys, t))
			return false;
		if (t->size < least)
			return complain(r->why, "ACPI: %s: too short (%u bytes)", name, t->size);
		return true;
	}
	return false;
}

static bool
need_table(struct reader *r, const char *name, uint32_t least, struct table *t)
{
	if (find_table(r, name, least, t))
		return true;
	if (r->why->text[0] == '\0')
		complain(r->why, "ACPI: there is no %s", name);
	return false;
}

/* True if the table may be left out and is; false if it is there but broken. */
static bool
absent(const struct reader *r)
{
	return r->why->text[0] == '\0';
}

/* ---- MADT: CPUs, GIC (ACPI 6.5 5.2.12.14-18) ------------------------------ */

enum { MADT_GICC = 11, MADT_GICD = 12, MADT_GICR = 14, MADT_ITS = 15 };
enum { GICR_SIZE_V3 = 0x20000, GICD_SIZE_V3 = 0x10000, ITS_SIZE = 0x20000 };

static bool
add_gicr(struct reader *r, uint64_t base, uint64_t size)
{
	struct boot_gic *gic = &r->info->gic;

	for (unsigned i = 0; i < gic->gicr_count; i++)
		if (gic->gicr[i].base + gic->gicr[i].size == base) {
			gic->gicr[i].size += size;
			return true;
		}
	if (gic->gicr_count == BOOT_MAX_GICR)
		return complain(r->why, "ACPI: APIC: more than %d redistributor regions",
		    BOOT_MAX_GICR);
	gic->gicr[gic->gicr_count++] = (struct boot_range){ base, size };
	return true;
}

static bool
madt_gicc(struct reader *r, const struct table *t, uint32_t at)
{
	uint32_t flags = u32(t, at + 12);
	uint64_t gicr = u64(t, at + 60);

	if (r->info->gic.maintenance_intid == 0)
		r->info->gic.maintenance_intid = u32(t, at + 56);
	if (!platform_cpu(r->p, u64(t, at + 68), (flags & 1) != 0, r->why))
		return false;
	return gicr == 0 || add_gicr(r, gicr, GICR_SIZE_V3);
}

static bool
madt_gicd(struct reader *r, const struct table *t, uint32_t at)
{
	uint8_t version = t->data[at + 20];

	if (version != 3 && version != 4)
		return complain(r->why, "ACPI: APIC: GIC version %u, need 3 or 4", version);
	if (r->info->gic.dist_size != 0)
		return complain(r->why, "ACPI: APIC: two distributors");
	r->info->gic.dist_base = u64(t, at + 8);
	r->info->gic.dist_size = GICD_SIZE_V3;
	return true;
}

static bool
madt_its(struct reader *r, const struct table *t, uint32_t at)
{
	struct boot_gic *gic = &r->info->gic;

	if (gic->its_count == BOOT_MAX_ITS)
		return complain(r->why, "ACPI: APIC: more than %d ITSs", BOOT_MAX_ITS);
	gic->its[gic->its_count] = (struct boot_range){ u64(t, at + 8), ITS_SIZE };
	gic->its_id[gic->its_count++] = u32(t, at + 4);
	gic->coherent &= (u16(t, at + 2) & 1) == 0;	/* ACPI 6.6: non-coherent flag */
	return true;
}

static bool
madt_entry(struct reader *r, const struct table *t, uint32_t at, uint32_t type, uint32_t length)
{
	static const struct { uint32_t type, least; } sizes[] = {
		{ MADT_GICC, 76 }, { MADT_GICD, 24 }, { MADT_GICR, 16 }, { MADT_ITS, 20 },
	};

	for (unsigned i = 0; i < 4; i++)
		if (type == sizes[i].type && length < sizes[i].least)
			return complain(r->why, "ACPI: APIC: structure %u at %u is too short",
			    type, at);
	if (type == MADT_GICC)
		return madt_gicc(r, t, at);
	if (type == MADT_GICD)
		return madt_gicd(r, t, at);
	if (type == MADT_ITS)
		return madt_its(r, t, at);
	if (type != MADT_GICR)
		return true;
	r->info->gic.coherent &= (t->data[at + 2] & 1) == 0;
	return add_gicr(r, u64(t, at + 4), u32(t, at + 12));
}

static bool
read_madt(struct reader *r)
{
	struct table t;
	uint32_t length;

	if (!need_table(r, "APIC", 44, &t))
		return false;
	r->info->gic.coherent = 1;
	for (uint32_t at = 44; at < t.size; at += length) {
		if (at + 2 > t.size)
			return complain(r->why, "ACPI: APIC: ends within a structure");
		length = t.data[at + 1];
		if (length < 4 || length > t.size - at)
			return complain(r->why, "ACPI: APIC: bad structure length at %u", at);
		if (!madt_entry(r, &t, at, t.data[at], length))
			return false;
	}
	return true;
}

/* ---- GTDT, FADT, SPCR, MCFG ---------------------------------------------- */

static bool
read_gtdt(struct reader *r)
{
	struct table t;

	if (!need_table(r, "GTDT", 80, &t))
		return false;
	r->info->timer.el1_phys_intid = u32(&t, 56);
	r->info->timer.virt_intid = u32(&t, 64);
	r->info->timer.el2_phys_intid = u32(&t, 72);
	return true;
}

/* ACPI 6.5 5.2.9.4: bit 0 PSCI, bit 1 by HVC. */
static bool
read_fadt(struct reader *r)
{
	struct table t;
	uint32_t flags;

	if (!need_table(r, "FACP", 131, &t))
		return false;
	flags = u16(&t, 129);
	r->info->psci = (flags & 1) == 0 ? BOOT_PSCI_NONE :
	    (flags & 2) != 0 ? BOOT_PSCI_HVC : BOOT_PSCI_SMC;
	return true;
}

static uint32_t
spcr_baud(uint8_t code)
{
	switch (code) {
	case 3: return 9600;
	case 4: return 19200;
	case 6: return 57600;
	case 7: return 115200;
	default: return 0;
	}
}

/* SPCR revision 2 and later; DBG2 4 lists the interface types. */
static bool
read_spcr(struct reader *r)
{
	struct boot_uart *uart = &r->info->uart;
	struct table t;
	uint8_t type, width, access;

	if (!find_table(r, "SPCR", 80, &t))
		return absent(r);
	type = t.data[36];
	width = t.data[41];
	access = t.data[43];
	if (t.data[40] != 0 || u64(&t, 44) == 0)
		return true;		/* not in memory space, or disabled */
	if (type == 3 || type == 0xd || type == 0xe)
		uart->kind = BOOT_UART_PL011;
	else if (type == 0 || type == 1 || type == 0x12)
		uart->kind = BOOT_UART_16550;
	else
		return true;
	uart->base = u64(&t, 44);
	uart->size = 0x1000;
	uart->intid = (t.data[52] & 8) != 0 ? u32(&t, 54) : 0;	/* bit 3: GSIV */
	uart->baud = spcr_baud(t.data[58]);
	uart->level_triggered = 1;
	uart->reg_width = uart->kind == BOOT_UART_PL011 || access == 3 ? 4 : 1;
	uart->reg_shift = uart->kind == BOOT_UART_16550 && width == 32 ? 2 : 0;
	if (t.data[8] >= 3)
		uart->clock_hz = u32(&t, 76);
	if (t.data[8] >= 4 && t.size >= 84 && u32(&t, 80) != 0)
		uart->baud = u32(&t, 80);
	return true;
}

static bool
mcfg_entry(struct reader *r, const struct table *t, uint32_t at)
{
	struct boot_ecam *ecam = &r->info->ecam[r->info->ecam_count];
	uint64_t base = u64(t, at);
	uint8_t first = t->data[at + 10], last = t->data[at + 11];

	if (r->info->ecam_count == BOOT_MAX_ECAM)
		return complain(r->why, "ACPI: MCFG: more than %d segments", BOOT_MAX_ECAM);
	if (first > last || base > UINT64_MAX - (256u << 20))
		return complain(r->why, "ACPI: MCFG: bad bus range or base at %u", at);
	/* The base is that of bus 0 (PCI Firmware 3.3 4.1.2), ours of the first bus. */
	*ecam = (struct boot_ecam){
		.base = base + ((uint64_t)first << 20), .segment = u16(t, at + 8),
		.bus_first = first, .bus_last = last, .coherent = 1,
	};
	r->info->ecam_count++;
	return true;
}

static bool
read_mcfg(struct reader *r)
{
	struct table t;

	if (!find_table(r, "MCFG", 44, &t))
		return absent(r);
	for (uint32_t at = 44; at + 16 <= t.size; at += 16)
		if (!mcfg_entry(r, &t, at))
			return false;
	return true;
}

/* ---- IORT ---------------------------------------------------------------- */

enum { IORT_ITS = 0, IORT_NAMED = 1, IORT_ROOT_COMPLEX = 2, IORT_SMMU_V3 = 4 };

struct iort_node {
	uint32_t at;
	uint32_t type;
	uint32_t length;
	uint32_t map_count;
	uint32_t map_at;	/* offset in the table */
};

struct iort {
	struct table t;
	unsigned count;
	struct iort_node node[IORT_NODES];
};

static const struct iort_node *
iort_at(const struct iort *i, uint32_t at)
{
	for (unsigned n = 0; n < i->count; n++)
		if (i->node[n].at == at)
			return &i->node[n];
	return NULL;
}

static bool
iort_node(struct reader *r, struct iort *i, uint32_t at)
{
	const struct table *t = &i->t;
	struct iort_node *n = &i->node[i->count];
	static const uint32_t least[] = { 20, 30, 32, 56, 60 };

	if (at > t->size || t->size - at < 16)
		return complain(r->why, "ACPI: IORT: a node at %u, past the end", at);
	if (i->count == IORT_NODES)
		return complain(r->why, "ACPI: IORT: more than %d nodes", IORT_NODES);
	*n = (struct iort_node){
		.at = at, .type = t->data[at], .length = u16(t, at + 1),
		.map_count = u32(t, at + 8), .map_at = at + u32(t, at + 12),
	};
	if (n->length < 16 || n->length > t->size - at ||
	    (n->type <= IORT_SMMU_V3 && n->length < least[n->type]))
		return complain(r->why, "ACPI: IORT: bad length of the node at %u", at);
	if (n->map_count != 0 && (n->map_at < at + 16 || n->map_count > IORT_MAPS ||
	    n->map_at - at > n->length || n->map_count * 20 > n->length - (n->map_at - at)))
		return complain(r->why, "ACPI: IORT: bad mappings of the node at %u", at);
	i->count++;
	return true;
}

static bool
iort_nodes(struct reader *r, struct iort *i)
{
	uint32_t count = u32(&i->t, 36);
	uint32_t at = u32(&i->t, 40);

	for (uint32_t n = 0; n < count; n++) {
		if (!iort_node(r, i, at))
			return false;
		at += i->node[i->count - 1].length;
	}
	return true;
}

/* DEN0049 table 10; coherency by the override flag. */
static bool
iort_smmu(struct reader *r, const struct iort *i, const struct iort_node *n)
{
	const struct table *t = &i->t;
	struct bootinfo *info = r->info;

	if (info->smmu_count == BOOT_MAX_SMMU)
		return complain(r->why, "ACPI: IORT: more than %d SMMUs", BOOT_MAX_SMMU);
	info->smmu[info->smmu_count++] = (struct boot_smmu){
		.base = u64(t, n->at + 16),
		.size = 0x20000,
		.coherent = u32(t, n->at + 24) & 1,
		.event_intid = u32(t, n->at + 44),
		.pri_intid = u32(t, n->at + 48),
		.gerror_intid = u32(t, n->at + 52),
		.sync_intid = u32(t, n->at + 56),
		.id = n->at,
	};
	return true;
}

static unsigned
iort_maps(const struct iort *i, const struct iort_node *n, struct id_map maps[IORT_MAPS])
{
	const struct table *t = &i->t;

	for (unsigned m = 0; m < n->map_count; m++) {
		uint32_t at = n->map_at + m * 20;
		uint32_t single = u32(t, at + 16) & 1;

		/* The field is the number of ids minus one; QEMU 7.2 writes the
		 * number, and the first match wins. */
		maps[m] = (struct id_map){
			.base = single ? 0 : u32(t, at),
			.count = single ? UINT32_MAX : (uint64_t)u32(t, at + 4) + 1,
			.out = u32(t, at + 8), .target = u32(t, at + 12),
		};
	}
	return n->map_count;
}

static int
smmu_of(const struct reader *r, const struct iort_node *n)
{
	for (unsigned s = 0; n != NULL && n->type == IORT_SMMU_V3 && s < r->info->smmu_count; s++)
		if (r->info->smmu[s].id == n->at)
			return (int)s;
	return -1;
}

/* The first ITS of a group that the MADT lists too. */
static int
its_of(const struct reader *r, const struct iort *i, const struct iort_node *n)
{
	const struct boot_gic *gic = &r->info->gic;
	uint32_t count;

	if (n == NULL || n->type != IORT_ITS)
		return -1;
	count = u32(&i->t, n->at + 16);
	for (uint32_t k = 0; k < count && 20 + k * 4 + 4 <= n->length; k++)
		for (unsigned s = 0; s < gic->its_count; s++)
			if (gic->its_id[s] == u32(&i->t, n->at + 20 + k * 4))
				return (int)s;
	return -1;
}

static void
shorten(uint64_t *span, uint64_t other)
{
	if (other != 0 && other < *span)
		*span = other;
}

/* Follows one requester id; *span becomes for how many more the answer holds. */
static void
iort_follow(const struct reader *r, const struct iort *i, const struct id_map *maps,
    unsigned count, uint64_t rid, uint64_t *span, struct boot_stream *stream)
{
	struct id_map behind[IORT_MAPS];
	const struct iort_node *n;
	unsigned m = id_map_find(maps, count, rid, span);
	uint64_t id, rest = 0;

	if (m == count)
		return;
	n = iort_at(i, maps[m].target);
	id = maps[m].out + (rid - maps[m].base);
	stream->smmu = smmu_of(r, n);
	if (stream->smmu >= 0) {
		unsigned behinds = iort_maps(i, n, behind);

		stream->stream_base = (uint32_t)id;
		m = id_map_find(behind, behinds, id, &rest);
		shorten(span, rest);
		if (m == behinds)
			return;
		id = behind[m].out + (id - behind[m].base);
		n = iort_at(i, behind[m].target);	/* an SMMU leads to an ITS only */
	}
	stream->its = its_of(r, i, n);
	stream->device_base = stream->its >= 0 ? (uint32_t)id : 0;
}

static bool
iort_root_complex(struct reader *r, const struct iort *i, const struct iort_node *n)
{
	struct id_map maps[IORT_MAPS];
	unsigned count = iort_maps(i, n, maps);
	uint32_t segment = u32(&i->t, n->at + 28);
	bool coherent = (u32(&i->t, n->at + 16) & 1) != 0;
	uint64_t span;

	for (unsigned e = 0; e < r->info->ecam_count; e++)
		if (r->info->ecam[e].segment == segment)
			r->info->ecam[e].coherent = coherent;
	for (uint64_t rid = 0; rid < 0x10000; rid += span) {
		struct boot_stream stream = {
			.segment = segment, .rid_base = (uint32_t)rid, .smmu = -1, .its = -1,
		};

		iort_follow(r, i, maps, count, rid, &span, &stream);
		if (span == 0)
			break;
		shorten(&span, 0x10000 - rid);
		stream.count = (uint32_t)span;
		if ((stream.smmu >= 0 || stream.its >= 0) &&
		    !platform_stream(r->p, &stream, r->why))
			return false;
	}
	return true;
}

/* A device outside of PCI; without a way through an SMMU it is to be named. */
static bool
iort_named(struct reader *r, const struct iort *i, const struct iort_node *n)
{
	struct id_map maps[IORT_MAPS];
	unsigned count = iort_maps(i, n, maps);
	const char *name = (const char *)i->t.data + n->at + 29;
	uint32_t end = n->map_count != 0 ? n->map_at : n->at + n->length;

	for (unsigned m = 0; m < count; m++)
		if (smmu_of(r, iort_at(i, maps[m].target)) >= 0)
			return true;
	if (end < n->at + 29)
		return complain(r->why, "ACPI: IORT: mappings within the node at %u", n->at);
	return platform_master(r->p, name, strnlen(name, end - (n->at + 29)), 0, r->why);
}

static bool
read_iort(struct reader *r)
{
	struct iort i = { .count = 0 };

	if (!find_table(r, "IORT", 48, &i.t))
		return absent(r);
	if (!iort_nodes(r, &i))
		return false;
	for (unsigned n = 0; n < i.count; n++)
		if (i.node[n].type == IORT_SMMU_V3 && !iort_smmu(r, &i, &i.node[n]))
			return false;
	for (unsigned n = 0; n < i.count; n++) {
		const struct iort_node *node = &i.node[n];

		if (node->type == IORT_ROOT_COMPLEX && !iort_root_complex(r, &i, node))
			return false;
		if (node->type == IORT_NAMED && !iort_named(r, &i, node))
			return false;
	}
	return true;
}

bool
acpi_read(const struct acpi_memory *memory, uint64_t rsdp, struct platform *p,
    struct complaint *why)
{
	struct reader r = { .memory = memory, .p = p, .info = p->info, .why = why };

	p->info->source = BOOT_FROM_ACPI;
	return read_root(&r, rsdp) && read_madt(&r) && read_gtdt(&r) && read_fadt(&r) &&
	    read_spcr(&r) && read_mcfg(&r) && read_iort(&r) && platform_finish(p, why);
}
