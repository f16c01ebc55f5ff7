/* SPDX-License-Identifier: MIT */
/*
 * What init hands to a component at its start: struct component_info, one page
 * in its address space whose address is in x0 of its first thread; sp is set
 * to the top of its stack, TPIDRRO_EL0 to its IPC buffer.  The page is read
 * only.  (A personality gets struct world_info instead: proto/world.h.)
 *
 * All addresses are virtual addresses of the component.
 *
 * Doorbells.  A component has one Notification, COMPONENT_SLOT_BELL.  Every
 * channel has a bit in it (`bit`), and so has every interrupt line; each peer
 * holds a capability that can raise exactly its channel's bit.
 * COMPONENT_BIT_PEER says that a peer of some channel was built anew: whoever
 * sees it looks at all of its rings again and rings the bells of their other
 * ends, since the old peer may have died between two steps.
 *
 * The supervisor endpoint takes the messages below; faults of the component
 * arrive at the same place by themselves.
 *
 *   call             sends           answers
 *   COMPONENT_EXIT   word 0: status  nothing: the component is revoked
 */
#ifndef PROTO_COMPONENT_H
#define PROTO_COMPONENT_H

#include <stdint.h>

#define COMPONENT_MAGIC		0x504d4f4353534554ULL	/* "TESSCOMP" */
#define COMPONENT_VERSION	2

/* A component's CSpace.  What is not named here is in struct component_info. */
enum {
	COMPONENT_SLOT_SUPERVISOR = 1,	/* Endpoint of init, badged */
	COMPONENT_SLOT_BELL = 2,	/* the own Notification, to wait for */
	COMPONENT_SLOT_FIRST_FREE = 3,	/* channel bells, interrupts, authorities */
	COMPONENT_CNODE_BITS = 7,
};

/* The address space.  One component needs six page tables for all of it. */
#define COMPONENT_IMAGE_BASE	0x00400000UL	/* where images are linked */
#define COMPONENT_INFO_VADDR	0x10000000UL
#define COMPONENT_IPC_VADDR	0x10001000UL
#define COMPONENT_KEEP_VADDR	0x10002000UL
#define COMPONENT_HOSTS_VADDR	0x10003000UL	/* struct device_hosts, for devmgr (proto/device.h) */
#define COMPONENT_USAGE_VADDR	0x10004000UL	/* its page of proto/usage.h */
#define COMPONENT_LOG_VADDR	0x10010000UL	/* kernel log, where allowed */
#define COMPONENT_HEAP_BASE	0x10100000UL
#define COMPONENT_STACK_TOP	0x100f0000UL
#define COMPONENT_CHANNEL_BASE	0x20000000UL
#define COMPONENT_DEVICE_BASE	0x30000000UL
#define COMPONENT_DMA_BASE	0x38000000UL
#define COMPONENT_CONFIG_BASE	0x40000000UL	/* configuration spaces, for devmgr */

enum { COMPONENT_CPU_CRC32 = 1 };	/* the CRC32 instructions */

enum { COMPONENT_EXIT = 1 };		/* label of the message */

enum { COMPONENT_BIT_PEER = 1 };	/* bit 0 of the Notification */

enum channel_type {
	CHANNEL_STREAM = 1,		/* proto/stream.h, both directions */
	CHANNEL_LOG = 2,		/* proto/stream.h, client to server only */
	CHANNEL_CALL = 3,		/* an Endpoint: the client calls, the server receives */
	CHANNEL_BLOCK = 4,		/* proto/block.h */
	CHANNEL_FS = 5,			/* proto/fs.h */
};
enum channel_role { CHANNEL_CLIENT = 0, CHANNEL_SERVER = 1 };

struct component_channel {
	char name[16];
	char peer[16];			/* the component at the other end */
	uint64_t address;		/* of the shared Frame; 0 for CHANNEL_CALL */
	uint32_t size;
	uint32_t type;			/* enum channel_type */
	uint32_t role;			/* enum channel_role */
	uint32_t slot;			/* the peer's doorbell; CHANNEL_CALL: the Endpoint */
	uint64_t bit;			/* in the own Notification */
	/* Windows of lent memory, see below.  CHANNEL_BLOCK: at the client its own
	 * window; at the server the set of windows that requests may name.
	 * CHANNEL_FS: at both ends the client's window. */
	uint32_t window;
	uint32_t windows;		/* bit per window */
	/* CHANNEL_BLOCK: "disk", "root", a partition's GUID or name, or "by NAME": what the
	 * component of that name says on its own channel (BLOCK_BIND) */
	char part[40];
};

/*
 * Windows.  The addresses that a device uses (IOVAs, 39 bits) fall into eight
 * windows of 64 GiB: window 0 is the driver's own memory, and window n belongs
 * to the n-th lender of system.conf (`lend`), in the IOSpace of every driver
 * that it lends to.  A component that lends has its heap there from
 * IO_WINDOW(n) on, in the order of its addresses; a world lends pages of its
 * RAM itself, at IO_WINDOW(n) + (ipa - WORLD_RAM_BASE).
 */
enum { IO_WINDOWS = 8, IO_WINDOW_BITS = 36 };
#define IO_WINDOW(n)	((uint64_t)(n) << IO_WINDOW_BITS)

struct component_device {
	char name[16];
	uint64_t address;		/* of the first register */
	uint32_t size;
	uint32_t kind;			/* enum boot_uart_kind */
	uint32_t clock_hz;		/* 0: not known */
	uint32_t baud;			/* 0: leave it */
	uint8_t reg_shift;
	uint8_t reg_width;
	uint16_t reserved;
	uint32_t irq_slot;		/* IRQHandler; 0: no interrupt */
	uint64_t irq_bit;
};

/*
 * A PCI function.  BARs are mapped whole, MSI-X table included: its driver
 * writes vector v with address msi_address and data msi_data + v, after which
 * interrupts arrive as bits irq_bit << v of the bell (irq_handler_ack of
 * irq_slot + v lets the next one come).  devmgr has switched memory space, bus
 * mastering and MSI-X on, but the SMMU refuses all DMA, MSIs included, until
 * the driver calls io_device_bind(device_slot, space_slot): first it brings the
 * device to a state in which no old command can complete.  init unbinds it
 * when the driver dies.
 */
struct component_pci {
	char name[16];			/* "0000:00:01.0" */
	uint16_t vendor, device;
	uint32_t class_code;		/* 0xCCSSPP */
	uint32_t device_slot;		/* IODevice; 0: there is no PCI function */
	uint32_t space_slot;		/* IOSpace */
	uint32_t irq_slot;		/* IRQHandler of vector 0, the others follow; 0: none, poll */
	uint32_t irq_count;
	uint64_t irq_bit;		/* of vector 0 in the own Notification */
	uint64_t msi_address;
	uint32_t msi_data;
	uint32_t msix_table_bar;
	uint32_t msix_table_offset;
	uint32_t coherent;		/* 1: the device sees the caches; else dma_sync */
	struct {
		uint64_t address, size;	/* size 0: there is none */
	} bar[6];
	struct {
		uint32_t bar, offset, length, multiplier;
	} virtio[4];			/* common, notify, isr, device; length 0: none */
};

/* Notifications of init that make it do something: `kill uart`. */
struct component_authority {
	char name[28];
	uint32_t slot;
};

enum {
	COMPONENT_MAX_CHANNELS = 20,
	COMPONENT_MAX_DEVICES = 4,
	COMPONENT_MAX_AUTHORITIES = 10,
};

struct component_info {
	uint64_t magic;
	uint32_t version;
	uint32_t starts;		/* 1 for the first time, and so on */
	char name[16];
	uint32_t timer_hz;
	uint32_t channel_count;
	uint32_t device_count;
	uint32_t authority_count;
	uint64_t heap_base;
	uint64_t heap_size;
	uint64_t keep;			/* a page that outlives the component; zeroed at boot */
	uint64_t kernel_log;		/* struct kernel_log, read only; 0: not allowed */
	uint64_t kernel_log_from;	/* what the kernel itself has printed up to */
	uint64_t wall_time_ns;		/* at wall_time_ticks; 0: not known */
	uint64_t wall_time_ticks;
	uint64_t random;		/* a seed that no other component was given */
	struct component_channel channel[COMPONENT_MAX_CHANNELS];
	struct component_device device[COMPONENT_MAX_DEVICES];
	struct component_authority authority[COMPONENT_MAX_AUTHORITIES];
	struct component_pci pci;
	/* Memory for DMA (system.conf `dma`): zeroed at each start, at dma_address for
	 * the component and at dma_io for its device. */
	uint64_t dma_address, dma_io, dma_size;
	uint8_t root_part[16];		/* GUID of the root partition; zeros: none given */
	char args[256];			/* from system.conf */
	char cmdline[256];		/* of the boot slot */
	uint64_t usage;			/* struct memory_usage (proto/usage.h), its own, to be written */
	uint32_t was_killed;		/* 1: somebody with the authority ended the last life, not a fault of its own */
	uint32_t cpu_features;		/* COMPONENT_CPU_*: what all CPUs have beyond ARMv8.0 */
	uint8_t boot_disk[16];		/* GUID of the disk that the loader took; zeros: from none */
	uint32_t boot_elsewhere;	/* 1: the loader took a disk of another device than this driver's */
	uint32_t reserved;
};
_Static_assert(sizeof(struct component_info) <= 4096, "one page");

#endif
