/* SPDX-License-Identifier: MIT */
/* The memory map in struct bootinfo: sorted, merged, painted over piece by piece. */
#ifndef BOOT_MEMORY_H
#define BOOT_MEMORY_H

#include "platform.h"

/* What may be painted over: a bit for each kind, and one for what is no range yet. */
#define MEMORY_OVER(kind)	(1u << (kind))
#define MEMORY_OVER_GAPS	1u

bool memory_paint(struct bootinfo *info, uint64_t base, uint64_t size, uint32_t kind,
    unsigned over, struct complaint *why);
/* Builds the map from UEFI's (2.10 7.2.3), then the platform's ranges on top. */
bool memory_from_efi(struct bootinfo *info, const void *map, uint64_t size,
    uint64_t descriptor_size, struct complaint *why);
bool memory_add_platform(struct bootinfo *info, const struct platform *p, struct complaint *why);

#endif
