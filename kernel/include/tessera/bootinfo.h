/* SPDX-License-Identifier: MIT */
/*
 * What the loader leaves for the kernel: one versioned, pointer-free record.
 * The kernel parses nothing else; device tree and ACPI end in boot/.
 *
 * State at entry of kernel.elf (all CPUs but the calling one are off):
 *   EL2, MMU and data cache off, interrupts masked, x0 = physical address of
 *   struct bootinfo (4 KiB aligned), x1..x3 = 0.  kernel.elf is a static PIE
 *   that the loader has placed at kernel.base and whose R_AARCH64_RELATIVE
 *   relocations it has applied.  Everything loaded was cleaned to the point of
 *   coherency and the instruction caches were invalidated.
 *
 * All addresses are physical, all sizes in bytes, unless the name says more.
 */
#ifndef TESSERA_BOOTINFO_H
#define TESSERA_BOOTINFO_H

#include <stdint.h>

#define BOOTINFO_MAGIC		0x4f464e4954525353ULL	/* "SSRTINFO" */
#define BOOTINFO_VERSION	1

enum {
	BOOT_MAX_MEMORY	= 256,
	BOOT_MAX_CPUS	= 16,
	BOOT_MAX_GICR	= 16,
	BOOT_MAX_ITS	= 4,
	BOOT_MAX_SMMU	= 4,
	BOOT_MAX_ECAM	= 16,
	BOOT_MAX_STREAMS = 32,
	BOOT_MAX_MASTERS = 64,	/* QEMU lists 33, a RK3588 30 */
	BOOT_MAX_SEGMENTS = 8,
	BOOT_CMDLINE	= 256,
};

/* A range of the physical address space.  Sorted by base, no overlaps. */
enum boot_memory_kind {
	BOOT_MEM_FREE		= 1,	/* RAM, nobody's: becomes Untyped */
	BOOT_MEM_LOADED		= 2,	/* kernel, bootinfo, bundle, init image */
	BOOT_MEM_FIRMWARE	= 3,	/* runtime services, ACPI, reserved RAM: never touched */
	BOOT_MEM_DEVICE		= 4,	/* MMIO that firmware named */
};
struct boot_memory {
	uint64_t base;		/* 4 KiB aligned */
	uint64_t size;		/* 4 KiB multiple */
	uint32_t kind;
	uint32_t reserved;
};

struct boot_cpu {
	uint64_t mpidr;		/* Aff3..Aff0 as MPIDR_EL1 shows them */
	uint32_t enabled;	/* 0: listed by firmware but not to be started */
	uint32_t reserved;
};

struct boot_range {
	uint64_t base;
	uint64_t size;
};

struct boot_gic {
	uint64_t dist_base;
	uint64_t dist_size;
	uint32_t gicr_count;
	uint32_t its_count;
	struct boot_range gicr[BOOT_MAX_GICR];	/* redistributor regions */
	struct boot_range its[BOOT_MAX_ITS];
	uint32_t its_id[BOOT_MAX_ITS];		/* ACPI ITS id, or phandle */
	uint32_t maintenance_intid;		/* 0: none named */
	uint32_t coherent;			/* GIC and ITS tables are snooped */
};

struct boot_timer {
	uint32_t el2_phys_intid;	/* usually 26 */
	uint32_t virt_intid;		/* usually 27 */
	uint32_t el1_phys_intid;	/* usually 30 */
	uint32_t frequency_hz;		/* CNTFRQ_EL0 as firmware left it */
};

struct boot_smmu {
	uint64_t base;
	uint64_t size;
	uint32_t event_intid;		/* 0: none */
	uint32_t gerror_intid;
	uint32_t pri_intid;
	uint32_t sync_intid;
	uint32_t coherent;
	uint32_t id;			/* IORT offset or phandle */
};

/* Requester ids [rid_base, rid_base + count) of a segment map to StreamIDs
 * (smmu >= 0) and DeviceIDs (its >= 0); -1 where there is none. */
struct boot_stream {
	uint32_t segment;
	uint32_t rid_base;
	uint32_t count;
	int32_t smmu;			/* index in smmu[] */
	uint32_t stream_base;
	int32_t its;			/* index in gic.its[] */
	uint32_t device_base;
	uint32_t reserved;
};

struct boot_ecam {
	uint64_t base;			/* of bus `bus_first` */
	uint32_t segment;
	uint8_t bus_first;
	uint8_t bus_last;
	uint8_t coherent;
	uint8_t reserved;
	struct boot_range mem32;	/* bus windows; size 0: not known */
	struct boot_range mem64;
	uint64_t mem32_bus;		/* address on the bus of mem32.base */
	uint64_t mem64_bus;
};

enum boot_uart_kind { BOOT_UART_NONE = 0, BOOT_UART_PL011 = 1, BOOT_UART_16550 = 2 };
struct boot_uart {
	uint64_t base;
	uint32_t size;
	uint32_t kind;
	uint32_t intid;
	uint32_t clock_hz;		/* 0: leave the divisor alone */
	uint32_t baud;			/* 0: leave it alone */
	uint8_t reg_shift;		/* 16550: log2 of the register distance */
	uint8_t reg_width;		/* bytes per access: 1 or 4 */
	uint8_t level_triggered;
	uint8_t reserved;
};

struct boot_framebuffer {		/* width 0: none */
	uint64_t base;
	uint64_t size;
	uint32_t width, height, stride_pixels, format;	/* EFI_GRAPHICS_PIXEL_FORMAT */
};

/* A DMA master that no SMMU covers, by its name in the device tree. */
struct boot_master {
	char name[48];
	uint64_t base;
};

/* init, already loaded: `pages` of contiguous memory, segments inside it. */
struct boot_segment {
	uint64_t vaddr;			/* 4 KiB aligned */
	uint64_t phys;			/* 4 KiB aligned */
	uint64_t size;			/* 4 KiB multiple, .bss included and zeroed */
	uint32_t flags;			/* ELF PF_X 1, PF_W 2, PF_R 4 */
	uint32_t reserved;
};
/*
 * The device whose disk the loader took.  It stands among init's facts because the record of
 * this version has its size: an older loader left 0 there, which is what it knew.
 */
#define BOOT_DEVICE_UNKNOWN	0u
#define BOOT_DEVICE_OTHER	1u		/* no PCI function */
#define BOOT_DEVICE_PCI		0x80000000u	/* | segment << 16 | bus << 8 | device << 3 | function */

struct boot_init {
	uint64_t entry;
	uint32_t segment_count;
	uint32_t boot_device;		/* BOOT_DEVICE_… */
	struct boot_segment segment[BOOT_MAX_SEGMENTS];
};

enum boot_psci { BOOT_PSCI_NONE = 0, BOOT_PSCI_SMC = 1, BOOT_PSCI_HVC = 2 };
/* Instructions that ARMv8.0 leaves open, as the boot CPU has them: the cores of one machine
 * differ in speed, not in these. */
enum { BOOT_CPU_CRC32 = 1 };		/* ID_AA64ISAR0_EL1.CRC32 */
enum boot_source { BOOT_FROM_ACPI = 1, BOOT_FROM_DT = 2 };

struct bootinfo {
	uint64_t magic;
	uint32_t version;
	uint32_t size;			/* sizeof(struct bootinfo) */

	uint32_t source;		/* enum boot_source */
	uint32_t psci;			/* enum boot_psci */
	uint32_t memory_count;
	uint32_t cpu_count;
	uint32_t smmu_count;
	uint32_t stream_count;
	uint32_t ecam_count;
	uint32_t master_count;

	struct boot_range kernel;	/* the loaded image, .bss included */
	struct boot_range bundle;	/* base.bundle, page aligned */
	struct boot_init init;

	struct boot_memory memory[BOOT_MAX_MEMORY];
	struct boot_cpu cpu[BOOT_MAX_CPUS];	/* cpu[0] is the boot CPU */
	struct boot_gic gic;
	struct boot_timer timer;
	struct boot_smmu smmu[BOOT_MAX_SMMU];
	struct boot_stream stream[BOOT_MAX_STREAMS];
	struct boot_ecam ecam[BOOT_MAX_ECAM];
	struct boot_uart uart;
	struct boot_framebuffer framebuffer;
	struct boot_master master[BOOT_MAX_MASTERS];

	uint64_t wall_time_ns;		/* since 1970-01-01 UTC, at wall_time_ticks; 0: unknown */
	uint64_t wall_time_ticks;	/* CNTPCT_EL0 when wall_time_ns was read */
	uint8_t seed[64];		/* random; seed_bytes of them are filled */
	uint32_t seed_bytes;
	uint32_t slot;			/* 0 = A, 1 = B */
	uint32_t trial;			/* 1: this slot is on its trial boot */
	uint32_t cpu_features;		/* BOOT_CPU_*; 0 from a loader that does not know them */
	uint64_t entry_ticks;		/* CNTPCT_EL0 when the loader started ... */
	uint64_t exit_ticks;		/* ... and when it jumped to the kernel */
	char cmdline[BOOT_CMDLINE];	/* from the slot header, NUL-terminated */
	uint8_t boot_disk_guid[16];	/* GPT disk GUID and the root partition's */
	uint8_t root_part_guid[16];	/* unique GUID; zeros: none given */
};

#endif
