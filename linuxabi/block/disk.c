/* SPDX-License-Identifier: MIT */
/*
 * Disks, what they have in them, and the devices that come of it; a thread for each
 * that notices when it is ready, changes or goes, and writes back what has been dirty
 * for long.
 */
#include "internal.h"
#include "../fs/disk.h"

enum {
	MAJOR_EXT = 259, MAJOR_VIRTBLK = 254, MAJOR_MMC = 179,
	VIRTBLK_MINORS = 16, MMC_MINORS = 8,
	EXT_MINORS = 1024,
	CLAIMS_MAX = 16,
	START_NS = 1000000000,
};

struct blk_disk blk_disks[WORLD_MAX_CHANNELS];
unsigned blk_disk_count;
spinlock_t devs_lock = SPINLOCK_INIT(50);

static uint64_t ext_used[EXT_MINORS / 64];	/* devs_lock */
static uint64_t next_sequence = 1;
static struct claim {
	uint8_t guid[16];
	void *holder;			/* NULL: free */
	void (*found)(void *holder, uint64_t rdev, const char *name);
} claims[CLAIMS_MAX];			/* devs_lock */

static struct waitq started = WAITQ_INIT(started);	/* a thread has looked for the first time */
static struct mutex naming = MUTEX_INIT(naming, 14);

void
blk_kick(struct blk_disk *d)
{
	__atomic_store_n(&d->thread_work, true, __ATOMIC_SEQ_CST);
	waitq_wake_all(&d->thread_wait);
}

/* ---- references and lookups ---- */

void medium_get(struct blk_medium *m) { ref_get(&m->refs); }

void
medium_put(struct blk_medium *m)
{
	if (!ref_put(&m->refs))
		return;
	cache_destroy(m);
}

struct blk_medium *
blk_disk_medium(struct blk_disk *d)
{
	struct blk_medium *m;

	spin_lock(&devs_lock);
	m = d->medium;
	if (m != NULL)
		medium_get(m);
	spin_unlock(&devs_lock);
	return m;
}

void dev_get(struct blk_dev *d) { ref_get(&d->refs); }

void
dev_put(struct blk_dev *d)
{
	if (!ref_put(&d->refs))
		return;
	medium_put(d->medium);
	kfree(d);
}

struct blk_dev *
medium_dev(struct blk_medium *m, unsigned from)
{
	struct blk_dev *d, *found = NULL;

	spin_lock(&devs_lock);
	list_for_each(d, &m->devs, in_medium)
		if (d->number >= from) {
			found = d;
			dev_get(d);
			break;
		}
	spin_unlock(&devs_lock);
	return found;
}

static bool has_rdev(const struct blk_dev *d, const void *rdev) { return d->rdev == *(const uint64_t *)rdev; }
static bool has_name(const struct blk_dev *d, const void *name) { return strcmp(d->name, name) == 0; }

static bool
has_guid(const struct blk_dev *d, const void *guid)
{
	static const uint8_t none[16];

	return memcmp(d->guid, guid, 16) == 0 && memcmp(guid, none, 16) != 0 && !boot_slot_is_copy(d->medium);
}

static struct blk_dev *
dev_lookup(bool (*is)(const struct blk_dev *, const void *), const void *what)
{
	struct blk_dev *d, *found = NULL;

	spin_lock(&devs_lock);
	for (unsigned i = 0; i < blk_disk_count && found == NULL; i++) {
		if (blk_disks[i].medium == NULL)
			continue;
		list_for_each(d, &blk_disks[i].medium->devs, in_medium)
			if (is(d, what)) {
				found = d;
				dev_get(d);
				break;
			}
	}
	spin_unlock(&devs_lock);
	return found;
}

struct blk_dev *dev_find(uint64_t rdev) { return dev_lookup(has_rdev, &rdev); }

/* ---- numbers and names, as Linux gives them ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "vda" 0, "vdz" 25, "vdaa" 26; "mmcblk3" 3; -1: neither. */
static int
name_index(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	int v = 0;

	if (strncmp(name, prefix, n) != 0 || name[n] == '\0')
		return -1;
	if (is_digit(name[n]))
		return proc_number(name + n);
	for (name += n; *name != '\0'; name++) {
		if (*name < 'a' || *name > 'z' || v > 1000)
			return -1;
		v = v * 26 + (*name - 'a' + 1);
	}
	return v - 1;
}

/* devs_lock held; 0: there is none left. */
static uint64_t
ext_number(void)
{
	for (unsigned i = 0; i < EXT_MINORS; i++)
		if ((ext_used[i / 64] >> i % 64 & 1) == 0) {
			ext_used[i / 64] |= 1ULL << i % 64;
			return makedev_(MAJOR_EXT, i);
		}
	return 0;
}

static uint64_t
number_take(const char *disk, unsigned part)
{
	int vd = strncmp(disk, "vd", 2) == 0 ? name_index(disk, "vd") : -1;
	int mmc = name_index(disk, "mmcblk");
	uint64_t rdev;

	if (vd >= 0 && part < VIRTBLK_MINORS)
		return makedev_(MAJOR_VIRTBLK, (unsigned)vd * VIRTBLK_MINORS + part);
	if (mmc >= 0 && part < MMC_MINORS)
		return makedev_(MAJOR_MMC, (unsigned)mmc * MMC_MINORS + part);
	spin_lock(&devs_lock);
	rdev = ext_number();
	spin_unlock(&devs_lock);
	return rdev;
}

static void
number_give(uint64_t rdev)
{
	unsigned minor = (unsigned)((rdev & 0xff) | (rdev >> 12 & 0xfff00));

	if ((rdev >> 8 & 0xfff) != MAJOR_EXT)
		return;
	spin_lock(&devs_lock);
	ext_used[minor / 64] &= ~(1ULL << minor % 64);
	spin_unlock(&devs_lock);
}

static void
part_name(char *to, size_t size, const char *disk, unsigned number)
{
	size_t n = strlen(disk);

	ksnprintf(to, size, "%s%s%u", disk, n != 0 && is_digit(disk[n - 1]) ? "p" : "", number);
}

/* The server's word for it, if that is a name. */
static void
disk_name(char *to, size_t size, const struct blk_disk *d, const struct block_facts *f)
{
	size_t n = 0;
	char name[16];

	while (n < sizeof(name) - 1 && (is_digit(f->name[n]) || (f->name[n] >= 'a' && f->name[n] <= 'z')))
		n++;
	memcpy(name, f->name, n);
	name[n] = '\0';
	if (n == 0 || f->name[n] != '\0')
		ksnprintf(name, sizeof(name), "blk%u", d->channel);
	if (f->part_number != 0)
		part_name(to, size, name, f->part_number);
	else
		strlcpy(to, name, size);
}

/* ---- exclusive use; disk->mutex is held ---- */

long
dev_hold(struct blk_dev *d, void *holder)
{
	struct blk_dev *whole = medium_whole(d->medium);

	if (d->holder == holder) {
		d->holds++;
		return 0;
	}
	if (d->holder != NULL || d->parts_held != 0 || (whole != d && whole->holder != NULL))
		return -EBUSY;
	d->holder = holder;
	d->holds = 1;
	if (whole != d)
		whole->parts_held++;
	return 0;
}

void
dev_unhold(struct blk_dev *d, void *holder)
{
	struct blk_dev *whole = d->gone ? d : medium_whole(d->medium);

	if (d->holder != holder || --d->holds != 0)
		return;
	d->holder = NULL;
	if (whole != d)
		whole->parts_held--;
}

/* Somebody waits for this partition already. */
static void
hold_if_claimed(struct blk_dev *d)
{
	struct claim c = { .holder = NULL };

	spin_lock(&devs_lock);
	for (unsigned i = 0; i < CLAIMS_MAX; i++)
		if (claims[i].holder != NULL && has_guid(d, claims[i].guid))
			c = claims[i];
	spin_unlock(&devs_lock);
	if (c.holder == NULL)
		return;
	if (dev_hold(d, c.holder) != 0)
		klog(LOG_WARNING, "%s: is in use, and a mount waits for it", d->name);
	if (c.found != NULL)
		c.found(c.holder, d->rdev, d->name);
}

/* ---- devices; disk->mutex is held ---- */

/* Into the medium, sorted by number; takes the reference. */
static void
dev_insert(struct blk_dev *d)
{
	struct blk_medium *m = d->medium;
	struct blk_dev *after;
	struct list *before = &m->devs;
	uint64_t irq;

	spin_lock(&devs_lock);
	irq = spin_lock_irqsave(&m->disk->lock);
	list_for_each(after, &m->devs, in_medium)
		if (after->number > d->number) {
			before = &after->in_medium;
			break;
		}
	list_add_tail(before, &d->in_medium);
	spin_unlock_irqrestore(&m->disk->lock, irq);
	spin_unlock(&devs_lock);
}

static struct blk_dev *
dev_new(struct blk_medium *m, unsigned number, uint64_t start, uint64_t size)
{
	struct blk_dev *d = kzalloc(sizeof(*d));

	if (d == NULL)
		return NULL;
	d->rdev = number_take(m->disk->name, number);
	if (d->rdev == 0) {
		kfree(d);
		return NULL;
	}
	ref_init(&d->refs, 1);
	list_init(&d->in_medium);
	medium_get(m);
	d->medium = m;
	d->number = number;
	d->start = start;
	d->size = size;
	d->ahead_sectors = AHEAD_SECTORS;
	d->read_only = (m->facts.flags & BLOCK_READONLY) != 0;
	if (number == 0)
		strlcpy(d->name, m->disk->name, sizeof(d->name));
	else
		part_name(d->name, sizeof(d->name), m->disk->name, number);
	return d;
}

/* The beginning of the device, from the cache; bytes that it does not have are zeros. */
static bool
dev_head(struct blk_dev *d, uint8_t *to)
{
	uint64_t done = 0, want = min(d->size, (uint64_t)PROBE_BYTES);

	memset(to, 0, PROBE_BYTES);
	while (done < want) {
		uint64_t at = d->start + done, in = at & (PAGE_SIZE - 1), n = min(want - done, PAGE_SIZE - in);
		struct page *p = cache_page(d->medium, at >> PAGE_SHIFT, 0);

		if (IS_ERR(p))
			return false;
		memcpy(to + done, (char *)page_virt(p) + in, n);
		page_put(p);
		done += n;
	}
	return true;
}

static void
dev_probe(struct blk_dev *d)
{
	uint8_t *head = kmalloc(PROBE_BYTES);

	d->reprobe = false;
	memset(&d->probe, 0, sizeof(d->probe));
	if (head != NULL && dev_head(d, head))
		probe_superblock(&d->probe, head);
	kfree(head);
}

/* What was inserted gets its names. */
static void
dev_publish(struct blk_dev *d)
{
	dev_probe(d);
	hold_if_claimed(d);
	names_publish(d);
}

static void
dev_remove(struct blk_dev *d)
{
	struct blk_medium *m = d->medium;
	struct blk_dev *whole = medium_whole(m);
	uint64_t irq;

	names_remove(d);
	if (d->holder != NULL && whole != d)
		whole->parts_held--;
	WRITE_ONCE(d->gone, true);
	spin_lock(&devs_lock);
	irq = spin_lock_irqsave(&m->disk->lock);
	list_del(&d->in_medium);
	spin_unlock_irqrestore(&m->disk->lock, irq);
	spin_unlock(&devs_lock);
	number_give(d->rdev);
	dev_put(d);
}

/* ---- partitions; disk->mutex is held ---- */

static struct blk_dev *
part_dev(struct blk_medium *m, unsigned number)
{
	struct blk_dev *d;

	list_for_each(d, &m->devs, in_medium)
		if (d->number == number)
			return d;
	return NULL;
}

static bool
overlaps_part(const struct blk_medium *m, uint64_t start, uint64_t size, unsigned but)
{
	struct blk_dev *d;

	list_for_each(d, &m->devs, in_medium)
		if (d->number != 0 && d->number != but && start < d->start + d->size && d->start < start + size)
			return true;
	return false;
}

static bool
range_is_right(const struct blk_medium *m, uint64_t start, uint64_t size)
{
	return size != 0 && start < m->size && size <= m->size - start &&
	    start % m->facts.block_size == 0 && size % m->facts.block_size == 0;
}

long
part_add_dev(struct blk_medium *m, unsigned number, uint64_t start, uint64_t size)
{
	struct blk_dev *d;

	if (m->facts.part_number != 0 || !range_is_right(m, start, size))
		return -EINVAL;
	if (part_dev(m, number) != NULL || overlaps_part(m, start, size, 0))
		return -EBUSY;
	d = dev_new(m, number, start, size);
	if (d == NULL)
		return -ENOMEM;
	dev_insert(d);
	dev_publish(d);
	return 0;
}

long
part_remove_dev(struct blk_medium *m, unsigned number)
{
	struct blk_dev *d = part_dev(m, number);

	if (d == NULL)
		return -ENXIO;
	if (d->openers != 0 || d->holder != NULL)
		return -EBUSY;
	cache_flush(m, d->start, d->start + d->size - 1);
	dev_remove(d);
	return 0;
}

/* Only the size, as on Linux: what is open goes on. */
long
part_resize_dev(struct blk_medium *m, unsigned number, uint64_t start, uint64_t size)
{
	struct blk_dev *d = part_dev(m, number);

	if (d == NULL)
		return -ENXIO;
	if (start != d->start || !range_is_right(m, start, size))
		return -EINVAL;
	if (overlaps_part(m, start, size, number))
		return -EBUSY;
	WRITE_ONCE(d->size, size);
	return 0;
}

static void
part_publish(struct blk_medium *m, const struct part_table *t, const struct part *p)
{
	uint32_t block = m->facts.block_size;
	struct blk_dev *d = part_dev(m, p->number) == NULL ? dev_new(m, p->number, p->first * block, p->count * block) : NULL;

	if (d == NULL)
		return;
	memcpy(d->guid, p->guid, sizeof(d->guid));
	part_uuid(d->uuid, t, p);
	strlcpy(d->label, p->name, sizeof(d->label));
	dev_insert(d);
	dev_publish(d);
}

static long
read_through_cache(void *arg, uint64_t block, uint32_t count, void *to)
{
	struct blk_medium *m = arg;
	uint64_t at = block * m->facts.block_size, left = (uint64_t)count * m->facts.block_size;

	while (left > 0) {
		uint64_t in = at & (PAGE_SIZE - 1), n = min(left, PAGE_SIZE - in);
		struct page *p = cache_page(m, at >> PAGE_SHIFT, 0);

		if (IS_ERR(p))
			return PTR_ERR(p);
		memcpy(to, (char *)page_virt(p) + in, n);
		page_put(p);
		to = (char *)to + n;
		at += n;
		left -= n;
	}
	return 0;
}

static void
medium_scan(struct blk_medium *m)
{
	struct part_table *t = kmalloc(sizeof(*t));
	uint8_t *buffer = kmalloc(PART_BUFFER);
	long r = -ENOMEM;

	if (t != NULL && buffer != NULL)
		r = parts_read(t, m->facts.block_size, m->facts.blocks, read_through_cache, m, buffer);
	if (r != 0) {
		klog(LOG_ERR, "%s: the partition table cannot be read: error %ld", m->disk->name, -r);
	} else {
		m->table = t->kind;
		memcpy(m->disk_guid, t->disk_guid, sizeof(m->disk_guid));
		if (t->from_backup || t->backup_bad)
			klog(LOG_WARNING, "%s: the %s partition table is damaged", m->disk->name,
			    t->from_backup ? "primary" : "backup");
		for (unsigned i = 0; i < t->count; i++)
			part_publish(m, t, &t->part[i]);
	}
	kfree(buffer);
	kfree(t);
}

long
medium_rescan(struct blk_medium *m)
{
	struct blk_dev *d;

	if (m->facts.part_number != 0)
		return -EINVAL;
	list_for_each(d, &m->devs, in_medium)
		if (d->number != 0 && (d->openers != 0 || d->holder != NULL))
			return -EBUSY;
	cache_flush(m, 0, UINT64_MAX);
	while (!list_empty(&m->devs) && (d = list_entry(m->devs.prev, struct blk_dev, in_medium))->number != 0)
		dev_remove(d);
	medium_scan(m);
	return 0;
}

/* ---- media; disk->mutex is held ---- */

static void
disk_change(struct blk_disk *d, struct blk_medium *m)
{
	spin_lock(&devs_lock);
	blk_set_medium(d, m);
	spin_unlock(&devs_lock);
	blk_pump(d);		/* what waits for the former one comes back */
}

static void
medium_remove(struct blk_disk *d)
{
	struct blk_medium *m = d->medium;

	klog(LOG_INFO, "%s: is gone", d->name);
	while (!list_empty(&m->devs))
		dev_remove(list_entry(m->devs.prev, struct blk_dev, in_medium));
	disk_change(d, NULL);
	cache_gone(m);
	medium_put(m);
}

static bool
disk_name_taken(struct blk_disk *d, const struct block_facts *f)
{
	struct blk_dev *other;
	char whole[24];
	bool taken;

	disk_name(d->name, sizeof(d->name), d, f);
	other = dev_lookup(has_name, d->name);
	if (other == NULL && f->part_number != 0) {
		strlcpy(whole, f->name, sizeof(f->name));
		other = dev_lookup(has_name, whole);
	}
	taken = other != NULL;
	if (other != NULL)
		dev_put(other);
	if (taken && !d->refused)
		klog(LOG_WARNING, "block: channel %u is a second way to %s and is not used", d->channel, d->name);
	d->refused = taken;
	return taken;
}

static struct blk_medium *
medium_new(struct blk_disk *d, const struct block_facts *f)
{
	struct blk_medium *m = kzalloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	ref_init(&m->refs, 1);
	m->disk = d;
	m->facts = *f;
	m->size = f->blocks * f->block_size;
	m->sequence = __atomic_fetch_add(&next_sequence, 1, __ATOMIC_RELAXED);
	list_init(&m->devs);
	if (cache_init(m))
		return m;
	kfree(m);
	return NULL;
}

/* With `naming` held: when it is released, the name is taken.  NULL: it is another's, or no memory. */
static struct blk_medium *
medium_begin(struct blk_disk *d, const struct block_facts *f)
{
	struct blk_medium *m;
	struct blk_dev *whole;

	if (disk_name_taken(d, f))
		return NULL;
	m = medium_new(d, f);
	whole = m != NULL ? dev_new(m, 0, 0, m->size) : NULL;
	if (whole == NULL) {
		klog(LOG_ERR, "%s: no memory for it", d->name);
		if (m != NULL)
			medium_put(m);
		return NULL;
	}
	if (f->part_number != 0) {
		memcpy(whole->guid, f->part_guid, sizeof(whole->guid));
		guid_text(whole->uuid, f->part_guid);
		strlcpy(whole->label, f->part_name, sizeof(whole->label));
	}
	disk_change(d, m);
	dev_insert(whole);
	return m;
}

static void
medium_insert(struct blk_disk *d, const struct block_facts *f)
{
	struct blk_medium *m;

	mutex_lock(&naming);
	m = medium_begin(d, f);
	mutex_unlock(&naming);
	if (m == NULL)
		return;
	klog(LOG_INFO, "%s: %lu MiB, %s", d->name, (unsigned long)(m->size >> 20), f->model);
	dev_publish(medium_whole(m));
	if (f->part_number == 0)
		medium_scan(m);
}

static void
medium_update(struct blk_medium *m, const struct block_facts *f)
{
	bool read_only = (f->flags & BLOCK_READONLY) != 0;
	struct probe before;
	struct blk_dev *d;

	m->facts.flags = f->flags;
	list_for_each(d, &m->devs, in_medium) {
		if (read_only)
			WRITE_ONCE(d->read_only, true);
		if (!d->reprobe)
			continue;
		before = d->probe;
		dev_probe(d);
		names_relink(d, &before);
	}
}

/* ---- the disk's thread ---- */

static void
disk_check(struct blk_disk *d)
{
	struct block_facts facts;
	uint64_t irq;
	bool live;

	mutex_lock(&d->mutex);
	blk_pump(d);
	irq = spin_lock_irqsave(&d->lock);
	d->changes_seen = d->client.changes;
	live = d->attached && d->client.live;
	facts = d->client.facts;
	spin_unlock_irqrestore(&d->lock, irq);
	if (live && d->medium != NULL && !facts_same_medium(&d->medium->facts, &facts))
		medium_remove(d);
	if (live && d->medium == NULL && facts.state == BLOCK_READY)
		medium_insert(d, &facts);
	else if (live && d->medium != NULL)
		medium_update(d->medium, &facts);
	mutex_unlock(&d->mutex);
	if (live && !d->looked) {
		WRITE_ONCE(d->looked, true);
		waitq_wake_all(&started);
	}
}

/* What has been dirty for long is written; when to look again. */
static uint64_t
blk_flush_old(struct blk_disk *d)
{
	struct blk_medium *m = blk_disk_medium(d);
	uint64_t due = UINT64_MAX, now = clock_monotonic();
	bool now_wanted;

	if (m == NULL)
		return UINT64_MAX;
	now_wanted = __atomic_exchange_n(&m->flush_now, false, __ATOMIC_RELAXED);
	if (READ_ONCE(m->dirty) != 0 && (now_wanted || READ_ONCE(m->dirty_since_ns) + FLUSH_NS <= now))
		cache_flush(m, 0, UINT64_MAX);
	if (READ_ONCE(m->dirty) != 0 && !m->gone)
		due = READ_ONCE(m->dirty_since_ns) + FLUSH_NS;
	medium_put(m);
	return due;
}

/* One look at everything; when the next is due if nothing happens. */
uint64_t
blk_step(struct blk_disk *d)
{
	__atomic_store_n(&d->thread_work, false, __ATOMIC_SEQ_CST);
	disk_check(d);
	return blk_flush_old(d);
}

static void
thread_main(void *arg)
{
	struct blk_disk *d = arg;

	for (;;) {
		uint64_t due = blk_step(d);

		(void)wait_event_timeout(&d->thread_wait, __atomic_load_n(&d->thread_work, __ATOMIC_SEQ_CST), due);
	}
}

/* ---- errors ---- */

void
medium_write_failed(struct blk_medium *m, uint64_t position, uint64_t bytes)
{
	struct blk_dev *d;

	spin_lock(&devs_lock);
	list_for_each(d, &m->devs, in_medium)
		if (position < d->start + d->size && d->start < position + bytes) {
			d->errors++;
			d->error_new = true;
		}
	spin_unlock(&devs_lock);
}

/* An error that nobody heard of yet is also for who comes later. */
uint32_t
dev_errors_seen(struct blk_dev *d)
{
	uint32_t seen;

	spin_lock(&devs_lock);
	seen = d->errors - d->error_new;
	spin_unlock(&devs_lock);
	return seen;
}

long
dev_errors_report(struct blk_dev *d, uint32_t *seen)
{
	bool news;

	spin_lock(&devs_lock);
	news = *seen != d->errors;
	*seen = d->errors;
	if (news)
		d->error_new = false;
	spin_unlock(&devs_lock);
	return news ? -EIO : 0;
}

/* ---- for other parts ---- */

void
block_sync_all(void)
{
	for (unsigned i = 0; i < blk_disk_count; i++) {
		struct blk_medium *m = blk_disk_medium(&blk_disks[i]);

		if (m == NULL)
			continue;
		cache_flush(m, 0, UINT64_MAX);
		(void)blk_flush(m);
		medium_put(m);
	}
}

long
block_identify(uint64_t rdev, struct block_identity *id)
{
	struct blk_dev *d = dev_find(rdev);
	struct blk_medium *m;

	if (d == NULL)
		return -ENXIO;
	m = d->medium;
	memset(id, 0, sizeof(*id));
	strlcpy(id->name, d->name, sizeof(id->name));
	strlcpy(id->disk, m->facts.name, sizeof(id->disk));
	memcpy(id->disk_guid, m->facts.part_number != 0 ? m->facts.disk_guid : m->disk_guid, sizeof(id->disk_guid));
	memcpy(id->part_guid, d->guid, sizeof(id->part_guid));
	id->part_number = m->facts.part_number != 0 ? m->facts.part_number : d->number;
	id->start = d->start + m->facts.first_block * m->facts.block_size;
	id->size = d->size;
	dev_put(d);
	return 0;
}

long
block_find_part(const uint8_t guid[16], uint64_t *rdev)
{
	struct blk_dev *d = dev_lookup(has_guid, guid);

	if (d == NULL)
		return -ENXIO;
	*rdev = d->rdev;
	dev_put(d);
	return 0;
}

/* fs/ asks whether a node in /dev is the partition that a file server has the file system of. */
bool
disk_is_root_partition(const char *node, const uint8_t guid[16])
{
	struct blk_dev *d = dev_lookup(has_name, node);
	bool is = d != NULL && has_guid(d, guid);

	if (d != NULL)
		dev_put(d);
	return is;
}

/* Others will change it, or have changed it: what we know of it is worth nothing then. */
static void
dev_forget(struct blk_dev *d)
{
	uint64_t last = d->start + d->size - 1;

	cache_flush(d->medium, d->start, last);
	(void)blk_flush(d->medium);
	cache_drop(d->medium, d->start, last);
	cache_new_generation(d->medium, d->start, last);
}

static long
dev_claim(struct blk_dev *d, void *holder)
{
	struct blk_disk *disk = dev_disk(d);
	long r;

	mutex_lock(&disk->mutex);
	r = d->gone ? -ENXIO : dev_hold(d, holder);
	mutex_unlock(&disk->mutex);
	if (r == 0)
		dev_forget(d);
	return r;
}

static void
dev_unclaim(struct blk_dev *d, void *holder)
{
	struct blk_disk *disk = dev_disk(d);

	dev_forget(d);
	mutex_lock(&disk->mutex);
	dev_unhold(d, holder);
	mutex_unlock(&disk->mutex);
}

long
block_claim(uint64_t rdev, void *holder)
{
	struct blk_dev *d = dev_find(rdev);
	long r;

	if (d == NULL)
		return -ENXIO;
	r = dev_claim(d, holder);
	dev_put(d);
	return r;
}

void
block_unclaim(uint64_t rdev, void *holder)
{
	struct blk_dev *d = dev_find(rdev);

	if (d == NULL)
		return;
	dev_unclaim(d, holder);
	dev_put(d);
}

static long
claim_remember(const uint8_t guid[16], void *holder, void (*found)(void *, uint64_t, const char *))
{
	struct claim *free = NULL;
	long r = 0;

	spin_lock(&devs_lock);
	for (unsigned i = 0; i < CLAIMS_MAX && r == 0; i++) {
		if (claims[i].holder == NULL)
			free = &claims[i];
		else if (memcmp(claims[i].guid, guid, 16) == 0)
			r = -EBUSY;
	}
	if (r == 0 && free == NULL)
		r = -ENOMEM;
	if (r == 0) {
		memcpy(free->guid, guid, 16);
		free->found = found;
		free->holder = holder;
	}
	spin_unlock(&devs_lock);
	return r;
}

static void
claim_forget(const uint8_t guid[16], const void *holder)
{
	spin_lock(&devs_lock);
	for (unsigned i = 0; i < CLAIMS_MAX; i++)
		if (claims[i].holder == holder && memcmp(claims[i].guid, guid, 16) == 0)
			claims[i].holder = NULL;
	spin_unlock(&devs_lock);
}

/* The disk's mutex keeps a device from appearing between the two looks. */
long
block_claim_part(const uint8_t guid[16], void *holder, void (*found)(void *, uint64_t, const char *))
{
	long r = claim_remember(guid, holder, found);
	struct blk_dev *d;

	if (r != 0)
		return r;
	d = dev_lookup(has_guid, guid);
	if (d == NULL)
		return 0;
	mutex_lock(&dev_disk(d)->mutex);
	/* one that appeared after claim_remember has it already */
	r = d->gone || d->holder == holder ? 0 : dev_hold(d, holder);
	if (r == 0 && !d->gone && found != NULL)
		found(holder, d->rdev, d->name);
	mutex_unlock(&dev_disk(d)->mutex);
	if (r == 0)
		dev_forget(d);
	else
		claim_forget(guid, holder);
	dev_put(d);
	return r;
}

void
block_unclaim_part(const uint8_t guid[16], void *holder)
{
	struct blk_dev *d;

	claim_forget(guid, holder);
	d = dev_lookup(has_guid, guid);
	if (d == NULL)
		return;
	dev_unclaim(d, holder);
	dev_put(d);
}

/* ---- for file systems: fs/disk.h ---- */

static void
super_found(void *holder, uint64_t rdev, const char *name)
{
	struct super *sb = holder;

	strlcpy(sb->device, name, sizeof(sb->device));
	/* release: who sees the number sees the name */
	__atomic_store_n(&sb->dev, rdev, __ATOMIC_RELEASE);
}

void
disk_mounted(const uint8_t guid[16], struct super *sb)
{
	long r = block_claim_part(guid, sb, super_found);

	if (r != 0)
		klog(LOG_WARNING, "block: the mounted partition is not kept from others: error %ld", -r);
}

void disk_unmounted(const uint8_t guid[16], struct super *sb) { block_unclaim_part(guid, sb); }

/* What the file server of that name reaches of the disk; 0 bytes: nothing. */
static long
dev_bind(struct blk_dev *d, const char *server, uint64_t bytes)
{
	struct blk_medium *m = d->medium;
	struct block_bounds bounds = { .blocks = bytes / m->facts.block_size };
	struct blk_op op;

	memcpy(bounds.client, server, min(strlen(server), sizeof(bounds.client)));
	op_begin(&op, m, BLOCK_BIND, 0);
	op_bind(&op, d->start, &bounds);
	return op_end(&op);
}

long
disk_dev_take(uint64_t rdev, void *holder, const char *server, bool write, struct blk_dev **out)
{
	struct blk_dev *d = dev_find(rdev);
	long r;

	if (d == NULL)
		return -ENXIO;
	r = write && READ_ONCE(d->read_only) ? -EACCES : dev_claim(d, holder);
	if (r != 0) {
		dev_put(d);
		return r;
	}
	r = dev_bind(d, server, d->size);
	/* an end that did not get to the driver: nobody uses those bounds, or the server would be taken */
	if (r == -EBUSY && dev_bind(d, server, 0) == 0)
		r = dev_bind(d, server, d->size);
	if (r != 0) {
		klog(LOG_WARNING, "%s: its driver does not let %s have it: error %ld", d->name, server, -r);
		dev_unclaim(d, holder);
		dev_put(d);
		return r;
	}
	*out = d;
	return 0;
}

void
disk_dev_give(struct blk_dev *d, void *holder, const char *server)
{
	long r = dev_bind(d, server, 0);

	if (r != 0 && r != -ENOMEDIUM)
		klog(LOG_WARNING, "%s: %s keeps it: error %ld", d->name, server, -r);
	dev_unclaim(d, holder);
	dev_put(d);
}

const char *disk_dev_name(const struct blk_dev *d) { return d->name; }
bool disk_dev_gone(const struct blk_dev *d) { return READ_ONCE(d->gone); }

bool
disk_dev_has_guid(uint64_t rdev, const uint8_t guid[16])
{
	struct blk_dev *d = dev_find(rdev);
	bool has = d != NULL && has_guid(d, guid);

	if (d != NULL)
		dev_put(d);
	return has;
}

/* ---- start ---- */

static void
show_majors(struct seq *s)
{
	seq_printf(s, "%3u mmc\n%3u virtblk\n%3u blkext\n", MAJOR_MMC, MAJOR_VIRTBLK, MAJOR_EXT);
}

static const struct blkdev_driver driver = {
	.fops = &blk_file_ops, .sync = block_sync_all, .majors = show_majors,
};

static void
blk_disk_init(struct blk_disk *d, unsigned channel)
{
	d->channel = channel;
	d->window = io_channel(channel)->window;
	spin_init(&d->lock, 76);
	mutex_init(&d->mutex, 13);
	list_init(&d->waiting);
	waitq_init(&d->spare_wait);
	waitq_init(&d->thread_wait);
	ksnprintf(d->name, sizeof(d->name), "blk%u", channel);
}

/* Is there nothing that its thread is just about to find? */
static bool
disk_seen(const struct blk_disk *d)
{
	return !d->attached || d->client.shared->state != BLOCK_READY || READ_ONCE(d->looked);
}

void
block_init(void)
{
	uint64_t deadline = clock_monotonic() + START_NS;
	int n = -1;

	names_init();
	blkdev_register(&driver);
	while ((n = io_channel_find((unsigned)(n + 1), CHANNEL_BLOCK, NULL)) >= 0)
		blk_disk_init(&blk_disks[blk_disk_count++], (unsigned)n);
	for (unsigned i = 0; i < blk_disk_count; i++) {
		char name[TASK_COMM];

		blk_start(&blk_disks[i]);
		ksnprintf(name, sizeof(name), "blockd/%u", i);
		if (kthread_create(name, thread_main, &blk_disks[i]) == NULL)
			panic("no memory for the thread of a disk");
	}
	for (unsigned i = 0; i < blk_disk_count; i++)
		(void)wait_event_timeout(&started, disk_seen(&blk_disks[i]), deadline);
}
