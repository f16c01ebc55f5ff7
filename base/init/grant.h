/* SPDX-License-Identifier: MIT */
/*
 * What init can check by itself of what devmgr says about a device
 * (proto/device.h), against what the loader found.  Pure; tested on the build
 * host.
 */
#ifndef INIT_GRANT_H
#define INIT_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tessera/bootinfo.h>
#include <proto/device.h>
#include "conf.h"

/* What the SMMU and the ITS know a function by. */
struct grant_stream {
	uint32_t smmu, stream;
	uint32_t its, device;		/* its: IO_NO_ITS if its messages reach none */
};

/* A null pointer if nothing in it is impossible, else what is. */
const char *grant_check(const struct bootinfo *boot, const struct device_found *d);

/* false: no SMMU covers it, so no driver gets it. */
bool grant_stream(const struct bootinfo *boot, const struct device_found *d,
    struct grant_stream *stream);

/* Does the driver want a function like this one? */
bool grant_matches(const struct conf_pci *pci, const struct device_found *d);

/* Do two functions share a page of registers? */
bool grant_overlaps(const struct device_found *a, const struct device_found *b);

/* Is a function as cache-coherent as firmware says? */
bool grant_coherent(const struct bootinfo *boot, const struct device_found *d);

#endif
