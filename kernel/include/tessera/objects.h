/* SPDX-License-Identifier: MIT */
/*
 * What each kernel object takes from its Untyped: both sides compute it here.
 */
#ifndef TESSERA_OBJECTS_H
#define TESSERA_OBJECTS_H

#include <tessera/abi.h>

enum {
	SLOT_BITS		= 6,	/* a capability slot: 64 bytes */
	THREAD_BITS		= 11,
	VCPU_BITS		= 11,
	SCHED_CONTEXT_BITS	= 8,
	ENDPOINT_BITS		= 6,
	NOTIFICATION_BITS	= 6,
	REPLY_BITS		= 6,
	PAGE_BITS		= 12,
	IO_DEVICE_BITS		= 12,	/* context descriptor and interrupt table among it */

	UNTYPED_BITS_MIN	= 6,
	UNTYPED_BITS_MAX	= 47,
	CNODE_BITS_MIN		= 2,	/* slot 0 is the kernel's own, and means "none" */
	CNODE_BITS_MAX		= 20,
	FRAME_BITS_MIN		= 12,
	FRAME_BITS_MAX		= 30,
	VSPACE_BITS_MIN		= 13,	/* one page of records, one for the root, the rest tables */
	VSPACE_BITS_MAX		= 24,
};

/*
 * log2 of the bytes that one object takes, and the alignment of its place;
 * 0: no such object can be made of memory, or not in this size.  size_bits is
 * looked at only for Untyped, CNode, Frame, VSpace and IOSpace.
 */
static inline unsigned
object_bits(enum object_type type, unsigned size_bits)
{
	switch (type) {
	case OBJ_UNTYPED:
		return size_bits >= UNTYPED_BITS_MIN && size_bits <= UNTYPED_BITS_MAX ? size_bits : 0;
	case OBJ_CNODE:
		return size_bits >= CNODE_BITS_MIN && size_bits <= CNODE_BITS_MAX ?
			size_bits + SLOT_BITS : 0;
	case OBJ_FRAME:
		return size_bits >= FRAME_BITS_MIN && size_bits <= FRAME_BITS_MAX ? size_bits : 0;
	case OBJ_VSPACE:
	case OBJ_IO_SPACE:
		return size_bits >= VSPACE_BITS_MIN && size_bits <= VSPACE_BITS_MAX ? size_bits : 0;
	case OBJ_THREAD:
		return THREAD_BITS;
	case OBJ_VCPU:
		return VCPU_BITS;
	case OBJ_SCHED_CONTEXT:
		return SCHED_CONTEXT_BITS;
	case OBJ_ENDPOINT:
		return ENDPOINT_BITS;
	case OBJ_NOTIFICATION:
		return NOTIFICATION_BITS;
	case OBJ_REPLY:
		return REPLY_BITS;
	case OBJ_IO_DEVICE:
		return IO_DEVICE_BITS;
	default:
		return 0;
	}
}

#endif
