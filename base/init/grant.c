/* SPDX-License-Identifier: MIT */
/*
 * Checks of what devmgr says.  Pages count, since they are what is granted: a
 * BAR takes all pages that it touches.
 */
#include <tessera/abi.h>
#include <tessera/string.h>
#include "grant.h"

enum { PAGE = 4096, MSIX_ENTRY = 16, MSIX_VECTORS = 2048, BAR_MIN = 16 };

struct pages {
	uint64_t base, end;
};

static struct pages
pages_of(const struct device_bar *bar)
{
	return (struct pages){ bar->base & ~(uint64_t)(PAGE - 1),
	    (bar->base + bar->size + PAGE - 1) & ~(uint64_t)(PAGE - 1) };
}

static bool
meet(struct pages p, uint64_t base, uint64_t size)
{
	return size != 0 && p.base < base + size && base < p.end;
}

static const struct boot_ecam *
find_host(const struct bootinfo *boot, const struct device_found *d)
{
	for (unsigned i = 0; i < boot->ecam_count && i < BOOT_MAX_ECAM; i++) {
		const struct boot_ecam *e = &boot->ecam[i];

		if (e->segment == d->segment && d->rid >> 8 >= e->bus_first &&
		    d->rid >> 8 <= e->bus_last)
			return e;
	}
	return NULL;
}

static bool
in_window(const struct boot_range *w, struct pages p)
{
	return p.base >= w->base && p.end - w->base <= w->size;
}

static uint64_t
ecam_size(const struct boot_ecam *e)
{
	return (uint64_t)(e->bus_last - e->bus_first + 1) << 20;
}

/* Memory, configuration space, or a device of the kernel's. */
static bool
is_taken(const struct bootinfo *boot, struct pages p)
{
	for (unsigned i = 0; i < boot->memory_count && i < BOOT_MAX_MEMORY; i++)
		if (boot->memory[i].kind != BOOT_MEM_DEVICE &&
		    meet(p, boot->memory[i].base, boot->memory[i].size))
			return true;
	for (unsigned i = 0; i < boot->ecam_count && i < BOOT_MAX_ECAM; i++)
		if (meet(p, boot->ecam[i].base, ecam_size(&boot->ecam[i])))
			return true;
	for (unsigned i = 0; i < boot->smmu_count && i < BOOT_MAX_SMMU; i++)
		if (meet(p, boot->smmu[i].base, boot->smmu[i].size))
			return true;
	for (unsigned i = 0; i < boot->gic.gicr_count && i < BOOT_MAX_GICR; i++)
		if (meet(p, boot->gic.gicr[i].base, boot->gic.gicr[i].size))
			return true;
	for (unsigned i = 0; i < boot->gic.its_count && i < BOOT_MAX_ITS; i++)
		if (meet(p, boot->gic.its[i].base, boot->gic.its[i].size))
			return true;
	return meet(p, boot->gic.dist_base, boot->gic.dist_size) ||
	    (boot->uart.kind != BOOT_UART_NONE && meet(p, boot->uart.base, PAGE));
}

static const char *
check_bar(const struct bootinfo *boot, const struct boot_ecam *host, const struct device_bar *bar)
{
	struct pages p = pages_of(bar);

	if (bar->size < BAR_MIN || (bar->size & (bar->size - 1)) != 0)
		return "a BAR's size is none";
	if (bar->base == 0 || (bar->base & (bar->size - 1)) != 0 || p.end <= p.base)
		return "a BAR is not aligned to its size";
	if (!in_window(&host->mem32, p) && !in_window(&host->mem64, p))
		return "a BAR lies outside of its host's windows";
	if (is_taken(boot, p))
		return "a BAR lies over something else";
	return NULL;
}

static bool
in_bar(const struct device_found *d, uint32_t bar, uint64_t offset, uint64_t bytes)
{
	return bar < DEVICE_BARS && offset <= d->bar[bar].size && bytes <= d->bar[bar].size - offset;
}

static const char *
check_structures(const struct device_found *d)
{
	if (d->msix_vectors > MSIX_VECTORS)
		return "more vectors than there can be";
	if (d->msix_vectors != 0 &&
	    (d->msix_offset % 8 != 0 ||
	    !in_bar(d, d->msix_bar, d->msix_offset, (uint64_t)d->msix_vectors * MSIX_ENTRY)))
		return "the MSI-X table lies in no BAR";
	for (unsigned i = 0; i < 4; i++)
		if (d->virtio[i].length != 0 &&
		    !in_bar(d, d->virtio[i].bar, d->virtio[i].offset, d->virtio[i].length))
			return "a virtio structure lies in no BAR";
	return NULL;
}

const char *
grant_check(const struct bootinfo *boot, const struct device_found *d)
{
	const struct boot_ecam *host = find_host(boot, d);
	const char *wrong;

	if (host == NULL)
		return "there is no such bus";
	for (unsigned i = 0; i < DEVICE_BARS; i++) {
		if (d->bar[i].size == 0)
			continue;
		wrong = check_bar(boot, host, &d->bar[i]);
		if (wrong != NULL)
			return wrong;
		for (unsigned k = 0; k < i; k++)
			if (d->bar[k].size != 0 && meet(pages_of(&d->bar[i]), d->bar[k].base, d->bar[k].size))
				return "two of its BARs share a page";
	}
	return check_structures(d);
}

bool
grant_stream(const struct bootinfo *boot, const struct device_found *d, struct grant_stream *stream)
{
	for (unsigned i = 0; i < boot->stream_count && i < BOOT_MAX_STREAMS; i++) {
		const struct boot_stream *s = &boot->stream[i];

		if (s->segment != d->segment || d->rid < s->rid_base || d->rid - s->rid_base >= s->count)
			continue;
		if (s->smmu < 0 || (uint32_t)s->smmu >= boot->smmu_count)
			return false;
		stream->smmu = (uint32_t)s->smmu;
		stream->stream = s->stream_base + (d->rid - s->rid_base);
		stream->its = s->its < 0 ? IO_NO_ITS : (uint32_t)s->its;
		stream->device = s->its < 0 ? 0 : s->device_base + (d->rid - s->rid_base);
		return true;
	}
	return false;
}

bool
grant_matches(const struct conf_pci *pci, const struct device_found *d)
{
	bool one_of = pci->device_count == 0;

	for (unsigned i = 0; i < pci->device_count; i++)
		one_of |= pci->device[i] == d->device;
	return pci->wanted && one_of && (!pci->has_vendor || pci->vendor == d->vendor) &&
	    (d->class_code & pci->class_mask) == pci->class_code;
}

bool
grant_overlaps(const struct device_found *a, const struct device_found *b)
{
	for (unsigned i = 0; i < DEVICE_BARS; i++) {
		struct pages p = pages_of(&a->bar[i]);

		for (unsigned k = 0; a->bar[i].size != 0 && k < DEVICE_BARS; k++) {
			struct pages q = pages_of(&b->bar[k]);

			if (b->bar[k].size != 0 && meet(p, q.base, q.end - q.base))
				return true;
		}
	}
	return false;
}

bool
grant_coherent(const struct bootinfo *boot, const struct device_found *d)
{
	const struct boot_ecam *host = find_host(boot, d);

	return host != NULL && host->coherent != 0;
}
