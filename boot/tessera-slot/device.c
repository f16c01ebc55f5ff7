/* SPDX-License-Identifier: MIT */
/*
 * Disks and their partitions through files.  A slot is written through the node
 * of its partition, which bounds what can go wrong; only an image file is
 * written at an offset.  Everything goes around the page cache where that can
 * be: what is read back to be verified has to come from the disk.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"

#ifndef BLKSSZGET
#define BLKSSZGET 0x1268	/* <linux/fs.h> */
#endif

enum { SECTOR = 512, LINE = 256 };

/* ---- facts --------------------------------------------------------------- */

static void
fact(struct facts *f, const char *word, const char *value)
{
	if (strcmp(word, "slot") == 0)
		f->slot = value[0] == 'B';
	else if (strcmp(word, "trial") == 0)
		f->trial = strcmp(value, "yes") == 0;
	else if (strcmp(word, "disk") == 0)
		snprintf(f->disk, sizeof(f->disk), "%.36s", value);
	else if (strcmp(word, "root") == 0)
		snprintf(f->root, sizeof(f->root), "%.36s", value);
	else if (strcmp(word, "node") == 0)
		snprintf(f->node, sizeof(f->node), "%.31s", value);
}

bool
facts_read(struct facts *f, const char *path, struct complaint *why)
{
	char line[LINE], word[32], value[64];
	FILE *file = fopen(path, "re");
	bool slot = false;

	memset(f, 0, sizeof(*f));
	if (file == NULL)
		return complain(why, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%31s %63s", word, value) != 2)
			continue;
		fact(f, word, value);
		slot |= strcmp(word, "slot") == 0 && (strcmp(value, "A") == 0 || strcmp(value, "B") == 0);
	}
	fclose(file);
	errno = 0;
	return slot || complain(why, "%s: does not say which slot runs", path);
}

/* The first three fields are little endian (RFC 9562 and UEFI 2.10 appendix A). */
static const int guid_place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

bool
guid_parse(uint8_t guid[16], const char *text, struct complaint *why)
{
	unsigned v[16];

	memset(guid, 0, 16);
	if (text[0] == '\0')
		return true;
	if (strlen(text) != 36 ||
	    sscanf(text, "%2x%2x%2x%2x-%2x%2x-%2x%2x-%2x%2x-%2x%2x%2x%2x%2x%2x", &v[0], &v[1], &v[2], &v[3],
	    &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11], &v[12], &v[13], &v[14], &v[15]) != 16)
		return complain(why, "%s: not a GUID", text);
	for (int i = 0; i < 16; i++)
		guid[guid_place[i]] = (uint8_t)v[i];
	return true;
}

/* ---- partition tables ---------------------------------------------------- */

struct table {
	int fd;
	bool block_device;
	uint64_t blocks;
	uint32_t block_size;
	struct gpt gpt;
	uint8_t *entries;
};

static bool
read_at(int fd, uint64_t offset, void *to, size_t size, struct complaint *why)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pread(fd, (char *)to + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain(why, "cannot be read at byte %llu: %s", U64(offset + done), strerror(errno));
		if (n == 0)
			return complain(why, "ends at byte %llu", U64(offset + done));
		done += (size_t)n;
	}
	return true;
}

static bool
measure(struct table *t, struct complaint *why)
{
	struct stat st;
	off_t bytes;
	int size = SECTOR;

	if (fstat(t->fd, &st) != 0)
		return complain(why, "%s", strerror(errno));
	t->block_device = S_ISBLK(st.st_mode);
	if (!t->block_device && !S_ISREG(st.st_mode))
		return complain(why, "is neither a disk nor an image");
	bytes = lseek(t->fd, 0, SEEK_END);
	if (bytes < 0 || (t->block_device && ioctl(t->fd, BLKSSZGET, &size) != 0))
		return complain(why, "%s", strerror(errno));
	if (size < SECTOR || size > SLOT_PAGE)
		return complain(why, "has blocks of %d bytes", size);
	t->block_size = (uint32_t)size;
	t->blocks = (uint64_t)bytes / t->block_size;
	return t->blocks > 2 || complain(why, "has no partition table");
}

static bool
read_header(struct table *t, uint64_t at, struct complaint *why)
{
	uint8_t block[SLOT_PAGE];

	return read_at(t->fd, at * t->block_size, block, t->block_size, why) &&
	    gpt_header(block, at, t->blocks, &t->gpt, why);
}

static bool
read_entries(struct table *t, struct complaint *why)
{
	size_t size = (size_t)t->gpt.entry_count * t->gpt.entry_size;

	t->entries = malloc(size);
	if (t->entries == NULL)
		return complain(why, "out of memory");
	if (read_at(t->fd, t->gpt.entries_block * t->block_size, t->entries, size, why) &&
	    gpt_entries(&t->gpt, t->entries, why))
		return true;
	free(t->entries);
	t->entries = NULL;
	return false;
}

static void
table_close(struct table *t)
{
	free(t->entries);
	if (t->fd >= 0)
		close(t->fd);
}

/* The table, or its copy at the end of the disk. */
static bool
table_open(struct table *t, const char *path, struct complaint *why)
{
	struct complaint second;

	memset(t, 0, sizeof(*t));
	t->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (t->fd < 0)
		return complain(why, "%s", strerror(errno));
	if (measure(t, why) && ((read_header(t, 1, why) && read_entries(t, why)) ||
	    (read_header(t, t->blocks - 1, &second) && read_entries(t, &second))))
		return true;
	table_close(t);
	return false;
}

static const uint8_t types[AREA_COUNT][16] = {
	SLOT_PARTITION_TYPE(PARTITION_SLOT_A), SLOT_PARTITION_TYPE(PARTITION_SLOT_B),
	SLOT_PARTITION_TYPE(PARTITION_BOOT_STATE),
	/* c12a7328-f81f-11d2-ba4b-00a0c93ec93b, UEFI 2.10 table 5.7 */
	{ 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b },
};
static const char *const area_names[AREA_COUNT] = { "slot A", "slot B", "the boot state", "the EFI system partition" };

static bool
has_slots(const struct table *t)
{
	uint64_t first, blocks;

	for (unsigned i = 0; i <= SLOT_COUNT; i++)
		if (!gpt_find(&t->gpt, t->entries, types[i], 0, &first, &blocks))
			return false;
	return true;
}

/* ---- the disk that the loader took --------------------------------------- */

static bool
is_the_disk(const char *path, const uint8_t guid[16])
{
	struct complaint why;
	struct table t;
	bool is;

	if (!table_open(&t, path, &why))
		return false;
	is = memcmp(t.gpt.disk_guid, guid, 16) == 0 && has_slots(&t);
	table_close(&t);
	return is;
}

enum found
device_search(const struct facts *f, char path[FACT_PATH], struct complaint *why)
{
	char names[160] = "", candidate[FACT_PATH];
	struct dirent *e;
	uint8_t guid[16];
	unsigned count = 0;
	DIR *dir;

	if (!guid_parse(guid, f->disk, why))
		return FOUND_TROUBLE;
	snprintf(path, FACT_PATH, "/dev/%s", f->node);
	if (f->node[0] != '\0' && is_the_disk(path, guid))
		return FOUND;
	dir = opendir("/sys/block");
	if (dir == NULL) {
		complain(why, "/sys/block: %s", strerror(errno));
		return FOUND_TROUBLE;
	}
	while ((e = readdir(dir)) != NULL) {
		size_t used = strlen(names);

		snprintf(candidate, sizeof(candidate), "/dev/%s", e->d_name);
		if (e->d_name[0] == '.' || !is_the_disk(candidate, guid))
			continue;
		if (++count > 4)
			continue;
		memcpy(path, candidate, sizeof(candidate));
		snprintf(names + used, sizeof(names) - used, "%s%.32s", used > 0 ? ", " : "", e->d_name);
	}
	closedir(dir);
	if (count == 1)
		return FOUND;
	if (count == 0) {
		complain(why, "no disk with slots has the GUID %s, which the system was started from", f->disk);
		return FOUND_NONE;
	}
	complain(why, "%s all have the GUID that the system was started from; say which with --disk", names);
	return FOUND_SEVERAL;
}

/* ---- areas --------------------------------------------------------------- */

static bool
in_bounds(const struct area *a, uint64_t offset, size_t size, struct complaint *why)
{
	return (offset <= a->bytes && size <= a->bytes - offset) ||
	    complain(why, "%s: byte %llu lies behind its end", a->name, U64(offset + size));
}

static bool
area_read(struct area *a, uint64_t offset, void *to, size_t size, struct complaint *why)
{
	const struct place *p = a->data;
	struct complaint inner;

	if (!in_bounds(a, offset, size, why))
		return false;
	return read_at(p->fd, p->offset + offset, to, size, &inner) ||
	    complain(why, "%s %s", a->name, inner.text);
}

static bool
area_write(struct area *a, uint64_t offset, const void *from, size_t size, struct complaint *why)
{
	const struct place *p = a->data;

	if (!in_bounds(a, offset, size, why))
		return false;
	for (size_t done = 0; done < size;) {
		ssize_t n = pwrite(p->fd, (const char *)from + done, size - done,
		    (off_t)(p->offset + offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return complain(why, "%s cannot be written at byte %llu: %s", a->name, U64(offset + done),
			    n < 0 ? strerror(errno) : "nothing was taken");
		done += (size_t)n;
	}
	return true;
}

static bool
area_flush(struct area *a, struct complaint *why)
{
	const struct place *p = a->data;

	return fsync(p->fd) == 0 || complain(why, "%s: flush: %s", a->name, strerror(errno));
}

static bool
read_number(const char *path, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	unsigned long long n = 0;
	bool good = file != NULL && fscanf(file, "%llu", &n) == 1;

	if (file != NULL)
		fclose(file);
	*number = n;
	return good;
}

/* The node of the partition of a disk that begins at this byte; sysfs counts in 512. */
static bool
partition_node(const char *disk, uint64_t byte, char path[FACT_PATH])
{
	const char *name = strrchr(disk, '/') + 1;
	char folder[FACT_PATH], file[2 * FACT_PATH];
	struct dirent *e;
	uint64_t start;
	bool found = false;
	DIR *dir;

	snprintf(folder, sizeof(folder), "/sys/block/%s", name);
	dir = opendir(folder);
	while (dir != NULL && !found && (e = readdir(dir)) != NULL) {
		if (strncmp(e->d_name, name, strlen(name)) != 0)
			continue;
		snprintf(file, sizeof(file), "%s/%s/start", folder, e->d_name);
		found = read_number(file, &start) && start * SECTOR == byte;
		if (found)
			snprintf(path, FACT_PATH, "/dev/%s", e->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

static int
open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT | O_CLOEXEC);

	return fd >= 0 || errno != EINVAL ? fd : open(path, flags | O_CLOEXEC);
}

static bool
area_open(struct device *d, const struct table *t, unsigned i, int flags, struct complaint *why)
{
	struct area *a = &d->area[i];
	char path[FACT_PATH];
	uint64_t first, blocks;

	if (!gpt_find(&t->gpt, t->entries, types[i], 0, &first, &blocks))
		return complain(why, "%s: has no partition for %s", d->path, area_names[i]);
	*a = (struct area){ area_names[i], blocks * t->block_size, area_read, area_write, area_flush, &d->place[i] };
	snprintf(path, sizeof(path), "%s", d->path);
	if (!t->block_device)
		d->place[i].offset = first * t->block_size;
	else if (!partition_node(d->path, first * t->block_size, path))
		return complain(why, "%s: the system does not know its partition for %s", d->path, area_names[i]);
	if (d->place[i].offset + a->bytes > t->blocks * t->block_size)
		return complain(why, "%s: ends before %s does", d->path, area_names[i]);
	d->place[i].fd = open_direct(path, flags);
	return d->place[i].fd >= 0 || complain(why, "%s: %s", path, strerror(errno));
}

bool
device_open(struct device *d, const char *path, bool writing, struct complaint *why)
{
	struct complaint inner;
	struct table t;
	bool good = true;

	memset(d, 0, sizeof(*d));
	for (unsigned i = 0; i < AREA_COUNT; i++)
		d->place[i].fd = -1;
	if (strlen(path) >= sizeof(d->path) || strchr(path, '/') == NULL)
		snprintf(d->path, sizeof(d->path), "./%.500s", path);
	else
		snprintf(d->path, sizeof(d->path), "%s", path);
	if (!table_open(&t, d->path, &inner))
		return complain(why, "%s: %s", path, inner.text);
	for (unsigned i = 0; i <= AREA_STATE && good; i++)
		good = area_open(d, &t, i, writing ? O_RDWR : O_RDONLY, why);
	table_close(&t);
	if (good && writing && flock(d->place[AREA_STATE].fd, LOCK_EX | LOCK_NB) != 0)
		good = complain(why, "%s: another tessera-slot is at work on it", path);
	if (!good)
		device_close(d);
	return good;
}

bool
device_open_esp(struct device *d, struct complaint *why)
{
	struct complaint inner;
	uint64_t first, blocks;
	struct table t;
	bool good;

	if (!table_open(&t, d->path, &inner))
		return complain(why, "%s: %s", d->path, inner.text);
	if (gpt_find(&t.gpt, t.entries, types[AREA_ESP], 1, &first, &blocks))
		good = complain(why, "%s: has two EFI system partitions", d->path);
	else
		good = area_open(d, &t, AREA_ESP, O_RDWR, why);
	table_close(&t);
	return good;
}

void
device_close(struct device *d)
{
	for (unsigned i = 0; i < AREA_COUNT; i++)
		if (d->place[i].fd >= 0)
			close(d->place[i].fd);
}
