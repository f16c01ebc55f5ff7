/* SPDX-License-Identifier: MIT */
/*
 * Reading partition tables.  A GPT counts when the protective MBR announces it,
 * its header and entries have the right CRCs and lie where they may; the primary
 * comes first, the backup in the disk's last block serves when it is damaged.
 */
#include "parts.h"

enum {
	MBR_TABLE = 446, MBR_ENTRY = 16, MBR_ENTRIES = 4, MBR_ID = 440,
	TYPE_PROTECTIVE = 0xee,
	FIRST_LOGICAL = 5,
	LOGICAL_MAX = 60,		/* links of a chain that are followed */
	HEADER_BYTES = 92, ENTRY_BYTES = 128, ENTRIES_MAX = 1024, NAME_UNITS = 36,
};

struct scan {
	struct part_table *table;
	uint32_t block_size;
	uint64_t blocks;
	part_reader *read;
	void *arg;
	uint8_t *buffer;
};

/* ---- bytes; both ends are little-endian ---- */

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | get16(p + 2) << 16; }
static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

/* CRC32 as UEFI, Ethernet and zlib have it; crc is 0 at first. */
static uint32_t
crc32_add(uint32_t crc, const uint8_t *p, size_t count)
{
	crc = ~crc;
	for (; count > 0; count--) {
		crc ^= *p++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

static bool
guid_is_zero(const uint8_t guid[16])
{
	for (unsigned i = 0; i < 16; i++)
		if (guid[i] != 0)
			return false;
	return true;
}

static long
read_blocks(const struct scan *s, uint64_t block, uint32_t count)
{
	if (block >= s->blocks || count > s->blocks - block)
		return -EIO;
	return s->read(s->arg, block, count, s->buffer);
}

/* Keeps what begins on the disk; a tail beyond its end is cut, as Linux does. */
static struct part *
part_add(struct scan *s, uint32_t number, uint64_t first, uint64_t count)
{
	struct part_table *t = s->table;
	struct part *p;

	if (t->count == PARTS_MAX || count == 0 || first >= s->blocks)
		return NULL;
	p = &t->part[t->count++];
	memset(p, 0, sizeof(*p));
	p->number = number;
	p->first = first;
	p->count = min(count, s->blocks - first);
	return p;
}

/* ---- MBR ---- */

static bool is_extended(uint8_t type) { return type == 0x05 || type == 0x0f || type == 0x85; }
static const uint8_t *mbr_entry(const uint8_t *b, unsigned i) { return b + MBR_TABLE + i * MBR_ENTRY; }
static bool mbr_signed(const uint8_t *b) { return b[510] == 0x55 && b[511] == 0xaa; }

/* A boot sector of a file system ends with the same two bytes: the flags tell. */
static bool
mbr_plausible(const uint8_t *b)
{
	if (!mbr_signed(b))
		return false;
	for (unsigned i = 0; i < MBR_ENTRIES; i++)
		if ((mbr_entry(b, i)[0] & 0x7f) != 0)
			return false;
	return true;
}

/*
 * The chain of logical partitions.  Each link has its partition relative to
 * itself and the next link relative to the first; links only go forward, so that
 * a circle ends.
 */
static void
mbr_logical(struct scan *s, uint64_t extended, uint64_t size)
{
	uint64_t link = extended;
	uint32_t number = FIRST_LOGICAL;

	for (unsigned n = 0; n < LOGICAL_MAX; n++) {
		uint64_t next = 0;

		if (read_blocks(s, link, 1) != 0 || !mbr_signed(s->buffer))
			return;
		for (unsigned i = 0; i < MBR_ENTRIES; i++) {
			const uint8_t *e = mbr_entry(s->buffer, i);
			uint64_t first = get32(e + 8), count = get32(e + 12);
			struct part *p;

			if (count == 0)
				continue;
			if (is_extended(e[4])) {
				if (next == 0)
					next = extended + first;
				continue;
			}
			/* the two other entries are used by nobody but wrong tables */
			if (i >= 2 && (first + count > size || link + first < extended ||
			    link + first + count > extended + size))
				continue;
			p = part_add(s, number, link + first, count);
			if (p == NULL)
				continue;
			p->type = e[4];
			p->bootable = e[0] == 0x80;
			number++;
		}
		if (next <= link || next >= extended + size)
			return;
		link = next;
	}
}

static void
mbr_read(struct scan *s)
{
	struct part_table *t = s->table;
	uint8_t mbr[512];

	memcpy(mbr, s->buffer, sizeof(mbr));
	t->kind = PARTS_MBR;
	t->mbr_id = get32(mbr + MBR_ID);
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *e = mbr_entry(mbr, i);
		uint64_t first = get32(e + 8), count = get32(e + 12);
		struct part *p;

		/* of an extended one only as much is seen as a boot loader needs */
		p = part_add(s, i + 1, first, is_extended(e[4]) ? min(count, (uint64_t)max(1024 / s->block_size, 1u)) : count);
		if (p == NULL)
			continue;
		p->type = e[4];
		p->bootable = e[0] == 0x80;
	}
	for (unsigned i = 0; i < MBR_ENTRIES; i++) {
		const uint8_t *e = mbr_entry(mbr, i);

		if (is_extended(e[4]) && get32(e + 12) != 0) {
			mbr_logical(s, get32(e + 8), get32(e + 12));
			return;
		}
	}
}

/* ---- GPT ---- */

struct header {
	uint64_t my_block, other_block, first_usable, last_usable, entries_block;
	uint32_t entry_count, entry_bytes, entries_crc;
	uint8_t disk_guid[16];
};

static bool
header_crc_right(uint8_t *p, uint32_t bytes)
{
	uint32_t crc = get32(p + 16);

	memset(p + 16, 0, 4);		/* its own field counts as zero */
	return crc32_add(0, p, bytes) == crc;
}

/* UEFI 2.10 §5.3.2.  Entries are at least 128 bytes, a power of two of them. */
static bool
header_read(struct scan *s, uint64_t block, struct header *h)
{
	uint8_t *p = s->buffer;
	uint32_t bytes;

	if (read_blocks(s, block, 1) != 0 || memcmp(p, "EFI PART", 8) != 0)
		return false;
	bytes = get32(p + 12);
	if (bytes < HEADER_BYTES || bytes > s->block_size || !header_crc_right(p, bytes))
		return false;
	h->my_block = get64(p + 24);
	h->other_block = get64(p + 32);
	h->first_usable = get64(p + 40);
	h->last_usable = get64(p + 48);
	memcpy(h->disk_guid, p + 56, 16);
	h->entries_block = get64(p + 72);
	h->entry_count = get32(p + 80);
	h->entry_bytes = get32(p + 84);
	h->entries_crc = get32(p + 88);
	if (h->my_block != block || h->first_usable > h->last_usable || h->last_usable >= s->blocks)
		return false;
	if (h->entry_bytes < ENTRY_BYTES || h->entry_bytes > 4096 || (h->entry_bytes & (h->entry_bytes - 1)) != 0)
		return false;
	return h->entry_count != 0 && h->entry_count <= ENTRIES_MAX && h->entries_block < s->blocks;
}

static size_t
utf8_put(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	to[0] = (char)(0xe0 | c >> 12);
	to[1] = (char)(0x80 | (c >> 6 & 63));
	to[2] = (char)(0x80 | (c & 63));
	return 3;
}

/* UTF-16 to UTF-8.  What is no printable character of the basic plane is a question mark. */
static void
name_read(char *to, const uint8_t *p)
{
	for (unsigned i = 0; i < NAME_UNITS; i++) {
		uint32_t c = get16(p + 2 * i);

		if (c == 0)
			break;
		if (c < 0x20 || c == 0x7f || (c >= 0xd800 && c < 0xe000))
			c = '?';
		to += utf8_put(to, c);
	}
	*to = '\0';
}

static void
entry_read(struct scan *s, const struct header *h, const uint8_t *e, uint32_t number)
{
	uint64_t first = get64(e + 32), last = get64(e + 40);
	struct part *p;

	if (guid_is_zero(e) || first > last || first < h->first_usable || last > h->last_usable)
		return;
	p = part_add(s, number, first, last - first + 1);
	if (p == NULL)
		return;
	memcpy(p->type_guid, e, 16);
	memcpy(p->guid, e + 16, 16);
	name_read(p->name, e + 56);
}

/*
 * One pass over the entries: their CRC, and with `take` what they say.  A piece is
 * a whole number of blocks and of entries, since all three are powers of two.
 */
static bool
entries_pass(struct scan *s, const struct header *h, bool take)
{
	uint64_t total = (uint64_t)h->entry_count * h->entry_bytes;
	uint32_t crc = 0;

	for (uint64_t at = 0; at < total; at += PART_BUFFER) {
		uint32_t n = (uint32_t)min(total - at, (uint64_t)PART_BUFFER);

		if (read_blocks(s, h->entries_block + at / s->block_size, (n + s->block_size - 1) / s->block_size) != 0)
			return false;
		crc = crc32_add(crc, s->buffer, n);
		for (uint32_t e = 0; take && e < n; e += h->entry_bytes)
			entry_read(s, h, s->buffer + e, (uint32_t)((at + e) / h->entry_bytes) + 1);
	}
	return crc == h->entries_crc;
}

static bool
gpt_valid(struct scan *s, uint64_t block, struct header *h)
{
	return header_read(s, block, h) && entries_pass(s, h, false);
}

/* Do both tables say the same?  Only worth a warning. */
static bool
same_content(const struct header *a, const struct header *b)
{
	return a->other_block == b->my_block && b->other_block == a->my_block &&
	    a->first_usable == b->first_usable && a->last_usable == b->last_usable &&
	    a->entries_crc == b->entries_crc && a->entry_count == b->entry_count &&
	    a->entry_bytes == b->entry_bytes && memcmp(a->disk_guid, b->disk_guid, 16) == 0;
}

static bool
gpt_read(struct scan *s)
{
	struct part_table *t = s->table;
	struct header primary, backup, *h = &primary;
	bool have_primary = gpt_valid(s, 1, &primary);
	/* where a good primary says that it is, else at the end */
	uint64_t at = have_primary && primary.other_block > 1 && primary.other_block < s->blocks ? primary.other_block : s->blocks - 1;
	bool have_backup = at > 1 && gpt_valid(s, at, &backup);

	if (!have_primary && !have_backup)
		return false;
	if (!have_primary)
		h = &backup;
	t->kind = PARTS_GPT;
	t->from_backup = !have_primary;
	t->backup_bad = !have_backup || (have_primary && !same_content(&primary, &backup));
	memcpy(t->disk_guid, h->disk_guid, 16);
	/* it was right a moment ago: a disk that changes under us is one without a table */
	if (entries_pass(s, h, true))
		return true;
	memset(t, 0, sizeof(*t));
	return false;
}

/* ---- the whole ---- */

static bool
announces_gpt(const uint8_t *mbr)
{
	for (unsigned i = 0; i < MBR_ENTRIES; i++)
		if (mbr_entry(mbr, i)[4] == TYPE_PROTECTIVE)
			return true;
	return false;
}

long
parts_read(struct part_table *t, uint32_t block_size, uint64_t blocks, part_reader *read, void *arg, uint8_t *buffer)
{
	struct scan s = { t, block_size, blocks, read, arg, buffer };
	uint8_t mbr[512];
	long r;

	memset(t, 0, sizeof(*t));
	if (blocks == 0)
		return 0;
	r = read_blocks(&s, 0, 1);
	if (r != 0)
		return r;
	if (!mbr_signed(buffer))
		return 0;
	memcpy(mbr, buffer, sizeof(mbr));
	if (announces_gpt(mbr) && gpt_read(&s))
		return 0;
	if (!mbr_plausible(mbr))
		return 0;
	memcpy(buffer, mbr, sizeof(mbr));
	mbr_read(&s);
	return 0;
}

/* ---- texts ---- */

void
guid_text(char *to, const uint8_t guid[16])
{
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		ksnprintf(to, 3, "%02x", guid[place[i]]);
		to += 2;
	}
}

void
part_uuid(char *to, const struct part_table *t, const struct part *p)
{
	*to = '\0';
	if (t->kind == PARTS_GPT && !guid_is_zero(p->guid))
		guid_text(to, p->guid);
	else if (t->kind == PARTS_MBR && t->mbr_id != 0)
		ksnprintf(to, 37, "%08x-%02x", t->mbr_id, p->number);
}
