/* SPDX-License-Identifier: MIT */
/*
 * Configuration space through the ECAM (PCI Express Base 4.0 §7.2.2).  The
 * address decodes itself: bus, device and function choose a page.
 */
#include "pci.h"

static volatile uint32_t *
config_word(const struct pci_host *host, uint16_t rid, unsigned at)
{
	uint64_t page = rid - ((uint64_t)host->facts->bus_first << 8);

	return (volatile uint32_t *)(host->facts->config + (page << 12) + at);
}

uint32_t
config_read(const struct pci_host *host, uint16_t rid, unsigned at)
{
	if (rid >> 8 < host->facts->bus_first || rid >> 8 > host->facts->bus_last)
		return UINT32_MAX;
	return *config_word(host, rid, at);
}

/* The mapping is Device-nGnRE: reading back waits for the device's own answer. */
void
config_write(const struct pci_host *host, uint16_t rid, unsigned at, uint32_t value)
{
	if (rid >> 8 < host->facts->bus_first || rid >> 8 > host->facts->bus_last)
		return;
	*config_word(host, rid, at) = value;
	(void)*config_word(host, rid, at);
}
