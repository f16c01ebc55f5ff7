/* SPDX-License-Identifier: MIT */
/*
 * The part of UEFI (2.10) that the loader uses.  Structures keep the order and
 * size of the specification; services that are not called are void pointers.
 */
#ifndef BOOT_EFI_H
#define BOOT_EFI_H

#include <stdint.h>

typedef uint64_t efi_status;
typedef void *efi_handle;
typedef uint16_t efi_char;

#define EFI_ERROR_BIT		0x8000000000000000ULL
#define EFI_SUCCESS		0ULL
#define EFI_INVALID_PARAMETER	(EFI_ERROR_BIT | 2)
#define EFI_BUFFER_TOO_SMALL	(EFI_ERROR_BIT | 5)

struct efi_guid {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
};

enum efi_memory_type {
	EFI_RESERVED_MEMORY, EFI_LOADER_CODE, EFI_LOADER_DATA, EFI_BOOT_SERVICES_CODE,
	EFI_BOOT_SERVICES_DATA, EFI_RUNTIME_SERVICES_CODE, EFI_RUNTIME_SERVICES_DATA,
	EFI_CONVENTIONAL_MEMORY, EFI_UNUSABLE_MEMORY, EFI_ACPI_RECLAIM_MEMORY,
	EFI_ACPI_MEMORY_NVS, EFI_MEMORY_MAPPED_IO, EFI_MEMORY_MAPPED_IO_PORT, EFI_PAL_CODE,
	EFI_PERSISTENT_MEMORY,
};
enum { EFI_ALLOCATE_ANY, EFI_ALLOCATE_BELOW, EFI_ALLOCATE_AT };
enum { EFI_ALL_HANDLES = 0, EFI_BY_PROTOCOL = 2 };

struct efi_memory_descriptor {
	uint32_t type;
	uint32_t pad;
	uint64_t physical;
	uint64_t virtual_start;
	uint64_t pages;
	uint64_t attribute;
};

struct efi_table_header {
	uint64_t signature;
	uint32_t revision, header_size, crc32, reserved;
};

struct efi_text_output {
	void *reset;
	efi_status (*output_string)(struct efi_text_output *self, const efi_char *text);
};

struct efi_time {
	uint16_t year;
	uint8_t month, day, hour, minute, second, pad1;
	uint32_t nanosecond;
	int16_t time_zone;		/* minutes west of UTC, or EFI_UNSPECIFIED_TIMEZONE */
	uint8_t daylight, pad2;
};
enum { EFI_UNSPECIFIED_TIMEZONE = 0x7ff };

struct efi_runtime_services {
	struct efi_table_header header;
	efi_status (*get_time)(struct efi_time *time, void *capabilities);
};

struct efi_boot_services {
	struct efi_table_header header;
	void *raise_tpl, *restore_tpl;
	efi_status (*allocate_pages)(uint32_t how, uint32_t type, uint64_t pages, uint64_t *at);
	efi_status (*free_pages)(uint64_t at, uint64_t pages);
	efi_status (*get_memory_map)(uint64_t *size, void *map, uint64_t *key,
	    uint64_t *descriptor_size, uint32_t *descriptor_version);
	efi_status (*allocate_pool)(uint32_t type, uint64_t size, void **at);
	efi_status (*free_pool)(void *at);
	void *create_event, *set_timer, *wait_for_event, *signal_event, *close_event, *check_event;
	void *install_protocol, *reinstall_protocol, *uninstall_protocol;
	efi_status (*handle_protocol)(efi_handle handle, const struct efi_guid *protocol,
	    void **interface);
	void *reserved, *register_protocol_notify;
	efi_status (*locate_handle)(uint32_t how, const struct efi_guid *protocol, void *key,
	    uint64_t *size, efi_handle *handles);
	efi_status (*locate_device_path)(const struct efi_guid *protocol, const uint8_t **path,
	    efi_handle *handle);
	void *install_configuration_table;
	void *load_image, *start_image, *exit, *unload_image;
	efi_status (*exit_boot_services)(efi_handle image, uint64_t key);
	void *get_next_monotonic_count;
	efi_status (*stall)(uint64_t microseconds);
	efi_status (*set_watchdog_timer)(uint64_t seconds, uint64_t code, uint64_t size,
	    efi_char *data);
	efi_status (*connect_controller)(efi_handle handle, efi_handle *drivers,
	    const uint8_t *path, uint8_t recursive);
	void *disconnect_controller;
	void *open_protocol, *close_protocol, *open_protocol_information;
	void *protocols_per_handle;
	efi_status (*locate_handle_buffer)(uint32_t how, const struct efi_guid *protocol, void *key,
	    uint64_t *count, efi_handle **handles);
	efi_status (*locate_protocol)(const struct efi_guid *protocol, void *registration,
	    void **interface);
};

/* UEFI 2.10 §14.4, up to what is called. */
#define EFI_PCI_IO_GUID { 0x4cf5b200, 0x68b8, 0x4ca5, { 0x9e, 0xec, 0xb2, 0x3e, 0x3f, 0x50, 0x02, 0x9a } }
struct efi_pci_io {
	void *poll_memory, *poll_io, *memory_read, *memory_write, *io_read, *io_write, *pci_read, *pci_write;
	void *copy_memory, *map, *unmap, *allocate_buffer, *free_buffer, *flush;
	efi_status (*get_location)(struct efi_pci_io *self, uint64_t *segment, uint64_t *bus, uint64_t *device,
	    uint64_t *function);
};

struct efi_configuration_table {
	struct efi_guid guid;
	void *table;
};

struct efi_system_table {
	struct efi_table_header header;
	efi_char *firmware_vendor;
	uint32_t firmware_revision;
	efi_handle console_in_handle;
	void *con_in;
	efi_handle console_out_handle;
	struct efi_text_output *con_out;
	efi_handle standard_error_handle;
	struct efi_text_output *std_err;
	struct efi_runtime_services *runtime;
	struct efi_boot_services *boot;
	uint64_t table_count;
	struct efi_configuration_table *tables;
};

struct efi_loaded_image {
	uint32_t revision;
	efi_handle parent;
	struct efi_system_table *system_table;
	efi_handle device;
	uint8_t *file_path;
	void *reserved;
	uint32_t load_options_size;
	void *load_options;
	void *image_base;
	uint64_t image_size;
};

struct efi_block_media {
	uint32_t media_id;
	uint8_t removable, present, logical_partition, read_only, write_caching;
	uint32_t block_size;
	uint32_t io_align;
	uint64_t last_block;
};

struct efi_block_io {
	uint64_t revision;
	struct efi_block_media *media;
	void *reset;
	efi_status (*read)(struct efi_block_io *self, uint32_t media_id, uint64_t block,
	    uint64_t size, void *buffer);
	efi_status (*write)(struct efi_block_io *self, uint32_t media_id, uint64_t block,
	    uint64_t size, const void *buffer);
	efi_status (*flush)(struct efi_block_io *self);
};

struct efi_rng {
	void *get_info;
	efi_status (*get_rng)(struct efi_rng *self, const struct efi_guid *algorithm, uint64_t size,
	    uint8_t *value);
};

struct efi_graphics_mode {
	uint32_t version, width, height, format;
	uint32_t masks[4];
	uint32_t stride;
};
struct efi_graphics {
	void *query_mode, *set_mode, *blt;
	struct {
		uint32_t max_mode, mode;
		struct efi_graphics_mode *info;
		uint64_t info_size;
		uint64_t framebuffer;
		uint64_t framebuffer_size;
	} *mode;
};

struct efi_root_bridge {
	void *services[17];
	efi_status (*configuration)(struct efi_root_bridge *self, void **descriptors);
	uint32_t segment;
};

/* UEFI PI 1.8 II-7: the DXE services table's beginning. */
struct efi_gcd_descriptor {
	uint64_t base, length, capabilities, attributes;
	uint32_t type;			/* 3: memory-mapped I/O */
	uint32_t pad;
	void *image, *device;
};
enum { EFI_GCD_MMIO = 3 };
struct efi_dxe_services {
	struct efi_table_header header;
	void *services[6];
	efi_status (*get_memory_space_map)(uint64_t *count, struct efi_gcd_descriptor **map);
};

#define EFI_LOADED_IMAGE_GUID \
	{ 0x5b1b31a1, 0x9562, 0x11d2, { 0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } }
#define EFI_DEVICE_PATH_GUID \
	{ 0x09576e91, 0x6d3f, 0x11d2, { 0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } }
#define EFI_BLOCK_IO_GUID \
	{ 0x964e5b21, 0x6459, 0x11d2, { 0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b } }
#define EFI_RNG_GUID \
	{ 0x3152bca5, 0xeade, 0x433d, { 0x86, 0x2e, 0xc0, 0x1c, 0xdc, 0x29, 0x1f, 0x44 } }
#define EFI_GRAPHICS_GUID \
	{ 0x9042a9de, 0x23dc, 0x4a38, { 0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a } }
#define EFI_ROOT_BRIDGE_GUID \
	{ 0x2f707ebb, 0x4a1a, 0x11d4, { 0x9a, 0x38, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d } }
#define EFI_DXE_SERVICES_GUID \
	{ 0x05ad34ba, 0x6f02, 0x4214, { 0x95, 0x2e, 0x4d, 0xa0, 0x39, 0x8e, 0x2b, 0xb9 } }
#define EFI_ACPI_20_GUID \
	{ 0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 } }
#define EFI_DTB_GUID \
	{ 0xb1b621d5, 0xf19c, 0x41a5, { 0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0 } }

#endif
