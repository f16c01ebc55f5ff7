/* SPDX-License-Identifier: MIT */
/*
 * Replacing a file of a FAT32 volume so that a power cut at any write leaves the
 * old file or the new one.  FAT has no journal, but a file is named by 32 bytes
 * in one sector, and a disk writes a sector whole: everything before that write
 * touches only clusters that nothing names, everything after it as well.
 */
#include <stdlib.h>
#include <string.h>

#include "fat.h"

enum { PIECE = 64 * SLOT_PAGE };
enum { FAT_LIMIT = 16 << 20 };		/* bytes of one FAT: four million clusters */
enum { FAT32_CLUSTERS = 65525 };	/* at least */
enum { DEPTH = 16 };			/* of directories */
enum { FIRST = 2 };			/* the first cluster's number */
enum { ENTRY = 32, DELETED = 0xe5 };
enum { ATTRIBUTE_LABEL = 0x08, ATTRIBUTE_DIRECTORY = 0x10, ATTRIBUTE_LONG_NAME = 0x0f, ATTRIBUTE_ARCHIVE = 0x20 };
enum { AT_ATTRIBUTE = 11, AT_READ_DATE = 18, AT_FIRST_HIGH = 20, AT_TIME = 22, AT_DATE = 24, AT_FIRST_LOW = 26,
	AT_SIZE = 28 };
enum { INFO_FREE = 488, INFO_NEXT = 492 };
#define INFO_UNKNOWN 0xffffffffu
/* The upper four bits of an entry are not ours. */
#define MASK 0x0fffffffu
#define BAD 0x0ffffff7u
#define END 0x0ffffff8u			/* and above */

static uint32_t
get(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = bytes; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

static void
put(uint8_t *at, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, value >>= 8)
		at[i] = (uint8_t)value;
}

static void *
memory(size_t size, struct complaint *why)
{
	void *p = calloc(1, size);

	if (p == NULL)
		complain(why, "out of memory");
	return p;
}

/* ---- bytes --------------------------------------------------------------- */

/* The pages around a stretch, as many as fit: where they begin, how long they are, what of them is meant. */
struct window {
	uint64_t page;
	size_t span, skip, size;
};

static struct window
window_at(uint64_t at, size_t size)
{
	struct window w = { .page = at / SLOT_PAGE * SLOT_PAGE, .skip = (size_t)(at % SLOT_PAGE) };

	w.span = (size_t)slot_pages(w.skip + size);
	if (w.span > PIECE)
		w.span = PIECE;
	w.size = size < w.span - w.skip ? size : w.span - w.skip;
	return w;
}

static bool
read_bytes(struct fat *f, uint64_t at, void *to, size_t size, struct complaint *why)
{
	for (size_t done = 0; done < size;) {
		struct window w = window_at(at + done, size - done);

		if (!f->area->read(f->area, w.page, f->piece, w.span, why))
			return false;
		memcpy((uint8_t *)to + done, f->piece + w.skip, w.size);
		done += w.size;
	}
	return true;
}

/* A page's other sectors are written as they are: nobody else writes here meanwhile. */
static bool
write_bytes(struct fat *f, uint64_t at, const void *from, size_t size, struct complaint *why)
{
	for (size_t done = 0; done < size;) {
		struct window w = window_at(at + done, size - done);

		if (!f->area->read(f->area, w.page, f->piece, w.span, why))
			return false;
		memcpy(f->piece + w.skip, (const uint8_t *)from + done, w.size);
		if (!f->area->write(f->area, w.page, f->piece, w.span, why))
			return false;
		done += w.size;
	}
	return true;
}

static bool
flush(struct fat *f, struct complaint *why)
{
	return f->area->flush(f->area, why);
}

static bool
is_on_disk(struct fat *f, uint64_t at, const uint8_t *wanted, size_t size, struct complaint *why)
{
	for (size_t done = 0; done < size;) {
		struct window w = window_at(at + done, size - done);

		if (!f->area->read(f->area, w.page, f->piece, w.span, why))
			return false;
		if (memcmp(f->piece + w.skip, wanted + done, w.size) != 0)
			return complain(why, "other bytes were read back than written");
		done += w.size;
	}
	return true;
}

/* ---- the boot sector ------------------------------------------------------- */

static bool
power_of_two(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static bool
take_sizes(struct fat *f, const uint8_t *boot, struct complaint *why)
{
	uint32_t per_cluster = boot[13];

	if (get(boot + 510, 2) != 0xaa55)
		return complain(why, "has no file system (no signature in its first sector)");
	f->sector = get(boot + 11, 2);
	if (!power_of_two(f->sector) || f->sector < 512 || f->sector > SLOT_PAGE || !power_of_two(per_cluster))
		return complain(why, "is no FAT volume: sectors of %u bytes, %u to a cluster", f->sector, per_cluster);
	f->cluster = f->sector * per_cluster;
	if (get(boot + 17, 2) != 0 || get(boot + 22, 2) != 0)
		return complain(why, "is not FAT32");
	if (get(boot + 42, 2) != 0)
		return complain(why, "is FAT32 of an unknown version");
	f->fats = boot[16];
	if (f->fats < 1 || f->fats > 2)
		return complain(why, "has %u FATs", f->fats);
	if (f->fats == 2 && (get(boot + 40, 2) & 0x80) != 0)
		return complain(why, "has a second FAT that does not follow the first");
	return true;
}

static bool
take_places(struct fat *f, const uint8_t *boot, struct complaint *why)
{
	uint64_t reserved = get(boot + 14, 2), fat = get(boot + 36, 4), total = get(boot + 32, 4);
	uint64_t data = reserved + f->fats * fat, clusters;
	uint32_t info = get(boot + 48, 2);

	if (f->area->bytes % SLOT_PAGE != 0 || total * f->sector > f->area->bytes)
		return complain(why, "says that it has %llu sectors, its partition has %llu bytes", U64(total),
		    U64(f->area->bytes));
	if (reserved == 0 || fat == 0 || data >= total)
		return complain(why, "is damaged: no room for its FATs and files");
	f->fat_at = reserved * f->sector;
	f->fat_bytes = fat * f->sector;
	f->data_at = data * f->sector;
	clusters = (total - data) / (f->cluster / f->sector);
	if (f->fat_bytes > FAT_LIMIT)
		return complain(why, "has FATs of %llu bytes, more than %u", U64(f->fat_bytes), (unsigned)FAT_LIMIT);
	/* With fewer some firmware takes it for FAT16 (section 3.5). */
	if (clusters < FAT32_CLUSTERS)
		return complain(why, "has %llu clusters, too few for FAT32", U64(clusters));
	if ((clusters + FIRST) * 4 > f->fat_bytes)
		return complain(why, "is damaged: %llu clusters, a FAT of %llu bytes", U64(clusters), U64(f->fat_bytes));
	f->limit = (uint32_t)clusters + FIRST;
	f->root = get(boot + 44, 4) & MASK;
	f->info_at = info != 0 && info < reserved ? (uint64_t)info * f->sector : 0;
	return true;
}

static bool
read_boot(struct fat *f, struct complaint *why)
{
	uint8_t boot[512];

	return read_bytes(f, 0, boot, sizeof(boot), why) && take_sizes(f, boot, why) && take_places(f, boot, why);
}

/* ---- chains ---------------------------------------------------------------- */

static uint32_t
next_of(const struct fat *f, unsigned copy, uint32_t cluster)
{
	return get(f->table[copy] + 4ULL * cluster, 4) & MASK;
}

static uint64_t
cluster_at(const struct fat *f, uint32_t cluster)
{
	return f->data_at + (uint64_t)(cluster - FIRST) * f->cluster;
}

static bool
copies_agree(const struct fat *f, uint32_t cluster)
{
	return f->fats == 1 || next_of(f, 0, cluster) == next_of(f, 1, cluster);
}

/* The chain belongs to `name` and to nobody else; it ends, since each cluster is taken once. */
static bool
claim(struct fat *f, uint32_t first, const char *name, uint64_t *count, struct complaint *why)
{
	uint32_t cluster = first;

	for (*count = 0; cluster < END; (*count)++) {
		if (cluster < FIRST || cluster >= f->limit)
			return complain(why, "is damaged: the chain of %s leads to %u, which is no cluster", name, cluster);
		if (f->used[cluster])
			return complain(why, "is damaged: cluster %u belongs to %s and to something else", cluster, name);
		if (!copies_agree(f, cluster))
			return complain(why, "is damaged: its two FATs differ at cluster %u, of %s", cluster, name);
		f->used[cluster] = 1;
		cluster = next_of(f, 0, cluster);
	}
	return true;
}

static bool
is_bad(const struct fat *f, uint32_t cluster)
{
	return next_of(f, 0, cluster) == BAD || (f->fats == 2 && next_of(f, 1, cluster) == BAD);
}

static bool
is_free(const struct fat *f, uint32_t cluster)
{
	return !f->used[cluster] && !is_bad(f, cluster);
}

/* ---- directories ----------------------------------------------------------- */

enum visit { VISIT_GO, VISIT_STOP, VISIT_FAILED };
typedef enum visit visitor(struct fat *, const uint8_t *entry, uint64_t at, void *data, struct complaint *why);

/* Visits the directory's entries up to its end; its chain was claimed before. */
static bool
each_entry(struct fat *f, uint32_t first, visitor *visit, void *data, struct complaint *why)
{
	uint8_t sector[SLOT_PAGE];

	for (uint32_t cluster = first; cluster < END; cluster = next_of(f, 0, cluster)) {
		for (uint32_t offset = 0; offset < f->cluster; offset += f->sector) {
			uint64_t at = cluster_at(f, cluster) + offset;

			if (!read_bytes(f, at, sector, f->sector, why))
				return false;
			for (uint32_t i = 0; i < f->sector; i += ENTRY) {
				enum visit then;

				if (sector[i] == 0)
					return true;
				then = visit(f, sector + i, at + i, data, why);
				if (then != VISIT_GO)
					return then == VISIT_STOP;
			}
		}
	}
	return true;
}

/* Neither a file nor a directory: deleted, part of a long name, the volume's label. */
static bool
names_nothing(const uint8_t *entry)
{
	uint8_t attribute = entry[AT_ATTRIBUTE];

	return entry[0] == DELETED || (attribute & 0x3f) == ATTRIBUTE_LONG_NAME || (attribute & ATTRIBUTE_LABEL) != 0;
}

static uint32_t
first_of(const uint8_t *entry)
{
	return (get(entry + AT_FIRST_HIGH, 2) << 16 | get(entry + AT_FIRST_LOW, 2)) & MASK;
}

/* "BOOTAA64.EFI" of an entry; what is no letter of a message becomes a question mark. */
static void
name_of(const uint8_t *entry, char name[FAT_NAME + 2])
{
	unsigned n = 0;

	for (unsigned i = 0; i < FAT_NAME; i++) {
		if (i == 8 && entry[i] != ' ')
			name[n++] = '.';
		if (entry[i] != ' ')
			name[n++] = entry[i] > ' ' && entry[i] < 0x7f ? (char)entry[i] : '?';
	}
	name[n] = '\0';
}

static bool walk(struct fat *f, uint32_t first, unsigned depth, const char *name, struct complaint *why);

static bool
check_file(struct fat *f, const uint8_t *entry, const char *name, struct complaint *why)
{
	uint32_t first = first_of(entry), size = get(entry + AT_SIZE, 4);
	uint64_t count = 0;

	if (first != 0 && !claim(f, first, name, &count, why))
		return false;
	if (count != ((uint64_t)size + f->cluster - 1) / f->cluster)
		return complain(why, "is damaged: %s has %u bytes in %llu clusters of %u", name, size, U64(count), f->cluster);
	return true;
}

static enum visit
check_entry(struct fat *f, const uint8_t *entry, uint64_t at, void *data, struct complaint *why)
{
	unsigned *depth = data;
	char name[FAT_NAME + 2];
	bool good;

	(void)at;
	if (names_nothing(entry) || entry[0] == '.')
		return VISIT_GO;
	name_of(entry, name);
	if ((entry[AT_ATTRIBUTE] & ATTRIBUTE_DIRECTORY) != 0)
		good = walk(f, first_of(entry), *depth + 1, name, why);
	else
		good = check_file(f, entry, name, why);
	return good ? VISIT_GO : VISIT_FAILED;
}

static bool
walk(struct fat *f, uint32_t first, unsigned depth, const char *name, struct complaint *why)
{
	uint64_t count;

	if (depth > DEPTH)
		return complain(why, "has directories more than %u deep, at %s", (unsigned)DEPTH, name);
	return claim(f, first, name, &count, why) && each_entry(f, first, check_entry, &depth, why);
}

/* ---- opening --------------------------------------------------------------- */

static bool
read_tables(struct fat *f, struct complaint *why)
{
	uint8_t media[SLOT_PAGE];

	if (!read_bytes(f, 0, media, 512, why))
		return false;
	for (unsigned i = 0; i < f->fats; i++) {
		f->table[i] = memory((size_t)f->fat_bytes, why);
		if (f->table[i] == NULL ||
		    !read_bytes(f, f->fat_at + i * f->fat_bytes, f->table[i], (size_t)f->fat_bytes, why))
			return false;
		if (f->table[i][0] != media[21])
			return complain(why, "is damaged: FAT %u does not begin with the medium's byte", i + 1);
	}
	f->used = memory(f->limit, why);
	return f->used != NULL;
}

bool
fat_open(struct fat *f, struct area *area, struct complaint *why)
{
	memset(f, 0, sizeof(*f));
	f->area = area;
	f->piece = aligned_alloc(SLOT_PAGE, PIECE);
	if (f->piece == NULL)
		return complain(why, "out of memory");
	if (read_boot(f, why) && read_tables(f, why) && walk(f, f->root, 0, "the root directory", why))
		return true;
	fat_close(f);
	return false;
}

void
fat_close(struct fat *f)
{
	free(f->piece);
	free(f->used);
	for (unsigned i = 0; i < 2; i++)
		free(f->table[i]);
	memset(f, 0, sizeof(*f));
}

/* ---- finding and reading --------------------------------------------------- */

struct search {
	const char *name;
	bool found, directory;
	struct fat_file file;
};

static enum visit
match(struct fat *f, const uint8_t *entry, uint64_t at, void *data, struct complaint *why)
{
	struct search *s = data;

	(void)f;
	(void)why;
	if (names_nothing(entry) || memcmp(entry, s->name, FAT_NAME) != 0)
		return VISIT_GO;
	s->found = true;
	s->directory = (entry[AT_ATTRIBUTE] & ATTRIBUTE_DIRECTORY) != 0;
	s->file = (struct fat_file){ .at = at, .first = first_of(entry), .size = get(entry + AT_SIZE, 4) };
	return VISIT_STOP;
}

bool
fat_find(struct fat *f, const char (*path)[FAT_NAME + 1], unsigned count, struct fat_file *file, struct complaint *why)
{
	uint32_t folder = f->root;

	for (unsigned i = 0; i < count; i++) {
		struct search s = { .name = path[i] };

		if (!each_entry(f, folder, match, &s, why))
			return false;
		if (!s.found || s.directory != (i + 1 < count))
			return complain(why, "has no %s \"%s\"", i + 1 < count ? "folder" : "file", path[i]);
		s.file.folder = folder;
		*file = s.file;
		folder = s.file.first;
	}
	return true;
}

bool
fat_read(struct fat *f, const struct fat_file *file, void *to, struct complaint *why)
{
	uint32_t cluster = file->first;

	for (uint64_t done = 0; done < file->size; done += f->cluster) {
		uint64_t left = file->size - done;

		if (!read_bytes(f, cluster_at(f, cluster), (uint8_t *)to + done, left < f->cluster ? (size_t)left : f->cluster,
		    why))
			return false;
		cluster = next_of(f, 0, cluster);
	}
	return true;
}

/* ---- allocating ------------------------------------------------------------ */

/* Where `count` free clusters lie side by side; 0: nowhere. */
static uint32_t
find_run(const struct fat *f, uint32_t count)
{
	uint32_t length = 0;

	for (uint32_t cluster = FIRST; cluster < f->limit; cluster++) {
		length = is_free(f, cluster) ? length + 1 : 0;
		if (length == count)
			return cluster + 1 - count;
	}
	return 0;
}

static bool
allocate(const struct fat *f, uint32_t *chain, uint32_t count, struct complaint *why)
{
	uint32_t cluster = find_run(f, count), taken = 0, free_clusters = 0;

	for (cluster = cluster == 0 ? (uint32_t)FIRST : cluster; cluster < f->limit && taken < count; cluster++)
		if (is_free(f, cluster))
			chain[taken++] = cluster;
	if (taken == count)
		return true;
	for (cluster = FIRST; cluster < f->limit; cluster++)
		free_clusters += is_free(f, cluster);
	return complain(why, "has %llu bytes free, and %llu are needed", U64(free_clusters) * f->cluster,
	    U64(count) * f->cluster);
}

/* ---- writing the FATs ------------------------------------------------------ */

/* Writes of each FAT what differs from `wanted`, whole sectors. */
static bool
write_table(struct fat *f, unsigned copy, const uint8_t *wanted, struct complaint *why)
{
	uint64_t at = 0, end;

	while (at < f->fat_bytes) {
		for (end = at; end < f->fat_bytes && memcmp(f->table[copy] + end, wanted + end, f->sector) != 0;)
			end += f->sector;
		if (end > at && !write_bytes(f, f->fat_at + copy * f->fat_bytes + at, wanted + at, (size_t)(end - at), why))
			return false;
		memcpy(f->table[copy] + at, wanted + at, (size_t)(end - at));
		at = end + f->sector;
	}
	return true;
}

/* Only the marked bits of an entry change. */
static void
set_next(uint8_t *table, uint32_t cluster, uint32_t next)
{
	uint8_t *at = table + 4ULL * cluster;

	put(at, (get(at, 4) & ~MASK) | next, 4);
}

/* The FAT as it should be: what is used as it is, the new chain, and nothing else. */
static uint8_t *
wanted_table(const struct fat *f, const uint32_t *chain, uint32_t count, struct complaint *why)
{
	uint8_t *wanted = memory((size_t)f->fat_bytes, why);

	if (wanted == NULL)
		return NULL;
	memcpy(wanted, f->table[0], (size_t)f->fat_bytes);
	for (uint32_t cluster = FIRST; cluster < f->limit; cluster++)
		if (!f->used[cluster])
			set_next(wanted, cluster, is_bad(f, cluster) ? BAD : 0);
	for (uint32_t i = 0; i < count; i++)
		set_next(wanted, chain[i], i + 1 < count ? chain[i + 1] : MASK);
	return wanted;
}

static bool
write_tables(struct fat *f, const uint32_t *chain, uint32_t count, struct complaint *why)
{
	uint8_t *wanted = wanted_table(f, chain, count, why);
	bool good = wanted != NULL;

	for (unsigned i = 0; i < f->fats && good; i++)
		good = write_table(f, i, wanted, why);
	good = good && flush(f, why);
	for (unsigned i = 0; i < f->fats && good; i++)
		good = is_on_disk(f, f->fat_at + i * f->fat_bytes, wanted, (size_t)f->fat_bytes, why);
	free(wanted);
	return good;
}

/* FSInfo is a hint (section 5), and without its three signatures it is none. */
static bool
write_info(struct fat *f, uint32_t free_clusters, uint32_t next, struct complaint *why)
{
	uint8_t info[512];

	if (f->info_at == 0)
		return true;
	if (!read_bytes(f, f->info_at, info, sizeof(info), why))
		return false;
	if (get(info, 4) != 0x41615252 || get(info + 484, 4) != 0x61417272 || get(info + 508, 4) != 0xaa550000)
		return true;
	if (get(info + INFO_FREE, 4) == free_clusters)
		return true;
	put(info + INFO_FREE, free_clusters, 4);
	put(info + INFO_NEXT, next, 4);
	return write_bytes(f, f->info_at, info, sizeof(info), why);
}

static bool
write_true_info(struct fat *f, struct complaint *why)
{
	uint32_t count = 0, next = INFO_UNKNOWN;

	for (uint32_t cluster = FIRST; cluster < f->limit; cluster++) {
		if (!is_free(f, cluster))
			continue;
		count++;
		if (next == INFO_UNKNOWN)
			next = cluster;
	}
	return write_info(f, count, next, why) && flush(f, why);
}

bool
fat_tidy(struct fat *f, struct complaint *why)
{
	return write_tables(f, NULL, 0, why) && write_true_info(f, why);
}

/* ---- replacing ------------------------------------------------------------- */

/* Into its clusters, neighbours in one go; the last one is filled up with zeros. */
static bool
write_data(struct fat *f, const uint32_t *chain, uint32_t count, const uint8_t *data, struct complaint *why)
{
	for (uint32_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && chain[i + n] == chain[i] + n;)
			n++;
		if (!write_bytes(f, cluster_at(f, chain[i]), data + (uint64_t)i * f->cluster, (size_t)n * f->cluster, why))
			return false;
	}
	return flush(f, why);
}

static bool
data_is_there(struct fat *f, const uint32_t *chain, uint32_t count, const uint8_t *data, struct complaint *why)
{
	for (uint32_t i = 0; i < count; i++)
		if (!is_on_disk(f, cluster_at(f, chain[i]), data + (uint64_t)i * f->cluster, f->cluster, why))
			return false;
	return true;
}

/*
 * The entry of the name in this sector, or one that can become it.  Beyond the
 * mark of the directory's end nothing is known, so the mark moves on by one, and
 * the sector's last entry is not taken from it.
 */
static uint8_t *
room_for(uint8_t *sector, uint32_t size, const char name[FAT_NAME + 1])
{
	uint8_t *room = NULL;

	for (uint32_t i = 0; i < size; i += ENTRY) {
		uint8_t *entry = sector + i;

		if (entry[0] == 0) {
			if (room != NULL || i + ENTRY >= size)
				return room;
			entry[ENTRY] = 0;
			return entry;
		}
		if (entry[0] == DELETED && room == NULL)
			room = entry;
		if (!names_nothing(entry) && memcmp(entry, name, FAT_NAME) == 0)
			return (entry[AT_ATTRIBUTE] & ATTRIBUTE_DIRECTORY) == 0 ? entry : NULL;
	}
	return room;
}

static void
set_content(uint8_t *entry, uint32_t first, uint32_t size)
{
	put(entry + AT_FIRST_HIGH, first >> 16, 2);
	put(entry + AT_FIRST_LOW, first, 2);
	put(entry + AT_SIZE, size, 4);
}

/* The entry becomes `name`, with the old file's content and times.  Answers what it named before. */
static uint32_t
name_previous(uint8_t *entry, const uint8_t *file, const char name[FAT_NAME + 1])
{
	uint32_t former = memcmp(entry, name, FAT_NAME) == 0 ? first_of(entry) : 0;

	memcpy(entry, file, ENTRY);
	memcpy(entry, name, FAT_NAME);
	entry[AT_ATTRIBUTE] = ATTRIBUTE_ARCHIVE;
	entry[12] = 0;			/* no lower case, as the old name may have had */
	return former;
}

/* Whether the name stands in another sector of the directory: one write cannot change both. */
static bool
is_elsewhere(struct fat *f, const struct fat_file *file, const char *name, bool *elsewhere, struct complaint *why)
{
	struct search s = { .name = name };

	if (!each_entry(f, file->folder, match, &s, why))
		return false;
	*elsewhere = s.found && s.file.at / f->sector != file->at / f->sector;
	return true;
}

/* One write: the file has its new content, the old one its new name.  *released: a chain that nothing names now. */
static bool
write_entry(struct fat *f, const struct fat_file *file, const char *previous, uint32_t first, uint32_t size,
    struct fat_time stamp, uint32_t *released, bool *kept, struct complaint *why)
{
	uint64_t at = file->at / f->sector * f->sector;
	uint8_t sector[SLOT_PAGE], *own = sector + (file->at - at), *room;
	bool elsewhere;

	if (!is_elsewhere(f, file, previous, &elsewhere, why) || !read_bytes(f, at, sector, f->sector, why))
		return false;
	room = elsewhere || file->size == 0 ? NULL : room_for(sector, f->sector, previous);
	*kept = room != NULL;
	*released = room != NULL ? name_previous(room, own, previous) : file->first;
	set_content(own, first, size);
	put(own + AT_TIME, stamp.time, 2);
	put(own + AT_DATE, stamp.date, 2);
	put(own + AT_READ_DATE, stamp.date, 2);
	return write_bytes(f, at, sector, f->sector, why) && flush(f, why) && is_on_disk(f, at, sector, f->sector, why);
}

static void
release(struct fat *f, uint32_t first)
{
	for (uint32_t cluster = first; cluster >= FIRST && cluster < f->limit; cluster = next_of(f, 0, cluster))
		f->used[cluster] = 0;
}

static bool
replace(struct fat *f, const struct fat_file *file, const char *previous, const uint8_t *data, uint32_t size,
    uint32_t *chain, uint32_t count, struct fat_time stamp, bool *kept, struct complaint *why)
{
	struct complaint inner;
	uint32_t released;

	if (!allocate(f, chain, count, why) || !write_info(f, INFO_UNKNOWN, INFO_UNKNOWN, why) ||
	    !write_data(f, chain, count, data, why) || !data_is_there(f, chain, count, data, why) ||
	    !write_tables(f, chain, count, why) ||
	    !write_entry(f, file, previous, chain[0], size, stamp, &released, kept, why))
		return false;
	for (uint32_t i = 0; i < count; i++)
		f->used[chain[i]] = 1;
	release(f, released);
	return fat_tidy(f, &inner) || complain(why, "has the new file, but what the old one took is not free: %s", inner.text);
}

bool
fat_replace(struct fat *f, const struct fat_file *file, const char previous[FAT_NAME + 1], const void *data,
    uint32_t size, struct fat_time stamp, bool *kept, struct complaint *why)
{
	uint32_t count = (uint32_t)(((uint64_t)size + f->cluster - 1) / f->cluster);
	uint32_t *chain = memory(count * sizeof(*chain) + 1, why);
	uint8_t *whole = memory((size_t)count * f->cluster + 1, why);
	bool good = chain != NULL && whole != NULL;

	if (good) {
		memcpy(whole, data, size);
		good = replace(f, file, previous, whole, size, chain, count, stamp, kept, why);
	}
	free(chain);
	free(whole);
	return good;
}
