/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: whatever registers say, enumeration ends, what init is told
 * lies in the host's windows and nobody's pages overlap, bus numbers nest, and
 * a second enumeration says the same (of one bridge at most).
 *
 * Input: records of { place, parent, what is writable, register… }.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../test/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUNCTIONS = 12, RECORD = 4 + 36 * 4 };

static struct pci pci;
static struct pci_keep keep;

static void
must_at(bool x, int line)
{
	if (!x) {
		fprintf(stderr, "line %d does not hold\n", line);
		abort();
	}
}
#define must(x) must_at(x, __LINE__)

/* The header, and 80 bytes behind it for capabilities. */
static void
build(const uint8_t *data, size_t size)
{
	model_reset();
	memset(&keep, 0, sizeof keep);
	for (; size >= 8 && model.count < FUNCTIONS; ) {
		size_t n = size < RECORD ? size : RECORD;
		int parent = model.count == 0 ? MODEL_ROOT : (int)(data[1] % (model.count + 1)) - 1;
		int i = model_add(parent, data[0], 0x00101af4, 0x010802);
		struct model_function *f = &model.f[i];

		memcpy(f->reg, data + 4, n - 4 - (n % 4));
		for (unsigned r = PCI_BAR0 / 4; r < PCI_CAPABILITIES / 4; r++)
			f->writable[r] = data[2] & 1 << r % 8 ? ~0u << (4 + data[3] % 28) : 0;
		if ((f->reg[PCI_HEADER / 4] >> 16 & 0x7f) == 1) {
			/* a bridge takes numbers and windows; its BARs may be anything */
			f->writable[PCI_BUSES / 4] = ~0u;
			f->writable[PCI_MEMORY_WINDOW / 4] = 0xfff0fff0;
			f->writable[PCI_PREFETCH_WINDOW / 4] = 0xfff0fff0;
		}
		data += n;
		size -= n;
	}
}

static bool
in_window(const struct device_window *w, const struct pci_bar *b)
{
	return b->size <= w->size && b->base >= w->base && b->base - w->base <= w->size - b->size;
}

static void
check_bar(unsigned function, unsigned bar)
{
	const struct device_host *h = &model.hosts.host[0];
	const struct pci_bar *b = &pci.function[function].bar[bar];
	uint64_t page = b->base & ~4095ull, end = (b->base + b->size + 4095) & ~4095ull;

	must(b->assigned && (b->base & (b->size - 1)) == 0);
	must(in_window(&h->mem32, b) || in_window(&h->mem64, b));
	for (unsigned i = 0; i < pci.count; i++)
		for (unsigned k = 0; k < DEVICE_BARS; k++) {
			const struct pci_bar *o = &pci.function[i].bar[k];

			if (o == b || !o->assigned)
				continue;
			must(o->base >= end || ((o->base + o->size + 4095) & ~4095ull) <= page);
		}
}

static void
check_function(unsigned i)
{
	const struct pci_function *f = &pci.function[i];
	struct device_found found;

	must(f->parent < (int)i);
	if (f->bridge && f->secondary != 0) {
		must(f->secondary > f->rid >> 8 && f->subordinate >= f->secondary);
		must(f->parent == PCI_NO_BRIDGE ||
		    f->subordinate <= pci.function[f->parent].subordinate);
	}
	if (!pci_describe(&pci, f, &found))
		return;
	for (unsigned k = 0; k < DEVICE_BARS; k++)
		if (f->bar[k].size != 0)
			check_bar(i, k);
	must(found.msix_vectors <= 2048);
	must(found.msix_vectors == 0 || found.msix_offset + 16ull * found.msix_vectors <=
	    found.bar[found.msix_bar].size);
	for (unsigned k = 0; k < 4; k++)
		must(found.virtio[k].length == 0 || (uint64_t)found.virtio[k].offset +
		    found.virtio[k].length <= found.bar[found.virtio[k].bar].size);
}

static const struct pci_function *
find(uint16_t rid)
{
	for (unsigned i = 0; i < pci.count; i++)
		if (pci.function[i].rid == rid)
			return &pci.function[i];
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pci_function first[PCI_MAX_FUNCTIONS];
	unsigned count, bridges = 0;

	build(data, size);
	pci_enumerate(&pci, &model.hosts, &keep);
	for (unsigned i = 0; i < pci.count; i++)
		check_function(i);
	for (unsigned i = 0; i < pci.count; i++)
		(i % 2 ? pci_switch_on : pci_switch_off)(&pci, &pci.function[i]);
	count = pci.count;
	memcpy(first, pci.function, sizeof first);
	pci_enumerate(&pci, &model.hosts, &keep);
	for (unsigned i = 0; i < pci.count; i++)
		check_function(i);
	for (unsigned i = 0; i < model.count; i++)
		bridges += (model.f[i].reg[PCI_HEADER / 4] >> 16 & 0x7f) == 1;
	if (bridges > 1)
		return 0;	/* two may answer for one bus: then nothing is certain */
	must(pci.count == count);
	for (unsigned i = 0; i < count; i++) {
		struct device_found a, b;
		bool told = pci_describe(&pci, &first[i], &a);
		const struct pci_function *again = find(first[i].rid);

		must(again != NULL && pci_describe(&pci, again, &b) == told);
		must(!told || memcmp(&a, &b, sizeof a) == 0);
	}
	return 0;
}
