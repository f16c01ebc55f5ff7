/* SPDX-License-Identifier: MIT */
/*
 * From firmware's description of the machine to struct bootinfo.  dt.c and
 * acpi.c each fill the whole description or complain; neither knows of UEFI,
 * so both run on the build host too.
 */
#ifndef BOOT_PLATFORM_H
#define BOOT_PLATFORM_H

#include <tessera/bootinfo.h>

#include "text.h"

enum { PLATFORM_RANGES = 768 };

struct platform {
	struct bootinfo *info;
	uint64_t boot_mpidr;		/* who runs the loader: becomes cpu[0] */
	/* Ranges that the description names, for the memory map: MMIO
	 * (BOOT_MEM_DEVICE) and reserved RAM (BOOT_MEM_FIRMWARE). */
	unsigned range_count;
	struct boot_memory range[PLATFORM_RANGES];
};

/* Reads a flattened device tree of at most `limit` bytes. */
bool dt_read(const void *blob, size_t limit, struct platform *p, struct complaint *why);

/*
 * Reads the static ACPI tables.  Physical memory is seen through `at`, which
 * returns a null pointer for what cannot be read.
 */
struct acpi_memory {
	const void *(*at)(void *context, uint64_t phys, uint64_t size);
	void *context;
};
bool acpi_read(const struct acpi_memory *memory, uint64_t rsdp, struct platform *p,
    struct complaint *why);

/* For the two readers. */
bool platform_range(struct platform *p, uint64_t base, uint64_t size, uint32_t kind,
    struct complaint *why);
bool platform_cpu(struct platform *p, uint64_t mpidr, bool enabled, struct complaint *why);
bool platform_stream(struct platform *p, const struct boot_stream *stream, struct complaint *why);
bool platform_master(struct platform *p, const char *name, size_t name_size, uint64_t base,
    struct complaint *why);
/* What both formats must have named; also adds the known devices' ranges. */
bool platform_finish(struct platform *p, struct complaint *why);

/*
 * bridge.c: the windows of a PCIe host that no static table tells, from what
 * UEFI's root bridge protocol says is in use (resource descriptors, ACPI 6.5
 * 6.4.3.5.1), extended to the MMIO ranges around it that firmware's map of
 * address spaces knows (UEFI PI 1.8 II-7.2.4).
 */
struct bridge_space {
	uint64_t base;
	uint64_t size;
	bool mmio;
};
void bridge_windows(struct boot_ecam *ecam, const uint8_t *descriptors, size_t limit);
void bridge_extend(struct boot_ecam *ecam, const struct bridge_space *spaces, size_t count);

/* Ids [base, base + count) become [out, …) at `target`. */
struct id_map {
	uint64_t base;
	uint64_t count;
	uint64_t out;
	uint32_t target;
};
/*
 * The first of the maps that covers id, or count if none does.  *span becomes
 * the number of ids from id on for which this answer holds (0: to the end).
 */
unsigned id_map_find(const struct id_map *maps, unsigned count, uint64_t id, uint64_t *span);

#endif
