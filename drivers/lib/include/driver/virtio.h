/* SPDX-License-Identifier: MIT */
/*
 * Modern virtio over PCI (virtio 1.1 §4.1) with split queues (§2.6): what drivers of virtio
 * devices share.  The device sits behind the SMMU, so VIRTIO_F_ACCESS_PLATFORM is required.
 *
 * A queue has slots.  Each is one request of up to `chain` buffers; with indirect descriptors it
 * takes one entry of the ring, without it takes `chain` of them.  The driver says what is in a slot;
 * what comes back from the device is checked to be a slot in use.
 */
#ifndef DRIVER_VIRTIO_H
#define DRIVER_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <driver/dma.h>
#include <driver/pci.h>

enum { VIRTIO_SLOTS = 128 };		/* of a queue, at most; a power of two */

/* Features of every device, §6 */
#define VIRTIO_INDIRECT		(1ULL << 28)
#define VIRTIO_VERSION_1	(1ULL << 32)
#define VIRTIO_ACCESS_PLATFORM	(1ULL << 33)

/* Device status, §2.1 */
enum { VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64, VIRTIO_FAILED = 128 };

enum { VIRTIO_NO_VECTOR = 0xffff };

struct virtio {
	const struct component_pci *pci;
	uintptr_t common, notify, isr, config;	/* addresses of the four structures */
	uint32_t notify_bytes, notify_multiplier, config_bytes;
	uint64_t features;		/* negotiated */
};

struct virtio_buffer {
	uint64_t address;
	uint32_t bytes;
	bool device_writes;
};

struct virtio_desc;
struct virtio_queue {
	struct virtio *device;
	struct dma_region *dma;
	uint16_t index, size, slots, chain;
	bool indirect;
	struct virtio_desc *desc, *tables;	/* tables: chain entries for each slot */
	uint64_t desc_io, tables_io;
	volatile uint16_t *avail;	/* flags, idx, ring[size] */
	volatile uint16_t *used;	/* flags, idx; then pairs of 32 bits */
	uint64_t avail_io, used_io;
	uintptr_t doorbell;
	uint16_t avail_idx, used_idx;
	uint16_t in_flight;
	bool kick;
	bool busy[VIRTIO_SLOTS];
	uint16_t next;
};

/* Find the structures.  False: they are not where they should be; said in the log. */
bool virtio_open(struct virtio *v, const struct component_pci *pci, uint32_t config_bytes);

/* Begin a reset; when virtio_is_reset is true, the device reaches no memory (§4.1.4.3.1). */
void virtio_reset(struct virtio *v);
bool virtio_is_reset(const struct virtio *v);
/* The device status; all ones: it is gone. */
uint8_t virtio_status(const struct virtio *v);

/* Negotiate: VERSION_1, ACCESS_PLATFORM and those of `wanted` that the device has.  NULL, or why not. */
const char *virtio_negotiate(struct virtio *v, uint64_t wanted);
/* Everything is set up: the device may begin. */
void virtio_go(struct virtio *v);
void virtio_fail(struct virtio *v);

/* Copy of the device's configuration, of one piece (§4.1.4.3.1, config_generation). */
bool virtio_config_read(const struct virtio *v, void *to, uint32_t bytes);

/* Which vector tells of changes of the configuration.  False: the device refuses it. */
bool virtio_config_vector(struct virtio *v, uint16_t vector);

/* Memory for a queue; once in a driver's life. */
bool virtio_queue_memory(struct virtio_queue *q, struct virtio *v, struct dma_region *dma, uint16_t chain);
/* Set the queue up after a reset; NULL, or why not. */
const char *virtio_queue_start(struct virtio_queue *q, uint16_t index, uint16_t vector);

/* A free slot, or -1. */
int virtio_queue_slot(struct virtio_queue *q);
/* Give a slot's request to the device with the next kick: n <= chain buffers. */
void virtio_queue_submit(struct virtio_queue *q, unsigned slot, const struct virtio_buffer *buffer, unsigned n);
void virtio_queue_kick(struct virtio_queue *q);

enum virtio_used { VIRTIO_NOTHING, VIRTIO_DONE, VIRTIO_NONSENSE };
/* The next slot that the device is through with; it is free again.  *bytes: that the device
 * says it wrote. */
enum virtio_used virtio_queue_used(struct virtio_queue *q, unsigned *slot, uint32_t *bytes);

#endif
