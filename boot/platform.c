/* SPDX-License-Identifier: MIT */
/* What the readers of device trees and of ACPI tables have in common. */
#include <string.h>

#include "platform.h"

bool
platform_range(struct platform *p, uint64_t base, uint64_t size, uint32_t kind,
    struct complaint *why)
{
	uint64_t first = base & ~(uint64_t)4095;
	uint64_t last = base + size - 1;

	if (size == 0)
		return true;
	if (last < base || last > UINT64_MAX - 4096)
		return complain(why, "range 0x%llx+0x%llx leaves the address space", U64(base), U64(size));
	if (p->range_count == PLATFORM_RANGES)
		return complain(why, "more than %d address ranges", PLATFORM_RANGES);
	p->range[p->range_count++] = (struct boot_memory){
		.base = first, .size = (last | 4095) + 1 - first, .kind = kind,
	};
	return true;
}

bool
platform_cpu(struct platform *p, uint64_t mpidr, bool enabled, struct complaint *why)
{
	struct bootinfo *info = p->info;
	struct boot_cpu cpu = { .mpidr = mpidr, .enabled = enabled };

	for (unsigned i = 0; i < info->cpu_count; i++)
		if (info->cpu[i].mpidr == mpidr)
			return complain(why, "two CPUs have MPIDR 0x%llx", U64(mpidr));
	if (info->cpu_count == BOOT_MAX_CPUS) {
		/* More CPUs than the kernel can use: the boot CPU must be among them. */
		if (mpidr == p->boot_mpidr)
			info->cpu[BOOT_MAX_CPUS - 1] = cpu;
		return true;
	}
	info->cpu[info->cpu_count++] = cpu;
	return true;
}

static bool
stream_continues(const struct boot_stream *last, const struct boot_stream *next)
{
	return last->segment == next->segment && last->rid_base + last->count == next->rid_base &&
	    last->smmu == next->smmu && last->its == next->its &&
	    (next->smmu < 0 || last->stream_base + last->count == next->stream_base) &&
	    (next->its < 0 || last->device_base + last->count == next->device_base);
}

bool
platform_stream(struct platform *p, const struct boot_stream *stream, struct complaint *why)
{
	struct bootinfo *info = p->info;

	if (info->stream_count > 0) {
		struct boot_stream *last = &info->stream[info->stream_count - 1];

		if (stream_continues(last, stream)) {
			last->count += stream->count;
			return true;
		}
	}
	if (info->stream_count == BOOT_MAX_STREAMS)
		return complain(why, "more than %d requester id mappings", BOOT_MAX_STREAMS);
	info->stream[info->stream_count++] = *stream;
	return true;
}

bool
platform_master(struct platform *p, const char *name, size_t name_size, uint64_t base,
    struct complaint *why)
{
	struct bootinfo *info = p->info;
	struct boot_master *master = &info->master[info->master_count];

	if (info->master_count == BOOT_MAX_MASTERS)
		return complain(why, "more than %d DMA masters without an SMMU", BOOT_MAX_MASTERS);
	if (name_size >= sizeof(master->name))
		name_size = sizeof(master->name) - 1;
	memset(master, 0, sizeof(*master));
	memcpy(master->name, name, name_size);
	master->base = base;
	info->master_count++;
	return true;
}

static bool
boot_cpu_first(struct platform *p, struct complaint *why)
{
	struct boot_cpu *cpu = p->info->cpu;

	for (unsigned i = 0; i < p->info->cpu_count; i++) {
		struct boot_cpu boot = cpu[i];

		if (boot.mpidr != p->boot_mpidr)
			continue;
		boot.enabled = 1;	/* it runs, whatever firmware says */
		memmove(&cpu[1], &cpu[0], i * sizeof(cpu[0]));
		cpu[0] = boot;
		return true;
	}
	return complain(why, "the boot CPU (MPIDR 0x%llx) is not listed", U64(p->boot_mpidr));
}

static bool
add_known_ranges(struct platform *p, struct complaint *why)
{
	const struct bootinfo *i = p->info;
	bool fine = platform_range(p, i->gic.dist_base, i->gic.dist_size, BOOT_MEM_DEVICE, why) &&
	    platform_range(p, i->uart.base, i->uart.size, BOOT_MEM_DEVICE, why);

	for (unsigned n = 0; fine && n < i->gic.gicr_count; n++)
		fine = platform_range(p, i->gic.gicr[n].base, i->gic.gicr[n].size,
		    BOOT_MEM_DEVICE, why);
	for (unsigned n = 0; fine && n < i->gic.its_count; n++)
		fine = platform_range(p, i->gic.its[n].base, i->gic.its[n].size,
		    BOOT_MEM_DEVICE, why);
	for (unsigned n = 0; fine && n < i->smmu_count; n++)
		fine = platform_range(p, i->smmu[n].base, i->smmu[n].size, BOOT_MEM_DEVICE, why);
	for (unsigned n = 0; fine && n < i->ecam_count; n++) {
		const struct boot_ecam *e = &i->ecam[n];
		uint64_t buses = (uint64_t)(e->bus_last - e->bus_first) + 1;

		fine = platform_range(p, e->base, buses << 20, BOOT_MEM_DEVICE, why) &&
		    platform_range(p, e->mem32.base, e->mem32.size, BOOT_MEM_DEVICE, why) &&
		    platform_range(p, e->mem64.base, e->mem64.size, BOOT_MEM_DEVICE, why);
	}
	return fine;
}

bool
platform_finish(struct platform *p, struct complaint *why)
{
	const struct bootinfo *info = p->info;

	if (info->gic.dist_size == 0)
		return complain(why, "no GICv3 distributor is named");
	if (info->gic.gicr_count == 0)
		return complain(why, "no GICv3 redistributor is named");
	if (info->timer.el2_phys_intid == 0)
		return complain(why, "no interrupt of the EL2 physical timer is named");
	return boot_cpu_first(p, why) && add_known_ranges(p, why);
}

unsigned
id_map_find(const struct id_map *maps, unsigned count, uint64_t id, uint64_t *span)
{
	uint64_t end = 0;	/* 0: none */

	for (unsigned i = 0; i < count; i++) {
		const struct id_map *m = &maps[i];
		bool covers = id >= m->base && id - m->base < m->count;

		if (covers && (end == 0 || m->base + m->count < end))
			end = m->base + m->count;
		if (!covers && m->base > id && m->count > 0 && (end == 0 || m->base < end))
			end = m->base;
		if (covers) {
			*span = end - id;
			return i;
		}
	}
	*span = end == 0 ? 0 : end - id;
	return count;
}
