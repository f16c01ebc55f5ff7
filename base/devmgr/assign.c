/* SPDX-License-Identifier: MIT */
/*
 * Where BARs and bridge windows lie.  What firmware gave stays if it lies in
 * the windows above it and shares no page with anybody: who is granted a BAR is
 * granted its pages.  The rest gets the first free place.
 *
 * From here on addresses are the CPU's.  Missing BARs behind a bridge go into
 * its window for 32-bit memory, whatever they are: every BAR may lie there.
 */
#include "pci.h"

enum { BRIDGE_UNIT = 1 << 20, WINDOW_CLOSED = 0x0000fff0 };

static uint64_t
round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static bool
inside(const struct pci_range *outer, uint64_t base, uint64_t size)
{
	return size <= outer->size && base - outer->base <= outer->size - size;
}

static bool
overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a_size != 0 && b_size != 0 && a < b + b_size && b < a + a_size;
}

static struct pci_range
host_window(const struct device_host *h, bool wide)
{
	const struct device_window *w = wide ? &h->mem64 : &h->mem32;

	return (struct pci_range){ w->base, w->size };
}

/* An address on the bus as the CPU sees it; false: no window of the host has all of it. */
static bool
from_bus(const struct device_host *h, uint64_t bus, uint64_t size, uint64_t *base)
{
	const struct device_window *windows[2] = { &h->mem32, &h->mem64 };

	for (unsigned i = 0; i < 2; i++) {
		const struct device_window *w = windows[i];
		struct pci_range on_bus = { w->bus, w->size };

		if (!inside(&on_bus, bus, size))
			continue;
		*base = bus - w->bus + w->base;
		return true;
	}
	return false;
}

static uint64_t
to_bus(const struct device_host *h, uint64_t base)
{
	struct pci_range mem32 = host_window(h, false);

	if (inside(&mem32, base, 1))
		return base - h->mem32.base + h->mem32.bus;
	return base - h->mem64.base + h->mem64.bus;
}

static const struct device_host *
facts_of(const struct pci *pci, const struct pci_function *f)
{
	return pci->host[f->host].facts;
}

/* Is `bridge` one of those that lead to f? */
static bool
leads_to(const struct pci *pci, int bridge, const struct pci_function *f)
{
	for (int i = f->parent; i != PCI_NO_BRIDGE; i = pci->function[i].parent)
		if (i == bridge)
			return true;
	return false;
}

/* ---- what firmware gave --------------------------------------------------- */

/* Whose page is it already?  Only BARs of functions before `end` count, and its own. */
static bool
bar_taken(const struct pci *pci, uint64_t base, uint64_t size)
{
	uint64_t page = base & ~(uint64_t)(PAGE - 1), bytes = round_up(base + size, PAGE) - page;

	for (unsigned i = 0; i < pci->count; i++)
		for (unsigned k = 0; k < DEVICE_BARS; k++) {
			const struct pci_bar *b = &pci->function[i].bar[k];

			if (b->assigned && overlap(page, bytes, b->base & ~(uint64_t)(PAGE - 1),
			    round_up(b->size, PAGE)))
				return true;
		}
	return false;
}

/* Do the bridges above pass on accesses to it? */
static bool
reachable(const struct pci *pci, const struct pci_function *f, uint64_t base, uint64_t size)
{
	for (int i = f->parent; i != PCI_NO_BRIDGE; i = pci->function[i].parent) {
		const struct pci_function *b = &pci->function[i];

		if (!inside(&b->memory, base, size) && !inside(&b->prefetch, base, size))
			return false;
	}
	return true;
}

/* Does a window of a bridge that does not lead to f pass it elsewhere? */
static bool
window_taken(const struct pci *pci, const struct pci_function *f, uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < pci->count; i++) {
		const struct pci_function *b = &pci->function[i];

		if (!b->bridge || b == f || leads_to(pci, (int)i, f))
			continue;
		if (overlap(base, size, b->memory.base, b->memory.size) ||
		    overlap(base, size, b->prefetch.base, b->prefetch.size))
			return true;
	}
	return false;
}

static void
keep_bar(struct pci *pci, struct pci_function *f, struct pci_bar *bar)
{
	uint64_t base;

	bar->assigned = bar->base != 0 && (bar->base & (bar->size - 1)) == 0 &&
	    from_bus(facts_of(pci, f), bar->base, bar->size, &base) &&
	    reachable(pci, f, base, bar->size) && !window_taken(pci, f, base, bar->size) &&
	    !bar_taken(pci, base, bar->size);
	bar->base = bar->assigned ? base : 0;
}

/* A window of a bridge: the CPU's addresses, or closed where it makes no sense. */
static void
keep_window(struct pci *pci, struct pci_function *f, struct pci_range *window, unsigned at)
{
	struct pci_range w = *window;

	*window = (struct pci_range){ 0, 0 };
	if (w.size == 0)
		return;
	if (f->broken || f->secondary == 0 || w.base == 0 ||
	    !from_bus(facts_of(pci, f), w.base, w.size, &w.base) ||
	    !reachable(pci, f, w.base, w.size) || window_taken(pci, f, w.base, w.size))
		pci_write(pci, f, at, WINDOW_CLOSED);
	else
		*window = w;
}

/* ---- what is missing ------------------------------------------------------ */

/* The first free place in a container for something of f's. */
static bool
first_fit(const struct pci *pci, const struct pci_function *f, const struct pci_range *container,
    uint64_t size, uint64_t align, uint64_t *place)
{
	uint64_t at = round_up(container->base, align);
	bool moved = true;

	if (at == 0)
		at = align;	/* 0 means that there is no address */
	while (moved) {
		moved = false;
		if (!inside(container, at, size))
			return false;
		for (unsigned i = 0; i < pci->count; i++) {
			const struct pci_function *o = &pci->function[i];
			struct pci_range busy[DEVICE_BARS + 2] = { { 0, 0 } };

			for (unsigned k = 0; k < DEVICE_BARS; k++)
				if (o->bar[k].assigned)
					busy[k] = (struct pci_range){ o->bar[k].base & ~(uint64_t)(PAGE - 1),
						round_up(o->bar[k].size, PAGE) };
			if (o->bridge && o != f && !leads_to(pci, (int)i, f)) {
				busy[DEVICE_BARS] = o->memory;
				busy[DEVICE_BARS + 1] = o->prefetch;
			}
			for (unsigned k = 0; k < DEVICE_BARS + 2; k++) {
				if (!overlap(at, size, busy[k].base, busy[k].size))
					continue;
				at = round_up(busy[k].base + busy[k].size, align);
				moved = true;
			}
		}
	}
	*place = at;
	return true;
}

static struct pci_range
container_of(const struct pci *pci, const struct pci_function *f)
{
	if (f->parent == PCI_NO_BRIDGE)
		return host_window(facts_of(pci, f), false);
	return pci->function[f->parent].memory;
}

static void
command_off(const struct pci *pci, const struct pci_function *f, uint32_t bits)
{
	uint32_t command = pci_read(pci, f, PCI_COMMAND) & COMMAND_MASK;

	if (command & bits)
		pci_write(pci, f, PCI_COMMAND, command & ~bits);
}

static void
place_bar(struct pci *pci, struct pci_function *f, unsigned i)
{
	struct pci_bar *bar = &f->bar[i];
	struct pci_range container = container_of(pci, f), wide;
	uint64_t align = bar->size < PAGE ? PAGE : bar->size, bus;
	bool found = false;

	if (f->parent == PCI_NO_BRIDGE && bar->wide) {
		wide = host_window(facts_of(pci, f), true);
		found = first_fit(pci, f, &wide, align, align, &bar->base);
	}
	if (!found && !first_fit(pci, f, &container, align, align, &bar->base)) {
		bar->base = 0;
		f->broken = true;
		return;
	}
	bus = to_bus(facts_of(pci, f), bar->base);
	if (!bar->wide && bus + bar->size > (uint64_t)1 << 32) {
		bar->base = 0;
		f->broken = true;
		return;
	}
	command_off(pci, f, COMMAND_MEMORY);
	pci_write(pci, f, PCI_BAR0 + 4 * i, (uint32_t)bus);
	if (bar->wide)
		pci_write(pci, f, PCI_BAR0 + 4 * (i + 1), (uint32_t)(bus >> 32));
	bar->assigned = (pci_read(pci, f, PCI_BAR0 + 4 * i) & ~15u) == (uint32_t)bus &&
	    (!bar->wide || pci_read(pci, f, PCI_BAR0 + 4 * (i + 1)) == bus >> 32);
	f->broken = !bar->assigned;
}

/* What is missing behind a bridge: twice the sum leaves room for alignment. */
static uint64_t
window_wanted(const struct pci *pci, unsigned bridge, uint64_t *align)
{
	uint64_t sum = 0;

	*align = BRIDGE_UNIT;
	for (unsigned i = bridge + 1; i < pci->count; i++) {
		const struct pci_function *f = &pci->function[i];

		if (f->broken || !leads_to(pci, (int)bridge, f))
			continue;
		if (f->bridge)
			sum += BRIDGE_UNIT;
		for (unsigned k = 0; k < DEVICE_BARS; k++) {
			if (f->bridge || f->bar[k].size == 0 || f->bar[k].assigned)
				continue;
			sum += 2 * round_up(f->bar[k].size, PAGE);
			if (f->bar[k].size > *align)
				*align = f->bar[k].size;
		}
	}
	return round_up(sum, BRIDGE_UNIT);
}

/* Open a bridge that firmware left closed, if anything behind it wants a place. */
static void
place_window(struct pci *pci, unsigned index)
{
	struct pci_function *f = &pci->function[index];
	struct pci_range container = container_of(pci, f);
	uint64_t align, size = window_wanted(pci, index, &align), base, bus;
	uint32_t window;

	if (size == 0 || !first_fit(pci, f, &container, size, align, &base))
		return;		/* those behind it will find no place */
	bus = to_bus(facts_of(pci, f), base);
	if (bus + size > (uint64_t)1 << 32)
		return;
	window = (uint32_t)(bus >> 16 & 0xfff0) | (uint32_t)((bus + size - 1) & 0xfff00000);
	pci_write(pci, f, PCI_MEMORY_WINDOW, window);
	if ((pci_read(pci, f, PCI_MEMORY_WINDOW) & 0xfff0fff0) == window)
		f->memory = (struct pci_range){ base, size };
	else
		pci_write(pci, f, PCI_MEMORY_WINDOW, WINDOW_CLOSED);
}

void
pci_assign(struct pci *pci)
{
	for (unsigned i = 0; i < pci->count; i++) {
		struct pci_function *f = &pci->function[i];

		if (!f->bridge)
			continue;
		keep_window(pci, f, &f->memory, PCI_MEMORY_WINDOW);
		keep_window(pci, f, &f->prefetch, PCI_PREFETCH_WINDOW);
	}
	for (unsigned i = 0; i < pci->count; i++)
		for (unsigned k = 0; k < DEVICE_BARS; k++)
			if (!pci->function[i].broken && pci->function[i].bar[k].size != 0)
				keep_bar(pci, &pci->function[i], &pci->function[i].bar[k]);
	for (unsigned i = 0; i < pci->count; i++) {
		struct pci_function *f = &pci->function[i];

		if (f->bridge && !f->broken && f->secondary != 0 && f->memory.size == 0)
			place_window(pci, i);
		/* what a bridge has itself nobody uses */
		for (unsigned k = 0; k < DEVICE_BARS && !f->broken && !f->bridge; k++)
			if (f->bar[k].size != 0 && !f->bar[k].assigned)
				place_bar(pci, f, k);
		if (f->broken) {
			pci_bars_break(pci, f);
			command_off(pci, f, COMMAND_MEMORY | COMMAND_MASTER);
		}
	}
}
