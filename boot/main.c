/* SPDX-License-Identifier: MIT */
/*
 * BOOTAA64.EFI: from UEFI to the kernel.  efi_main is the whole story, one
 * step a line; what each step needs and promises stands in loader.h.
 */
#include <string.h>

#include "loader.h"
#include "memory.h"

enum { STACK_SIZE = 16384, EXIT_TRIES = 8 };

struct efi_system_table *efi;

static void
need_el2(void)
{
	if (current_el() == 2)
		return;
	stop("Tessera's kernel needs EL2 (the hypervisor's exception level), but firmware\n"
	    "started the loader at EL%u. In QEMU, add virtualization=on to -M virt; on a board,\n"
	    "use firmware that hands over at EL2 (TF-A's default for BL33).",
	    (unsigned)current_el());
}

/* Marks what the kernel must not take for free memory. */
static bool
mark(struct bootinfo *info, const void *at, uint64_t size, struct complaint *why)
{
	return memory_paint(info, (uint64_t)at, (size + 4095) & ~(uint64_t)4095, BOOT_MEM_LOADED,
	    MEMORY_OVER(BOOT_MEM_FREE), why);
}

static bool
build_map(struct platform *p, const struct loaded *l, const void *map, uint64_t size,
    uint64_t descriptor_size, struct complaint *why)
{
	struct bootinfo *info = p->info;

	return memory_from_efi(info, map, size, descriptor_size, why) &&
	    mark(info, info, sizeof(*info), why) &&
	    mark(info, l->kernel, info->kernel.size, why) &&
	    mark(info, l->bundle, info->bundle.size, why) &&
	    mark(info, l->init, l->init_size, why) &&
	    memory_add_platform(info, p, why);
}

/*
 * UEFI 2.10 7.4.6: the map's key must be the current one, and the first try
 * may change the map.  The memory map is built before leaving, while what is
 * wrong with it can still be said, and again from the map that was final.
 */
static void
leave_firmware(efi_handle image, struct platform *p, const struct loaded *l)
{
	uint64_t room = 0, size = 0, key, descriptor_size = sizeof(struct efi_memory_descriptor);
	uint32_t version;
	struct complaint why;
	void *map;

	efi->boot->get_memory_map(&room, NULL, &key, &descriptor_size, &version);
	room += 64 * descriptor_size;	/* allocating and leaving split ranges */
	map = pages_allocate(room, 4096);
	for (unsigned i = 0; i < EXIT_TRIES; i++) {
		size = room;
		if (efi->boot->get_memory_map(&size, map, &key, &descriptor_size, &version) !=
		    EFI_SUCCESS)
			continue;
		if (i == 0 && !build_map(p, l, map, size, descriptor_size, &why))
			stop("%s", why.text);
		if (efi->boot->exit_boot_services(image, key) != EFI_SUCCESS)
			continue;
		(void)build_map(p, l, map, size, descriptor_size, &why);
		return;
	}
	stop("firmware does not let go (ExitBootServices failed %d times)", EXIT_TRIES);
}

static void
clean_all(efi_handle image_base, uint64_t image_size, const struct bootinfo *info,
    const struct loaded *l, void *stack)
{
	cache_clean(image_base, image_size);
	cache_clean(stack, STACK_SIZE);
	cache_clean(l->kernel, info->kernel.size);
	cache_clean(l->bundle, info->bundle.size);
	cache_clean(l->init, l->init_size);
	cache_clean(info, sizeof(*info));
}

static void
announce(const struct bootinfo *info, const struct loaded *l)
{
	print("tessera: loader " LOADER_VERSION ", slot %c%s%s%s, %s, %u CPU%s, kernel at 0x%llx, "
	    "%llu ms\n", "AB"[info->slot], info->trial ? " (trial boot)" : "",
	    l->header.label[0] != '\0' ? " " : "", l->header.label,
	    info->source == BOOT_FROM_DT ? "device tree" : "ACPI", info->cpu_count,
	    info->cpu_count == 1 ? "" : "s", U64(info->kernel.base),
	    U64((counter() - info->entry_ticks) * 1000 / counter_frequency()));
}

efi_status efi_main(efi_handle image, struct efi_system_table *system);

efi_status
efi_main(efi_handle image, struct efi_system_table *system)
{
	static const struct efi_guid loaded_image_guid = EFI_LOADED_IMAGE_GUID;
	static struct platform platform;
	static struct disk disk;
	static struct loaded loaded;
	uint64_t entry_ticks = counter();
	struct efi_loaded_image *self = NULL;
	struct bootinfo *info;
	void *stack;

	efi = system;
	need_el2();
	efi->boot->set_watchdog_timer(0, 0, 0, NULL);
	efi->boot->handle_protocol(image, &loaded_image_guid, (void **)&self);
	if (self == NULL)
		stop("firmware does not say where the loader is");
	info = platform.info = pages_allocate(sizeof(*info), 4096);
	stack = pages_allocate(STACK_SIZE, 4096);

	describe_platform(&platform);
	info->magic = BOOTINFO_MAGIC;
	info->version = BOOTINFO_VERSION;
	info->size = sizeof(*info);
	info->entry_ticks = entry_ticks;
	info->timer.frequency_hz = (uint32_t)counter_frequency();
	info->cpu_features = (instruction_sets() >> 16 & 15) != 0 ? BOOT_CPU_CRC32 : 0;
	disk_open(&disk, image);
	load_slot(&disk, info, &loaded);
	memcpy(info->cmdline, loaded.header.cmdline, sizeof(info->cmdline));
	memcpy(info->root_part_guid, loaded.header.root_part_guid, sizeof(info->root_part_guid));
	info->init.boot_device = disk.device;
	memcpy(info->boot_disk_guid, disk.gpt.disk_guid, sizeof(info->boot_disk_guid));
	read_wall_time(info);
	read_seed(info);
	read_framebuffer(info);

	announce(info, &loaded);
	leave_firmware(image, &platform, &loaded);
	info->exit_ticks = counter();
	clean_all(self->image_base, self->image_size, info, &loaded, stack);
	handoff(info, loaded.entry, (uint8_t *)stack + STACK_SIZE);
}
