/* SPDX-License-Identifier: MIT */
/* What the parts of the EFI application share: firmware's services, and state. */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include <tessera/bootinfo.h>
#include <tessera/bundle.h>
#include <tessera/slot.h>

#include "efi.h"
#include "platform.h"
#include "slots.h"

#define LOADER_VERSION "0.1"

extern struct efi_system_table *efi;	/* set by efi_main */

/* console.c: messages on firmware's console. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* firmware.c: memory, tables, and what UEFI knows besides. */
/* `size` bytes of zeroed pages at a multiple of align (a power of two). */
void *pages_allocate(uint64_t size, uint64_t align);
void pages_free(void *at, uint64_t size);
bool guid_equal(const struct efi_guid *a, const struct efi_guid *b);
const void *configuration_table(const struct efi_guid *guid);
void read_wall_time(struct bootinfo *info);
void read_seed(struct bootinfo *info);
void read_framebuffer(struct bootinfo *info);
void describe_platform(struct platform *p);

/* disk.c: the disk that the loader came from. */
struct partition {
	uint64_t first;		/* block */
	uint64_t blocks;	/* 0: there is none */
};
struct disk {
	struct efi_block_io *io;
	uint32_t block_size;
	struct gpt gpt;
	struct partition slot[SLOT_COUNT];
	struct partition boot_state;
	uint32_t device;		/* BOOT_DEVICE_… of tessera/bootinfo.h */
};
void disk_open(struct disk *disk, efi_handle image);
bool disk_read(struct disk *disk, const struct partition *part, uint64_t offset, uint64_t size,
    void *buffer, struct complaint *why);
bool disk_write(struct disk *disk, const struct partition *part, uint64_t offset, uint64_t size,
    const void *buffer, struct complaint *why);

/* load.c: a slot that passed all checks, in memory. */
struct loaded {
	struct slot_header header;
	void *kernel_file;
	struct bundle_header *bundle;
	uint64_t entry;		/* physical */
	void *kernel;
	void *init;
	uint64_t init_size;
};
unsigned load_slot(struct disk *disk, struct bootinfo *info, struct loaded *loaded);

/* devices.c: runs with the MMU off, after firmware is gone. */
void devices_stop(const struct bootinfo *info);

/* handoff.S */
uint64_t counter(void);			/* CNTPCT_EL0 */
uint64_t counter_frequency(void);
uint64_t current_el(void);		/* 1, 2 */
uint64_t instruction_sets(void);	/* ID_AA64ISAR0_EL1 */
uint64_t mpidr(void);
void cache_clean(const void *at, uint64_t size);	/* to the point of coherency */
/* Leaves firmware's world: caches and MMU off, devices stopped, on to entry. */
_Noreturn void handoff(struct bootinfo *info, uint64_t entry, void *stack_top);

#endif
