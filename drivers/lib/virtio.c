/* SPDX-License-Identifier: MIT */
/*
 * Modern virtio over PCI, virtio 1.1 §4.1, with split queues, §2.6.
 */
#include <driver/mmio.h>
#include <driver/virtio.h>
#include <tessera/runtime.h>
#include <tessera/string.h>

/* The common configuration structure, §4.1.4.3 */
enum { DEVICE_FEATURE_SELECT = 0, DEVICE_FEATURE = 4, DRIVER_FEATURE_SELECT = 8, DRIVER_FEATURE = 12,
	CONFIG_MSIX = 16, NUM_QUEUES = 18, DEVICE_STATUS = 20, CONFIG_GENERATION = 21, QUEUE_SELECT = 22,
	QUEUE_SIZE = 24, QUEUE_MSIX = 26, QUEUE_ENABLE = 28, QUEUE_NOTIFY_OFF = 30, QUEUE_DESC = 32,
	QUEUE_DRIVER = 40, QUEUE_DEVICE = 48, COMMON_BYTES = 56 };

enum { COMMON, NOTIFY, ISR, DEVICE };			/* struct component_pci, virtio */
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };	/* §2.6.5 */
enum { USED_NO_NOTIFY = 1 };				/* §2.6.10 */
enum { GENERATION_READS = 16 };

struct virtio_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags, next;
};
_Static_assert(sizeof(struct virtio_desc) == 16, "virtio 1.1 §2.6.5");

static uintptr_t
structure(const struct component_pci *pci, unsigned which, uint32_t bytes)
{
	uint32_t bar = pci->virtio[which].bar, offset = pci->virtio[which].offset;
	uintptr_t base;

	if (pci->virtio[which].length < bytes)
		return 0;
	base = pci_bar(pci, bar, (uint64_t)offset + pci->virtio[which].length);
	return base != 0 ? base + offset : 0;
}

bool
virtio_open(struct virtio *v, const struct component_pci *pci, uint32_t config_bytes)
{
	*v = (struct virtio){ .pci = pci };
	v->common = structure(pci, COMMON, COMMON_BYTES);
	v->notify = structure(pci, NOTIFY, 2);
	v->isr = structure(pci, ISR, 1);
	v->config = structure(pci, DEVICE, config_bytes);
	v->notify_bytes = pci->virtio[NOTIFY].length;
	v->notify_multiplier = pci->virtio[NOTIFY].multiplier;
	v->config_bytes = pci->virtio[DEVICE].length;
	if (v->common != 0 && v->notify != 0 && v->isr != 0 && v->config != 0)
		return true;
	log_line(LOG_WARNING "virtio: no modern device: its structures are missing or too small");
	return false;
}

void
virtio_reset(struct virtio *v)
{
	mmio_write8(v->common + DEVICE_STATUS, 0);
}

uint8_t
virtio_status(const struct virtio *v)
{
	return mmio_read8(v->common + DEVICE_STATUS);
}

bool
virtio_is_reset(const struct virtio *v)
{
	return virtio_status(v) == 0;
}

static void
status_add(struct virtio *v, uint8_t bits)
{
	mmio_write8(v->common + DEVICE_STATUS, (uint8_t)(virtio_status(v) | bits));
}

static uint64_t
features_read(const struct virtio *v)
{
	uint64_t features;

	mmio_write32(v->common + DEVICE_FEATURE_SELECT, 0);
	features = mmio_read32(v->common + DEVICE_FEATURE);
	mmio_write32(v->common + DEVICE_FEATURE_SELECT, 1);
	return features | (uint64_t)mmio_read32(v->common + DEVICE_FEATURE) << 32;
}

/* §3.1.1, steps 2 to 6. */
const char *
virtio_negotiate(struct virtio *v, uint64_t wanted)
{
	uint64_t needed = VIRTIO_VERSION_1 | VIRTIO_ACCESS_PLATFORM, features;

	status_add(v, VIRTIO_ACKNOWLEDGE);
	status_add(v, VIRTIO_DRIVER);
	features = features_read(v);
	if ((features & VIRTIO_VERSION_1) == 0)
		return "the device is older than virtio 1.0";
	if ((features & VIRTIO_ACCESS_PLATFORM) == 0)
		return "the device passes the SMMU by (no VIRTIO_F_ACCESS_PLATFORM)";
	v->features = features & (wanted | needed);
	mmio_write32(v->common + DRIVER_FEATURE_SELECT, 0);
	mmio_write32(v->common + DRIVER_FEATURE, (uint32_t)v->features);
	mmio_write32(v->common + DRIVER_FEATURE_SELECT, 1);
	mmio_write32(v->common + DRIVER_FEATURE, (uint32_t)(v->features >> 32));
	status_add(v, VIRTIO_FEATURES_OK);
	return (virtio_status(v) & VIRTIO_FEATURES_OK) != 0 ? NULL : "the device refuses its own features";
}

void
virtio_go(struct virtio *v)
{
	status_add(v, VIRTIO_DRIVER_OK);
}

void
virtio_fail(struct virtio *v)
{
	status_add(v, VIRTIO_FAILED);
}

bool
virtio_config_read(const struct virtio *v, void *to, uint32_t bytes)
{
	uint8_t *p = to, before;

	for (unsigned n = 0; n < GENERATION_READS; n++) {
		before = mmio_read8(v->common + CONFIG_GENERATION);
		for (uint32_t i = 0; i < bytes; i++)
			p[i] = i < v->config_bytes ? mmio_read8(v->config + i) : 0;
		if (mmio_read8(v->common + CONFIG_GENERATION) == before)
			return true;
	}
	return false;
}

bool
virtio_config_vector(struct virtio *v, uint16_t vector)
{
	mmio_write16(v->common + CONFIG_MSIX, vector);
	return mmio_read16(v->common + CONFIG_MSIX) == vector;
}

/* ---- queues ----------------------------------------------------------------------- */

bool
virtio_queue_memory(struct virtio_queue *q, struct virtio *v, struct dma_region *dma, uint16_t chain)
{
	memset(q, 0, sizeof *q);
	q->device = v;
	q->dma = dma;
	q->chain = chain;
	/* For the largest size; a smaller queue uses less of it.  Alignment: §2.6. */
	q->desc = dma_alloc(dma, VIRTIO_SLOTS * sizeof *q->desc, 16, &q->desc_io);
	q->avail = dma_alloc(dma, 2 * (3 + VIRTIO_SLOTS), 2, &q->avail_io);
	q->used = dma_alloc(dma, 6 + 8 * VIRTIO_SLOTS, 4, &q->used_io);
	q->tables = dma_alloc(dma, (size_t)VIRTIO_SLOTS * chain * sizeof *q->tables, 16, &q->tables_io);
	return q->desc != NULL && q->avail != NULL && q->used != NULL && q->tables != NULL;
}

static void
set64(uintptr_t at, uint64_t value)
{
	mmio_write32(at, (uint32_t)value);
	mmio_write32(at + 4, (uint32_t)(value >> 32));
}

static void
queue_clear(struct virtio_queue *q)
{
	memset(q->desc, 0, VIRTIO_SLOTS * sizeof *q->desc);
	for (unsigned i = 0; i < 3 + VIRTIO_SLOTS; i++)
		q->avail[i] = 0;
	for (unsigned i = 0; i < 3 + 4 * VIRTIO_SLOTS; i++)
		q->used[i] = 0;
	dma_push(q->dma, q->desc, VIRTIO_SLOTS * sizeof *q->desc);
	dma_push(q->dma, (const void *)q->avail, 2 * (3 + VIRTIO_SLOTS));
	dma_push(q->dma, (const void *)q->used, 6 + 8 * VIRTIO_SLOTS);
	memset(q->busy, 0, sizeof q->busy);
	q->avail_idx = q->used_idx = q->in_flight = q->next = 0;
	q->kick = false;
}

/* §4.1.5.1.3 */
const char *
virtio_queue_start(struct virtio_queue *q, uint16_t index, uint16_t vector)
{
	uintptr_t common = q->device->common;
	uint64_t doorbell;
	uint16_t size;

	mmio_write16(common + QUEUE_SELECT, index);
	size = mmio_read16(common + QUEUE_SIZE);
	if (size == 0 || (size & (size - 1)) != 0)
		return "there is no such queue, or of a wrong size";
	q->size = size < VIRTIO_SLOTS ? size : VIRTIO_SLOTS;
	q->index = index;
	q->indirect = (q->device->features & VIRTIO_INDIRECT) != 0;
	q->slots = q->indirect ? q->size : (uint16_t)(q->size / q->chain);
	if (q->slots == 0)
		return "the queue is too short";
	doorbell = (uint64_t)mmio_read16(common + QUEUE_NOTIFY_OFF) * q->device->notify_multiplier;
	if (doorbell + 2 > q->device->notify_bytes)
		return "its doorbell lies outside of the structure";
	q->doorbell = q->device->notify + doorbell;
	queue_clear(q);
	mmio_write16(common + QUEUE_SIZE, q->size);
	mmio_write16(common + QUEUE_MSIX, vector);
	if (mmio_read16(common + QUEUE_MSIX) != vector)
		return "the device refuses the queue's vector";
	set64(common + QUEUE_DESC, q->desc_io);
	set64(common + QUEUE_DRIVER, q->avail_io);
	set64(common + QUEUE_DEVICE, q->used_io);
	mmio_write16(common + QUEUE_ENABLE, 1);
	return NULL;
}

int
virtio_queue_slot(struct virtio_queue *q)
{
	if (q->in_flight == q->slots)
		return -1;
	while (q->busy[q->next])
		q->next = (uint16_t)((q->next + 1) % q->slots);
	q->busy[q->next] = true;
	q->in_flight++;
	return q->next;
}

/* Entries first .. first + n - 1 of a table, chained. */
static void
chain_write(struct virtio_desc *table, uint16_t first, const struct virtio_buffer *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool more = i + 1 < n;

		table[first + i] = (struct virtio_desc){
			.address = b[i].address, .bytes = b[i].bytes,
			.flags = (uint16_t)((more ? DESC_NEXT : 0) | (b[i].device_writes ? DESC_WRITE : 0)),
			.next = (uint16_t)(more ? first + i + 1 : 0),
		};
	}
}

void
virtio_queue_submit(struct virtio_queue *q, unsigned slot, const struct virtio_buffer *b, unsigned n)
{
	uint16_t head = (uint16_t)(q->indirect ? slot : slot * q->chain);
	struct virtio_desc *table = q->indirect ? q->tables + slot * q->chain : q->desc;

	chain_write(table, q->indirect ? 0 : head, b, n);
	dma_push(q->dma, table + (q->indirect ? 0 : head), n * sizeof *table);
	if (q->indirect) {
		q->desc[head] = (struct virtio_desc){
			.address = q->tables_io + (uint64_t)slot * q->chain * sizeof *table,
			.bytes = n * (uint32_t)sizeof *table, .flags = DESC_INDIRECT,
		};
		dma_push(q->dma, &q->desc[head], sizeof *q->desc);
	}
	q->avail[2 + q->avail_idx % q->size] = head;
	q->avail_idx++;
	q->kick = true;
	q->next = (uint16_t)((slot + 1) % q->slots);
}

/* §2.6.13: entries before the index, the index before the look at the device's flags. */
void
virtio_queue_kick(struct virtio_queue *q)
{
	if (!q->kick)
		return;
	q->kick = false;
	dma_wmb();
	q->avail[1] = q->avail_idx;
	dma_push(q->dma, (const void *)q->avail, 2 * (3 + VIRTIO_SLOTS));
	dma_mb();
	dma_pull(q->dma, (const void *)q->used, 4);
	if ((q->used[0] & USED_NO_NOTIFY) == 0)
		mmio_write16(q->doorbell, q->index);
}

static uint32_t
used_word(const struct virtio_queue *q, unsigned entry, unsigned which)
{
	const volatile uint32_t *p = (const volatile uint32_t *)(q->used + 2);

	return p[2 * entry + which];
}

enum virtio_used
virtio_queue_used(struct virtio_queue *q, unsigned *slot, uint32_t *bytes)
{
	unsigned entry = q->used_idx % q->size, per = q->indirect ? 1 : q->chain;
	uint16_t index;
	uint32_t id;

	dma_pull(q->dma, (const void *)q->used, 6 + 8 * VIRTIO_SLOTS);
	index = q->used[1];
	if (index == q->used_idx)
		return VIRTIO_NOTHING;
	if ((uint16_t)(index - q->used_idx) > q->in_flight) {
		q->used_idx = index;
		return VIRTIO_NONSENSE;
	}
	dma_rmb();			/* the index before the entry */
	id = used_word(q, entry, 0);
	*bytes = used_word(q, entry, 1);
	q->used_idx++;
	if (id >= q->size || id % per != 0 || id / per >= q->slots || !q->busy[id / per])
		return VIRTIO_NONSENSE;
	*slot = id / per;
	q->busy[*slot] = false;
	q->in_flight--;
	return VIRTIO_DONE;
}
