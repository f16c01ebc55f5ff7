/* SPDX-License-Identifier: MIT */
/*
 * Where programs find disks: /dev/<name> and /dev/disk/by-*, sysfs as Linux has
 * it for block devices (Documentation/ABI/stable/sysfs-block), /proc/partitions,
 * /proc/diskstats.
 *
 * In sysfs the disk of channel N is devices/tessera/blockN, and its block device
 * lies below it; block, class/block and dev/block have links.
 */
#include "internal.h"
#include "sysfs.h"

enum { PATH_SIZE = 160 };

static bool is_whole(const struct blk_dev *d) { return d->number == 0; }
static const struct block_facts *facts_of(const struct blk_dev *d) { return &d->medium->facts; }
static unsigned rdev_major(uint64_t rdev) { return (unsigned)(rdev >> 8 & 0xfff); }
static unsigned rdev_minor(uint64_t rdev) { return (unsigned)((rdev & 0xff) | (rdev >> 12 & 0xfff00)); }

/* ---- statistics ---- */

/* Merged requests are not counted: they are made as one. */
static void
print_stats(struct seq *s, struct blk_dev *d)
{
	struct blk_disk *disk = dev_disk(d);
	struct blk_stats t;
	uint64_t irq = spin_lock_irqsave(&disk->lock), now = clock_monotonic(), busy;

	t = d->stats;
	spin_unlock_irqrestore(&disk->lock, irq);
	busy = t.busy_ns + (t.in_flight[0] + t.in_flight[1] != 0 ? now - t.busy_since : 0);
	for (unsigned i = 0; i < 2; i++)
		seq_printf(s, "%lu 0 %lu %lu ", (unsigned long)t.ios[i], (unsigned long)t.sectors[i],
		    (unsigned long)(t.ns[i] / 1000000));
	seq_printf(s, "%u %lu %lu ", t.in_flight[0] + t.in_flight[1], (unsigned long)(busy / 1000000),
	    (unsigned long)((t.ns[0] + t.ns[1] + t.ns[2] + t.flush_ns) / 1000000));
	seq_printf(s, "%lu 0 %lu %lu %lu %lu\n", (unsigned long)t.ios[2], (unsigned long)t.sectors[2],
	    (unsigned long)(t.ns[2] / 1000000), (unsigned long)t.flushes, (unsigned long)(t.flush_ns / 1000000));
}

static void
print_diskstats(struct seq *s, struct blk_dev *d)
{
	seq_printf(s, "%4u %7u %s ", rdev_major(d->rdev), rdev_minor(d->rdev), d->name);
	print_stats(s, d);
}

static void
print_partition(struct seq *s, struct blk_dev *d)
{
	seq_printf(s, "%4u  %7u %10lu %s\n", rdev_major(d->rdev), rdev_minor(d->rdev),
	    (unsigned long)(READ_ONCE(d->size) / 1024), d->name);
}

static void
for_each_dev(struct seq *s, void (*print)(struct seq *, struct blk_dev *))
{
	for (unsigned i = 0; i < blk_disk_count; i++) {
		struct blk_medium *m = blk_disk_medium(&blk_disks[i]);
		struct blk_dev *d;

		if (m == NULL)
			continue;
		for (unsigned n = 0; (d = medium_dev(m, n)) != NULL; dev_put(d)) {
			print(s, d);
			n = d->number + 1;
		}
		medium_put(m);
	}
}

static long
show_partitions(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "major minor  #blocks  name\n\n");
	for_each_dev(s, print_partition);
	return 0;
}

static long
show_diskstats(struct seq *s, void *arg)
{
	(void)arg;
	for_each_dev(s, print_diskstats);
	return 0;
}

void
names_init(void)
{
	procfs_register("partitions", show_partitions, NULL);
	procfs_register("diskstats", show_diskstats, NULL);
}

/* ---- files of sysfs: one function each; arg is the device ---- */

#define SHOW(name, ...) \
static long \
show_##name(struct seq *s, void *arg) \
{ \
	struct blk_dev *d = arg; \
\
	(void)d; \
	seq_printf(s, __VA_ARGS__); \
	return 0; \
}

#define LONG(v) ((unsigned long)(v))
SHOW(dev, "%u:%u\n", rdev_major(d->rdev), rdev_minor(d->rdev))
SHOW(size, "%lu\n", LONG(READ_ONCE(d->size) / SECTOR))
SHOW(start, "%lu\n", LONG(d->start / SECTOR))
SHOW(number, "%u\n", d->number)
SHOW(ro, "%u\n", READ_ONCE(d->read_only))
SHOW(removable, "%u\n", (facts_of(d)->flags & BLOCK_REMOVABLE) != 0)
SHOW(inflight, "%8u %8u\n", d->stats.in_flight[0], d->stats.in_flight[1])
SHOW(sequence, "%lu\n", LONG(d->medium->sequence))
SHOW(zero, "0\n")
SHOW(one, "1\n")
SHOW(range, "%u\n", 256)
SHOW(none, "none\n")
SHOW(scheduler, "[none]\n")
SHOW(model, "%s\n", facts_of(d)->model)
SHOW(serial, "%s\n", facts_of(d)->serial)
SHOW(firmware, "%s\n", facts_of(d)->firmware)
SHOW(state, "live\n")
SHOW(logical, "%u\n", facts_of(d)->block_size)
SHOW(physical, "%u\n", max(facts_of(d)->physical_size, facts_of(d)->block_size))
SHOW(max_kb, "%u\n", facts_of(d)->max_bytes / 1024)
SHOW(max_segments, "%u\n", BLOCK_SEGMENTS)
SHOW(requests, "%u\n", BLOCK_RING)
SHOW(discard_max, "%lu\n", facts_of(d)->flags & BLOCK_HAS_DISCARD ? 1UL << 30 : 0UL)
SHOW(discard_unit, "%u\n", facts_of(d)->flags & BLOCK_HAS_DISCARD ? facts_of(d)->block_size : 0)
SHOW(zeroes_max, "%lu\n", facts_of(d)->flags & BLOCK_HAS_ZEROES ? 1UL << 30 : 0UL)
SHOW(write_cache, "%s\n", facts_of(d)->flags & BLOCK_HAS_CACHE ? "write back" : "write through")
SHOW(fua, "%u\n", (facts_of(d)->flags & BLOCK_HAS_FUA) != 0)
SHOW(ahead, "%lu\n", LONG(READ_ONCE(d->ahead_sectors) / 2))

static long
show_stat(struct seq *s, void *arg)
{
	print_stats(s, arg);
	return 0;
}

static long
show_uevent(struct seq *s, void *arg)
{
	struct blk_dev *d = arg;

	seq_printf(s, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\nDEVTYPE=%s\nDISKSEQ=%lu\n", rdev_major(d->rdev), rdev_minor(d->rdev),
	    d->name, is_whole(d) ? "disk" : "partition", LONG(d->medium->sequence));
	if (is_whole(d))
		return 0;
	seq_printf(s, "PARTN=%u\n", d->number);
	if (d->label[0] != '\0')
		seq_printf(s, "PARTNAME=%s\n", d->label);
	if (d->uuid[0] != '\0')
		seq_printf(s, "PARTUUID=%s\n", d->uuid);
	return 0;
}

static long
store_ahead(const char *text, size_t n, void *arg)
{
	struct blk_dev *d = arg;
	uint64_t kib = 0;

	for (; n > 0 && *text >= '0' && *text <= '9' && kib < 1 << 20; n--, text++)
		kib = kib * 10 + (uint64_t)(*text - '0');
	if (n > 0 && *text != '\n')
		return -EINVAL;
	WRITE_ONCE(d->ahead_sectors, min(kib * 2, (uint64_t)FILL_PAGES * (PAGE_SIZE / SECTOR)));
	return 0;
}

struct attribute {
	const char *name;
	long (*show)(struct seq *, void *);
	long (*store)(const char *, size_t, void *);
};

static const struct attribute both_files[] = {
	{ "dev", show_dev, NULL }, { "size", show_size, NULL }, { "ro", show_ro, NULL }, { "stat", show_stat, NULL },
	{ "inflight", show_inflight, NULL }, { "uevent", show_uevent, NULL },
	{ "alignment_offset", show_zero, NULL }, { "discard_alignment", show_zero, NULL },
};
static const struct attribute part_files[] = {
	{ "start", show_start, NULL }, { "partition", show_number, NULL },
};
static const struct attribute disk_files[] = {
	{ "removable", show_removable, NULL }, { "diskseq", show_sequence, NULL }, { "hidden", show_zero, NULL },
	{ "range", show_range, NULL }, { "ext_range", show_range, NULL }, { "capability", show_zero, NULL },
	{ "serial", show_serial, NULL },
	{ "queue/logical_block_size", show_logical, NULL }, { "queue/physical_block_size", show_physical, NULL },
	{ "queue/hw_sector_size", show_logical, NULL }, { "queue/minimum_io_size", show_physical, NULL },
	{ "queue/optimal_io_size", show_zero, NULL }, { "queue/rotational", show_zero, NULL },
	{ "queue/max_sectors_kb", show_max_kb, NULL }, { "queue/max_hw_sectors_kb", show_max_kb, NULL },
	{ "queue/max_segments", show_max_segments, NULL }, { "queue/nr_requests", show_requests, NULL },
	{ "queue/read_ahead_kb", show_ahead, store_ahead }, { "queue/scheduler", show_scheduler, NULL },
	{ "queue/discard_granularity", show_discard_unit, NULL }, { "queue/discard_max_bytes", show_discard_max, NULL },
	{ "queue/discard_max_hw_bytes", show_discard_max, NULL }, { "queue/discard_zeroes_data", show_zero, NULL },
	{ "queue/write_zeroes_max_bytes", show_zeroes_max, NULL }, { "queue/write_same_max_bytes", show_zero, NULL },
	{ "queue/write_cache", show_write_cache, NULL }, { "queue/fua", show_fua, NULL },
	{ "queue/zoned", show_none, NULL }, { "queue/nr_zones", show_zero, NULL }, { "queue/add_random", show_zero, NULL },
	{ "queue/iostats", show_one, NULL }, { "queue/nomerges", show_zero, NULL }, { "queue/dax", show_zero, NULL },
};
static const struct attribute device_files[] = {
	{ "model", show_model, NULL }, { "serial", show_serial, NULL }, { "firmware_rev", show_firmware, NULL },
	{ "rev", show_firmware, NULL }, { "state", show_state, NULL },
};

/* ---- the tree ---- */

/* devices/tessera/blockN/block/<disk>[/<part>], of at most PATH_SIZE bytes. */
static void
sys_path(char *to, const struct blk_dev *d)
{
	const struct blk_disk *disk = dev_disk(d);
	int n = ksnprintf(to, PATH_SIZE, "devices/tessera/block%u/block/%s", disk->channel, disk->name);

	if (!is_whole(d))
		ksnprintf(to + n, PATH_SIZE - (size_t)n, "/%s", d->name);
}

static void
add_files(const char *dir, const struct attribute *a, unsigned count, struct blk_dev *d)
{
	char path[PATH_SIZE];

	for (unsigned i = 0; i < count; i++) {
		ksnprintf(path, sizeof(path), "%s/%s", dir, a[i].name);
		if (sysfs_file(path, a[i].show, a[i].store, d) != 0)
			klog(LOG_WARNING, "no /sys/%s", path);
	}
}

static void
add_link(const char *target, const char *fmt, ...)
{
	char path[PATH_SIZE];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (sysfs_link(path, target) != 0)
		klog(LOG_WARNING, "no /sys/%s", path);
}

static void
sys_add_disk(struct blk_dev *d, const char *dir)
{
	char path[PATH_SIZE];

	add_files(dir, disk_files, ARRAY_LEN(disk_files), d);
	ksnprintf(path, sizeof(path), "%s/slaves", dir);
	sysfs_dir(path);
	ksnprintf(path, sizeof(path), "devices/tessera/block%u", dev_disk(d)->channel);
	add_files(path, device_files, ARRAY_LEN(device_files), d);
	add_link("../..", "%s/device", dir);
	ksnprintf(path, sizeof(path), "../%s", dir);
	add_link(path, "block/%s", d->name);
}

static void
sys_add(struct blk_dev *d)
{
	char dir[PATH_SIZE], path[PATH_SIZE];

	sys_path(dir, d);
	add_files(dir, both_files, ARRAY_LEN(both_files), d);
	ksnprintf(path, sizeof(path), "%s/holders", dir);
	sysfs_dir(path);
	add_link(is_whole(d) ? "../../../../../class/block" : "../../../../../../class/block", "%s/subsystem", dir);
	if (is_whole(d))
		sys_add_disk(d, dir);
	else
		add_files(dir, part_files, ARRAY_LEN(part_files), d);
	ksnprintf(path, sizeof(path), "../../%s", dir);
	add_link(path, "class/block/%s", d->name);
	add_link(path, "dev/block/%u:%u", rdev_major(d->rdev), rdev_minor(d->rdev));
}

static void
sys_remove(struct blk_dev *d)
{
	char path[PATH_SIZE];

	ksnprintf(path, sizeof(path), "dev/block/%u:%u", rdev_major(d->rdev), rdev_minor(d->rdev));
	sysfs_remove(path);
	ksnprintf(path, sizeof(path), "class/block/%s", d->name);
	sysfs_remove(path);
	if (!is_whole(d)) {
		sys_path(path, d);
		sysfs_remove(path);
		return;
	}
	ksnprintf(path, sizeof(path), "block/%s", d->name);
	sysfs_remove(path);
	ksnprintf(path, sizeof(path), "devices/tessera/block%u", dev_disk(d)->channel);
	sysfs_remove(path);
}

/* ---- /dev/disk ---- */

/* A name that another device has stays that one's, as long as it is there. */
static void
link_add(struct blk_dev *d, const char *folder, const char *name)
{
	char path[64 + 4 * PART_NAME], target[32];

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	ksnprintf(path, sizeof(path), "disk/%s/%s", folder, name);
	ksnprintf(target, sizeof(target), "../../%s", d->name);
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		if (d->link[i] != NULL)
			continue;
		if (devtmpfs_symlink(path, target) != 0)
			return;
		d->link[i] = kstrdup(path);
		if (d->link[i] == NULL)
			devtmpfs_remove(path);
		return;
	}
}

/* "nvme-MODEL_SERIAL-part2": blanks become underscores, as udev has it. */
static void
link_by_id(struct blk_dev *d)
{
	const struct block_facts *f = facts_of(d);
	char text[96], name[4 * sizeof(text)], part[16] = "";
	const char *bus = strncmp(d->name, "nvme", 4) == 0 ? "nvme" : strncmp(d->name, "vd", 2) == 0 ? "virtio" :
	    strncmp(d->name, "mmc", 3) == 0 ? "mmc" : "block";

	if (f->serial[0] == '\0')
		return;
	if (!is_whole(d))
		ksnprintf(part, sizeof(part), "-part%u", d->number);
	if (strcmp(bus, "virtio") == 0 || f->model[0] == '\0')
		ksnprintf(text, sizeof(text), "%s-%s%s", bus, f->serial, part);
	else
		ksnprintf(text, sizeof(text), "%s-%s_%s%s", bus, f->model, f->serial, part);
	for (char *c = text; *c != '\0'; c++)
		if (*c == ' ')
			*c = '_';
	probe_encode(name, text);
	link_add(d, "by-id", name);
}

static void
link_encoded(struct blk_dev *d, const char *folder, const char *text)
{
	char name[4 * PART_NAME + 1];

	probe_encode(name, text);
	link_add(d, folder, name);
}

/* By what is written on the device, which may change while it is there. */
static void
links_add_content(struct blk_dev *d)
{
	link_encoded(d, "by-uuid", d->probe.uuid);
	link_encoded(d, "by-label", d->probe.label);
}

static void
links_add(struct blk_dev *d)
{
	link_by_id(d);
	link_encoded(d, "by-partuuid", d->uuid);
	link_encoded(d, "by-partlabel", d->label);
	links_add_content(d);
}

static bool
link_is_content(const char *path)
{
	return strncmp(path, "disk/by-uuid/", 13) == 0 || strncmp(path, "disk/by-label/", 14) == 0;
}

static void
links_remove(struct blk_dev *d, bool only_content)
{
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		if (d->link[i] == NULL || (only_content && !link_is_content(d->link[i])))
			continue;
		devtmpfs_remove(d->link[i]);
		kfree(d->link[i]);
		d->link[i] = NULL;
	}
}

/* ---- for disk.c ---- */

void
names_publish(struct blk_dev *d)
{
	sys_add(d);
	links_add(d);
	if (devtmpfs_create(d->name, S_IFBLK | 0660, d->rdev) != 0)
		klog(LOG_WARNING, "no /dev/%s", d->name);
}

void
names_remove(struct blk_dev *d)
{
	devtmpfs_remove(d->name);
	links_remove(d, false);
	sys_remove(d);
}

/* Nobody may find a name missing that was there before and is there afterwards. */
void
names_relink(struct blk_dev *d, const struct probe *before)
{
	if (strcmp(before->uuid, d->probe.uuid) == 0 && strcmp(before->label, d->probe.label) == 0)
		return;
	links_remove(d, true);
	links_add_content(d);
}
