/* SPDX-License-Identifier: MIT */
/*
 * Firmware leaves devices running: an NVMe controller is still enabled, with
 * bus mastering on and the SMMU in bypass, when boot services have ended.
 * This file stops them, with the MMU off, so that every address is physical
 * and every access Device-nGnRnE (Arm ARM DDI 0487 D8.2.12).
 */
#include "loader.h"

enum { COMMAND = 0x04, CLASS = 0x08, HEADER_TYPE = 0x0c, BAR0 = 0x10, BAR1 = 0x14 };
enum { COMMAND_MEMORY = 2, COMMAND_BUS_MASTER = 4 };
enum { CLASS_NVME = 0x010802 };
enum { NVME_CAP = 0x00, NVME_CC = 0x14, NVME_CSTS = 0x1c };

static uint32_t
read32(uint64_t at)
{
	uint32_t value = *(volatile uint32_t *)at;

	__asm__ volatile("dsb sy" ::: "memory");
	return value;
}

static void
write32(uint64_t at, uint32_t value)
{
	__asm__ volatile("dsb sy" ::: "memory");
	*(volatile uint32_t *)at = value;
	__asm__ volatile("dsb sy" ::: "memory");
}

/* A bus address as the CPU sees it; the identity where no window is known. */
static uint64_t
from_bus(const struct boot_ecam *e, uint64_t bus)
{
	if (bus - e->mem32_bus < e->mem32.size)
		return bus - e->mem32_bus + e->mem32.base;
	if (bus - e->mem64_bus < e->mem64.size)
		return bus - e->mem64_bus + e->mem64.base;
	return bus;
}

/* NVMe 1.4 3.1.5: CC.EN = 0 resets; wait for CSTS.RDY = 0 within CAP.TO. */
static void
nvme_disable(const struct boot_ecam *e, uint64_t function)
{
	uint64_t bar = read32(function + BAR0);
	uint64_t registers, deadline;
	uint32_t cc;

	if ((bar & 6) == 4)
		bar |= (uint64_t)read32(function + BAR1) << 32;
	bar &= ~(uint64_t)15;
	if (bar == 0 || (read32(function + COMMAND) & COMMAND_MEMORY) == 0)
		return;
	registers = from_bus(e, bar);
	cc = read32(registers + NVME_CC);
	if (cc == 0xffffffff || (cc & 1) == 0)
		return;
	deadline = counter() +
	    (uint64_t)(read32(registers + NVME_CAP) >> 24) * (counter_frequency() / 2);
	write32(registers + NVME_CC, cc & ~1u);
	while ((read32(registers + NVME_CSTS) & 1) != 0 && counter() < deadline)
		continue;
}

/* The upper half of the command register is write-one-to-clear: zeros there. */
static void
function_stop(const struct boot_ecam *e, uint64_t function)
{
	uint32_t command = read32(function + COMMAND) & 0xffff;

	if (read32(function + CLASS) >> 8 == CLASS_NVME)
		nvme_disable(e, function);
	if ((command & COMMAND_BUS_MASTER) != 0)
		write32(function + COMMAND, command & ~(uint32_t)COMMAND_BUS_MASTER);
}

static bool
present(uint64_t function)
{
	uint32_t id = read32(function);

	return id != 0xffffffff && (id & 0xffff) != 0xffff;
}

static void
device_stop(const struct boot_ecam *e, uint64_t device)
{
	if (!present(device))
		return;
	function_stop(e, device);
	if ((read32(device + HEADER_TYPE) >> 16 & 0x80) == 0)
		return;		/* a single function */
	for (unsigned f = 1; f < 8; f++)
		if (present(device + ((uint64_t)f << 12)))
			function_stop(e, device + ((uint64_t)f << 12));
}

/* Inner devices before the bridges that lead to them, so last bus first. */
void
devices_stop(const struct bootinfo *info)
{
	for (unsigned i = 0; i < info->ecam_count; i++) {
		const struct boot_ecam *e = &info->ecam[i];
		unsigned buses = (unsigned)(e->bus_last - e->bus_first) + 1;

		for (unsigned bus = buses; bus-- > 0;)
			for (unsigned device = 0; device < 32; device++)
				device_stop(e, e->base + ((uint64_t)bus << 20) +
				    ((uint64_t)device << 15));
	}
}
