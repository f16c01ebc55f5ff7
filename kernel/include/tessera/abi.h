/* SPDX-License-Identifier: MIT */
/*
 * The kernel's interface to user space: what does not change with the list of
 * calls.  Numbers of system calls and invocations come from kernel/calls.def
 * (generated: tessera/calls.h, tessera/stubs.h).
 *
 * Calling convention (SVC #0 from a component at EL0, HVC #0 from EL1 of a
 * personality; Arm ARM DDI 0487 D1.3):
 *
 *        in                              out
 *   x0   slot of the capability          enum error (0 = OK)
 *   x1   message info                    message info
 *   x2-7 words 0..5                      words 0..5
 *   x8   system call number              badge (recv, wait, poll and the like)
 *   x9   deadline_ticks, 0 = none        0
 *   x10  slot of the Reply (recv kinds)  0
 *   x11-x17                              0 (clobbered)
 *   x18-x30, sp, NZCV: preserved
 *
 * A deadline is absolute, in ticks of CNTPCT_EL0 (CNTVOFF_EL2 is 0, so the
 * virtual counter shows the same).  Words 6..119 travel in the IPC buffer.
 * TPIDRRO_EL0 of a component thread holds the address of its IPC buffer.
 * On any error other than ERR_TRUNCATED nothing was changed or delivered.
 */
#ifndef TESSERA_ABI_H
#define TESSERA_ABI_H

#include <stdint.h>

enum error {
	OK = 0,
	ERR_CALL,		/* no such system call or invocation of this type */
	ERR_SLOT,		/* slot number outside the CNode */
	ERR_SLOT_EMPTY,
	ERR_SLOT_FULL,
	ERR_TYPE,		/* capability of another type than needed */
	ERR_RIGHTS,
	ERR_BADGED,		/* a badge is given once and never changed */
	ERR_ARGUMENT,		/* a value that no state makes right */
	ERR_RANGE,		/* address, size or offset outside of its bounds */
	ERR_ALIGN,
	ERR_NO_MEMORY,		/* the Untyped or the VSpace's tables are used up */
	ERR_MAPPED,		/* something is mapped there, or this capability already is */
	ERR_NOT_MAPPED,
	ERR_BUSY,		/* in use: bound, running, has children */
	ERR_STATE,		/* the object is not in the state that this needs */
	ERR_WOULD_BLOCK,	/* nb_*, and every blocking call of a VCPU thread */
	ERR_TIMEOUT,		/* the deadline passed */
	ERR_GONE,		/* the peer or the object was destroyed while waiting */
	ERR_TRUNCATED,		/* message delivered, but capabilities did not fit */
	ERR_CANCELLED,		/* the thread was suspended and resumed while waiting */
	ERR_LIMIT,		/* a fixed bound of the kernel */
	ERROR_COUNT
};

enum object_type {
	OBJ_NULL = 0,
	OBJ_UNTYPED,
	OBJ_CNODE,		/* size_bits: log2 of the number of slots */
	OBJ_THREAD,
	OBJ_VCPU,
	OBJ_SCHED_CONTEXT,
	OBJ_ENDPOINT,
	OBJ_NOTIFICATION,
	OBJ_REPLY,
	OBJ_FRAME,		/* size_bits: log2 of the bytes, 12..30 */
	OBJ_VSPACE,		/* size_bits: log2 of the bytes for root and tables, 13.. */
	OBJ_IRQ_HANDLER,
	OBJ_IRQ_CONTROL,
	OBJ_SCHED_CONTROL,
	OBJ_SYSTEM_CONTROL,
	OBJ_IO_CONTROL,
	OBJ_IO_DEVICE,
	OBJ_IO_SPACE,		/* size_bits: as OBJ_VSPACE */
	OBJECT_TYPES
};

/* Rights.  What they permit is in the manual page of each object. */
enum {
	RIGHT_READ	= 1,	/* receive, wait, map readable, read registers */
	RIGHT_WRITE	= 2,	/* send, signal, map writable, change */
	RIGHT_GRANT	= 4,	/* send capabilities along */
	RIGHT_EXEC	= 8,	/* map executable */
	RIGHTS_ALL	= 15,
};

/* Attributes of a mapping (frame_map). */
enum {
	MAP_NORMAL	= 0,	/* write-back cacheable, inner shareable */
	MAP_UNCACHED	= 1,	/* Normal non-cacheable */
	MAP_DEVICE	= 2,	/* Device-nGnRE */
};

/*
 * What a device sees: IOVAs of 39 bits in eight windows of 64 GiB.  A capability
 * of an IOSpace with badge w maps inside window w alone.  In the last page of
 * window 0 the kernel maps the doorbell: the device's message interrupts are
 * writes to it.
 */
enum { IO_WINDOW_SHIFT = 36, IO_WINDOW_COUNT = 8, IO_ADDRESS_BITS = 39, IO_EVENTS = 32 };
#define IO_DOORBELL_IOVA	0xffffff000UL	/* this page is the kernel's */
#define IO_NO_ITS		0xffffffffu	/* io_control_assign: no message interrupts */

/* Message info: label 47:16, capabilities 10:8, words 6:0. */
enum { MSG_WORDS_REG = 6, MSG_WORDS = 120, MSG_CAPS = 4 };
#define MSG_INFO(label, words, caps) \
	(((uint64_t)(uint32_t)(label) << 16) | ((uint64_t)(caps) << 8) | (uint64_t)(words))
static inline uint32_t msg_label(uint64_t info) { return (uint32_t)(info >> 16); }
static inline unsigned msg_words(uint64_t info) { return (unsigned)(info & 0x7f); }
static inline unsigned msg_caps(uint64_t info) { return (unsigned)(info >> 8) & 7; }

/*
 * Labels that the kernel itself sends.  A notification that arrives through a
 * bound thread's recv has LABEL_NOTIFICATION and its bits as the badge.  A
 * fault is a call of the faulting thread to its fault handler; the answer
 * resumes it (label 0: go on at the same pc; words[0] of a label 1 answer is
 * the new pc), a thread without a handler is suspended.
 */
enum {
	LABEL_NOTIFICATION	= 0xffff0000u,
	LABEL_FAULT_MEMORY	= 0xffff0001u,	/* words: pc, address, esr, 0 */
	LABEL_FAULT_EXCEPTION	= 0xffff0002u,	/* words: pc, 0, esr, 0 */
	LABEL_FAULT_TIMEOUT	= 0xffff0003u,	/* words: pc, consumed ticks, badge of the client's call, 0; */
						/* ticks and badge are 0 when the client, not its budget, is gone */
};

/* The IPC buffer, one page per thread. */
struct ipc_buffer {
	uint64_t words[MSG_WORDS];	/* 0..5 travel in registers, their places here are unused */
	uint32_t caps[MSG_CAPS];	/* slots to send */
	uint32_t recv_slots[MSG_CAPS];	/* empty slots for what arrives; 0 = refuse */
	uint64_t user[376];		/* the runtime's own: thread-local data */
};
_Static_assert(sizeof(struct ipc_buffer) == 4000, "IPC buffer");

/* Registers as thread_read_registers and thread_write_registers move them in
 * the IPC buffer's words: x0..x30, sp, pc, pstate, tpidr_el0. */
enum { REGS_WORDS = 35, REG_SP = 31, REG_PC = 32, REG_PSTATE = 33, REG_TPIDR = 34 };

/*
 * What a personality thread sees of the GICv3 CPU interface: two interrupts,
 * acknowledged by ICC_IAR1_EL1 and ended by ICC_EOIR1_EL1 (EOImode 0).  The
 * notification interrupt says that the thread's bound Notification has bits;
 * poll reads them.
 */
enum { VIRQ_NOTIFICATION = 16, VIRQ_TIMER = 27 };

/* init's first capabilities, and what lies in its address space. */
enum {
	INIT_SLOT_CNODE = 1, INIT_SLOT_THREAD, INIT_SLOT_VSPACE, INIT_SLOT_SCHED_CONTEXT,
	INIT_SLOT_IRQ_CONTROL, INIT_SLOT_SCHED_CONTROL, INIT_SLOT_SYSTEM_CONTROL,
	INIT_SLOT_IO_CONTROL,
	INIT_SLOT_BOOTINFO,	/* Frame(s), read only: struct bootinfo */
	INIT_SLOT_BUNDLE,	/* Frame over base.bundle, read only (execute allowed) */
	INIT_SLOT_KERNEL_LOG,	/* Frame, read only: struct kernel_log */
	INIT_SLOT_IPC_BUFFER,
	INIT_SLOT_FIRST_FREE = 32,	/* Untypeds follow from here */
	INIT_CNODE_BITS = 14,
};
struct init_untyped {
	uint64_t base;
	uint32_t slot;
	uint8_t size_bits;
	uint8_t device;		/* 1: MMIO; only Frames can be made of it */
	uint16_t reserved;
};
enum { INIT_MAX_UNTYPED = 1024 };
/* Mapped read only at INIT_INFO_VADDR, which is also in x0 when init starts. */
#define INIT_INFO_VADDR		0x10000000UL	/* struct init_info, up to 32 KiB */
#define INIT_BOOTINFO_VADDR	0x10010000UL
#define INIT_IPC_VADDR		0x10020000UL
#define INIT_LOG_VADDR		0x10030000UL
#define INIT_STACK_TOP		0x10100000UL	/* 64 KiB below it are mapped */
#define INIT_BUNDLE_VADDR	0x20000000UL
struct init_info {
	uint32_t version;	/* 1 */
	uint32_t cpu_count;	/* CPUs that are running */
	uint32_t untyped_count;
	uint32_t first_free_slot;	/* after the Untypeds */
	uint32_t timer_hz;
	uint32_t debug_kernel;	/* 1: debug build */
	uint64_t bundle_size;
	uint64_t bundle_offset;	/* of the bundle inside its Frame */
	struct init_untyped untyped[INIT_MAX_UNTYPED];
};

/* The kernel's log: bytes ever written modulo 2^64; the last `size` are in data. */
struct kernel_log {
	uint64_t written;
	uint64_t size;		/* of data, a power of two */
	char data[];
};

#endif
