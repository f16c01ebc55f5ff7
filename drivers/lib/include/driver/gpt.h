/* SPDX-License-Identifier: MIT */
/*
 * GUID partition tables (UEFI 2.10 §5.3), read and checked.  Pure and incremental: the
 * scan says which blocks it wants to see next, and is fed with them.
 *
 * A table counts when its header's and its entries' CRC32 are right, everything it says lies
 * where it may, and no two partitions overlap.  If the primary table does not, the backup
 * at the end of the disk serves, and `why` says what is wrong with the primary.
 */
#ifndef DRIVER_GPT_H
#define DRIVER_GPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GPT_PARTS = 128,		/* used entries; more are refused */
	GPT_ENTRIES_BYTES = 256 * 1024,	/* of one array of entries, at most */
};

enum gpt_source {
	GPT_NONE = 0,		/* there is no table, or none that counts: see why */
	GPT_PRIMARY = 1,
	GPT_BACKUP = 2,		/* see why */
};

struct gpt_part {
	uint8_t type[16], guid[16];	/* in the order of the disk */
	uint64_t first, last;		/* blocks, both inclusive */
	uint32_t number;		/* from 1, the place in the table */
	char name[40];			/* UTF-8, NUL-terminated, cut where it is longer */
};

struct gpt_header {			/* of a table that is being read */
	uint64_t my_block, other_block;
	uint64_t first_usable, last_usable;
	uint64_t entries_block;
	uint32_t entry_count, entry_bytes;
	uint32_t entries_crc;
	uint8_t disk_guid[16];
};

enum gpt_step { GPT_READ_START, GPT_READ_ENTRIES, GPT_READ_BACKUP, GPT_READ_BACKUP_ENTRIES, GPT_DONE };

struct gpt {
	/* The result, once gpt_wants says that nothing is missing. */
	enum gpt_source source;
	char why[80];			/* what is wrong; empty: nothing */
	uint8_t disk_guid[16];
	unsigned count;
	struct gpt_part part[GPT_PARTS];
	struct gpt_header table;	/* of the table that counts */
	/* The scan. */
	enum gpt_step step;
	uint32_t block_size, buffer_bytes;
	uint64_t blocks;		/* of the disk */
	struct gpt_header header;
	uint64_t at;			/* bytes of entries that were seen */
	uint32_t crc, primary_crc;	/* of the entries */
	bool checking;			/* the backup, of a primary table that counts */
	bool seen;			/* anything that looks like a table */
};

/* Begin a scan; the buffer holds at least 8 KiB, and whole blocks. */
void gpt_begin(struct gpt *g, uint32_t block_size, uint64_t blocks, uint32_t buffer_bytes);

/* What to read next into the buffer.  False: the scan is over. */
bool gpt_wants(const struct gpt *g, uint64_t *block, uint32_t *count);

/* What was read; a null pointer: it could not be. */
void gpt_feed(struct gpt *g, const uint8_t *bytes);

/*
 * The partition that text names: a GUID (8-4-4-4-12 digits) or a partition name.  A null
 * pointer: there is none, or more than one.
 */
const struct gpt_part *gpt_find(const struct gpt *g, const char *text);
const struct gpt_part *gpt_find_guid(const struct gpt *g, const uint8_t guid[16]);
/* The only partition of this type. */
const struct gpt_part *gpt_find_type(const struct gpt *g, const uint8_t type[16]);

/*
 * Growing a partition to the end of its disk, in steps like the scan: the caller does what
 * gpt_grow_wants says with a buffer that stays the same, and tells how it went.
 */
enum { GPT_GROW_BYTES = 1 << 20 };	/* what is left over below that stays */
enum gpt_grow_step { GPT_GROW_READ, GPT_GROW_BACKUP, GPT_GROW_BACKUP_HEADER, GPT_GROW_BACKUP_FLUSH,
	GPT_GROW_PRIMARY, GPT_GROW_PRIMARY_FLUSH, GPT_GROW_DONE };
enum gpt_grow_kind { GPT_GROW_IO_READ = 1, GPT_GROW_IO_WRITE, GPT_GROW_IO_FLUSH };
struct gpt_grow {
	enum gpt_grow_step step;
	bool grown;			/* both tables were written */
	uint32_t block_size, entry_offset, entries_bytes, entries_crc;
	uint64_t blocks, entries_blocks, old_last;
};
struct gpt_grow_io {
	enum gpt_grow_kind kind;
	uint64_t block;
	uint32_t count;			/* blocks */
	uint32_t offset;		/* bytes, in the buffer */
};

/*
 * False: there is nothing to do or it cannot be done: p is not the last partition, no
 * primary table in its usual place, less than GPT_GROW_BYTES behind it, or a table that
 * does not fit the buffer (its blocks and two more).
 */
bool gpt_grow_begin(struct gpt_grow *w, const struct gpt *g, const struct gpt_part *p, uint32_t buffer_bytes);
bool gpt_grow_wants(const struct gpt_grow *w, struct gpt_grow_io *io);	/* false: it is over, see grown */
void gpt_grow_fed(struct gpt_grow *w, bool ok, uint8_t *buffer);

/* CRC32 as UEFI, Ethernet and zlib have it; crc is 0 at first. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t count);

/* Text of a GUID into 37 bytes. */
void guid_text(char to[37], const uint8_t guid[16]);

#endif
