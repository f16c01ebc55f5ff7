/* SPDX-License-Identifier: MIT */
/*
 * See edu.h.
 */
#include "edu.h"

enum {
	EDU_VENDOR = 0x1234, EDU_DEVICE = 0x11e8, EDU_BAR_BITS = 20,
	EDU_RAISE = 0x60, EDU_ACK = 0x64,
	EDU_DMA_FROM = 0x80, EDU_DMA_TO = 0x88, EDU_DMA_COUNT = 0x90, EDU_DMA_COMMAND = 0x98,
	EDU_DMA_RUN = 1, EDU_DMA_TO_MEMORY = 2,
	EDU_BUFFER = 0x40000,		/* as its DMA engine addresses it */

	PCI_COMMAND = 0x04, PCI_BAR0 = 0x10, PCI_CAPABILITIES = 0x34,
	PCI_MEMORY = 2, PCI_MASTER = 4, PCI_CAP_MSI = 5,
	BUS_BITS = 20, FUNCTIONS = 256,
	PATIENCE_MS = 30000,
};

static uint64_t next_device_vaddr = 0x40000000UL;

uint64_t
ms_from_now(uint64_t n)
{
	return now() + n * info->timer_hz / 1000;
}

void
sleep_ms(uint64_t n)
{
	static uint32_t nothing;
	uint64_t bits;

	if (nothing == 0)
		nothing = make(OBJ_NOTIFICATION, 0);
	sys_wait(nothing, ms_from_now(n), &bits);
}

/* Registers at a physical address, from the device Untyped around it. */
void *
map_device(uint64_t base, unsigned size_bits)
{
	uint32_t slot = slot_new();
	uint64_t vaddr = next_device_vaddr;

	next_device_vaddr += 1UL << 24;
	for (uint32_t i = 0; i < info->untyped_count; i++) {
		const struct init_untyped *u = &info->untyped[i];

		if (u->device == 0 || base < u->base || base - u->base >= 1UL << u->size_bits)
			continue;
		must("device frame", untyped_retype(u->slot, OBJ_FRAME, size_bits, 0, slot, 1,
			base - u->base));
		must("device map", frame_map(slot, INIT_SLOT_VSPACE, vaddr, RIGHT_READ | RIGHT_WRITE,
			MAP_DEVICE));
		return (void *)vaddr;
	}
	return NULL;
}

static uint32_t
config_read(const struct edu *e, unsigned offset)
{
	return *(volatile uint32_t *)(e->config + offset);
}

static void
config_write(const struct edu *e, unsigned offset, uint32_t value)
{
	*(volatile uint32_t *)(e->config + offset) = value;
}

static bool
find_stream(struct edu *e)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;

	for (uint32_t i = 0; i < boot->stream_count; i++) {
		const struct boot_stream *s = &boot->stream[i];

		if (s->segment == 0 && e->rid >= s->rid_base && e->rid - s->rid_base < s->count &&
		    s->smmu >= 0 && s->its >= 0) {
			e->stream = *s;
			e->stream.stream_base += e->rid - s->rid_base;
			e->stream.device_base += e->rid - s->rid_base;
			return true;
		}
	}
	return false;
}

bool
edu_find(struct edu *e)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;
	volatile uint8_t *bus = map_device(boot->ecam[0].base, BUS_BITS);

	for (e->rid = 0; bus != NULL && e->rid < FUNCTIONS; e->rid++) {
		e->config = bus + 4096UL * e->rid;
		if (config_read(e, 0) != (EDU_VENDOR | (uint32_t)EDU_DEVICE << 16))
			continue;
		config_write(e, PCI_COMMAND, PCI_MEMORY | PCI_MASTER);
		e->registers = map_device(config_read(e, PCI_BAR0) & ~0xfUL, EDU_BAR_BITS);
		return e->registers != NULL && find_stream(e);
	}
	return false;
}

/* ---- DMA ------------------------------------------------------------------- */

static void
start(struct edu *e, uint64_t from, uint64_t to, unsigned bytes, unsigned command)
{
	*(volatile uint64_t *)(e->registers + EDU_DMA_FROM) = from;
	*(volatile uint64_t *)(e->registers + EDU_DMA_TO) = to;
	*(volatile uint64_t *)(e->registers + EDU_DMA_COUNT) = bytes;
	__asm__ volatile("dsb sy" : : : "memory");
	*(volatile uint64_t *)(e->registers + EDU_DMA_COMMAND) = command | EDU_DMA_RUN;
}

/* The engine starts a tenth of a second after it was told. */
bool
edu_finish(struct edu *e)
{
	uint64_t limit = ms_from_now(PATIENCE_MS);

	while ((*(volatile uint64_t *)(e->registers + EDU_DMA_COMMAND) & EDU_DMA_RUN) != 0) {
		if (now() > limit)
			return false;
		sleep_ms(1);
	}
	return true;
}

void
edu_start_write(struct edu *e, uint64_t iova, unsigned bytes)
{
	start(e, EDU_BUFFER, iova, bytes, EDU_DMA_TO_MEMORY);
}

bool
edu_write_memory(struct edu *e, uint64_t iova, unsigned bytes)
{
	edu_start_write(e, iova, bytes);
	return edu_finish(e);
}

bool
edu_read_memory(struct edu *e, uint64_t iova, unsigned bytes)
{
	start(e, iova, EDU_BUFFER, bytes, 0);
	return edu_finish(e);
}

/* ---- message ---------------------------------------------------------------- */

/* PCI 3.0 6.8.1: message control, 64-bit address, data. */
bool
edu_set_message(struct edu *e, uint64_t address, uint32_t data)
{
	unsigned at = config_read(e, PCI_CAPABILITIES) & 0xfc;

	while (at != 0 && (config_read(e, at) & 0xff) != PCI_CAP_MSI)
		at = config_read(e, at) >> 8 & 0xfc;
	if (at == 0)
		return false;
	config_write(e, at + 4, (uint32_t)address);
	config_write(e, at + 8, (uint32_t)(address >> 32));
	config_write(e, at + 12, data);
	config_write(e, at, config_read(e, at) | 1u << 16);
	return true;
}

void
edu_send_message(struct edu *e)
{
	*(volatile uint32_t *)(e->registers + EDU_RAISE) = 1;
	*(volatile uint32_t *)(e->registers + EDU_ACK) = 1;
}
