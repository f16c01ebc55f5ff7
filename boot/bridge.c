/* SPDX-License-Identifier: MIT */
/* The windows of PCIe hosts as UEFI knows them, for machines described by ACPI. */
#include <string.h>

#include "platform.h"

enum { QWORD_ADDRESS_SPACE = 0x8a, END_TAG = 0x79, DESCRIPTOR = 46 };

static uint64_t
read64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, 8);
	return value;
}

/* A descriptor's range is the CPU's view; the bus's is `translation` further. */
static void
use_descriptor(struct boot_ecam *ecam, const uint8_t *d)
{
	uint64_t granularity = read64(d + 6), base = read64(d + 14);
	uint64_t translation = read64(d + 30), size = read64(d + 38);

	if (d[3] != 0 || size == 0 || base + size < base)
		return;		/* not memory */
	if (granularity == 32 && size > ecam->mem32.size) {
		ecam->mem32 = (struct boot_range){ base, size };
		ecam->mem32_bus = base + translation;
	}
	if (granularity == 64 && size > ecam->mem64.size) {
		ecam->mem64 = (struct boot_range){ base, size };
		ecam->mem64_bus = base + translation;
	}
}

void
bridge_windows(struct boot_ecam *ecam, const uint8_t *descriptors, size_t limit)
{
	for (size_t at = 0; at + DESCRIPTOR <= limit; at += DESCRIPTOR) {
		if (descriptors[at] != QWORD_ADDRESS_SPACE)
			break;	/* END_TAG, or what we do not know */
		use_descriptor(ecam, descriptors + at);
	}
}

static bool
touches(const struct boot_range *r, const struct bridge_space *s)
{
	return s->mmio && s->size != 0 && s->base + s->size > s->base &&
	    s->base <= r->base + r->size && r->base <= s->base + s->size;
}

/*
 * Grows the window over every MMIO range that touches it, until none is left.
 * Firmware's map does not tell the host's window for I/O ports from the one for
 * memory: where they adjoin (QEMU: the last 64 KiB), the result includes both.
 */
static void
extend(struct boot_range *window, uint64_t *bus, const struct bridge_space *spaces, size_t count)
{
	bool grown = window->size != 0;

	while (grown) {
		grown = false;
		for (size_t i = 0; i < count; i++) {
			uint64_t base = window->base, end = window->base + window->size;

			if (!touches(window, &spaces[i]))
				continue;
			if (spaces[i].base < base)
				base = spaces[i].base;
			if (spaces[i].base + spaces[i].size > end)
				end = spaces[i].base + spaces[i].size;
			grown |= base != window->base || end != window->base + window->size;
			*bus -= window->base - base;
			*window = (struct boot_range){ base, end - base };
		}
	}
}

void
bridge_extend(struct boot_ecam *ecam, const struct bridge_space *spaces, size_t count)
{
	extend(&ecam->mem32, &ecam->mem32_bus, spaces, count);
	extend(&ecam->mem64, &ecam->mem64_bus, spaces, count);
}
