/* SPDX-License-Identifier: MIT */
/*
 * Message interrupts: ITSs and LPIs (IHI 0069 H, chapters 5 and 6).
 *
 * One collection to a CPU; 32 events to a device, whose interrupt translation
 * table lies in its IODevice; the LPI of an event follows from the device's
 * number (kernel/thread.h).  So 14 bits of interrupt ids are enough, and the
 * tables have a fixed size: properties 8 KiB, pending bits 2 KiB to a CPU, a
 * flat device table for the DeviceIDs that the platform has.
 *
 * Commands are issued under the kernel's lock and waited for.
 */
#include "arch_arm64.h"
#include <kernel/core.h>

enum {
	GITS_CTLR = 0x0, GITS_TYPER = 0x8, GITS_CBASER = 0x80, GITS_CWRITER = 0x88,
	GITS_CREADR = 0x90, GITS_BASER = 0x100, GITS_BASERS = 8,
	GITS_CTLR_ENABLED = 1, GITS_TRANSLATION_FRAME = 0x10000, GITS_TRANSLATER = 0x40,
	GITS_TYPE_DEVICES = 1, GITS_TYPE_COLLECTIONS = 4,
	GICR_CTLR = 0x0, GICR_TYPER = 0x8, GICR_PROPBASER = 0x70, GICR_PENDBASER = 0x78,
	GICR_CTLR_LPIS = 1, GICR_TYPER_PLPIS = 1,

	CMD_MOVI = 0x01, CMD_CLEAR = 0x04, CMD_SYNC = 0x05, CMD_MAPD = 0x08, CMD_MAPC = 0x09,
	CMD_MAPTI = 0x0a, CMD_INV = 0x0c, CMD_INVALL = 0x0d, CMD_DISCARD = 0x0f,
	CMD_BYTES = 32, QUEUE_BYTES = 4096, EVENT_BITS = 5,

	LPI_BITS = 14, LPI_COUNT = (1 << LPI_BITS) - LPI_FIRST,
	PENDING_BYTES = (1 << LPI_BITS) / 8,
	LPI_OFF = 0xa2, LPI_ON = 0xa3,	/* priority as of every interrupt; bit 1 is RES1 */
	ITS_ALIGN = 0x10000, DEVICE_BITS_MAX = 16,
};
#define BASER_VALID	(1UL << 63)
#define GITS_TYPER_PTA	(1UL << 19)
/* Inner cacheability at bit 59 or 7, shareability at 11:10: write-back and inner
 * shareable where tables are snooped, else non-cacheable. */
#define GITS_COHERENT	(7UL << 59 | 1UL << 10)
#define GITS_UNCACHED	(1UL << 59)
#define GICR_COHERENT	(7UL << 7 | 1UL << 10)
#define GICR_UNCACHED	(1UL << 7)
static_assert(IO_DEVICES * IO_EVENTS == LPI_COUNT && 1 << EVENT_BITS == IO_EVENTS, "LPIs");

struct its {
	uint64_t base;			/* 0: not usable */
	uint64_t *queue;
	uint32_t write;			/* offset of the next command */
	uint32_t device_bits;
	uint64_t target[ARCH_MAX_CPUS];	/* RDbase of each CPU's redistributor */
};

static struct its itss[BOOT_MAX_ITS];
static uint8_t *properties;		/* of LPI_FIRST on; NULL: no LPIs */
static bool coherent;

/* ---- commands --------------------------------------------------------------- */

/* The ITS has read all that was written, or it is broken. */
static void
queue_drain(const struct its *its)
{
	uint64_t limit = arch_now() + sysreg_read("cntfrq_el0");

	while ((mmio_read64(its->base + GITS_CREADR) & 0xfffff) != its->write) {
		if (arch_now() <= limit)
			continue;
		log_text("its: GITS_CREADR ");
		log_hex(mmio_read64(its->base + GITS_CREADR));
		log_text(", GITS_CWRITER ");
		log_hex(its->write);
		panic("an ITS does not execute its commands");
	}
}

static void
command(struct its *its, uint64_t w0, uint64_t w1, uint64_t w2)
{
	uint64_t *slot = its->queue + its->write / sizeof(uint64_t);

	slot[0] = w0;
	slot[1] = w1;
	slot[2] = w2;
	slot[3] = 0;
	dma_sync(slot, CMD_BYTES, coherent);	/* the command before the pointer behind it */
	its->write = (its->write + CMD_BYTES) % QUEUE_BYTES;
	mmio_write64(its->base + GITS_CWRITER, its->write);
	queue_drain(its);
}

static void
event_command(const struct io_device *d, unsigned number, uint64_t event, uint64_t w2)
{
	command(&itss[d->its], number | (uint64_t)d->device << 32, event, w2);
}

/* What was told before has taken effect at a CPU's redistributor. */
static void
sync(struct its *its, unsigned cpu)
{
	command(its, CMD_SYNC, 0, its->target[cpu]);
}

/* ---- set up ------------------------------------------------------------------ */

/* Write a table register and see whether the page size was taken (12.19.1). */
static bool
table_try(uint64_t reg, uint64_t bytes, unsigned page_shift, unsigned page_code)
{
	uint64_t pages = (bytes + (1UL << page_shift) - 1) >> page_shift, value;
	paddr_t table;

	mmio_write64(reg, (uint64_t)page_code << 8);
	if ((mmio_read64(reg) >> 8 & 3) != page_code || pages > 256)
		return false;
	table = mmu_reserve(pages << page_shift, 1UL << page_shift);
	value = BASER_VALID | table | (uint64_t)page_code << 8 | (pages - 1);
	mmio_write64(reg, value | (coherent ? GITS_COHERENT : GITS_UNCACHED));
	if (coherent && (mmio_read64(reg) & 3 << 10) == 0)
		mmio_write64(reg, value | GITS_UNCACHED);
	return true;
}

static bool
tables_init(struct its *its, unsigned cpus_found)
{
	static const uint8_t shift[3] = { 12, 14, 16 };
	bool devices = false;

	for (unsigned i = 0; i < GITS_BASERS; i++) {
		uint64_t reg = its->base + GITS_BASER + 8UL * i, baser = mmio_read64(reg);
		uint64_t type = baser >> 56 & 7, entry = (baser >> 48 & 0x1f) + 1, count = 0;
		bool done = false;

		if (type == GITS_TYPE_DEVICES)
			count = 1UL << its->device_bits;
		else if (type == GITS_TYPE_COLLECTIONS)
			count = cpus_found;
		for (unsigned p = 0; p < 3 && count != 0 && !done; p++)
			done = table_try(reg, count * entry, shift[p], p);
		if (count != 0 && !done)
			return false;
		devices |= type == GITS_TYPE_DEVICES;
	}
	return devices;
}

static void
queue_init(struct its *its)
{
	paddr_t queue = mmu_reserve(QUEUE_BYTES, ITS_ALIGN);
	uint64_t value = BASER_VALID | queue;

	its->queue = phys_to_kernel(queue);
	mmio_write64(its->base + GITS_CBASER, value | (coherent ? GITS_COHERENT : GITS_UNCACHED));
	if (coherent && (mmio_read64(its->base + GITS_CBASER) & 3 << 10) == 0)
		mmio_write64(its->base + GITS_CBASER, value | GITS_UNCACHED);
	mmio_write64(its->base + GITS_CWRITER, 0);
}

/* How commands name a redistributor: by address or by number (12.19.9). */
static uint64_t
redistributor_target(uint64_t gicr, uint64_t its_typer)
{
	if ((its_typer & GITS_TYPER_PTA) != 0)
		return gicr;
	return (mmio_read64(gicr + GICR_TYPER) >> 8 & 0xffff) << 16;
}

/* DeviceIDs that the platform has, as bits. */
static uint32_t
device_bits_wanted(const struct bootinfo *boot, uint32_t n)
{
	uint32_t bits = 1, last = 1;

	for (uint32_t i = 0; i < boot->stream_count && i < BOOT_MAX_STREAMS; i++) {
		const struct boot_stream *s = &boot->stream[i];

		if (s->its == (int32_t)n && s->device_base + s->count - 1 > last)
			last = s->device_base + s->count - 1;
	}
	while (bits < DEVICE_BITS_MAX && last >> bits != 0)
		bits++;
	return bits;
}

static bool
its_start(struct its *its, const struct bootinfo *boot, uint32_t n, unsigned cpus_found)
{
	uint64_t typer, limit = arch_now() + sysreg_read("cntfrq_el0");
	uint32_t device_bits;

	*its = (struct its){ .base = boot->gic.its[n].base };
	mmio_write32(its->base + GITS_CTLR, 0);
	while ((mmio_read32(its->base + GITS_CTLR) >> 31) == 0)	/* Quiescent */
		if (arch_now() > limit)
			return false;
	typer = mmio_read64(its->base + GITS_TYPER);
	device_bits = (typer >> 13 & 0x1f) + 1;
	its->device_bits = device_bits_wanted(boot, n);
	if (its->device_bits > device_bits)
		its->device_bits = device_bits;
	if ((typer >> 8 & 0x1f) + 1 < EVENT_BITS || !tables_init(its, cpus_found))
		return false;
	queue_init(its);
	mmio_write32(its->base + GITS_CTLR, GITS_CTLR_ENABLED);
	for (unsigned cpu = 0; cpu < cpus_found; cpu++) {
		its->target[cpu] = redistributor_target(cpus[cpu].arch.gicr, typer);
		command(its, CMD_MAPC, 0, BASER_VALID | its->target[cpu] | cpu);
		command(its, CMD_INVALL, 0, cpu);
		sync(its, cpu);
	}
	return true;
}

/*
 * Tell a redistributor where the LPIs' properties and pending bits are (12.11.21,
 * 12.11.25).  Once it has LPIs on it may refuse to switch them off.
 */
static bool
redistributor_lpis(uint64_t gicr, paddr_t pending)
{
	uint64_t prop = kernel_to_phys(properties) | (LPI_BITS - 1), pend = pending | 1UL << 62;

	if ((mmio_read64(gicr + GICR_TYPER) & GICR_TYPER_PLPIS) == 0)
		return false;
	mmio_write32(gicr + GICR_CTLR, mmio_read32(gicr + GICR_CTLR) & ~(uint32_t)GICR_CTLR_LPIS);
	if ((mmio_read32(gicr + GICR_CTLR) & GICR_CTLR_LPIS) != 0)
		return false;
	mmio_write64(gicr + GICR_PROPBASER, prop | (coherent ? GICR_COHERENT : GICR_UNCACHED));
	mmio_write64(gicr + GICR_PENDBASER, pend | (coherent ? GICR_COHERENT : GICR_UNCACHED));
	if (coherent && (mmio_read64(gicr + GICR_PROPBASER) & 3 << 10) == 0) {
		mmio_write64(gicr + GICR_PROPBASER, prop | GICR_UNCACHED);
		mmio_write64(gicr + GICR_PENDBASER, pend | GICR_UNCACHED);
	}
	mmio_write32(gicr + GICR_CTLR, mmio_read32(gicr + GICR_CTLR) | GICR_CTLR_LPIS);
	dsb_sy();
	return true;
}

static bool
lpis_init(unsigned cpus_found)
{
	if (gic_lpi_bits() < LPI_BITS)
		return false;
	properties = phys_to_kernel(mmu_reserve(LPI_COUNT, ARCH_PAGE));
	for (unsigned i = 0; i < LPI_COUNT; i++)
		properties[i] = LPI_OFF;
	dma_sync(properties, LPI_COUNT, coherent);
	for (unsigned cpu = 0; cpu < cpus_found; cpu++)
		if (!redistributor_lpis(cpus[cpu].arch.gicr, mmu_reserve(PENDING_BYTES, ITS_ALIGN)))
			return false;
	return true;
}

/* An ITS that is not usable is said so, and named in no assignment. */
void
its_init(const struct bootinfo *boot, unsigned cpus_found)
{
	if (boot->gic.its_count == 0)
		return;
	coherent = boot->gic.coherent != 0;
	if (!lpis_init(cpus_found)) {
		log_text("kernel: no LPIs: message interrupts are not available\n");
		return;
	}
	for (uint32_t i = 0; i < boot->gic.its_count; i++) {
		if (its_start(&itss[i], boot, i, cpus_found))
			continue;
		itss[i].base = 0;
		log_text("kernel: its ");
		log_hex(i);
		log_text(" is not usable\n");
	}
}

/* ---- devices ------------------------------------------------------------------- */

bool
its_device_ok(uint32_t its, uint32_t device)
{
	return its < BOOT_MAX_ITS && itss[its].base != 0 && device >> itss[its].device_bits == 0;
}

void
its_device_map(struct io_device *d)
{
	command(&itss[d->its], CMD_MAPD | (uint64_t)d->device << 32, EVENT_BITS - 1,
		BASER_VALID | kernel_to_phys(d->arch.itt));
}

/* Its events were discarded before; when this returns the ITS leaves the table alone. */
void
its_device_unmap(struct io_device *d)
{
	command(&itss[d->its], CMD_MAPD | (uint64_t)d->device << 32, 0, 0);
	sync(&itss[d->its], 0);
}

paddr_t
its_doorbell(uint32_t its)
{
	return itss[its].base + GITS_TRANSLATION_FRAME;
}

uint64_t
arch_doorbell_offset(void)
{
	return GITS_TRANSLATER;
}

void
arch_lpi_map(struct io_device *d, uint32_t event, uint32_t lpi)
{
	d->arch.cpu[event] = 0;
	event_command(d, CMD_MAPTI, event | (uint64_t)lpi << 32, 0);
}

void
arch_lpi_unmap(struct io_device *d, uint32_t event)
{
	event_command(d, CMD_DISCARD, event, 0);
	sync(&itss[d->its], d->arch.cpu[event]);
}

/* The device behind an LPI that is mapped. */
static struct io_device *
device_of(uint32_t intid)
{
	return io_devices[(intid - LPI_FIRST) / IO_EVENTS];
}

static void
property_set(struct io_device *d, uint32_t intid, uint8_t value)
{
	properties[intid - LPI_FIRST] = value;
	dma_sync(&properties[intid - LPI_FIRST], 1, coherent);
	event_command(d, CMD_INV, intid % IO_EVENTS, 0);
	sync(&itss[d->its], d->arch.cpu[intid % IO_EVENTS]);
}

void
its_lpi_enable(uint32_t intid, unsigned cpu)
{
	struct io_device *d = device_of(intid);

	if (d->arch.cpu[intid % IO_EVENTS] != cpu) {
		event_command(d, CMD_MOVI, intid % IO_EVENTS, cpu);
		sync(&itss[d->its], d->arch.cpu[intid % IO_EVENTS]);
		d->arch.cpu[intid % IO_EVENTS] = (uint8_t)cpu;
	}
	property_set(d, intid, LPI_ON);
}

/* Off; what comes is kept. */
void
its_lpi_mask(uint32_t intid)
{
	property_set(device_of(intid), intid, LPI_OFF);
}

/* Off, and no longer pending. */
void
its_lpi_disable(uint32_t intid)
{
	struct io_device *d = device_of(intid);

	property_set(d, intid, LPI_OFF);
	event_command(d, CMD_CLEAR, intid % IO_EVENTS, 0);
	sync(&itss[d->its], d->arch.cpu[intid % IO_EVENTS]);
}
