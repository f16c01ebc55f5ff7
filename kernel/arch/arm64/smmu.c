/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3 (IHI 0070 E.a): every stream aborts until an IODevice is bound.
 *
 * Stream table: two levels of 64 entries to a leaf (4 KiB).  16 bits of StreamID
 * take 4 MiB as one table; as two levels they take 8 KiB and a leaf for each
 * group of eight PCI devices that is in use.  LEAVES leaves are reserved at boot
 * and given out, for good, as devices are assigned: buses are small and few.  A
 * first-level entry that is 0, and a leaf entry that is 0, refuse the access with
 * an event.
 *
 * Each IODevice has its own context descriptor, whose ASID is its number, also
 * where several see one IOSpace: so ASIDs cannot run out.
 *
 * Commands are issued under the kernel's lock and waited for.  An SMMU that does
 * not do them keeps us from taking memory away from a device: the kernel stops.
 */
#include "arch_arm64.h"

enum {
	IDR0 = 0x0, IDR1 = 0x4, IDR5 = 0x14, CR0 = 0x20, CR0ACK = 0x24, CR1 = 0x28, CR2 = 0x2c,
	GBPA = 0x44, IRQ_CTRL = 0x50, IRQ_CTRLACK = 0x54, GERROR = 0x60, GERRORN = 0x64,
	GERROR_IRQ_CFG0 = 0x68, STRTAB_BASE = 0x80, STRTAB_BASE_CFG = 0x88,
	CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0,
	EVENTQ_IRQ_CFG0 = 0xb0, EVENTQ_PROD = 0x100a8, EVENTQ_CONS = 0x100ac,
	SMMU_BYTES = 0x20000,		/* two pages of 64 KiB */

	IDR0_HYP = 1 << 9, IDR0_MSI = 1 << 13,
	IDR0_S1P = 1 << 1, IDR0_AARCH64 = 2 << 2, IDR0_TWO_LEVEL = 1 << 27,
	IDR0_STALL_FORCED = 2 << 24, IDR0_STALL = 3 << 24,
	IDR1_PRESET = 1 << 30 | 1 << 29, IDR5_4K = 1 << 4,
	CR0_SMMUEN = 1 << 0, CR0_EVENTQEN = 1 << 2, CR0_CMDQEN = 1 << 3,
	CR1_COHERENT = 3 << 10 | 1 << 8 | 1 << 6 | 3 << 4 | 1 << 2 | 1 << 0,
	CR2_RECINVSID = 1 << 1, CR2_PTM = 1 << 2,
	GBPA_ABORT = 1 << 20,
	IRQ_GERROR = 1 << 0, IRQ_EVENTQ = 1 << 2,
	GERROR_CMDQ = 1 << 0,
	EVENT_BAD_STREAM = 0x02, EVENT_BAD_STE = 0x04,

	CMD_CFGI_STE = 0x03, CMD_CFGI_ALL = 0x04, CMD_CFGI_CD = 0x05, CMD_TLBI_NH_ASID = 0x11,
	CMD_TLBI_NH_VA = 0x12, CMD_TLBI_EL2_ALL = 0x20, CMD_TLBI_NSNH_ALL = 0x30, CMD_SYNC = 0x46,

	CMDQ_BITS = 8, CMD_WORDS = 2,	/* 256 commands of 16 bytes */
	EVENTQ_BITS = 7, EVENT_WORDS = 4,	/* 128 events of 32 bytes */
	LEAF_BITS = 6, LEAVES = 32, STE_WORDS = 8, STREAM_BITS_MAX = 16,
	TLBI_BY_PAGE = 16,
	EVENTS_AT_ONCE = 8,		/* bounds a stretch with interrupts masked */
	LINES_A_SECOND = 4,		/* of the log */
};
#define GBPA_UPDATE	(1u << 31)
#define QUEUE_OVERFLOW	(1u << 31)
#define ALLOCATE_HINT	(1UL << 62)
#define ADDRESS_MASK	0x000fffffffffffc0UL

/* Stream table entry (5.2): word 0 decides, word 1 holds attributes of the fetch of the CD. */
#define STE_VALID	1UL
#define STE_ABORT	(STE_VALID | 0UL << 1)
#define STE_STAGE1	(STE_VALID | 5UL << 1)
#define STE_COHERENT	(1UL << 2 | 1UL << 4 | 3UL << 6)	/* S1CIR, S1COR, S1CSH */
#define STE_SHCFG_IN	(1UL << 44)
/* Context descriptor (5.4): 39-bit addresses, 4 KiB granule, TTB0 only; faults
 * abort and are recorded. */
#define CD_T0SZ		25UL
#define CD_COHERENT	(1UL << 8 | 1UL << 10 | 3UL << 12)	/* IR0, OR0, SH0 */
#define CD_EPD1		(1UL << 30)
#define CD_VALID	(1UL << 31)
#define CD_IPS_SHIFT	32
#define CD_AA64		(1UL << 41)
#define CD_RECORD	(1UL << 45)
#define CD_ABORT	(1UL << 46)
#define CD_ASET		(1UL << 47)
#define CD_ASID_SHIFT	48
/* Attribute 0 is memory, as the device can take it; 1 is Device-nGnRE. */
#define CD_MAIR_SNOOPED	0x04ffUL	/* write-back */
#define CD_MAIR_BARE	0x0444UL	/* non-cacheable */

struct smmu {
	uint64_t base;			/* 0: not there, or not usable */
	uint64_t *stream_table;		/* first level, or the only leaf */
	uint64_t *leaves;		/* not given out yet */
	uint64_t *commands;
	const volatile uint64_t *events;
	uint32_t leaves_left;
	uint32_t stream_bits;
	uint32_t prod, cons;		/* of the command queue; of the event queue */
	uint32_t event_intid, gerror_intid;
	uint32_t output_size;		/* CD.IPS */
	bool two_level, coherent;
};

static struct smmu smmus[BOOT_MAX_SMMU];
static bool tables_coherent;
static const struct bootinfo *boot_info;

bool
smmu_tables_coherent(void)
{
	return tables_coherent;
}

static uint64_t
deadline(void)
{
	return arch_now() + sysreg_read("cntfrq_el0");
}

/* A register becomes what it was told; false: not within a second. */
static bool
becomes(uint64_t reg, uint32_t mask, uint32_t value)
{
	uint64_t limit = deadline();

	while ((mmio_read32(reg) & mask) != value)
		if (arch_now() > limit)
			return false;
	return true;
}

/* ---- commands (4) -------------------------------------------------------------- */

/* Both indices have a wrap bit above their bits (3.5.1). */
static uint32_t
queue_next(uint32_t index, unsigned bits)
{
	return (index + 1) & ((2u << bits) - 1);
}

static void
commands_drain(const struct smmu *s)
{
	uint32_t mask = (2u << CMDQ_BITS) - 1;

	mmio_write32(s->base + CMDQ_PROD, s->prod);
	if (!becomes(s->base + CMDQ_CONS, mask, s->prod)) {
		log_text("smmu: CMDQ_CONS ");
		log_hex(mmio_read32(s->base + CMDQ_CONS));
		log_text(", GERROR ");
		log_hex(mmio_read32(s->base + GERROR));
		panic("an SMMU does not execute its commands");
	}
}

static void
command(struct smmu *s, uint64_t w0, uint64_t w1)
{
	uint32_t mask = (1u << CMDQ_BITS) - 1;
	uint64_t *slot = &s->commands[(s->prod & mask) * CMD_WORDS];

	slot[0] = w0;
	slot[1] = w1;
	dma_sync(slot, CMD_WORDS * sizeof(uint64_t), s->coherent);
	s->prod = queue_next(s->prod, CMDQ_BITS);
	if ((s->prod & mask) == 0)
		commands_drain(s);	/* so the queue is never full */
}

/* All commands are done, and what the old state had let through has arrived (4.7). */
static void
sync(struct smmu *s)
{
	command(s, CMD_SYNC, 0);
	commands_drain(s);
}

static void
forget_stream(struct smmu *s, uint32_t stream)
{
	command(s, CMD_CFGI_STE | (uint64_t)stream << 32, 0);
	sync(s);
}

static void
forget_asid(struct smmu *s, const struct io_device *d)
{
	command(s, CMD_TLBI_NH_ASID | (uint64_t)d->number << CD_ASID_SHIFT, 0);
	sync(s);
}

/* No SMMU knows these translations of the space any more. */
void
smmu_invalidate(const struct vspace *v, uint64_t iova, uint64_t entries, uint64_t entry_bytes)
{
	for (const struct io_device *d = v->devices; d != NULL; d = d->next) {
		struct smmu *s = &smmus[d->smmu];
		uint64_t asid = (uint64_t)d->number << CD_ASID_SHIFT;

		if (entries > TLBI_BY_PAGE)
			command(s, CMD_TLBI_NH_ASID | asid, 0);
		for (uint64_t i = 0; i < entries && entries <= TLBI_BY_PAGE; i++)
			command(s, CMD_TLBI_NH_VA | asid, iova + i * entry_bytes);
		sync(s);
	}
}

/* ---- streams ---------------------------------------------------------------------- */

/* The stream's entry; NULL: its leaf was not given out. */
static uint64_t *
stream_entry(const struct smmu *s, uint32_t stream)
{
	uint64_t *leaf = s->stream_table;

	if (s->two_level) {
		uint64_t first = s->stream_table[stream >> LEAF_BITS];

		if (first == 0)
			return NULL;
		leaf = phys_to_kernel(first & ADDRESS_MASK);
	}
	return leaf + (stream & ((1u << LEAF_BITS) - 1)) * STE_WORDS;
}

/* Link a leaf, all of whose streams abort still. */
static bool
leaf_add(struct smmu *s, uint32_t stream)
{
	uint64_t *first = &s->stream_table[stream >> LEAF_BITS];

	if (s->leaves_left == 0)
		return false;
	s->leaves_left--;
	*first = kernel_to_phys(s->leaves) | (LEAF_BITS + 1);	/* Span */
	s->leaves += STE_WORDS << LEAF_BITS;
	dma_sync(first, sizeof(*first), s->coherent);
	return true;
}

/* One word decides what an entry means, so it changes at once (3.21.3.1). */
static void
stream_set(const struct io_device *d, uint64_t word)
{
	struct smmu *s = &smmus[d->smmu];
	volatile uint64_t *entry = stream_entry(s, d->stream);

	entry[0] = word;
	dma_sync(entry, sizeof(*entry), s->coherent);
	forget_stream(s, d->stream);
}

enum error
arch_io_device_assign(struct io_device *d)
{
	struct smmu *s = &smmus[d->smmu < BOOT_MAX_SMMU ? d->smmu : 0];

	if (d->smmu >= BOOT_MAX_SMMU || s->base == 0 || d->stream >> s->stream_bits != 0)
		return ERR_RANGE;
	if (d->its != IO_NO_ITS && !its_device_ok(d->its, d->device))
		return ERR_RANGE;
	if (stream_entry(s, d->stream) == NULL && !leaf_add(s, d->stream))
		return ERR_LIMIT;
	stream_set(d, STE_ABORT);
	if (d->its != IO_NO_ITS)
		its_device_map(d);
	return OK;
}

void
arch_io_device_release(struct io_device *d)
{
	stream_set(d, STE_ABORT);	/* what it still tries is no news */
	if (d->its != IO_NO_ITS)
		its_device_unmap(d);
}

/* Does what the device itself reads and writes go through the caches?  That is
 * its host bridge's property, not the SMMU's. */
static bool
device_snoops(const struct io_device *d)
{
	for (uint32_t i = 0; i < boot_info->stream_count && i < BOOT_MAX_STREAMS; i++) {
		const struct boot_stream *r = &boot_info->stream[i];

		if (r->smmu != (int32_t)d->smmu || d->stream - r->stream_base >= r->count)
			continue;
		for (uint32_t n = 0; n < boot_info->ecam_count && n < BOOT_MAX_ECAM; n++)
			if (boot_info->ecam[n].segment == r->segment)
				return boot_info->ecam[n].coherent != 0;
	}
	return smmus[d->smmu].coherent;
}

void
arch_io_device_bind(struct io_device *d)
{
	struct smmu *s = &smmus[d->smmu];
	uint64_t *entry = stream_entry(s, d->stream), *cd = d->arch.cd;

	cd[0] = CD_T0SZ | CD_EPD1 | CD_VALID | (uint64_t)s->output_size << CD_IPS_SHIFT | CD_AA64 |
		CD_RECORD | CD_ABORT | CD_ASET | (uint64_t)d->number << CD_ASID_SHIFT;
	if (s->coherent)
		cd[0] |= CD_COHERENT;
	cd[1] = kernel_to_phys(d->space->arch.root);
	cd[2] = 0;
	cd[3] = device_snoops(d) ? CD_MAIR_SNOOPED : CD_MAIR_BARE;
	dma_sync(cd, sizeof(d->arch.cd), s->coherent);
	entry[1] = STE_SHCFG_IN | (s->coherent ? STE_COHERENT : 0);
	dma_sync(entry, 2 * sizeof(uint64_t), s->coherent);
	stream_set(d, STE_STAGE1 | kernel_to_phys(cd));
}

void
arch_io_device_unbind(struct io_device *d)
{
	stream_set(d, STE_ABORT);
	forget_asid(&smmus[d->smmu], d);
}

void
arch_io_device_quiet(struct io_device *d, bool quiet)
{
	struct smmu *s = &smmus[d->smmu];
	volatile uint64_t *cd = d->arch.cd;

	cd[0] = quiet ? cd[0] & ~CD_RECORD : cd[0] | CD_RECORD;
	dma_sync(cd, sizeof(*cd), s->coherent);
	command(s, CMD_CFGI_CD | (uint64_t)d->stream << 32, 1);
	sync(s);
}

paddr_t
arch_io_stream_root(uint32_t smmu, uint32_t stream)
{
	const uint64_t *entry = stream_entry(&smmus[smmu], stream), *cd;

	if (entry == NULL || (entry[0] & STE_STAGE1) != STE_STAGE1)
		return 0;
	cd = phys_to_kernel(entry[0] & ADDRESS_MASK);
	return cd[1];
}

/* ---- events (7.3) ------------------------------------------------------------------- */

static const char *
event_name(uint32_t kind)
{
	switch (kind) {
	case EVENT_BAD_STREAM: return "unknown stream";
	case EVENT_BAD_STE: return "stream without a device";
	case 0x0a: return "bad context descriptor";
	case 0x0b: return "walk fault";
	case 0x10: return "translation fault";
	case 0x11: return "address size fault";
	case 0x12: return "access fault";
	case 0x13: return "permission fault";
	default: return "event";
	}
}

/* A few lines a second; how many were left out is said with the next. */
static bool
may_log(void)
{
	static uint64_t until;
	static uint32_t lines, left_out;

	if (arch_now() > until) {
		until = deadline();
		lines = 0;
	}
	if (lines++ >= LINES_A_SECOND) {
		left_out++;
		return false;
	}
	if (left_out != 0) {
		log_text("smmu: ");
		log_hex(left_out);
		log_text(" more events\n");
		left_out = 0;
	}
	return true;
}

/*
 * Nobody's stream: it was told, from now on it aborts without a word.  Half of
 * the leaves stay for assignments.
 */
static void
stream_hush(struct smmu *s, uint32_t stream)
{
	uint64_t *entry;

	if (stream >> s->stream_bits != 0)
		return;
	if (stream_entry(s, stream) == NULL && s->leaves_left > LEAVES / 2)
		leaf_add(s, stream);
	entry = stream_entry(s, stream);
	if (entry == NULL || entry[0] != 0)
		return;
	entry[0] = STE_ABORT;
	dma_sync(entry, sizeof(*entry), s->coherent);
	forget_stream(s, stream);
}

static void
event_take(uint32_t smmu, const volatile uint64_t *event)
{
	uint32_t kind = event[0] & 0xff, stream = (uint32_t)(event[0] >> 32);
	bool write = (event[1] >> 35 & 1) == 0, has_address = kind >= 0x10;
	uint64_t address = has_address ? event[2] : 0;

	if (may_log()) {
		log_text("smmu: stream ");
		log_hex(stream);
		log_text(": ");
		log_text(event_name(kind));
		if (has_address) {
			log_text(write ? ", write at " : ", read at ");
			log_hex(address);
		} else {
			log_text(", kind ");
			log_hex(kind);
		}
		log_text("\n");
	}
	if (kind == EVENT_BAD_STREAM || kind == EVENT_BAD_STE)
		stream_hush(&smmus[smmu], stream);
	kernel_io_fault(smmu, stream, kind, address, has_address && write);
}

/* A few; for the others, and for what comes meanwhile, the line is raised again. */
static void
events_drain(uint32_t n)
{
	struct smmu *s = &smmus[n];
	uint32_t mask = (1u << EVENTQ_BITS) - 1, prod = mmio_read32(s->base + EVENTQ_PROD);

	for (uint32_t i = 0; i < EVENTS_AT_ONCE && s->cons != (prod & ~QUEUE_OVERFLOW); i++) {
		const volatile uint64_t *event = &s->events[(s->cons & mask) * EVENT_WORDS];

		dma_sync(event, EVENT_WORDS * sizeof(uint64_t), s->coherent);
		event_take(n, event);
		s->cons = queue_next(s->cons, EVENTQ_BITS);
	}
	/* With it an overflow is acknowledged (7.4). */
	mmio_write32(s->base + EVENTQ_CONS, s->cons | (prod & QUEUE_OVERFLOW));
	if (s->cons != (mmio_read32(s->base + EVENTQ_PROD) & ~QUEUE_OVERFLOW))
		gic_raise_line(s->event_intid);
}

/* Events that found no room are lost; an error of the command queue is ours (7.5). */
static void
errors_take(const struct smmu *s)
{
	uint32_t error = mmio_read32(s->base + GERROR);
	uint32_t active = error ^ mmio_read32(s->base + GERRORN);

	if (active == 0)
		return;
	if ((active & GERROR_CMDQ) != 0)
		panic("an SMMU refuses a command");
	mmio_write32(s->base + GERRORN, error);
	if (may_log()) {
		log_text("smmu: errors ");
		log_hex(active);
		log_text(", acknowledged\n");
	}
}

void
arch_io_poll(void)
{
	for (uint32_t i = 0; i < BOOT_MAX_SMMU; i++)
		if (smmus[i].base != 0) {
			events_drain(i);
			errors_take(&smmus[i]);
		}
}

bool
smmu_interrupt(uint32_t intid)
{
	bool ours = false;

	for (uint32_t i = 0; i < BOOT_MAX_SMMU; i++)
		if (smmus[i].base != 0 &&
		    (smmus[i].event_intid == intid || smmus[i].gerror_intid == intid)) {
			events_drain(i);
			errors_take(&smmus[i]);
			ours = true;
		}
	return ours;
}

/* ---- set up (3.11) --------------------------------------------------------------------- */

/* What is wrong with this SMMU, or NULL; its sizes. */
static const char *
capabilities(struct smmu *s)
{
	static const char size_of_output[8] = { 0, 1, 2, 3, 4, 5, 5, 5 };	/* at most 48 bits */
	uint32_t idr0 = mmio_read32(s->base + IDR0), idr1 = mmio_read32(s->base + IDR1);
	uint32_t idr5 = mmio_read32(s->base + IDR5);

	if ((idr0 & IDR0_S1P) == 0 || (idr0 & IDR0_AARCH64) == 0 || (idr5 & IDR5_4K) == 0)
		return "has no stage 1 with 4 KiB pages";
	if ((idr0 & IDR0_STALL) == IDR0_STALL_FORCED)
		return "can only stall";
	if ((idr1 & IDR1_PRESET) != 0)
		return "has tables of its own";
	if ((idr1 >> 21 & 0x1f) < CMDQ_BITS || (idr1 >> 16 & 0x1f) < EVENTQ_BITS)
		return "has short queues";
	s->stream_bits = idr1 & 0x3f;
	if (s->stream_bits > STREAM_BITS_MAX)
		s->stream_bits = STREAM_BITS_MAX;
	s->two_level = s->stream_bits > LEAF_BITS;
	if (s->two_level && (idr0 & IDR0_TWO_LEVEL) == 0)
		return "has no two-level stream table";
	s->output_size = (uint32_t)size_of_output[idr5 & 7];
	return NULL;
}

static void
stream_table_init(struct smmu *s)
{
	uint64_t leaf_bytes = 8UL * STE_WORDS << LEAF_BITS, bytes = leaf_bytes;
	uint32_t config = LEAF_BITS;	/* linear */

	if (s->two_level) {
		bytes = 8UL << (s->stream_bits - LEAF_BITS);
		config = 1u << 16 | LEAF_BITS << 6 | s->stream_bits;
		s->leaves_left = LEAVES;
		s->leaves = phys_to_kernel(mmu_reserve(LEAVES * leaf_bytes, leaf_bytes));
	}
	s->stream_table = phys_to_kernel(mmu_reserve(bytes, bytes < ARCH_PAGE ? ARCH_PAGE : bytes));
	mmio_write64(s->base + STRTAB_BASE, kernel_to_phys(s->stream_table) | ALLOCATE_HINT);
	mmio_write32(s->base + STRTAB_BASE_CFG, config);
}

static void
queues_init(struct smmu *s)
{
	s->commands = phys_to_kernel(mmu_reserve(8UL * CMD_WORDS << CMDQ_BITS, ARCH_PAGE));
	s->events = phys_to_kernel(mmu_reserve(8UL * EVENT_WORDS << EVENTQ_BITS, ARCH_PAGE));
	mmio_write64(s->base + CMDQ_BASE, kernel_to_phys(s->commands) | ALLOCATE_HINT | CMDQ_BITS);
	mmio_write32(s->base + CMDQ_PROD, 0);
	mmio_write32(s->base + CMDQ_CONS, 0);
	mmio_write64(s->base + EVENTQ_BASE,
		kernel_to_phys((const void *)s->events) | ALLOCATE_HINT | EVENTQ_BITS);
	mmio_write32(s->base + EVENTQ_PROD, 0);
	mmio_write32(s->base + EVENTQ_CONS, 0);
}

/* Refuse what comes by while it is off; not every implementation can (6.3.14). */
static bool
abort_by_default(const struct smmu *s)
{
	if (!becomes(s->base + GBPA, GBPA_UPDATE, 0))
		return false;
	mmio_write32(s->base + GBPA, (mmio_read32(s->base + GBPA) & ~GBPA_UPDATE) |
		GBPA_ABORT | GBPA_UPDATE);
	return becomes(s->base + GBPA, GBPA_UPDATE, 0);
}

static bool
set_cr0(const struct smmu *s, uint32_t value)
{
	mmio_write32(s->base + CR0, value);
	return becomes(s->base + CR0ACK, CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN, value);
}

/* By wire: an address of zero is no message (3.18). */
static void
interrupts_init(struct smmu *s, const struct boot_smmu *info)
{
	mmio_write32(s->base + IRQ_CTRL, 0);
	becomes(s->base + IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ, 0);
	if ((mmio_read32(s->base + IDR0) & IDR0_MSI) != 0) {
		mmio_write64(s->base + GERROR_IRQ_CFG0, 0);
		mmio_write64(s->base + EVENTQ_IRQ_CFG0, 0);
	}
	mmio_write32(s->base + GERRORN, mmio_read32(s->base + GERROR));
	s->event_intid = info->event_intid;
	s->gerror_intid = info->gerror_intid;
	gic_take_line(s->event_intid);
	gic_take_line(s->gerror_intid);
	mmio_write32(s->base + IRQ_CTRL, IRQ_GERROR | IRQ_EVENTQ);
	becomes(s->base + IRQ_CTRLACK, IRQ_GERROR | IRQ_EVENTQ, IRQ_GERROR | IRQ_EVENTQ);
}

static const char *
start(struct smmu *s, const struct boot_smmu *info)
{
	const char *why = capabilities(s);

	if (why != NULL)
		return why;
	if (!abort_by_default(s) || !set_cr0(s, 0))
		return "does not answer";
	mmio_write32(s->base + CR1, s->coherent ? CR1_COHERENT : 0);
	mmio_write32(s->base + CR2, CR2_RECINVSID | CR2_PTM);
	stream_table_init(s);
	queues_init(s);
	if (!set_cr0(s, CR0_CMDQEN))
		return "does not answer";
	command(s, CMD_CFGI_ALL, 31);
	if ((mmio_read32(s->base + IDR0) & IDR0_HYP) != 0)
		command(s, CMD_TLBI_EL2_ALL, 0);
	command(s, CMD_TLBI_NSNH_ALL, 0);
	sync(s);
	if (!set_cr0(s, CR0_CMDQEN | CR0_EVENTQEN))
		return "does not answer";
	interrupts_init(s, info);
	if (!set_cr0(s, CR0_CMDQEN | CR0_EVENTQEN | CR0_SMMUEN))
		return "does not answer";
	return NULL;
}

/*
 * All SMMUs, before any memory is given to anybody.  One that we cannot drive
 * lets its masters through: the kernel does not run beside it.
 */
void
smmu_init(const struct bootinfo *boot)
{
	const char *why;

	boot_info = boot;
	tables_coherent = true;
	if (boot->smmu_count == 0)
		log_text("smmu: there is none: nothing confines devices\n");
	for (uint32_t i = 0; i < boot->smmu_count; i++) {
		struct smmu *s = &smmus[i];

		if (boot->smmu[i].size < SMMU_BYTES)
			panic("an SMMU with too few registers");
		*s = (struct smmu){ .base = boot->smmu[i].base, .coherent = boot->smmu[i].coherent != 0 };
		tables_coherent = tables_coherent && s->coherent;
		why = start(s, &boot->smmu[i]);
		if (why != NULL) {
			log_text("smmu ");
			log_hex(i);
			log_text(": ");
			panic(why);
		}
	}
}
