/* SPDX-License-Identifier: MIT */
/*
 * Buses, bridges and functions.  Bus numbers that firmware gave stay where they
 * make sense; bridges without get the numbers behind those of their siblings.
 * Numbers only grow on the way down and depth is bounded, so registers that lie
 * cannot lead in circles.
 */
#include <tessera/string.h>
#include "pci.h"

enum {
	HEADER_TYPE_SHIFT = 16, HEADER_MULTI = 0x80,
	CAP_FIRST = 0x40, CAP_LAST = 0xfc, CAP_MAX = (256 - CAP_FIRST) / 4,
	MSIX_ENTRY = 16,
	VIRTIO_VENDOR = 0x1af4, VIRTIO_CAPS = 4, VIRTIO_NOTIFY = 2,
	VIRTIO_CAP_BYTES = 16, VIRTIO_NOTIFY_BYTES = 20,
};

/* ---- capabilities --------------------------------------------------------- */

/* Does [offset, offset + length) lie in a memory BAR of the function? */
static bool
in_bar(const struct pci_function *f, uint32_t bar, uint64_t offset, uint64_t length)
{
	return bar < DEVICE_BARS && offset + length <= f->bar[bar].size;
}

/* Table size, and where the table lies (PCI Express Base 4.0 §7.7.2). */
static void
read_msix(const struct pci *pci, struct pci_function *f, unsigned at)
{
	uint32_t vectors = (pci_read(pci, f, at) >> 16 & 0x7ff) + 1;
	uint32_t table = pci_read(pci, f, at + 4);

	if (f->msix != 0 || !in_bar(f, table & 7, table & ~7u, (uint64_t)vectors * MSIX_ENTRY))
		return;
	f->msix = (uint8_t)at;
	f->msix_vectors = vectors;
	f->msix_bar = table & 7;
	f->msix_offset = table & ~7u;
}

/* virtio 1.1 §4.1.4; of several of a kind the first is meant. */
static void
read_virtio(const struct pci *pci, struct pci_function *f, unsigned at)
{
	uint32_t head = pci_read(pci, f, at), kind = head >> 24;
	uint32_t bytes = head >> 16 & 0xff, bar, offset, length, multiplier = 0;

	if (f->vendor != VIRTIO_VENDOR || kind == 0 || kind > VIRTIO_CAPS ||
	    bytes < (kind == VIRTIO_NOTIFY ? VIRTIO_NOTIFY_BYTES : VIRTIO_CAP_BYTES) ||
	    at + bytes > 256 || f->virtio[kind - 1].length != 0)
		return;
	bar = pci_read(pci, f, at + 4) & 0xff;
	offset = pci_read(pci, f, at + 8);
	length = pci_read(pci, f, at + 12);
	if (kind == VIRTIO_NOTIFY)
		multiplier = pci_read(pci, f, at + 16);
	if (!in_bar(f, bar, offset, length))
		return;
	f->virtio[kind - 1].bar = bar;
	f->virtio[kind - 1].offset = offset;
	f->virtio[kind - 1].length = length;
	f->virtio[kind - 1].multiplier = multiplier;
}

static void
read_capabilities(const struct pci *pci, struct pci_function *f)
{
	unsigned at, left = CAP_MAX;	/* more than there is room for is a loop */

	if ((pci_read(pci, f, PCI_COMMAND) & STATUS_CAPABILITIES) == 0)
		return;
	at = pci_read(pci, f, PCI_CAPABILITIES) & CAP_LAST;
	while (at >= CAP_FIRST && left-- > 0) {
		uint32_t head = pci_read(pci, f, at);

		if ((head & 0xff) == CAP_MSI)
			f->msi = (uint8_t)at;
		else if ((head & 0xff) == CAP_MSIX && at + 12 <= 256)
			read_msix(pci, f, at);
		else if ((head & 0xff) == CAP_VENDOR && at + VIRTIO_CAP_BYTES <= 256)
			read_virtio(pci, f, at);
		at = head >> 8 & CAP_LAST;
	}
}

/* ---- functions ------------------------------------------------------------ */

/* Windows of a bridge as the bus sees them (PCI-to-PCI Bridge 1.2 §3.2.5). */
static void
read_windows(const struct pci *pci, struct pci_function *f)
{
	uint32_t memory = pci_read(pci, f, PCI_MEMORY_WINDOW);
	uint32_t prefetch = pci_read(pci, f, PCI_PREFETCH_WINDOW);
	uint64_t base = (uint64_t)(memory & 0xfff0) << 16, limit = memory | 0xfffff;

	if (base <= limit)
		f->memory = (struct pci_range){ base, limit + 1 - base };
	base = (uint64_t)(prefetch & 0xfff0) << 16;
	limit = prefetch | 0xfffff;
	if ((prefetch & 15) == 1) {
		base |= (uint64_t)pci_read(pci, f, PCI_PREFETCH_BASE_HIGH) << 32;
		limit |= (uint64_t)pci_read(pci, f, PCI_PREFETCH_LIMIT_HIGH) << 32;
	}
	if (base <= limit && limit != UINT64_MAX)
		f->prefetch = (struct pci_range){ base, limit + 1 - base };
}

/* false: nobody answers there, or there is no room. */
static bool
add_function(struct pci *pci, unsigned host, uint16_t rid, int parent)
{
	const struct pci_host *h = &pci->host[host];
	uint32_t id = config_read(h, rid, PCI_ID);
	struct pci_function *f;
	unsigned type;

	if ((id & 0xffff) == 0xffff || id == 0)
		return false;
	if (pci->count == PCI_MAX_FUNCTIONS) {
		pci->full = true;
		return false;
	}
	f = &pci->function[pci->count++];
	memset(f, 0, sizeof *f);
	f->host = (uint8_t)host;
	f->rid = rid;
	f->parent = parent;
	f->vendor = (uint16_t)id;
	f->device = (uint16_t)(id >> 16);
	f->class_code = config_read(h, rid, PCI_CLASS) >> 8;
	type = config_read(h, rid, PCI_HEADER) >> HEADER_TYPE_SHIFT & 0x7f;
	f->bridge = type == 1;
	f->broken = type > 1;
	if (type == 0)
		f->subsystem = config_read(h, rid, PCI_SUBSYSTEM);
	if (f->broken)
		return true;
	pci_bars_size(pci, f);
	read_capabilities(pci, f);
	if (f->bridge)
		read_windows(pci, f);
	return true;
}

static void
scan_device(struct pci *pci, unsigned host, unsigned bus, unsigned device, int parent)
{
	uint16_t rid = (uint16_t)(bus << 8 | device << 3);

	if (!add_function(pci, host, rid, parent))
		return;
	if ((config_read(&pci->host[host], rid, PCI_HEADER) >> HEADER_TYPE_SHIFT & HEADER_MULTI) == 0)
		return;
	for (uint16_t i = 1; i < 8; i++)
		add_function(pci, host, (uint16_t)(rid | i), parent);
}

/* ---- buses ---------------------------------------------------------------- */

/* false: the bridge does not take them. */
static bool
set_buses(const struct pci *pci, const struct pci_function *f, unsigned bus, unsigned secondary,
    unsigned subordinate)
{
	uint32_t old = pci_read(pci, f, PCI_BUSES);
	uint32_t new = (old & 0xff000000) | bus | secondary << 8 | subordinate << 16;

	if (old == new)
		return true;
	pci_write(pci, f, PCI_BUSES, new);
	return (pci_read(pci, f, PCI_BUSES) & 0xffffff) == (new & 0xffffff);
}

static void
close_bridge(const struct pci *pci, struct pci_function *f, unsigned bus)
{
	set_buses(pci, f, bus, 0, 0);
	f->secondary = f->subordinate = 0;
	f->broken = true;
}

static bool
buses_free(const uint32_t *taken, unsigned from, unsigned to)
{
	for (unsigned b = from; b <= to; b++)
		if (taken[b / 32] >> b % 32 & 1)
			return false;
	return true;
}

/* Did firmware give this bridge numbers that can be kept?  They are marked. */
static bool
firmware_buses(const struct pci *pci, struct pci_function *f, unsigned bus, unsigned limit,
    uint32_t *taken)
{
	uint32_t buses = pci_read(pci, f, PCI_BUSES);
	unsigned secondary = buses >> 8 & 0xff, subordinate = buses >> 16 & 0xff;

	if (secondary <= bus || subordinate < secondary || subordinate > limit ||
	    !buses_free(taken, secondary, subordinate))
		return false;
	for (unsigned b = secondary; b <= subordinate; b++)
		taken[b / 32] |= (uint32_t)1 << b % 32;
	f->secondary = (uint8_t)secondary;
	f->subordinate = (uint8_t)subordinate;
	return true;
}

/*
 * Before anything behind the bridges of a bus is looked at, those that do not
 * keep their numbers are closed: they would answer for others.
 */
static void
settle_bridge(const struct pci *pci, struct pci_function *f, unsigned bus, unsigned limit,
    bool never, uint32_t *taken)
{
	if (!f->bridge || f->broken)
		return;
	if (never || !firmware_buses(pci, f, bus, limit, taken))
		f->secondary = f->subordinate = 0;
	if (!set_buses(pci, f, bus, f->secondary, f->subordinate))
		close_bridge(pci, f, bus);
}

static unsigned scan_bus(struct pci *pci, unsigned host, unsigned bus, unsigned limit, int parent,
    unsigned depth, bool fresh);

/* A bridge without numbers: all that are left for it while it is looked
 * through, then those that were needed. */
static unsigned
open_bridge(struct pci *pci, unsigned index, unsigned bus, unsigned last, unsigned limit,
    unsigned depth)
{
	struct pci_function *f = &pci->function[index];
	struct pci_keep *keep = pci->keep;
	bool outermost = keep->opening.busy == 0;

	if (last == limit) {
		close_bridge(pci, f, bus);
		return last;
	}
	if (outermost) {
		keep->opening.rid = f->rid;
		keep->opening.host = f->host;
		keep->opening.busy = 1;
	}
	f->secondary = (uint8_t)(last + 1);
	f->subordinate = (uint8_t)limit;
	if (set_buses(pci, f, bus, last + 1, limit)) {
		last = scan_bus(pci, f->host, last + 1, limit, (int)index, depth + 1, true);
		f->subordinate = (uint8_t)last;
	}
	if (!set_buses(pci, f, bus, f->secondary, f->subordinate))
		close_bridge(pci, f, bus);
	if (outermost)
		keep->opening.busy = 0;
	return last;
}

/*
 * Everything on a bus and behind it; returns the last bus number in use.  On a
 * fresh one, which we opened ourselves, no bridge has numbers of firmware.
 */
static unsigned
scan_bus(struct pci *pci, unsigned host, unsigned bus, unsigned limit, int parent, unsigned depth,
    bool fresh)
{
	unsigned first = pci->count, end, last = bus;
	uint32_t taken[8] = { 0 };

	for (unsigned device = 0; device < 32; device++)
		scan_device(pci, host, bus, device, parent);
	end = pci->count;
	for (unsigned i = first; i < end; i++)
		settle_bridge(pci, &pci->function[i], bus, limit, fresh || depth == PCI_MAX_DEPTH, taken);
	for (unsigned i = first; i < end; i++) {
		struct pci_function *f = &pci->function[i];

		if (f->secondary == 0)
			continue;
		scan_bus(pci, host, f->secondary, f->subordinate, (int)i, depth + 1, false);
		if (f->subordinate > last)
			last = f->subordinate;
	}
	for (unsigned i = first; i < end; i++)
		pci->function[i].broken |= pci->function[i].bridge && depth == PCI_MAX_DEPTH;
	for (unsigned i = first; i < end; i++) {
		struct pci_function *f = &pci->function[i];

		if (f->bridge && !f->broken && f->secondary == 0)
			last = open_bridge(pci, i, bus, last, limit, depth);
	}
	return last;
}

void
pci_scan(struct pci *pci)
{
	for (unsigned i = 0; i < pci->host_count; i++) {
		const struct device_host *h = pci->host[i].facts;

		scan_bus(pci, i, h->bus_first, h->bus_last, PCI_NO_BRIDGE, 0, false);
	}
}

void
pci_enumerate(struct pci *pci, const struct device_hosts *hosts, struct pci_keep *keep)
{
	pci->keep = keep;
	pci->count = 0;
	pci->full = false;
	pci->host_count = hosts->count < DEVICE_MAX_HOSTS ? hosts->count : DEVICE_MAX_HOSTS;
	for (unsigned i = 0; i < pci->host_count; i++)
		pci->host[i].facts = &hosts->host[i];
	pci_keep_recover(pci);
	pci_scan(pci);
	pci_assign(pci);
}

bool
pci_describe(const struct pci *pci, const struct pci_function *f, struct device_found *found)
{
	if (f->bridge || f->broken)
		return false;
	*found = (struct device_found){
		.segment = (uint16_t)pci_host_of(pci, f)->facts->segment,
		.rid = f->rid,
		.vendor = f->vendor,
		.device = f->device,
		.class_code = f->class_code,
		.subsystem = f->subsystem,
		.msix_vectors = f->msix_vectors,
		.msix_bar = f->msix_bar,
		.msix_offset = f->msix_offset,
	};
	for (unsigned i = 0; i < DEVICE_BARS; i++)
		found->bar[i] = (struct device_bar){ f->bar[i].base, f->bar[i].size };
	for (unsigned i = 0; i < VIRTIO_CAPS; i++) {
		found->virtio[i].bar = f->virtio[i].bar;
		found->virtio[i].offset = f->virtio[i].offset;
		found->virtio[i].length = f->virtio[i].length;
		found->virtio[i].multiplier = f->virtio[i].multiplier;
	}
	return true;
}
