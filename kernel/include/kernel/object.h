/* SPDX-License-Identifier: MIT */
/*
 * Capabilities and the objects that they name.
 *
 * A slot is 64 bytes and holds a capability together with its place in the
 * derivation tree: `child` is the first capability derived from this one,
 * `next` the next one derived from the same parent, `prev` the one before or,
 * for a first child, the parent.  Every slot but derivation_root has a prev.
 *
 * Objects have no names of their own and no heap: their memory came from an
 * Untyped.  An object is destroyed when its last capability goes.
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/abi.h>
#include <tessera/calls.h>
#include <tessera/objects.h>

/* Physical addresses are numbers, kernel addresses are pointers; see
 * phys_to_kernel() and kernel_to_phys() in arch.h. */
typedef uint64_t paddr_t;

struct thread;
struct vspace;
struct slot;

/* Where a slot lies: which of its owner's, so that the owner can be told. */
enum slot_home {
	HOME_CNODE = 0,
	HOME_THREAD_CSPACE,
	HOME_THREAD_VSPACE,
	HOME_THREAD_IPC_BUFFER,
	HOME_THREAD_FAULT_HANDLER,
};

enum { THREAD_SLOTS = 4 };

struct frame_cap {
	uint64_t base_page : 36;	/* physical address / 4096 */
	uint64_t vaddr_page : 28;	/* meaningful while mapped_pages or vspace is set */
};

struct slot {
	uint8_t type;			/* enum object_type; OBJ_NULL: empty */
	uint8_t rights;
	uint8_t home;			/* enum slot_home; stays when the slot is emptied */
	uint8_t device : 1;		/* Untyped, Frame: MMIO */
	uint8_t attribute : 2;		/* Frame: of its mapping */
	uint8_t map_rights : 4;		/* Frame: of its mapping */
	uint32_t pages;			/* Frame: size; Untyped: size_bits */
	union {
		void *object;		/* the object; for a Frame see vspace */
		struct vspace *vspace;	/* Frame: where it is mapped, or NULL */
		paddr_t base;		/* Untyped */
		struct object *header;
		struct cnode *cnode;
		struct thread *thread;
		struct vcpu *vcpu;
		struct sched_context *sched_context;
		struct endpoint *endpoint;
		struct notification *notification;
		struct reply *reply;
		struct irq *irq;
	};
	union {
		uint64_t badge;		/* Endpoint, Notification */
		struct frame_cap frame;
		uint64_t watermark;	/* Untyped: bytes given out from the start */
	};
	struct slot *child;
	struct slot *next;
	struct slot *prev;
	union {
		struct slot *map_next;	/* Frame: others mapped in the same VSpace */
		uint64_t clean;		/* Untyped: bytes from the start known to be given
					 * out or cleared; >= watermark unless reset */
	};
	union {
		struct slot **map_prev;	/* Frame: what points at us */
		uint64_t reserved;
	};
};
static_assert(sizeof(struct slot) == 1 << SLOT_BITS, "slot");

/* The first words of each object but CNode, Frame and Untyped. */
struct object {
	uint32_t refs;			/* capabilities that name it */
	uint8_t type;			/* enum object_type */
	uint8_t dying;			/* container: on the list of those being emptied */
	uint16_t progress;
};

/*
 * A container that lost its last capability but still holds some: a CNode or
 * a Thread.  `self` takes the place of that last capability in the derivation
 * tree, so that the memory stays in use until all is gone (see delete.c).
 */
struct dying {
	struct slot self;
};

/* A CNode is an array of slots; the first is the kernel's own record. */
struct cnode {
	union {
		struct slot self;	/* type OBJ_NULL until the CNode dies */
		struct {
			uint8_t type;
			uint8_t rights;
			uint8_t home;
			uint8_t flags;
			uint32_t refs;
			uint64_t count;		/* slots, this one included */
			uint64_t progress;	/* when dying: slots below are empty */
			struct slot *child, *next, *prev;
			void *dying_next;
		};
	};
};
static_assert(sizeof(struct cnode) == sizeof(struct slot), "CNode record");

static inline struct slot *
cnode_slots(struct cnode *c)
{
	return &c->self;
}

/* A queue of blocked threads, first come first served. */
struct queue {
	struct thread *head, *tail;
};

enum endpoint_state { ENDPOINT_IDLE, ENDPOINT_SENDING, ENDPOINT_RECEIVING };

struct endpoint {
	struct object obj;
	uint64_t state;			/* enum endpoint_state: who waits in the queue */
	struct queue queue;
};
static_assert(sizeof(struct endpoint) <= 1 << ENDPOINT_BITS, "Endpoint");

struct notification {
	struct object obj;
	uint64_t bits;
	struct queue queue;		/* threads in wait */
	struct thread *bound;		/* its recv or VCPU gets the bits */
};
static_assert(sizeof(struct notification) <= 1 << NOTIFICATION_BITS, "Notification");

/*
 * A Reply is either free, or prepared by a thread that waits in recv
 * (receiver), or holds a caller.  Replies that a SchedContext was lent through
 * are stacked: sched_context.top is the newest, below the one before.
 */
struct reply {
	struct object obj;
	struct thread *receiver;
	struct thread *caller;
	struct sched_context *lent;	/* only in the top of its stack */
	struct reply *below, *above;
};
static_assert(sizeof(struct reply) <= 1 << REPLY_BITS, "Reply");

/* An interrupt line.  The table is as large as the hardware's (SPIs). */
struct irq {
	struct object obj;
	struct notification *notification;
	struct irq *next_bound;		/* of the same Notification */
	uint64_t badge;
	uint32_t intid;
	uint32_t cpu;
};

struct vcpu;

/* The root of the derivation tree: what boot makes hangs below it. */
extern struct slot derivation_root;

#endif
