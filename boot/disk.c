/* SPDX-License-Identifier: MIT */
/*
 * The disk that the loader was started from, and its partitions.  The loader
 * finds it by its own image's device path: the last node names the EFI system
 * partition, what stands before it the disk.
 */
#include <string.h>

#include "loader.h"

enum { PATH_MEDIA = 4, PATH_HARD_DRIVE = 1, PATH_END = 0x7f, PATH_LIMIT = 1024 };
enum { CHUNK = 8 << 20 };	/* one transfer: what every firmware's driver takes */

static const struct efi_guid block_io_guid = EFI_BLOCK_IO_GUID;
static const struct efi_guid device_path_guid = EFI_DEVICE_PATH_GUID;
static const struct efi_guid loaded_image_guid = EFI_LOADED_IMAGE_GUID;

static bool
transfer(struct disk *disk, bool write, uint64_t block, uint64_t size, void *buffer,
    struct complaint *why)
{
	struct efi_block_io *io = disk->io;

	for (uint64_t done = 0; done < size; done += CHUNK) {
		uint64_t part = size - done < CHUNK ? size - done : CHUNK;
		uint64_t at = block + done / disk->block_size;
		uint8_t *data = (uint8_t *)buffer + done;
		efi_status status = write ?
		    io->write(io, io->media->media_id, at, part, data) :
		    io->read(io, io->media->media_id, at, part, data);

		if (status != EFI_SUCCESS)
			return complain(why, "disk: block %llu cannot be %s (firmware error %llu)",
			    U64(at), write ? "written" : "read", U64(status & ~EFI_ERROR_BIT));
	}
	return true;
}

static bool
inside(const struct disk *disk, const struct partition *part, uint64_t offset, uint64_t size,
    struct complaint *why)
{
	uint64_t bytes = part->blocks * disk->block_size;

	if (offset % disk->block_size != 0 || size % disk->block_size != 0)
		return complain(why, "disk: its blocks of %u bytes are too large", disk->block_size);
	if (offset > bytes || size > bytes - offset)
		return complain(why, "disk: the partition is too short");
	return true;
}

bool
disk_read(struct disk *disk, const struct partition *part, uint64_t offset, uint64_t size,
    void *buffer, struct complaint *why)
{
	return inside(disk, part, offset, size, why) &&
	    transfer(disk, false, part->first + offset / disk->block_size, size, buffer, why);
}

bool
disk_write(struct disk *disk, const struct partition *part, uint64_t offset, uint64_t size,
    const void *buffer, struct complaint *why)
{
	if (!inside(disk, part, offset, size, why) ||
	    !transfer(disk, true, part->first + offset / disk->block_size, size,
	    (void *)(uintptr_t)buffer, why))
		return false;
	if (disk->io->flush(disk->io) != EFI_SUCCESS)
		return complain(why, "disk: cannot be flushed");
	return true;
}

/* ---- finding the disk ---------------------------------------------------- */

static unsigned
node_length(const uint8_t *node)
{
	return node[2] | (unsigned)node[3] << 8;
}

/* Copies the path up to its hard drive node; false if it has none. */
static bool
disk_path(const uint8_t *path, uint8_t *copy)
{
	for (unsigned at = 0; path[at] != PATH_END; at += node_length(path + at)) {
		unsigned length = node_length(path + at);

		if (length < 4 || at + length + 4 > PATH_LIMIT)
			return false;
		if (path[at] == PATH_MEDIA && path[at + 1] == PATH_HARD_DRIVE) {
			static const uint8_t end[4] = { PATH_END, 0xff, 4, 0 };

			memcpy(copy + at, end, sizeof(end));
			return true;
		}
		memcpy(copy + at, path + at, length);
	}
	return false;
}

static struct efi_block_io *
block_io(efi_handle handle)
{
	void *io = NULL;

	if (efi->boot->handle_protocol(handle, &block_io_guid, &io) != EFI_SUCCESS)
		return NULL;
	return io;
}

static efi_handle
own_disk(efi_handle image)
{
	static uint8_t copy[PATH_LIMIT];
	struct efi_loaded_image *loaded = NULL;
	void *path = NULL;
	const uint8_t *rest = copy;
	efi_handle handle = NULL;

	if (efi->boot->handle_protocol(image, &loaded_image_guid, (void **)&loaded) != EFI_SUCCESS ||
	    loaded->device == NULL ||
	    efi->boot->handle_protocol(loaded->device, &device_path_guid, &path) != EFI_SUCCESS ||
	    !disk_path(path, copy))
		return NULL;
	if (efi->boot->locate_device_path(&block_io_guid, &rest, &handle) != EFI_SUCCESS ||
	    rest[0] != PATH_END)
		return NULL;
	return handle;
}

/* The PCI function that the disk hangs on.  Firmware without such functions does not know. */
static uint32_t
device_of(efi_handle disk)
{
	static const struct efi_guid pci_io_guid = EFI_PCI_IO_GUID;
	uint64_t segment, bus, device, function;
	efi_handle handle = NULL;
	void *path = NULL, *any = NULL, *pci = NULL;
	const uint8_t *rest;

	if (efi->boot->handle_protocol(disk, &device_path_guid, &path) != EFI_SUCCESS ||
	    efi->boot->locate_protocol(&pci_io_guid, NULL, &any) != EFI_SUCCESS)
		return BOOT_DEVICE_UNKNOWN;
	rest = path;
	if (efi->boot->locate_device_path(&pci_io_guid, &rest, &handle) != EFI_SUCCESS ||
	    efi->boot->handle_protocol(handle, &pci_io_guid, &pci) != EFI_SUCCESS)
		return BOOT_DEVICE_OTHER;
	if (((struct efi_pci_io *)pci)->get_location(pci, &segment, &bus, &device, &function) != EFI_SUCCESS ||
	    segment > 0x7fff || bus > 255 || device > 31 || function > 7)
		return BOOT_DEVICE_UNKNOWN;
	return BOOT_DEVICE_PCI | (uint32_t)(segment << 16 | bus << 8 | device << 3 | function);
}

/* ---- its partitions ------------------------------------------------------ */

static bool
read_gpt_at(struct disk *disk, uint64_t at, uint8_t **entries, struct complaint *why)
{
	uint64_t blocks = disk->io->media->last_block + 1;
	uint8_t *block = pages_allocate(disk->block_size, 4096);
	bool fine = transfer(disk, false, at, disk->block_size, block, why) &&
	    gpt_header(block, at, blocks, &disk->gpt, why);
	uint64_t size;

	pages_free(block, disk->block_size);
	if (!fine)
		return false;
	size = (uint64_t)disk->gpt.entry_count * disk->gpt.entry_size;
	size = (size + disk->block_size - 1) / disk->block_size * disk->block_size;
	*entries = pages_allocate(size, 4096);
	return transfer(disk, false, disk->gpt.entries_block, size, *entries, why) &&
	    gpt_entries(&disk->gpt, *entries, why);
}

static void
find_partition(const struct disk *disk, const uint8_t *entries, uint8_t type,
    struct partition *part)
{
	const uint8_t guid[16] = SLOT_PARTITION_TYPE(type);

	part->blocks = 0;
	(void)gpt_find(&disk->gpt, entries, guid, 0, &part->first, &part->blocks);
}

/* The partition table, or its copy at the end of the disk. */
static bool
disk_use(struct disk *disk, efi_handle handle, struct complaint *why)
{
	struct efi_block_io *io = block_io(handle);
	uint8_t *entries = NULL;
	struct complaint second;

	if (io == NULL)
		return complain(why, "the disk cannot be read");
	disk->io = io;
	disk->device = device_of(handle);
	disk->block_size = io->media->block_size;
	if (!io->media->present || disk->block_size < 512 || disk->block_size > 4096)
		return complain(why, "the disk is not there or has blocks of %u bytes",
		    disk->block_size);
	if (!read_gpt_at(disk, 1, &entries, why) &&
	    !read_gpt_at(disk, io->media->last_block, &entries, &second))
		return false;
	find_partition(disk, entries, PARTITION_SLOT_A, &disk->slot[0]);
	find_partition(disk, entries, PARTITION_SLOT_B, &disk->slot[1]);
	find_partition(disk, entries, PARTITION_BOOT_STATE, &disk->boot_state);
	if (disk->slot[0].blocks == 0 && disk->slot[1].blocks == 0)
		return complain(why, "the disk has no slot partition");
	return true;
}

/* Firmware starts only the drivers that it needs itself (UEFI 2.10 3.1.3). */
static void
connect_all(void)
{
	uint64_t count = 0;
	efi_handle *handles = NULL;

	if (efi->boot->locate_handle_buffer(EFI_ALL_HANDLES, NULL, NULL, &count, &handles) !=
	    EFI_SUCCESS)
		return;
	for (uint64_t i = 0; i < count; i++)
		efi->boot->connect_controller(handles[i], NULL, NULL, 1);
}

/* Started without a disk (from the network, by the emulator): any with slots will do. */
static bool
any_disk(struct disk *disk)
{
	uint64_t count = 0;
	efi_handle *handles = NULL;
	struct complaint why;

	if (efi->boot->locate_handle_buffer(EFI_BY_PROTOCOL, &block_io_guid, NULL, &count,
	    &handles) != EFI_SUCCESS)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct efi_block_io *io = block_io(handles[i]);

		if (io != NULL && !io->media->logical_partition && disk_use(disk, handles[i], &why))
			return true;
	}
	return false;
}

void
disk_open(struct disk *disk, efi_handle image)
{
	efi_handle own = own_disk(image);
	struct complaint why;

	if (own == NULL) {
		if (any_disk(disk))
			return;
		connect_all();
		if (!any_disk(disk))
			stop("the loader was not started from a disk, and no disk has slots");
		return;
	}
	if (!disk_use(disk, own, &why))
		stop("%s", why.text);
}
