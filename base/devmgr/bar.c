/* SPDX-License-Identifier: MIT */
/*
 * What size BARs have (PCI Local Bus 3.0 §6.2.5.1): all ones are written, and
 * the bits that stay zero tell.  Decoding is off meanwhile, which a driver that
 * uses the device would notice: so it is done once, and the keep page knows it
 * for later lives of devmgr.
 */
#include <tessera/string.h>
#include "pci.h"

enum {
	KEEP_MAGIC = 0x31494350,	/* "PCI1" */
	BAR_IO = 1, BAR_TYPE = 6, BAR_WIDE = 4, BAR_FLAGS = 15,
	BRIDGE_BARS = 2,
	BROKEN = 0xff,
	DECODING_OFF = 1, MEASURING = 2,	/* pci_keep.sizing.busy */
	CLASS_HOST_BRIDGE = 0x0600,
};

/* Stores of the keep page in this order: init may kill us between any two. */
static inline void
ordered(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static unsigned
bar_register(unsigned i)
{
	return PCI_BAR0 + 4 * i;
}

void
pci_keep_recover(struct pci *pci)
{
	struct pci_keep *k = pci->keep;
	const struct pci_host *host;

	if (k->magic != KEEP_MAGIC || k->count > PCI_MAX_FUNCTIONS) {
		memset(k, 0, sizeof *k);
		k->magic = KEEP_MAGIC;
	}
	if (k->sizing.busy != 0 && k->sizing.host < pci->host_count && k->sizing.bar < DEVICE_BARS) {
		host = &pci->host[k->sizing.host];
		if (k->sizing.busy == MEASURING) {
			config_write(host, k->sizing.rid, bar_register(k->sizing.bar), k->sizing.low);
			if ((k->sizing.low & BAR_TYPE) == BAR_WIDE && k->sizing.bar + 1 < DEVICE_BARS)
				config_write(host, k->sizing.rid, bar_register(k->sizing.bar + 1u),
				    k->sizing.high);
		}
		config_write(host, k->sizing.rid, PCI_COMMAND,
		    k->sizing.command & ~(uint32_t)COMMAND_MASTER);
	}
	k->sizing.busy = 0;
	if (k->opening.busy != 0 && k->opening.host < pci->host_count) {
		host = &pci->host[k->opening.host];
		config_write(host, k->opening.rid, PCI_BUSES,
		    config_read(host, k->opening.rid, PCI_BUSES) & 0xff000000);
	}
	k->opening.busy = 0;
}

static struct pci_keep_sizes *
sizes_find(const struct pci *pci, const struct pci_function *f)
{
	for (uint32_t i = 0; i < pci->keep->count; i++) {
		struct pci_keep_sizes *s = &pci->keep->sizes[i];

		if (s->rid == f->rid && s->host == f->host)
			return s;
	}
	return NULL;
}

/* What finds no room is measured again in the next life. */
static void
sizes_add(struct pci_keep *k, const struct pci_keep_sizes *s)
{
	if (k->count == PCI_MAX_FUNCTIONS)
		return;
	k->sizes[k->count] = *s;
	ordered();
	k->count++;
}

/* ~0 for a size that is none. */
static uint64_t
size_of_mask(uint64_t mask)
{
	uint64_t size = ~mask + 1;

	if (mask == 0)
		return 0;
	return size < 16 || (size & (size - 1)) != 0 ? UINT64_MAX : size;
}

/* Write ones, read, put back. */
static uint64_t
measure(struct pci *pci, const struct pci_function *f, unsigned i, bool wide)
{
	struct pci_keep *k = pci->keep;
	uint64_t mask;

	k->sizing.bar = (uint8_t)i;
	k->sizing.low = pci_read(pci, f, bar_register(i));
	k->sizing.high = wide ? pci_read(pci, f, bar_register(i + 1)) : 0;
	ordered();
	k->sizing.busy = MEASURING;
	ordered();
	pci_write(pci, f, bar_register(i), UINT32_MAX);
	mask = pci_read(pci, f, bar_register(i)) & ~(uint32_t)BAR_FLAGS;
	if (wide) {
		pci_write(pci, f, bar_register(i + 1), UINT32_MAX);
		mask |= (uint64_t)pci_read(pci, f, bar_register(i + 1)) << 32;
		pci_write(pci, f, bar_register(i + 1), k->sizing.high);
	} else if (mask != 0) {
		mask |= (uint64_t)UINT32_MAX << 32;
	}
	pci_write(pci, f, bar_register(i), k->sizing.low);
	ordered();
	k->sizing.busy = DECODING_OFF;
	return size_of_mask(mask);
}

static unsigned
bar_count(const struct pci_function *f)
{
	return f->bridge ? BRIDGE_BARS : DEVICE_BARS;
}

/* false: something in the BARs makes no sense. */
static bool
measure_all(struct pci *pci, struct pci_function *f, struct pci_keep_sizes *s)
{
	for (unsigned i = 0; i < bar_count(f); i++) {
		uint32_t low = pci_read(pci, f, bar_register(i));
		bool wide = (low & BAR_TYPE) == BAR_WIDE;
		uint64_t size;

		if (low & BAR_IO)
			continue;
		if (wide && i + 1 == bar_count(f))
			return false;
		size = measure(pci, f, i, wide);
		if (size == UINT64_MAX)
			return false;
		if (size != 0)
			s->bits[i] = (uint8_t)__builtin_ctzll(size);
		if (wide)
			s->wide |= (uint8_t)(1 << i++);
	}
	return true;
}

/* Addresses on the bus so far; assign.c makes them the CPU's. */
static void
read_bars(const struct pci *pci, struct pci_function *f, const struct pci_keep_sizes *s)
{
	for (unsigned i = 0; i < bar_count(f); i++) {
		struct pci_bar *bar = &f->bar[i];

		if (s->bits[i] == 0)
			continue;
		bar->size = (uint64_t)1 << s->bits[i];
		bar->wide = s->wide >> i & 1;
		bar->base = pci_read(pci, f, bar_register(i)) & ~(uint32_t)BAR_FLAGS;
		if (bar->wide)
			bar->base |= (uint64_t)pci_read(pci, f, bar_register(i + 1)) << 32;
	}
}

void
pci_bars_size(struct pci *pci, struct pci_function *f)
{
	struct pci_keep_sizes *known = sizes_find(pci, f);
	struct pci_keep_sizes s = { .rid = f->rid, .host = f->host };
	struct pci_keep *k = pci->keep;
	uint32_t command;

	if (f->class_code >> 8 == CLASS_HOST_BRIDGE)
		return;		/* its registers are the host's own business */
	if (known != NULL) {
		f->broken = known->bits[0] == BROKEN;
		if (!f->broken)
			read_bars(pci, f, known);
		return;
	}
	command = pci_read(pci, f, PCI_COMMAND) & COMMAND_MASK;
	k->sizing.rid = f->rid;
	k->sizing.host = f->host;
	k->sizing.bar = 0;
	k->sizing.command = command;
	ordered();
	k->sizing.busy = DECODING_OFF;
	ordered();
	pci_write(pci, f, PCI_COMMAND,
	    command & ~(uint32_t)(COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER));
	f->broken = !measure_all(pci, f, &s);
	pci_write(pci, f, PCI_COMMAND, command & ~(uint32_t)COMMAND_MASTER);
	ordered();
	k->sizing.busy = 0;
	if (f->broken)
		return;
	read_bars(pci, f, &s);
	sizes_add(k, &s);
}

/* Its registers change as they like: nobody is to believe them the next time. */
void
pci_bars_break(struct pci *pci, struct pci_function *f)
{
	struct pci_keep_sizes *known = sizes_find(pci, f);
	struct pci_keep_sizes s = { .rid = f->rid, .host = f->host, .bits = { BROKEN } };

	f->broken = true;
	if (known != NULL)
		known->bits[0] = BROKEN;
	else
		sizes_add(pci->keep, &s);
}
