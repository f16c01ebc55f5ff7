/* SPDX-License-Identifier: MIT */
/*
 * The device tree, read into struct bootinfo.  libfdt checks the blob's form;
 * this file trusts no value in it.  Bindings: Devicetree Specification 0.4,
 * and for each device the binding of its `compatible` in the Linux tree.
 *
 * One walk visits every node with the path that leads to it, so that reg can
 * be translated and interrupt-parent inherited without searching upwards.
 * The first walk reads the controllers, the second what refers to them.
 */
#include <string.h>

#include <libfdt.h>

#include "platform.h"

enum { DT_DEPTH = 16, DT_MAPS = 32 };

struct level {
	int node;
	uint32_t address_cells;		/* for this node's children */
	uint32_t size_cells;
	uint32_t interrupt_parent;	/* phandle, inherited */
	bool enabled;			/* this node and all above it */
};

struct tree {
	const void *blob;
	struct platform *p;
	struct bootinfo *info;
	struct complaint *why;
	uint32_t gic_phandle;
	uint32_t gic_cells;
	int console;			/* node of stdout-path, or < 0 */
	uint32_t console_baud;
	uint32_t next_segment;		/* for hosts without linux,pci-domain */
	unsigned depth;
	struct level level[DT_DEPTH];
};

typedef bool visit_fn(struct tree *t);

static int
this_node(const struct tree *t)
{
	return t->level[t->depth].node;
}

static const char *
this_name(const struct tree *t)
{
	const char *name = fdt_get_name(t->blob, this_node(t), NULL);

	return name != NULL ? name : "?";
}

/* ---- properties ---------------------------------------------------------- */

struct cells {
	const uint8_t *data;
	unsigned count;
};

static struct cells
cells_of(const struct tree *t, int node, const char *name)
{
	int length = 0;
	const void *data = fdt_getprop(t->blob, node, name, &length);

	if (data == NULL || length < 0)
		return (struct cells){ NULL, 0 };
	return (struct cells){ data, (unsigned)length / 4 };
}

static uint32_t
cell(struct cells c, unsigned index)
{
	const uint8_t *d = c.data + (size_t)index * 4;

	return (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
}

/* `count` cells (0, 1 or 2) from index on as one number. */
static uint64_t
number(struct cells c, unsigned index, uint32_t count)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < count; i++)
		value = value << 32 | cell(c, index + i);
	return value;
}

static uint32_t
cell_or(const struct tree *t, int node, const char *name, uint32_t otherwise)
{
	struct cells c = cells_of(t, node, name);

	return c.count > 0 ? cell(c, 0) : otherwise;
}

static bool
has(const struct tree *t, int node, const char *name)
{
	return fdt_getprop(t->blob, node, name, NULL) != NULL;
}

static bool
compatible(const struct tree *t, const char *with)
{
	return fdt_node_check_compatible(t->blob, this_node(t), with) == 0;
}

static bool
node_enabled(const void *blob, int node)
{
	int length = 0;
	const char *status = fdt_getprop(blob, node, "status", &length);

	if (status == NULL)
		return true;
	return fdt_stringlist_contains(status, length, "okay") ||
	    fdt_stringlist_contains(status, length, "ok");
}

/* ---- addresses ----------------------------------------------------------- */

/*
 * Carries an address on the bus of level `bus` (its children's addresses) up
 * to the root.  False if some bridge on the way has no window for it.
 */
static bool
translate(const struct tree *t, unsigned bus, uint64_t *address, uint64_t size)
{
	for (; bus > 0; bus--) {
		const struct level *here = &t->level[bus];
		uint32_t parent_cells = t->level[bus - 1].address_cells;
		uint32_t entry = here->address_cells + parent_cells + here->size_cells;
		struct cells ranges = cells_of(t, here->node, "ranges");
		unsigned i;

		if (!has(t, here->node, "ranges"))
			return false;
		if (ranges.count == 0)
			continue;
		if (here->address_cells > 2 || parent_cells > 2 || here->size_cells > 2)
			return false;
		for (i = 0; i + entry <= ranges.count; i += entry) {
			uint64_t child = number(ranges, i, here->address_cells);
			uint64_t length = number(ranges, i + entry - here->size_cells,
			    here->size_cells);

			if (*address < child || *address - child >= length ||
			    size > length - (*address - child))
				continue;
			*address = number(ranges, i + here->address_cells, parent_cells) +
			    (*address - child);
			break;
		}
		if (i + entry > ranges.count)
			return false;
	}
	return true;
}

/* The index-th range of this node's reg, as physical addresses. */
static bool
reg(const struct tree *t, unsigned index, struct boot_range *range)
{
	const struct level *parent = &t->level[t->depth - 1];
	uint32_t entry = parent->address_cells + parent->size_cells;
	struct cells c = cells_of(t, this_node(t), "reg");

	if (t->depth == 0 || parent->address_cells > 2 || parent->size_cells > 2 || entry == 0)
		return false;
	if (index >= c.count / entry)
		return false;
	range->base = number(c, index * entry, parent->address_cells);
	range->size = number(c, index * entry + parent->address_cells, parent->size_cells);
	if (range->size == 0 || range->base + (range->size - 1) < range->base)
		return false;
	return translate(t, t->depth - 1, &range->base, range->size);
}

/* All of this node's ranges are MMIO. */
static bool
add_regs(struct tree *t)
{
	struct boot_range r;

	for (unsigned i = 0; reg(t, i, &r); i++)
		if (!platform_range(t->p, r.base, r.size, BOOT_MEM_DEVICE, t->why))
			return false;
	return true;
}

static bool
need_reg(struct tree *t, unsigned index, struct boot_range *range)
{
	if (reg(t, index, range))
		return true;
	return complain(t->why, "device tree: %s: no usable reg[%u]", this_name(t), index);
}

/* ---- interrupts ---------------------------------------------------------- */

/* A GIC specifier (arm,gic-v3 binding): type, number, flags, … */
static uint32_t
gic_intid(struct cells c, unsigned at, uint32_t *flags)
{
	uint32_t type = cell(c, at), number_ = cell(c, at + 1);

	if (flags != NULL)
		*flags = cell(c, at + 2);
	if (type == 0 && number_ < 988)
		return number_ + 32;	/* SPI */
	if (type == 1 && number_ < 16)
		return number_ + 16;	/* PPI */
	return 0;
}

/* The index-th interrupt of this node if it goes to the GIC; 0 otherwise. */
static uint32_t
interrupt(const struct tree *t, unsigned index, uint32_t *flags)
{
	struct cells extended = cells_of(t, this_node(t), "interrupts-extended");
	struct cells plain = cells_of(t, this_node(t), "interrupts");

	if (extended.data != NULL) {
		/* Only lists that name nothing but the GIC can be counted through. */
		for (unsigned i = 0, at = 0; at + 1 + t->gic_cells <= extended.count;
		    i++, at += 1 + t->gic_cells) {
			if (cell(extended, at) != t->gic_phandle)
				return 0;
			if (i == index)
				return gic_intid(extended, at + 1, flags);
		}
		return 0;
	}
	if (t->level[t->depth].interrupt_parent != t->gic_phandle)
		return 0;
	if (index >= plain.count / t->gic_cells)
		return 0;
	return gic_intid(plain, index * t->gic_cells, flags);
}

static uint32_t
named_interrupt(const struct tree *t, const char *name)
{
	int index = fdt_stringlist_search(t->blob, this_node(t), "interrupt-names", name);

	return index < 0 ? 0 : interrupt(t, (unsigned)index, NULL);
}

/* ---- the walk ------------------------------------------------------------ */

static bool
enter(struct tree *t, int node, int depth)
{
	struct level *l = &t->level[depth];
	bool above = depth == 0 || t->level[depth - 1].enabled;
	uint32_t inherited = depth == 0 ? 0 : t->level[depth - 1].interrupt_parent;

	t->depth = (unsigned)depth;
	l->node = node;
	l->address_cells = cell_or(t, node, "#address-cells", 2);
	l->size_cells = cell_or(t, node, "#size-cells", 1);
	l->interrupt_parent = cell_or(t, node, "interrupt-parent", inherited);
	l->enabled = above && node_enabled(t->blob, node);
	if (l->address_cells > 4 || l->size_cells > 4)
		return complain(t->why, "device tree: %s: absurd cell counts", this_name(t));
	return true;
}

static bool
walk(struct tree *t, visit_fn *visit)
{
	int depth = 0;

	for (int node = 0; node >= 0 && depth >= 0;
	    node = fdt_next_node(t->blob, node, &depth)) {
		if (depth >= DT_DEPTH)
			return complain(t->why, "device tree: more than %d levels deep", DT_DEPTH);
		if (!enter(t, node, depth))
			return false;
		if (depth > 0 && t->level[depth].enabled && !visit(t))
			return false;
	}
	return true;
}

/* ---- the controllers: first walk ----------------------------------------- */

static bool
visit_gic(struct tree *t)
{
	struct boot_gic *gic = &t->info->gic;
	uint32_t regions = cell_or(t, this_node(t), "#redistributor-regions", 1);
	struct boot_range r;

	if (gic->dist_size != 0)
		return complain(t->why, "device tree: %s: a second GIC", this_name(t));
	if (!need_reg(t, 0, &r))
		return false;
	gic->dist_base = r.base;
	gic->dist_size = r.size;
	if (regions == 0 || regions > BOOT_MAX_GICR)
		return complain(t->why, "device tree: %s: %u redistributor regions",
		    this_name(t), regions);
	for (unsigned i = 0; i < regions; i++)
		if (!need_reg(t, 1 + i, &gic->gicr[i]))
			return false;
	gic->gicr_count = regions;
	gic->maintenance_intid = interrupt(t, 0, NULL);
	gic->coherent &= !has(t, this_node(t), "dma-noncoherent");
	return true;
}

static bool
visit_its(struct tree *t)
{
	struct boot_gic *gic = &t->info->gic;
	uint32_t n = gic->its_count;

	if (n == BOOT_MAX_ITS)
		return complain(t->why, "device tree: more than %d ITSs", BOOT_MAX_ITS);
	if (!need_reg(t, 0, &gic->its[n]))
		return false;
	gic->its_id[n] = fdt_get_phandle(t->blob, this_node(t));
	gic->coherent &= !has(t, this_node(t), "dma-noncoherent");
	gic->its_count++;
	return true;
}

static bool
visit_smmu(struct tree *t)
{
	struct boot_smmu *smmu = &t->info->smmu[t->info->smmu_count];
	struct boot_range r;

	if (t->info->smmu_count == BOOT_MAX_SMMU)
		return complain(t->why, "device tree: more than %d SMMUs", BOOT_MAX_SMMU);
	if (!need_reg(t, 0, &r))
		return false;
	*smmu = (struct boot_smmu){
		.base = r.base,
		.size = r.size,
		.event_intid = named_interrupt(t, "eventq"),
		.gerror_intid = named_interrupt(t, "gerror"),
		.pri_intid = named_interrupt(t, "priq"),
		.sync_intid = named_interrupt(t, "cmdq-sync"),
		.coherent = has(t, this_node(t), "dma-coherent"),
		.id = fdt_get_phandle(t->blob, this_node(t)),
	};
	if (named_interrupt(t, "combined") != 0)
		smmu->event_intid = smmu->gerror_intid = named_interrupt(t, "combined");
	t->info->smmu_count++;
	return true;
}

/* The order of arm,armv8-timer's interrupts where interrupt-names is absent. */
static uint32_t
timer_interrupt(struct tree *t, const char *name, unsigned index)
{
	if (has(t, this_node(t), "interrupt-names"))
		return named_interrupt(t, name);
	return interrupt(t, index, NULL);
}

static bool
visit_timer(struct tree *t)
{
	struct boot_timer *timer = &t->info->timer;

	timer->el1_phys_intid = timer_interrupt(t, "phys", 1);
	timer->virt_intid = timer_interrupt(t, "virt", 2);
	timer->el2_phys_intid = timer_interrupt(t, "hyp-phys", 3);
	return true;
}

static bool
visit_psci(struct tree *t)
{
	int length = 0;
	const char *method = fdt_getprop(t->blob, this_node(t), "method", &length);

	if (method != NULL && fdt_stringlist_contains(method, length, "smc"))
		t->info->psci = BOOT_PSCI_SMC;
	else if (method != NULL && fdt_stringlist_contains(method, length, "hvc"))
		t->info->psci = BOOT_PSCI_HVC;
	else
		return complain(t->why, "device tree: %s: method is neither smc nor hvc", this_name(t));
	return true;
}

static bool
visit_cpu(struct tree *t)
{
	const struct level *parent = &t->level[t->depth - 1];
	struct cells c = cells_of(t, this_node(t), "reg");
	int length = 0;
	const char *method = fdt_getprop(t->blob, this_node(t), "enable-method", &length);
	bool psci = method != NULL && fdt_stringlist_contains(method, length, "psci");

	if (parent->address_cells < 1 || parent->address_cells > 2 ||
	    c.count != parent->address_cells)
		return complain(t->why, "device tree: %s: no usable reg", this_name(t));
	return platform_cpu(t->p, number(c, 0, parent->address_cells), psci, t->why);
}

static bool
is_cpu(const struct tree *t)
{
	int length = 0;
	const char *type = fdt_getprop(t->blob, this_node(t), "device_type", &length);

	return type != NULL && fdt_stringlist_contains(type, length, "cpu");
}

static bool
visit_controllers(struct tree *t)
{
	if (compatible(t, "arm,gic-v3"))
		return visit_gic(t);
	if (compatible(t, "arm,gic-v3-its"))
		return visit_its(t);
	if (compatible(t, "arm,smmu-v3"))
		return visit_smmu(t);
	if (compatible(t, "arm,armv8-timer"))
		return visit_timer(t);
	if (compatible(t, "arm,psci-1.0") || compatible(t, "arm,psci-0.2"))
		return visit_psci(t);
	if (is_cpu(t))
		return visit_cpu(t);
	return true;
}

/* ---- PCIe hosts ---------------------------------------------------------- */

static int
smmu_index(const struct tree *t, uint32_t phandle)
{
	for (unsigned i = 0; i < t->info->smmu_count; i++)
		if (phandle != 0 && t->info->smmu[i].id == phandle)
			return (int)i;
	return -1;
}

static int
its_index(const struct tree *t, uint32_t phandle)
{
	for (unsigned i = 0; i < t->info->gic.its_count; i++)
		if (phandle != 0 && t->info->gic.its_id[i] == phandle)
			return (int)i;
	return -1;
}

/* iommu-map or msi-map: (rid-base, phandle, out-base, length) and so on. */
static bool
read_map(struct tree *t, const char *name, int (*index_of)(const struct tree *, uint32_t),
    struct id_map *maps, unsigned *count)
{
	struct cells c = cells_of(t, this_node(t), name);

	*count = 0;
	for (unsigned at = 0; at + 4 <= c.count; at += 4) {
		int target = index_of(t, cell(c, at + 1));

		if (target < 0)
			continue;	/* a disabled controller: nothing is mapped */
		if (*count == DT_MAPS || (uint64_t)cell(c, at) + cell(c, at + 3) > 0x10000)
			return complain(t->why, "device tree: %s: bad %s", this_name(t), name);
		maps[(*count)++] = (struct id_map){
			.base = cell(c, at), .count = cell(c, at + 3),
			.out = cell(c, at + 2), .target = (uint32_t)target,
		};
	}
	return true;
}

static bool
read_streams(struct tree *t, uint32_t segment)
{
	struct id_map smmu[DT_MAPS], its[DT_MAPS];
	unsigned smmus, itss;
	uint64_t span;

	if (!read_map(t, "iommu-map", smmu_index, smmu, &smmus) ||
	    !read_map(t, "msi-map", its_index, its, &itss))
		return false;
	for (uint64_t rid = 0; rid < 0x10000; rid += span) {
		uint64_t smmu_span, its_span;
		unsigned s = id_map_find(smmu, smmus, rid, &smmu_span);
		unsigned i = id_map_find(its, itss, rid, &its_span);
		struct boot_stream stream = {
			.segment = segment, .rid_base = (uint32_t)rid, .smmu = -1, .its = -1,
		};

		span = smmu_span != 0 && (its_span == 0 || smmu_span < its_span) ?
		    smmu_span : its_span;
		if (span == 0)
			break;
		stream.count = (uint32_t)span;
		if (s < smmus) {
			stream.smmu = (int32_t)smmu[s].target;
			stream.stream_base = (uint32_t)(smmu[s].out + (rid - smmu[s].base));
		}
		if (i < itss) {
			stream.its = (int32_t)its[i].target;
			stream.device_base = (uint32_t)(its[i].out + (rid - its[i].base));
		}
		if ((s < smmus || i < itss) && !platform_stream(t->p, &stream, t->why))
			return false;
	}
	if (smmus == 0) {
		struct boot_range r = { 0, 0 };

		(void)reg(t, 0, &r);
		return platform_master(t->p, this_name(t), strlen(this_name(t)), r.base, t->why);
	}
	return true;
}

/* The host's windows: (flags, bus address, CPU address, size); the largest
 * 32-bit and the largest 64-bit memory window count. */
static void
read_windows(struct tree *t, struct boot_ecam *ecam)
{
	uint32_t parent_cells = t->level[t->depth - 1].address_cells;
	struct cells c = cells_of(t, this_node(t), "ranges");
	uint32_t entry = 3 + parent_cells + 2;

	if (parent_cells < 1 || parent_cells > 2)
		return;
	for (unsigned at = 0; at + entry <= c.count; at += entry) {
		uint32_t space = cell(c, at) >> 24 & 3;
		uint64_t bus = number(c, at + 1, 2);
		uint64_t base = number(c, at + 3, parent_cells);
		uint64_t size = number(c, at + 3 + parent_cells, 2);

		if (base + size < base || !translate(t, t->depth - 1, &base, size))
			continue;
		if (space == 2 && size > ecam->mem32.size) {
			ecam->mem32 = (struct boot_range){ base, size };
			ecam->mem32_bus = bus;
		}
		if (space == 3 && size > ecam->mem64.size) {
			ecam->mem64 = (struct boot_range){ base, size };
			ecam->mem64_bus = bus;
		}
	}
}

static bool
read_ecam(struct tree *t, uint32_t segment)
{
	struct boot_ecam *ecam = &t->info->ecam[t->info->ecam_count];
	struct cells buses = cells_of(t, this_node(t), "bus-range");
	uint32_t first = buses.count == 2 ? cell(buses, 0) : 0;
	uint32_t last = buses.count == 2 ? cell(buses, 1) : 255;
	struct boot_range r;

	if (t->info->ecam_count == BOOT_MAX_ECAM)
		return complain(t->why, "device tree: more than %d PCIe hosts", BOOT_MAX_ECAM);
	if (!need_reg(t, 0, &r))
		return false;
	if (first > last || last > 255)
		return complain(t->why, "device tree: %s: bad bus-range", this_name(t));
	if (last - first >= r.size >> 20)	/* never past the window itself */
		last = first + (uint32_t)(r.size >> 20) - 1;
	if (r.size >> 20 == 0)
		return complain(t->why, "device tree: %s: reg is shorter than one bus", this_name(t));
	*ecam = (struct boot_ecam){
		.base = r.base, .segment = segment,
		.bus_first = (uint8_t)first, .bus_last = (uint8_t)last,
		.coherent = has(t, this_node(t), "dma-coherent"),
	};
	read_windows(t, ecam);
	t->info->ecam_count++;
	return true;
}

/* Others (DesignWare) have no ECAM that the tree could name, only MMIO. */
static bool
read_host_without_ecam(struct tree *t)
{
	struct boot_ecam windows = { .segment = 0 };

	read_windows(t, &windows);
	return add_regs(t) &&
	    platform_range(t->p, windows.mem32.base, windows.mem32.size, BOOT_MEM_DEVICE,
	    t->why) &&
	    platform_range(t->p, windows.mem64.base, windows.mem64.size, BOOT_MEM_DEVICE, t->why);
}

static bool
visit_pcie(struct tree *t)
{
	uint32_t segment = cell_or(t, this_node(t), "linux,pci-domain", t->next_segment);

	t->next_segment = segment + 1;
	if (compatible(t, "pci-host-ecam-generic") ? !read_ecam(t, segment) :
	    !read_host_without_ecam(t))
		return false;
	return read_streams(t, segment);
}

static bool
is_pcie_host(const struct tree *t)
{
	int length = 0;
	const char *type = fdt_getprop(t->blob, this_node(t), "device_type", &length);

	return type != NULL && fdt_stringlist_contains(type, length, "pci") &&
	    has(t, this_node(t), "ranges") && t->level[t->depth].address_cells == 3 &&
	    t->level[t->depth - 1].address_cells <= 2;
}

/* ---- the console --------------------------------------------------------- */

static const struct uart_kind {
	const char *compatible;
	uint32_t kind;
	uint32_t clock_hz;		/* where the tree does not say */
} uart_kinds[] = {
	{ "arm,pl011", BOOT_UART_PL011, 0 },
	{ "rockchip,rk3588-uart", BOOT_UART_16550, 24000000 },	/* xin24m, firmware's choice */
	{ "snps,dw-apb-uart", BOOT_UART_16550, 0 },
	{ "ns16550a", BOOT_UART_16550, 0 },
};

static uint32_t
clock_of(const struct tree *t, uint32_t otherwise)
{
	struct cells clocks = cells_of(t, this_node(t), "clocks");
	int node;

	if (has(t, this_node(t), "clock-frequency"))
		return cell_or(t, this_node(t), "clock-frequency", otherwise);
	if (clocks.count == 0)
		return otherwise;
	node = fdt_node_offset_by_phandle(t->blob, cell(clocks, 0));
	if (node < 0 || fdt_node_check_compatible(t->blob, node, "fixed-clock") != 0)
		return otherwise;
	return cell_or(t, node, "clock-frequency", otherwise);
}

static bool
visit_console(struct tree *t)
{
	struct boot_uart *uart = &t->info->uart;
	const struct uart_kind *kind = NULL;
	struct boot_range r;
	uint32_t flags = 4, width;

	for (unsigned i = 0; kind == NULL && i < sizeof(uart_kinds) / sizeof(uart_kinds[0]); i++)
		if (compatible(t, uart_kinds[i].compatible))
			kind = &uart_kinds[i];
	if (kind == NULL)
		return true;		/* a console that we cannot drive: none */
	if (!need_reg(t, 0, &r))
		return false;
	width = cell_or(t, this_node(t), "reg-io-width", kind->kind == BOOT_UART_PL011 ? 4 : 1);
	if (width != 1 && width != 4)
		return complain(t->why, "device tree: %s: reg-io-width %u", this_name(t), width);
	*uart = (struct boot_uart){
		.base = r.base,
		.size = r.size > 0x10000 ? 0x10000 : (uint32_t)r.size,
		.kind = kind->kind,
		.intid = interrupt(t, 0, &flags),
		.clock_hz = clock_of(t, kind->clock_hz),
		.baud = t->console_baud,
		.reg_shift = (uint8_t)(cell_or(t, this_node(t), "reg-shift", 0) & 7),
		.reg_width = (uint8_t)width,
		.level_triggered = (flags & 0xc) != 0,
	};
	return true;
}

/* /chosen/stdout-path: a path or an alias, then perhaps ":<baud>…". */
static void
find_console(struct tree *t)
{
	int chosen = fdt_path_offset(t->blob, "/chosen");
	int length = 0, name = 0;
	const char *path;

	t->console = -1;
	if (chosen < 0)
		return;
	path = fdt_getprop(t->blob, chosen, "stdout-path", &length);
	if (path == NULL || length <= 1 || path[length - 1] != '\0')
		return;
	while (path[name] != '\0' && path[name] != ':')
		name++;
	t->console = fdt_path_offset_namelen(t->blob, path, name);
	if (path[name] != ':')
		return;
	for (const char *p = path + name + 1; *p >= '0' && *p <= '9'; p++)
		if (t->console_baud < 100000000)
			t->console_baud = t->console_baud * 10 + (uint32_t)(*p - '0');
}

/* ---- other devices: second walk ------------------------------------------ */

/*
 * No property says that a device is a DMA master, so the generic names of the
 * specification (2.2.2) decide: a device of these classes that is not behind
 * an SMMU that we know is one to name at boot.
 */
static const char *const master_names[] = {
	"ata", "crypto", "dma-controller", "dma", "ethernet", "fw-cfg", "gpu", "hdmi_receiver",
	"hdmi-receiver", "isp", "jpeg", "mmc", "npu", "nvme", "rga", "sata", "sdhci", "ufs",
	"ufshc", "usb", "video-codec", "video-decoder", "video-encoder", "virtio_mmio", "vop",
	"vpu",
};

static bool
is_master(const struct tree *t)
{
	const char *name = this_name(t);
	const char *at = strchr(name, '@');
	size_t length = at != NULL ? (size_t)(at - name) : strlen(name);

	for (unsigned i = 0; i < sizeof(master_names) / sizeof(master_names[0]); i++)
		if (strlen(master_names[i]) == length && memcmp(master_names[i], name, length) == 0)
			return true;
	return compatible(t, "rockchip,sfc");	/* spi with a DMA engine of its own */
}

static bool
visit_device(struct tree *t)
{
	int node = this_node(t);
	struct boot_range r;

	if (!reg(t, 0, &r))
		return true;	/* not on the CPU's bus */
	if (t->depth == 1 && strncmp(this_name(t), "memory", 6) == 0 &&
	    (this_name(t)[6] == '@' || this_name(t)[6] == '\0'))
		return true;
	if (!add_regs(t))
		return false;
	if (!is_master(t) || smmu_index(t, cell_or(t, node, "iommus", 0)) >= 0)
		return true;
	return platform_master(t->p, this_name(t), strlen(this_name(t)), r.base, t->why);
}

static bool
in_reserved_memory(const struct tree *t)
{
	const char *name = fdt_get_name(t->blob, t->level[1].node, NULL);

	return t->depth == 2 && name != NULL && strcmp(name, "reserved-memory") == 0;
}

static bool
visit_reserved(struct tree *t)
{
	struct boot_range r;

	for (unsigned i = 0; reg(t, i, &r); i++)
		if (!platform_range(t->p, r.base, r.size, BOOT_MEM_FIRMWARE, t->why))
			return false;
	return true;
}

static bool
visit_devices(struct tree *t)
{
	if (in_reserved_memory(t))
		return visit_reserved(t);
	if (this_node(t) == t->console && !visit_console(t))
		return false;
	if (is_pcie_host(t))
		return visit_pcie(t);
	return visit_device(t);
}

/* ---- all of it ----------------------------------------------------------- */

static bool
read_memory_reservations(struct tree *t)
{
	int count = fdt_num_mem_rsv(t->blob);

	for (int i = 0; i < count; i++) {
		uint64_t base, size;

		if (fdt_get_mem_rsv(t->blob, i, &base, &size) < 0)
			return complain(t->why, "device tree: bad memory reservation %d", i);
		if (!platform_range(t->p, base, size, BOOT_MEM_FIRMWARE, t->why))
			return false;
	}
	return true;
}

static void
read_seed(struct tree *t)
{
	int chosen = fdt_path_offset(t->blob, "/chosen");
	int length = 0;
	const void *seed = chosen < 0 ? NULL : fdt_getprop(t->blob, chosen, "rng-seed", &length);

	if (seed == NULL || length <= 0)
		return;
	if (length > (int)sizeof(t->info->seed))
		length = (int)sizeof(t->info->seed);
	memcpy(t->info->seed, seed, (size_t)length);
	t->info->seed_bytes = (uint32_t)length;
}

static bool
find_gic(struct tree *t)
{
	int node = fdt_node_offset_by_compatible(t->blob, -1, "arm,gic-v3");

	while (node >= 0 && !node_enabled(t->blob, node))
		node = fdt_node_offset_by_compatible(t->blob, node, "arm,gic-v3");
	if (node < 0)
		return complain(t->why, "device tree: no GICv3 (compatible \"arm,gic-v3\")");
	t->gic_phandle = fdt_get_phandle(t->blob, node);
	t->gic_cells = cell_or(t, node, "#interrupt-cells", 3);
	if (t->gic_cells < 3 || t->gic_cells > 4)
		return complain(t->why, "device tree: the GIC has %u interrupt cells", t->gic_cells);
	return true;
}

bool
dt_read(const void *blob, size_t limit, struct platform *p, struct complaint *why)
{
	struct tree tree = { .blob = blob, .p = p, .info = p->info, .why = why };
	int error;

	if (limit < sizeof(struct fdt_header))
		return complain(why, "device tree: shorter than its header");
	/* libfdt reads words where the header says they are (DTSpec 5.2, 5.4). */
	if (((uintptr_t)blob & 7) != 0 || (fdt_off_dt_struct(blob) & 3) != 0 ||
	    (fdt_off_mem_rsvmap(blob) & 7) != 0)
		return complain(why, "device tree: misaligned");
	error = fdt_check_full(blob, limit);
	if (error != 0)
		return complain(why, "device tree: %s", fdt_strerror(error));
	p->info->source = BOOT_FROM_DT;
	p->info->gic.coherent = 1;
	if (!find_gic(&tree) || !read_memory_reservations(&tree))
		return false;
	find_console(&tree);
	read_seed(&tree);
	if (!walk(&tree, visit_controllers) || !walk(&tree, visit_devices))
		return false;
	return platform_finish(p, why);
}
