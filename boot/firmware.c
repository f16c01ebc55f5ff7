/* SPDX-License-Identifier: MIT */
/* What the loader asks UEFI for: memory, tables, time, a seed, a framebuffer. */
#include <string.h>

#include <libfdt.h>

#include "loader.h"

enum { DTB_LIMIT = 16 << 20 };

void *
pages_allocate(uint64_t size, uint64_t align)
{
	uint64_t pages = (size + 4095) >> 12;
	uint64_t slack = align > 4096 ? align >> 12 : 0;
	uint64_t at = 0, start;
	efi_status status = efi->boot->allocate_pages(EFI_ALLOCATE_ANY, EFI_LOADER_DATA,
	    pages + slack, &at);

	if (status != EFI_SUCCESS)
		stop("firmware has no %llu KiB of memory left", U64((pages + slack) * 4));
	start = slack == 0 ? at : (at + align - 1) & ~(align - 1);
	if (start > at)
		efi->boot->free_pages(at, (start - at) >> 12);
	if (at + (slack << 12) > start)
		efi->boot->free_pages(start + (pages << 12), (at + (slack << 12) - start) >> 12);
	memset((void *)start, 0, pages << 12);
	return (void *)start;
}

void
pages_free(void *at, uint64_t size)
{
	if (at != NULL)
		efi->boot->free_pages((uint64_t)at, (size + 4095) >> 12);
}

bool
guid_equal(const struct efi_guid *a, const struct efi_guid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

const void *
configuration_table(const struct efi_guid *guid)
{
	for (uint64_t i = 0; i < efi->table_count; i++)
		if (guid_equal(&efi->tables[i].guid, guid))
			return efi->tables[i].table;
	return NULL;
}

/* Days since 1970-01-01 of a Gregorian date (Howard Hinnant's days_from_civil). */
static int64_t
days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t era;
	unsigned year_of_era, day_of_year;

	year -= month <= 2;
	era = year / 400;
	year_of_era = (unsigned)(year - era * 400);
	day_of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	    day_of_year - 719468;
}

void
read_wall_time(struct bootinfo *info)
{
	struct efi_time t;
	int64_t seconds;

	memset(&t, 0, sizeof(t));
	if (efi->runtime->get_time(&t, NULL) != EFI_SUCCESS || t.year < 1970 || t.year > 2500 ||
	    t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31)
		return;
	seconds = days_from_civil(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.minute * 60 +
	    t.second;
	if (t.time_zone != EFI_UNSPECIFIED_TIMEZONE)
		seconds += t.time_zone * 60;	/* local time = UTC - zone */
	if (seconds <= 0)
		return;
	info->wall_time_ns = (uint64_t)seconds * 1000000000 + t.nanosecond % 1000000000;
	info->wall_time_ticks = counter();
}

void
read_seed(struct bootinfo *info)
{
	static const struct efi_guid guid = EFI_RNG_GUID;
	uint8_t seed[sizeof(info->seed)];
	void *rng = NULL;

	if (efi->boot->locate_protocol(&guid, NULL, &rng) != EFI_SUCCESS || rng == NULL)
		return;
	if (((struct efi_rng *)rng)->get_rng(rng, NULL, sizeof(seed), seed) != EFI_SUCCESS)
		return;
	/* What the device tree gave is mixed in, not lost. */
	for (unsigned i = 0; i < sizeof(seed); i++)
		info->seed[i] ^= seed[i];
	info->seed_bytes = sizeof(seed);
}

void
read_framebuffer(struct bootinfo *info)
{
	static const struct efi_guid guid = EFI_GRAPHICS_GUID;
	struct efi_graphics *graphics = NULL;
	const struct efi_graphics_mode *mode;

	if (efi->boot->locate_protocol(&guid, NULL, (void **)&graphics) != EFI_SUCCESS ||
	    graphics == NULL || graphics->mode == NULL || graphics->mode->info == NULL)
		return;
	mode = graphics->mode->info;
	if (mode->format >= 3 || graphics->mode->framebuffer == 0)	/* 3: Blt only */
		return;
	info->framebuffer = (struct boot_framebuffer){
		.base = graphics->mode->framebuffer, .size = graphics->mode->framebuffer_size,
		.width = mode->width, .height = mode->height, .stride_pixels = mode->stride,
		.format = mode->format,
	};
}

/* Firmware's memory is mapped flat; the reader checks what it finds there. */
static const void *
memory_at(void *context, uint64_t phys, uint64_t size)
{
	(void)context;
	(void)size;
	return (const void *)phys;
}

/* ---- PCIe windows, where the tables do not name them ---------------------- */

enum { SPACES = 512, DESCRIPTORS = 16 * 46 };

static size_t
read_spaces(struct bridge_space spaces[SPACES])
{
	static const struct efi_guid guid = EFI_DXE_SERVICES_GUID;
	const struct efi_dxe_services *dxe = configuration_table(&guid);
	struct efi_gcd_descriptor *map = NULL;
	uint64_t count = 0;
	size_t used = 0;

	if (dxe == NULL || dxe->get_memory_space_map(&count, &map) != EFI_SUCCESS)
		return 0;
	for (uint64_t i = 0; i < count && used < SPACES; i++)
		if (map[i].type == EFI_GCD_MMIO)
			spaces[used++] = (struct bridge_space){ map[i].base, map[i].length, true };
	efi->boot->free_pool(map);
	return used;
}

static void
read_bridge(struct bootinfo *info, struct efi_root_bridge *bridge,
    const struct bridge_space *spaces, size_t count)
{
	void *descriptors = NULL;

	if (bridge->configuration(bridge, &descriptors) != EFI_SUCCESS || descriptors == NULL)
		return;
	for (unsigned i = 0; i < info->ecam_count; i++) {
		struct boot_ecam *ecam = &info->ecam[i];

		if (ecam->segment != bridge->segment || ecam->mem32.size + ecam->mem64.size != 0)
			continue;
		bridge_windows(ecam, descriptors, DESCRIPTORS);
		bridge_extend(ecam, spaces, count);
		return;
	}
}

static bool
read_bridges(struct platform *p, struct complaint *why)
{
	static const struct efi_guid guid = EFI_ROOT_BRIDGE_GUID;
	static struct bridge_space spaces[SPACES];
	struct bootinfo *info = p->info;
	efi_handle *handles = NULL;
	uint64_t count = 0;
	bool fine = true;

	if (efi->boot->locate_handle_buffer(EFI_BY_PROTOCOL, &guid, NULL, &count, &handles) !=
	    EFI_SUCCESS)
		return true;
	for (uint64_t i = 0; i < count; i++) {
		void *bridge = NULL;

		if (efi->boot->handle_protocol(handles[i], &guid, &bridge) == EFI_SUCCESS)
			read_bridge(info, bridge, spaces, read_spaces(spaces));
	}
	for (unsigned i = 0; fine && i < info->ecam_count; i++)
		fine = platform_range(p, info->ecam[i].mem32.base, info->ecam[i].mem32.size,
		    BOOT_MEM_DEVICE, why) &&
		    platform_range(p, info->ecam[i].mem64.base, info->ecam[i].mem64.size,
		    BOOT_MEM_DEVICE, why);
	return fine;
}

static void
forget(struct platform *p)
{
	memset(p->info, 0, sizeof(*p->info));
	p->range_count = 0;
}

/*
 * The device tree says more than the static tables (RK3588: SMMU and ITS), so
 * it comes first; a tree that cannot be used is named and the tables tried.
 */
void
describe_platform(struct platform *p)
{
	static const struct efi_guid dtb_guid = EFI_DTB_GUID, acpi_guid = EFI_ACPI_20_GUID;
	static const struct acpi_memory memory = { memory_at, NULL };
	const void *dtb = configuration_table(&dtb_guid);
	const void *acpi = configuration_table(&acpi_guid);
	struct complaint why;

	p->boot_mpidr = mpidr();
	if (dtb != NULL) {
		uint64_t size = fdt_magic(dtb) == FDT_MAGIC && fdt_totalsize(dtb) <= DTB_LIMIT ?
		    fdt_totalsize(dtb) : 0;

		forget(p);
		if (dt_read(dtb, size, p, &why))
			return;
		print("tessera: %s\n", why.text);
	}
	if (acpi != NULL) {
		forget(p);
		if (acpi_read(&memory, (uint64_t)acpi, p, &why) && read_bridges(p, &why))
			return;
		print("tessera: %s\n", why.text);
	}
	stop("no usable description of this machine (device tree: %s, ACPI: %s)",
	    dtb != NULL ? "refused" : "none", acpi != NULL ? "refused" : "none");
}
